"""SimCLR: an image's two views attract, all other views repel."""

from functools import partial

from sparring.encoders import Encoder
from sparring.methods.contrastive import Contrastive
from sparring.methods.scores import info_nce


def simclr(
    encoder: Encoder,
    *,
    hidden: int = 512,
    projection: int = 128,
    temperature: float = 0.5,
    batch_norm: bool = True,
    itself: bool = False,
) -> Contrastive:
    """An image's two views attract, all other views repel: NT-Xent on normalised projections (Eq. 2, 3).

    Args, besides those of `Contrastive`:
        itself: leave each anchor among its own negatives, as Viewmaker's released code does: a constant that at low
            temperatures outweighs all of them, so that the positive goes on to attract and hardly anything repels.

    Source: Chen et al. 2020, "A Simple Framework for Contrastive Learning of Visual Representations".
    """
    loss = partial(info_nce, itself=itself)
    return Contrastive(
        encoder, loss, hidden=hidden, projection=projection, temperature=temperature, batch_norm=batch_norm
    )

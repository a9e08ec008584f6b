"""SimCLR: an image's two views attract, all other views repel."""

from jaxtyping import Float
from torch import Tensor

from sparring.encoders import Encoder
from sparring.methods.contrast import all_against_all, info_nce
from sparring.methods.contrastive import Contrastive


def nt_xent(first: Float[Tensor, "b k"], second: Float[Tensor, "b k"], temperature: float) -> Float[Tensor, " b"]:
    """NT-Xent per image, the mean over its two anchors; negatives are both views of all other images of all ranks."""
    return info_nce(all_against_all(first, second, temperature)).view(2, -1).mean(dim=0)


def simclr(
    encoder: Encoder,
    *,
    hidden: int = 512,
    projection: int = 128,
    temperature: float = 0.5,
    batch_norm: bool = True,
) -> Contrastive:
    """An image's two views attract, all other views repel: NT-Xent on normalised projections (Eq. 2, 3).

    Args:
        encoder: the backbone.
        hidden: width of the projector's hidden layer.
        projection: size of the projection.
        temperature: divides the cosine similarities.
        batch_norm: normalise the hidden layer over the batch.

    Source: Chen et al. 2020, "A Simple Framework for Contrastive Learning of Visual Representations".
    """
    return Contrastive(
        encoder, info_nce, hidden=hidden, projection=projection, temperature=temperature, batch_norm=batch_norm
    )

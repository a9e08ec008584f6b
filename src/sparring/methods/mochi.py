"""MoCHi: MoCo with synthetic negatives, mixed from the hardest of the queue."""

from sparring.encoders import Encoder
from sparring.errors import InputError
from sparring.methods.mixing import Mixing
from sparring.methods.moco import MoCo


def mochi(
    encoder: Encoder,
    *,
    hidden: int = 512,
    projection: int = 128,
    temperature: float = 0.2,
    momentum: float = 0.99,
    queue: int = 4096,
    symmetric: bool = True,
    hardest: int = 256,
    pairs: int = 256,
    queries: int = 32,
) -> MoCo:
    """MoCo whose negatives are the queue's and, per query, `pairs + queries` synthetic ones (see Mixing).

    Defaults have the paper's proportions (1024, 1024 and 128 of 16384) at MoCo's CIFAR-10 queue. Departure: no warm-up
    without synthetic negatives.

    Args, besides those of `MoCo`:
        hardest: number of the queue's nearest keys that are mixed.
        pairs: number of mixtures of two of them.
        queries: number of mixtures of one of them with the query.

    Source: Kalantidis et al. 2020, "Hard Negative Mixing for Contrastive Learning".
    """
    if hardest > queue:
        raise InputError(f"mochi: expected hardest to be at most the queue's {queue}, got {hardest}")
    method = MoCo(
        encoder,
        hidden=hidden,
        projection=projection,
        temperature=temperature,
        momentum=momentum,
        queue=queue,
        symmetric=symmetric,
    )
    method.mixing = Mixing(hardest=hardest, pairs=pairs, queries=queries)
    return method

"""Measures that need no label: do the features still use their space?"""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from sparring.contracts import Features
from sparring.schema import check_range
from sparring.tensors import evenly

SMALLEST = 1e-7
"""Added to every share, so that its logarithm is finite."""


def spread(features: Float[Tensor, "n d"]) -> Float[Tensor, ""]:
    """Standard deviation of normalised features times sqrt(d), mean over dimensions: 1 if isotropic, 0 if collapsed.

    Source: Chen and He 2021, Fig. 2 of "Exploring Simple Siamese Representation Learning".
    """
    return F.normalize(features).std(dim=0, correction=0).mean() * features.shape[1] ** 0.5


def rankme(features: Float[Tensor, "n d"]) -> Float[Tensor, ""]:
    """Effective rank: the exponential of the entropy of the normalised singular values, between 1 and min(n, d).

    Source: Garrido et al. 2023, "RankMe: Assessing the Downstream Performance of Pretrained Representations".
    """
    return effective_rank(torch.linalg.svdvals(features))


def effective_rank(values: Float[Tensor, " d"]) -> Float[Tensor, ""]:
    """The exponential of the entropy of values as shares of their sum; if all are zero, 1 up to rounding.

    Source: Roy and Vetterli 2007, "The Effective Rank: A Measure of Effective Dimensionality".
    """
    shares = values / values.sum().clamp(min=torch.finfo(values.dtype).tiny) + SMALLEST
    return (-(shares * shares.log()).sum()).exp()


def uniformity(features: Float[Tensor, "n d"], t: float = 2.0) -> Float[Tensor, ""]:
    """Log of the mean of exp(-t |x - y|^2) over pairs of normalised features: 0 if collapsed, near -2t if spread.

    Of fewer than two rows, which have no pair, it is 0.

    Source: Wang and Isola 2020, "Understanding Contrastive Representation Learning through Alignment and Uniformity".
    """
    if len(features) < 2:
        return features.new_zeros(())
    distances = F.pdist(F.normalize(features))
    return distances.square().mul(-t).logsumexp(dim=0) - math.log(len(distances))


def alignment(first: Float[Tensor, "n d"], second: Float[Tensor, "n d"], alpha: float = 2.0) -> Float[Tensor, ""]:
    """Mean of |x - y|^alpha over the normalised features of two views of the same images: 0 if views are as one.

    Source: Wang and Isola 2020, as above.
    """
    return (F.normalize(first) - F.normalize(second)).norm(dim=1).pow(alpha).mean()


class Collapse:
    """Feature spread, RankMe and uniformity of the queries; needs no labels.

    Args:
        pairs_of: images whose pairs uniformity is taken over, evenly spread.
    """

    def __init__(self, *, pairs_of: int = 2000) -> None:
        check_range("collapse: pairs_of", pairs_of, 2)
        self.pairs_of = pairs_of

    def __call__(self, features: Features) -> dict[str, float]:
        queries = features.queries
        return {
            "feature_spread": spread(queries).item(),
            "rankme": rankme(queries).item(),
            "uniformity": uniformity(queries[evenly(self.pairs_of, len(queries))]).item(),
        }

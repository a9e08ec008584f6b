"""VICReg: views agree, each entry varies over the batch, no two entries covary."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from sparring.contracts import Embedding, Method
from sparring.encoders import Encoder
from sparring.gather import gather, rank
from sparring.methods.barlow import squares
from sparring.methods.heads import three_layers
from sparring.schema import check_ranges

EPSILON = 1e-4
"""Added to each variance, as in the paper."""


def _spread(projection: Float[Tensor, "b k"], variance: float, covariance: float) -> Float[Tensor, " b"]:
    """Each image's share of one view's variance / 2 and covariance terms, so weighted, over the batch of all ranks."""
    everyone, b, place = gather(projection), len(projection), rank()
    centred = everyone - everyone.mean(dim=0)
    unbiased = len(everyone) / (len(everyone) - 1)
    matrix = unbiased * centred.T @ centred / len(everyone)
    own = centred[place * b : (place + 1) * b]
    deviation = (matrix.diagonal() + EPSILON).sqrt()
    # where the hinge is open: 1 - s_i = the mean over images of 1 - (unbiased c_i^2 + epsilon) / s_i
    hinge = torch.where(deviation < 1, 1 - (unbiased * own**2 + EPSILON) / deviation, 0.0).mean(dim=1)
    return variance * hinge / 2 + covariance * unbiased * squares(matrix, own, own) / own.shape[1]


def vicreg_loss(
    first: Float[Tensor, "b k"], second: Float[Tensor, "b k"], invariance: float, variance: float, covariance: float
) -> Float[Tensor, " b"]:
    """Each image's share of the published loss; the mean of the shares is that loss, and so is the gradient."""
    apart = invariance * (first - second).square().mean(dim=1)
    return apart + _spread(first, variance, covariance) + _spread(second, variance, covariance)


class VICReg(Method):
    """Invariance |z1 - z2|^2 / k; per view variance mean max(0, 1 - s_i) / 2 and covariance sum_{i != j} cov_ij^2 / k.

    Args:
        projection: width k of the three-layer expander (8192 in the paper).
        invariance: weight of the first term.
        variance: weight of the second term.
        covariance: weight of the third term.

    Source: Bardes et al. 2022, "VICReg: Variance-Invariance-Covariance Regularization".
    """

    def __init__(
        self,
        encoder: Encoder,
        *,
        projection: int = 1024,
        invariance: float = 25.0,
        variance: float = 25.0,
        covariance: float = 1.0,
    ) -> None:
        super().__init__()
        self.encoder, self.invariance, self.variance, self.covariance = encoder, invariance, variance, covariance
        check_ranges(self, dict.fromkeys(("invariance", "variance", "covariance"), (0, math.inf)))
        self.projector = three_layers(encoder.feature_size, projection)

    def compare(self, first: Embedding, second: Embedding) -> Float[Tensor, " b"]:
        return vicreg_loss(first.projection, second.projection, self.invariance, self.variance, self.covariance)

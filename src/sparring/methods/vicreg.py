"""VICReg: views agree, each entry varies over the batch, no two entries covary."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from sparring.contracts import Embedding, Method
from sparring.encoders import Encoder
from sparring.gather import gather, rank
from sparring.methods.heads import three_layers
from sparring.methods.shares import squares
from sparring.schema import check_ranges

EPSILON = 1e-4
"""Added to each variance, as in the paper."""


@dataclass(frozen=True)
class Weights:
    """Of the three terms."""

    invariance: float
    variance: float
    covariance: float


def _spread(projection: Float[Tensor, "b k"], weights: Weights) -> Float[Tensor, " b"]:
    """Each image's share of one view's variance / 2 and covariance terms, over the batch of all ranks."""
    everyone, b, place = gather(projection), len(projection), rank()
    centred = everyone - everyone.mean(dim=0)
    unbiased = len(everyone) / (len(everyone) - 1)
    covariance = unbiased * centred.T @ centred / len(everyone)
    own = centred[place * b : (place + 1) * b]
    deviation = (covariance.diagonal() + EPSILON).sqrt()
    # where the hinge is open: 1 - s_i = the mean over images of 1 - (unbiased c_i^2 + epsilon) / s_i
    hinge = torch.where(deviation < 1, 1 - (unbiased * own**2 + EPSILON) / deviation, 0.0).mean(dim=1)
    return weights.variance * hinge / 2 + weights.covariance * unbiased * squares(covariance, own, own) / own.shape[1]


def vicreg_loss(first: Float[Tensor, "b k"], second: Float[Tensor, "b k"], weights: Weights) -> Float[Tensor, " b"]:
    """Each image's share of the published loss; the mean of the shares is that loss, and so is the gradient."""
    invariance = (first - second).square().mean(dim=1)
    return weights.invariance * invariance + _spread(first, weights) + _spread(second, weights)


class VICReg(Method):
    """Invariance |z1 - z2|^2 / k; per view variance mean max(0, 1 - s_i) / 2 and covariance sum_{i != j} cov_ij^2 / k.

    Args:
        encoder: the backbone.
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
        self.encoder, self.weights = encoder, Weights(invariance, variance, covariance)
        check_ranges(self.weights, dict.fromkeys(vars(self.weights), (0, math.inf)))
        self.projector = three_layers(encoder.feature_size, projection)

    def encode(self, images: Float[Tensor, "b c h w"]) -> Embedding:
        features = self.encoder(images)
        return Embedding(features, self.projector(features))

    def compare(self, first: Embedding, second: Embedding) -> Float[Tensor, " b"]:
        return vicreg_loss(first.projection, second.projection, self.weights)

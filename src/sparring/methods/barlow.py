"""Barlow Twins: the cross-correlation of two views becomes the identity."""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from sparring.contracts import Embedding, Method
from sparring.encoders import Encoder
from sparring.gather import gather, rank
from sparring.methods.heads import three_layers
from sparring.schema import check_ranges


def _standardised(projection: Float[Tensor, "n k"]) -> Float[Tensor, "n k"]:
    return F.batch_norm(projection, None, None, training=True)


def squares(matrix: Float[Tensor, "k k"], x: Float[Tensor, "b k"], y: Float[Tensor, "b k"]) -> Float[Tensor, " b"]:
    """Shares of sum_{i != j} C_ij^2, C the mean over images of x_i y_j: an image has sum_{i != j} C_ij x_i y_j."""
    return ((x @ (matrix - torch.diag(matrix.diagonal()))) * y).sum(dim=1)


def barlow_twins(first: Float[Tensor, "b k"], second: Float[Tensor, "b k"], redundancy: float) -> Float[Tensor, " b"]:
    """Each image's share of sum_i (1 - C_ii)^2 + redundancy sum_{i != j} C_ij^2.

    C is the mean over images of x_i y_j, with x and y standardised over the batch of all ranks. So the loss is
    the mean over images of sum_i (1 - C_ii) (1 - x_i y_i) + redundancy sum_{i != j} C_ij x_i y_j: the share.
    """
    b, place = len(first), rank()
    x, y = _standardised(gather(first)), _standardised(gather(second))
    correlation = x.T @ y / len(x)
    x, y = x[place * b : (place + 1) * b], y[place * b : (place + 1) * b]
    return (1 - x * y) @ (1 - correlation.diagonal()) + redundancy * squares(correlation, x, y)


class BarlowTwins(Method):
    """scale (sum_i (1 - C_ii)^2 + redundancy sum_{i != j} C_ij^2), C the cross-correlation of the views' projections.

    Args:
        projection: width of the three-layer projector (8192 in the paper).
        redundancy: weight of the terms off the diagonal.
        scale: of the whole; the published loss (1) is a sum over entries, too large for SGD at the other methods' rate.

    Source: Zbontar et al. 2021, "Barlow Twins: Self-Supervised Learning via Redundancy Reduction".
    """

    def __init__(
        self, encoder: Encoder, *, projection: int = 1024, redundancy: float = 5e-3, scale: float = 0.024
    ) -> None:
        super().__init__()
        self.encoder, self.redundancy, self.scale = encoder, redundancy, scale
        check_ranges(self, {"redundancy": (0, math.inf), "scale": (0, math.inf)})
        self.projector = three_layers(encoder.feature_size, projection)

    def compare(self, first: Embedding, second: Embedding) -> Float[Tensor, " b"]:
        return self.scale * barlow_twins(first.projection, second.projection, self.redundancy)

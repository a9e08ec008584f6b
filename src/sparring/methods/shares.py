"""Split losses of a whole batch into shares of its images, such that the mean of the shares is the loss."""

import torch
from jaxtyping import Float
from torch import Tensor


def squares(matrix: Float[Tensor, "k k"], x: Float[Tensor, "b k"], y: Float[Tensor, "b k"]) -> Float[Tensor, " b"]:
    """Shares of sum_{i != j} C_ij^2, C the mean over images of x_i y_j: an image has sum_{i != j} C_ij x_i y_j."""
    return ((x @ (matrix - torch.diag(matrix.diagonal()))) * y).sum(dim=1)

"""Which class is taken for which."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

MOST_CLASSES = 300
"""Of more, a table of each class against each is not kept: nobody reads it, and it grows with their square."""


def confusion(truth: Int[Tensor, " n"], predicted: Int[Tensor, " n"], classes: int) -> Int[Tensor, "classes classes"]:
    """How many images of each class (row) were taken for each class (column)."""
    return torch.bincount(classes * truth + predicted, minlength=classes**2).view(classes, classes)


def class_accuracies(matrix: Int[Tensor, "c c"]) -> Float[Tensor, " c"]:
    """Percent of each class's images that were recognised; not a number for a class without images."""
    return 100 * matrix.diagonal().double() / matrix.sum(dim=1)


def percent_right(truth: Int[Tensor, " n"], predicted: Int[Tensor, " n"]) -> float:
    """Percent of the images that were recognised."""
    return 100 * int((truth == predicted).sum()) / len(truth)

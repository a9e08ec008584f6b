"""Draws that take from every class alike."""

from collections.abc import Callable

import torch
from jaxtyping import Int
from torch import Tensor


def draw_stratified(
    labels: Int[Tensor, " n"], count: Callable[[int], int], generator: torch.Generator
) -> Int[Tensor, " m"]:
    """Places of random images, `count(size)` of each class of that size; in ascending order."""
    shuffled = torch.randperm(len(labels), generator=generator)
    drawn = []
    for label in labels.unique():
        members = shuffled[labels[shuffled] == label]
        drawn.append(members[: count(len(members))])
    return torch.cat(drawn).sort().values


def of_share(share: float, size: int) -> int:
    """How many of a class of this size a share in (0, 1] is: at least one."""
    return max(1, round(share * size))

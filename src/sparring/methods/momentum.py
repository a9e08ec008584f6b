"""A target network that follows the online one by an exponential moving average."""

from copy import deepcopy

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sparring.methods.heads import check_below_1


class Target(nn.Module):
    """A frozen copy of `parts` in a row: theta' <- momentum theta' + (1 - momentum) theta.

    Frozen by `requires_grad_(False)`, not by `no_grad`: an adversary's gradient passes through to the images. As in the
    code of BYOL and MoCo only weights are averaged; the copy's BatchNorm normalises by its own batch and keeps
    its own running statistics.

    Args:
        parts: the online encoder and heads, in the order in which they run.
        momentum: share of itself that the target keeps in each step, in [0, 1).
    """

    def __init__(self, *parts: nn.Module, momentum: float) -> None:
        super().__init__()
        check_below_1("momentum", momentum)
        self.copy, self.momentum = deepcopy(nn.Sequential(*parts)).requires_grad_(False), momentum

    def forward(self, images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k"]:
        return self.copy(images)

    @torch.no_grad()
    def follow(self, *parts: nn.Module) -> None:
        """One step of the average towards the same parts as at construction."""
        online = [weight for part in parts for weight in part.parameters()]
        for own, weight in zip(self.copy.parameters(), online, strict=True):
            own.lerp_(weight, 1 - self.momentum)

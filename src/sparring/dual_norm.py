"""Separate BatchNorm for clean and hard views, whose statistics differ."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from copy import deepcopy
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from sparring.module_state import holding


class DualNorm(nn.Module):
    """Two BatchNorm layers, statistics and weights, of which `norms_for` chooses: clean unless told otherwise.

    Args:
        norm: what both start as.

    Source: Xie et al. 2020, "Adversarial Examples Improve Image Recognition" (AdvProp).
    """

    def __init__(self, norm: _BatchNorm) -> None:
        super().__init__()
        self.clean, self.hard, self.plays_hard = norm, deepcopy(norm), False

    def forward(self, maps: Float[Tensor, " b *d"]) -> Float[Tensor, " b *d"]:
        return self.hard(maps) if self.plays_hard else self.clean(maps)


def has_dual_norms(module: nn.Module) -> bool:
    """Whether any of its BatchNorm layers is doubled."""
    return any(isinstance(each, DualNorm) for each in module.modules())


def with_dual_norms(module: nn.Module) -> nn.Module:
    """The module with each of its BatchNorm layers doubled, in place."""
    return _replaced(module, _BatchNorm, DualNorm)


def without_dual_norms(module: nn.Module, *, hard: bool = False) -> nn.Module:
    """A copy of the module that has only the layers of clean views, or of hard ones."""
    return _replaced(deepcopy(module), DualNorm, lambda norm: norm.hard if hard else norm.clean)


def _replaced(module: nn.Module, kind: type, change: Callable[[Any], nn.Module]) -> nn.Module:
    for name, child in module.named_children():
        setattr(module, name, change(child) if isinstance(child, kind) else _replaced(child, kind, change))
    return module


def norms_for(module: nn.Module, *, hard: bool) -> AbstractContextManager[None]:
    """Within, a doubled BatchNorm is the one of hard views, or of clean ones; without doubled ones nothing changes."""
    return holding((each for each in module.modules() if isinstance(each, DualNorm)), "plays_hard", hard)

"""A module as a whole: looks that leave its statistics and weights alone, finiteness, norms over ranks."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

M = TypeVar("M", bound=nn.Module)


@contextmanager
def frozen_statistics(module: nn.Module) -> Iterator[None]:
    """BatchNorm still normalises by the batch, but leaves its running statistics bit-equal."""
    norms = [m for m in module.modules() if isinstance(m, _BatchNorm) and m.track_running_stats]
    for norm in norms:
        norm.track_running_stats = False
    try:
        yield
    finally:
        for norm in norms:
            norm.track_running_stats = True


@contextmanager
def running_statistics(module: nn.Module) -> Iterator[None]:
    """BatchNorm normalises by its running statistics, as in evaluation, and leaves them as they are."""
    norms = [m for m in module.modules() if isinstance(m, _BatchNorm) and m.training]
    for norm in norms:
        norm.train(False)
    try:
        yield
    finally:
        for norm in norms:
            norm.train(True)


@contextmanager
def frozen_weights(module: nn.Module) -> Iterator[None]:
    """What is computed here has a gradient in its inputs, never in the module's weights."""
    weights = [weight for weight in module.parameters() if weight.requires_grad]
    for weight in weights:
        weight.requires_grad_(False)
    try:
        yield
    finally:
        for weight in weights:
            weight.requires_grad_(True)


def is_finite(module: nn.Module) -> bool:
    """Whether no weight is infinite or NaN."""
    return all(bool(weights.isfinite().all()) for weights in module.parameters())


def synchronised(module: M) -> M:
    """The same with BatchNorm over all ranks; keeps the activations that timm puts inside, which torch drops."""
    from timm.layers import convert_sync_batchnorm

    return convert_sync_batchnorm(module)

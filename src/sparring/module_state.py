"""A module as a whole: looks that leave its statistics and weights alone, finiteness, norms over ranks."""

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, TypeVar

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

M = TypeVar("M", bound=nn.Module)


@contextmanager
def holding(parts: Iterable[Any], flag: str, value: bool) -> Iterator[None]:
    """Within, this flag of each part has this value; after, it is as it was."""
    changed = [part for part in parts if getattr(part, flag) != value]
    for part in changed:
        setattr(part, flag, value)
    try:
        yield
    finally:
        for part in changed:
            setattr(part, flag, not value)


def frozen_statistics(module: nn.Module) -> AbstractContextManager[None]:
    """BatchNorm still normalises by the batch, but leaves its running statistics bit-equal."""
    return holding(_norms(module), "track_running_stats", value=False)


def running_statistics(module: nn.Module) -> AbstractContextManager[None]:
    """BatchNorm normalises by its running statistics, as in evaluation, and leaves them as they are."""
    return holding(_norms(module), "training", value=False)


def frozen_weights(module: nn.Module) -> AbstractContextManager[None]:
    """What is computed here has a gradient in its inputs, never in the module's weights."""
    return holding(module.parameters(), "requires_grad", value=False)


def _norms(module: nn.Module) -> list[nn.Module]:
    return [each for each in module.modules() if isinstance(each, _BatchNorm)]


def has_sparse_weights(module: nn.Module) -> bool:
    """Whether weights' gradients are of single rows, as those of a memory of each image are."""
    return any(isinstance(each, nn.Embedding) and each.sparse for each in module.modules())


def is_finite(module: nn.Module) -> bool:
    """Whether no weight is infinite or NaN."""
    return all(bool(weights.isfinite().all()) for weights in module.parameters())


def synchronised(module: M) -> M:
    """The module with SyncBatchNorm in place of BatchNorm, by timm, which keeps activations fused into its layers."""
    from timm.layers import convert_sync_batchnorm

    return convert_sync_batchnorm(module)

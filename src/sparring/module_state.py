"""A module as a whole: looks that leave its statistics and weights alone, finiteness, norms over ranks."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from textwrap import shorten
from typing import Any, TypeVar

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from sparring.errors import InputError

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


def load_weights(module: nn.Module, state: Mapping[str, Tensor], file: Path) -> None:
    """Give a module the weights that a file holds.

    Raises:
        InputError: if they are of another module: a part has changed since they were saved.
    """
    try:
        module.load_state_dict(state)
    except RuntimeError as error:  # a headline, then a line for each kind of difference
        difference = str(error).splitlines()[:2][-1].strip()
        raise InputError(
            f"{file}: expected weights for the parts as they are now, got others ({shorten(difference, 120)}); bring "
            "the parts back to what they were, or start a new run"
        ) from error


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

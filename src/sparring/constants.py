"""Small tensors of fixed values, sent to a device once: sent in every step they would make a GPU wait."""

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor


def constant(values: tuple[Any, ...], like: Tensor) -> Tensor:
    """These (nested) numbers with the type and device of `like`; shared by all callers, so never to be written to."""
    return _sent(values, like.dtype, like.device)


@lru_cache(256)
def _sent(values: tuple[Any, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    with torch.inference_mode(False):  # else what inference asked for first could not be trained through
        return torch.tensor(values, dtype=dtype, device=device)

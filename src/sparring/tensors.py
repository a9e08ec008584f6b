"""Small operations on tensors: bounds and sizes that keep their slope, places spread evenly, constants sent once."""

from functools import lru_cache
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn


def clamped(pixels: Float[Tensor, " *shape"]) -> Float[Tensor, " *shape"]:
    """Hold pixels in [0, 1]; in place where they need no gradient, so give what nobody else holds.

    The slope is 1 on the bounds, too, as torch's own clamp had it until 2026 and has it no longer: otherwise a search
    that starts at the image itself would not see what moves its black and white pixels.
    """
    if not pixels.requires_grad:
        return pixels.clamp_(0, 1)
    slack = torch.finfo(pixels.dtype).eps
    held = pixels.clamp(-slack, 1 + slack)
    with torch.no_grad():
        return held.clamp_(0, 1)


def magnitude(params: Float[Tensor, " *shape"]) -> Float[Tensor, " *shape"]:
    """|params| with slope 1 at 0, where abs() has none: a search that starts at the identity would never leave it."""
    return torch.where(params < 0, -params, params)


def evenly(most: int, total: int) -> Int[Tensor, " n"]:
    """At most `most` different places of `total`, from the first to the last."""
    count = min(most, total)
    return torch.arange(count) * (total - 1) // max(count - 1, 1)


def constant(values: tuple[Any, ...], like: Tensor) -> Tensor:
    """These (nested) numbers with the type and device of `like`; shared by all callers, so never to be written to.

    Sent to a device once: sent in every step they would make a GPU wait.
    """
    make = _sent if type(like) in (Tensor, nn.Parameter) else _sent.__wrapped__  # what torch.export tries is not kept
    return make(values, like.dtype, like.device)


@lru_cache(256)
def _sent(values: tuple[Any, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    with torch.inference_mode(False):  # else what inference asked for first could not be trained through
        return torch.tensor(values, dtype=dtype, device=device)

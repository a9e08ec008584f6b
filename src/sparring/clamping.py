"""Pixels held in [0, 1] without losing the slope of those that are black or white."""

import torch
from jaxtyping import Float
from torch import Tensor


def clamped(pixels: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
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

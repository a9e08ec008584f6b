"""Colour changes as one 3x4 matrix per image: out = M[:, :3] @ rgb + M[:, 3].

Brightness, contrast, saturation and grey follow torchvision's `adjust_*`. Hue is a rotation in the YIQ plane, not a
shift in HSV: it is linear, so it composes with the rest, and it is differentiable everywhere.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from sparring.tensors import clamped, constant

LUMA = (0.299, 0.587, 0.114)
"""Rec. 601 weights of red, green and blue in perceived brightness."""

RGB_TO_YIQ = torch.tensor((LUMA, (0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112)), dtype=torch.float64)


def _in_rgb(yiq: tuple[tuple[int, ...], ...]) -> tuple[tuple[float, ...], ...]:
    """A 3x3 matrix of YIQ as a 3x4 matrix of RGB."""
    matrix = torch.linalg.solve(RGB_TO_YIQ, torch.tensor(yiq, dtype=torch.float64) @ RGB_TO_YIQ)
    return tuple((*row, 0.0) for row in matrix.tolist())


IDENTITY = ((1.0, 0.0, 0.0, 0.0), (0.0, 1.0, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0))
GREY = ((*LUMA, 0.0),) * 3
LUMINANCE = _in_rgb(((1, 0, 0), (0, 0, 0), (0, 0, 0)))
CHROMA = _in_rgb(((0, 0, 0), (0, 1, 0), (0, 0, 1)))
TURNED_CHROMA = _in_rgb(((0, 0, 0), (0, 0, 1), (0, -1, 0)))
"""The chroma plane turned by a quarter of a circle."""


def identity(like: Float[Tensor, " b"]) -> Float[Tensor, "b 3 4"]:
    """The matrix that changes nothing, one per entry of `like`."""
    return constant(IDENTITY, like).expand(len(like), 3, 4)


def luma(like: Tensor) -> Float[Tensor, " 3"]:
    """`LUMA` with the type and device of `like`."""
    return constant(LUMA, like)


def brightness(factor: Float[Tensor, " b"]) -> Float[Tensor, "b 3 4"]:
    """Multiply by `factor`."""
    return identity(factor) * factor[:, None, None]


def contrast(factor: Float[Tensor, " b"], means: Float[Tensor, "b 3"]) -> Float[Tensor, "b 3 4"]:
    """Blend with the image's mean grey; `means` are the channel means of the image it is applied to."""
    offset = (1 - factor) * (means @ luma(means))
    return brightness(factor) + torch.nn.functional.pad(offset[:, None, None].expand(-1, 3, 1), (3, 0))


def saturation(factor: Float[Tensor, " b"]) -> Float[Tensor, "b 3 4"]:
    """Blend with the image's own grey version; a factor of 0 is grey."""
    return torch.lerp(constant(GREY, factor), constant(IDENTITY, factor), factor[:, None, None])


def hue(turns: Float[Tensor, " b"]) -> Float[Tensor, "b 3 4"]:
    """Rotate YIQ's chroma plane by `turns` of a full circle."""
    kept, chroma, turned = (constant(part, turns) for part in (LUMINANCE, CHROMA, TURNED_CHROMA))
    angle = (2 * math.pi * turns)[:, None, None]
    return kept + angle.cos() * chroma + angle.sin() * turned


def compose(second: Float[Tensor, "b n n+1"], first: Float[Tensor, "b n n+1"]) -> Float[Tensor, "b n n+1"]:
    """One affine matrix, of colours or of places, that applies `first` and then `second`."""
    n = first.shape[-2]
    return second[..., :n] @ first + torch.nn.functional.pad(second[..., n:], (n, 0))


def shifted_means(matrix: Float[Tensor, "b 3 4"], means: Float[Tensor, "b 3"]) -> Float[Tensor, "b 3"]:
    """Channel means after `matrix`, from those before it."""
    return (matrix[..., :3] @ means[..., None] + matrix[..., 3:]).squeeze(-1)


def apply_colour(images: Float[Tensor, "b 3 h w"], matrix: Float[Tensor, "b 3 4"]) -> Float[Tensor, "b 3 h w"]:
    """Recolour each image by its own matrix and clamp to [0, 1]."""
    pixels = torch.baddbmm(matrix[..., 3:], matrix[..., :3], images.flatten(2))
    return clamped(pixels.view_as(images))

"""Where pixels lie: transforms that resample the image through one 2x3 matrix per image."""

import math
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from sparring.contracts import ImageShape, Transform
from sparring.errors import InputError
from sparring.schema import check_range, checked
from sparring.tensors import clamped, constant

Padding = Literal["zeros", "border", "reflection"]
FARTHEST = 1e6
"""Coordinates beyond this, in half image sides, are refused."""


def sample(
    images: Float[Tensor, "b c h w"], grid: Float[Tensor, "b h w 2"], padding: Padding
) -> Float[Tensor, "b c h w"]:
    """Sample bilinearly at x and y measured in half image sides from the centre: -1 and 1 are the outer edges."""
    refuse_far(grid)
    return clamped(F.grid_sample(images, grid, mode="bilinear", padding_mode=padding, align_corners=False))


def refuse_far(places: Tensor) -> None:
    """One clear line for places that are no numbers or far out; PyTorch would write outside its memory (on CPUs)."""
    if places.device.type != "cpu":
        return
    low, high = places.detach().aminmax()
    if not (low >= -FARTHEST and high <= FARTHEST):
        raise InputError(
            "expected finite parameters to resample images by, got some that are not; try a smaller --learning-rate "
            "or --adversary-learning-rate"
        )


def warp(
    images: Float[Tensor, "b c h w"], matrix: Float[Tensor, "b 2 3"], padding: Padding
) -> Float[Tensor, "b c h w"]:
    """Sample bilinearly where `matrix` sends each output pixel; x and y in pixels from the image's centre."""
    height, width = images.shape[-2:]
    half = constant((width / 2, height / 2), matrix)
    units = torch.cat([half, half.new_ones(1)])  # affine_grid measures in half image sides
    grid = F.affine_grid(matrix * units / half[:, None], list(images.shape), align_corners=False)
    return sample(images, grid, padding)


def rotation(angle: Float[Tensor, " b"]) -> Float[Tensor, "b 2 2"]:
    """Where pixels sample when the image turns counter-clockwise by `angle` radians."""
    cos, sin = angle.cos(), angle.sin()
    return torch.stack([cos, -sin, sin, cos], dim=1).view(-1, 2, 2)


class Rotation(Transform):
    """Rotate about the centre, counter-clockwise for positive parameters.

    Args:
        degrees: largest angle in either direction.
        padding: what lies outside the image.

    Source: chosen against a network by Engstrom et al. 2019, "Exploring the Landscape of Spatial Robustness"; against a
    contrastive loss in "Adversarial Augmentations for Contrastive Learning".
    """

    def __init__(self, *, degrees: float = 30.0, padding: Padding = "reflection") -> None:
        super().__init__()
        check_range("rotation: degrees", degrees, 0, 180)
        self.degrees, self.padding = degrees, checked(padding, Padding, "rotation: padding")

    def parameter_shape(self, image_shape: ImageShape) -> tuple[int, ...]:
        return (1,)

    def forward(self, images: Float[Tensor, "b c h w"], params: Float[Tensor, "b 1"]) -> Float[Tensor, "b c h w"]:
        matrix = rotation(params[:, 0] * math.radians(self.degrees))
        return warp(images, F.pad(matrix, (0, 1)), self.padding)

    def describe(self, params: Float[Tensor, "b 1"]) -> dict[str, Float[Tensor, " b"]]:
        return {"rotation/degrees": params[:, 0] * self.degrees}


class Translation(Transform):
    """Shift right and down for positive parameters.

    Args:
        share: largest shift along each axis, as a share of the image's side.
        padding: what lies outside the image.

    Source: as of `Rotation`.
    """

    def __init__(self, *, share: float = 0.125, padding: Padding = "reflection") -> None:
        super().__init__()
        check_range("translation: share", share, 0, 1)
        self.share, self.padding = share, checked(padding, Padding, "translation: padding")

    def parameter_shape(self, image_shape: ImageShape) -> tuple[int, ...]:
        return (2,)

    def forward(self, images: Float[Tensor, "b c h w"], params: Float[Tensor, "b 2"]) -> Float[Tensor, "b c h w"]:
        height, width = images.shape[-2:]
        shift = -self.share * params * constant((width, height), params)
        eye = torch.eye(2, dtype=params.dtype, device=params.device).expand(len(params), 2, 2)
        return warp(images, torch.cat([eye, shift[:, :, None]], dim=2), self.padding)

    def describe(self, params: Float[Tensor, "b 2"]) -> dict[str, Float[Tensor, " b"]]:
        return {"translation/right": params[:, 0] * self.share, "translation/down": params[:, 1] * self.share}

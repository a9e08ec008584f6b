"""Rotation, translation, scale and shear at once: the whole affine group in one resampling."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from sparring.contracts import ImageShape, Transform
from sparring.schema import check_ranges, checked
from sparring.transforms.geometry import Padding, rotation, warp

NAMES = ("degrees", "right", "down", "width", "height", "shear")


class Affine(Transform):
    """Shear, scale, rotate about the centre, then shift: x' = R(angle) diag(width, height) Shear(angle) x + shift.

    Positive parameters turn counter-clockwise, shift right and down, enlarge, and lean the top to the right.

    Args:
        degrees: largest rotation in either direction.
        share: largest shift along each axis, as a share of the image's side.
        scale: width and height are each multiplied by a factor in [1 / scale, scale], uniform in its logarithm.
        shear: largest angle in degrees by which vertical lines lean.
        padding: what lies outside the image.

    Source: the parametrisation of Kornia's `get_affine_matrix2d`.
    """

    def __init__(
        self,
        *,
        degrees: float = 15.0,
        share: float = 0.1,
        scale: float = 1.2,
        shear: float = 10.0,
        padding: Padding = "reflection",
    ) -> None:
        super().__init__()
        self.degrees, self.share, self.scale, self.shear = degrees, share, scale, shear
        self.padding = checked(padding, Padding, "affine: padding")
        check_ranges(self, {"degrees": (0, 180), "share": (0, 1), "scale": (1, 10), "shear": (0, 60)}, "affine: ")

    def parameter_shape(self, image_shape: ImageShape) -> tuple[int, ...]:
        return (6,)

    def _physical(self, params: Float[Tensor, "b 6"]) -> list[Float[Tensor, " b"]]:
        """Degrees, shares of the sides, factors, degrees: as in `NAMES`."""
        angle, right, down, width, height, lean = params.unbind(dim=1)
        factors = [(math.log(self.scale) * size).exp() for size in (width, height)]
        return [self.degrees * angle, self.share * right, self.share * down, *factors, self.shear * lean]

    def matrix(self, params: Float[Tensor, "b 6"], height: int, width: int) -> Float[Tensor, "b 2 3"]:
        """Where each output pixel samples: the inverse of the map that moves the image."""
        angle, right, down, wide, tall, lean = self._physical(params)
        one, zero, slope = torch.ones_like(wide), torch.zeros_like(wide), torch.deg2rad(lean).tan()
        # diag(1 / wide, 1 / tall), then the shear undone
        narrowed = torch.stack([1 / wide, slope / tall, zero, one / tall], dim=1).view(-1, 2, 2)
        linear = narrowed @ rotation(torch.deg2rad(angle))
        shift = torch.stack([right * width, down * height], dim=1)[:, :, None]
        return torch.cat([linear, -linear @ shift], dim=2)

    def forward(self, images: Float[Tensor, "b c h w"], params: Float[Tensor, "b 6"]) -> Float[Tensor, "b c h w"]:
        return warp(images, self.matrix(params, *images.shape[-2:]), self.padding)

    def describe(self, params: Float[Tensor, "b 6"]) -> dict[str, Float[Tensor, " b"]]:
        return {f"affine/{name}": value for name, value in zip(NAMES, self._physical(params), strict=True)}

"""The image seen from elsewhere: its four corners move."""

import torch
from jaxtyping import Float
from kornia.geometry.transform import get_perspective_transform, warp_perspective
from torch import Tensor

from sparring.contracts import ImageShape, Transform
from sparring.schema import check_ranges, checked
from sparring.tensors import clamped, constant
from sparring.transforms.geometry import Padding, refuse_far

CORNERS = ((0, 0), (1, 0), (1, 1), (0, 1))
NAMES = ("top_left", "top_right", "bottom_right", "bottom_left")


class Perspective(Transform):
    """Move each corner of the image by itself, and all between by the homography that this fixes.

    Args:
        share: largest shift of a corner along each axis, as a share of the image's side, at most 0.24: from 0.25 on
            three corners can lie on a line.
        padding: what lies outside the image.

    Source: `RandomPerspective` of torchvision, which moves corners inwards alone.
    """

    def __init__(self, *, share: float = 0.125, padding: Padding = "reflection") -> None:
        super().__init__()
        self.share, self.padding = share, checked(padding, Padding, "perspective: padding")
        check_ranges(self, {"share": (0, 0.24)}, "perspective: ")

    def parameter_shape(self, image_shape: ImageShape) -> tuple[int, ...]:
        return (4, 2)

    def forward(self, images: Float[Tensor, "b c h w"], params: Float[Tensor, "b 4 2"]) -> Float[Tensor, "b c h w"]:
        height, width = images.shape[-2:]
        sides = constant((width, height), params)
        corners = (constant(CORNERS, params) * sides - 0.5).expand(len(params), 4, 2)
        refuse_far(params)
        matrix = get_perspective_transform(corners, corners + self.share * sides * params)
        hard = warp_perspective(images, matrix, (height, width), padding_mode=self.padding, align_corners=False)
        return clamped(hard)

    def describe(self, params: Float[Tensor, "b 4 2"]) -> dict[str, Float[Tensor, " b"]]:
        shifts = torch.linalg.vector_norm(self.share * params, dim=2).unbind(dim=1)
        return {f"perspective/{name}": shift for name, shift in zip(NAMES, shifts, strict=True)}

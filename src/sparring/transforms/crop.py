"""A box of the image, resized to the whole: the random resized crop as a transform."""

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from sparring.contracts import ImageShape, Transform
from sparring.schema import check_ranges
from sparring.tensors import constant, magnitude
from sparring.transforms.geometry import warp


class Crop(Transform):
    """Cut a box inside the image and enlarge it (bilinear) to the image's size.

    The parameters are the box's area (its size counts, not its sign), its aspect ratio, and where it lies in the room
    it has: positive is right and down. Drawn at random, the area is uniform in [`area`, 1] and the ratio in its
    logarithm, as in torchvision's `RandomResizedCrop`, save that a side longer than the image's is cut to it.

    Args:
        area: smallest area of the box as a share of the image's, in (0, 1].
        ratio: width over height lies in [1 / ratio, ratio].

    Source: `RandomResizedCrop` of torchvision.
    """

    def __init__(self, *, area: float = 0.2, ratio: float = 4 / 3) -> None:
        super().__init__()
        self.area, self.ratio = area, ratio
        check_ranges(self, {"area": (1e-3, 1), "ratio": (1, 10)}, "crop: ")

    def parameter_shape(self, image_shape: ImageShape) -> tuple[int, ...]:
        return (4,)

    def unsigned(self, params: Float[Tensor, "b 4"]) -> Bool[Tensor, "b 4"]:
        return (torch.arange(4, device=params.device) == 0).expand_as(params)

    def box(self, params: Float[Tensor, "b 4"]) -> Float[Tensor, "b 4"]:
        """Width, height and the centre's place (right, down of the image's centre) as shares of the image's sides."""
        size, aspect, right, down = params.unbind(dim=1)
        area = 1 - (1 - self.area) * magnitude(size)
        stretch = (math.log(self.ratio) / 2 * aspect).exp()
        sides = area.sqrt()[:, None] * torch.stack([stretch, 1 / stretch], dim=1)
        width, height = torch.where(sides > 1, 1.0, sides).unbind(dim=1)  # a clamp has no slope at the identity
        return torch.stack([width, height, right * (1 - width) / 2, down * (1 - height) / 2], dim=1)

    def forward(self, images: Float[Tensor, "b c h w"], params: Float[Tensor, "b 4"]) -> Float[Tensor, "b c h w"]:
        box, zero = self.box(params), params.new_zeros(len(params))
        shift = box[:, 2:] * constant((images.shape[3], images.shape[2]), params)
        rows = [box[:, 0], zero, shift[:, 0], zero, box[:, 1], shift[:, 1]]
        return warp(images, torch.stack(rows, dim=1).view(-1, 2, 3), "border")

    def describe(self, params: Float[Tensor, "b 4"]) -> dict[str, Float[Tensor, " b"]]:
        width, height, right, down = self.box(params).unbind(dim=1)
        return {"crop/area": width * height, "crop/right": right, "crop/down": down}

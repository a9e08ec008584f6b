"""Operations of tone that augmentation policies use: solarize, posterize, equalize, autocontrast, sharpness, invert."""

from collections.abc import Callable
from typing import Literal

import torch
from jaxtyping import Bool, Float
from kornia.enhance import sharpness
from torch import Tensor
from torchvision.transforms.v2.functional import equalize  # Kornia's loses a level where k / 255 * 255 is below k

from sparring.contracts import ImageShape, Transform
from sparring.schema import checked
from sparring.tensors import clamped, magnitude

Operation = Literal["solarize", "posterize", "equalize", "autocontrast", "sharpness", "invert"]

LEVELS = 255
SLACK = 1e-3
"""Of a level of 8 bits, so that the k-th level counts as k in float32 too."""
MIDDLE, HALF_THE_BITS = 0.5, 4


def solarize(images: Float[Tensor, "b c h w"], threshold: Float[Tensor, "#b 1 1 1"]) -> Float[Tensor, "b c h w"]:
    """Invert what is at least as bright as `threshold` in [0, 1]; no gradient passes to it."""
    return torch.where(images >= threshold - SLACK / LEVELS, 1 - images, images)


def posterize(images: Float[Tensor, "b c h w"], bits: Float[Tensor, "#b 1 1 1"]) -> Float[Tensor, "b c h w"]:
    """Keep the upper `bits` of 8 (whole numbers; all 8 leave the image as it is); no gradient passes."""
    step = 2 ** (8 - bits.detach())
    coarse = ((LEVELS * images.detach() + SLACK) / step).floor() * step / LEVELS
    return torch.where(bits < 8, coarse, images)


def autocontrast(images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
    """Stretch each channel from 0 to 1; a channel of one value stays."""
    low, high = images.amin(dim=(2, 3), keepdim=True), images.amax(dim=(2, 3), keepdim=True)
    flat = high == low
    return ((images - torch.where(flat, 0, low)) / torch.where(flat, 1, high - low)).clamp(0, 1)


def _constant(value: float, images: Float[Tensor, "b c h w"]) -> Float[Tensor, "1 1 1 1"]:
    return images.new_full((1, 1, 1, 1), value)


OPERATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "solarize": lambda images: solarize(images, _constant(MIDDLE, images)),
    "posterize": lambda images: posterize(images, _constant(HALF_THE_BITS, images)),
    "equalize": equalize,
    "autocontrast": autocontrast,
    "invert": lambda images: 1 - images,
}
"""What each operation whose parameter is an opacity makes of a batch."""


class Tone(Transform):
    """Blend each image with a version of it: C' = C + |p| (op(C) - C), clamped to [0, 1].

    The operations are those of PIL: solarize inverts what is brighter than 1/2, posterize keeps 4 of 8 bits, equalize
    and autocontrast stretch each channel's histogram, invert is the negative. Sharpness reads the sign:
    C + p (C - blurred C). No gradient passes through the coarse levels of posterize and equalize. Equalize leaves
    images of fewer than 255 pixels as they are but for rounding to 8 bits.

    Args:
        operation: which of them.

    Source: the operations of Cubuk et al. 2019, "AutoAugment: Learning Augmentation Strategies from Data".
    """

    def __init__(self, *, operation: Operation = "solarize") -> None:
        super().__init__()
        self.operation = checked(operation, Operation, "tone: operation")

    def parameter_shape(self, image_shape: ImageShape) -> tuple[int, ...]:
        return (1,)

    def unsigned(self, params: Float[Tensor, "b 1"]) -> Bool[Tensor, "b 1"]:
        return torch.full_like(params, self.operation != "sharpness", dtype=torch.bool)

    def forward(self, images: Float[Tensor, "b c h w"], params: Float[Tensor, "b 1"]) -> Float[Tensor, "b c h w"]:
        if self.operation == "sharpness":
            return sharpness(images, 1 + params[:, 0])
        changed = OPERATIONS[self.operation](images)
        return clamped(images + magnitude(params)[:, :, None, None] * (changed - images))

    def describe(self, params: Float[Tensor, "b 1"]) -> dict[str, Float[Tensor, " b"]]:
        return {f"tone/{self.operation}": params[:, 0] if self.operation == "sharpness" else magnitude(params[:, 0])}

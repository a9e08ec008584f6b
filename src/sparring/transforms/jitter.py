"""Colour jitter with chosen instead of random factors."""

import torch
from jaxtyping import Float
from torch import Tensor

from sparring import colours
from sparring.contracts import ImageShape, Transform
from sparring.schema import check_range
from sparring.tensors import constant

NAMES = ("brightness", "contrast", "saturation", "hue")


class Jitter(Transform):
    """Brightness, contrast, saturation and hue, in this order, in one 3x4 matrix per image.

    Args:
        brightness: the factor lies in [1 - brightness, 1 + brightness].
        contrast: likewise, against the image's mean grey.
        saturation: likewise, against the grey image.
        hue: the rotation lies in [-hue, hue] turns (YIQ plane).

    Source: `ColorJitter` of torchvision; used as an adversary in "Adversarial Augmentations for Contrastive Learning".
    """

    def __init__(
        self, *, brightness: float = 0.4, contrast: float = 0.4, saturation: float = 0.4, hue: float = 0.1
    ) -> None:
        super().__init__()
        self.bounds = (brightness, contrast, saturation, hue)
        for name, bound, most in zip(NAMES, self.bounds, (1, 1, 1, 0.5), strict=True):
            check_range(f"jitter: {name}", bound, 0, most)

    def parameter_shape(self, image_shape: ImageShape) -> tuple[int, ...]:
        return (4,)

    def _physical(self, params: Float[Tensor, "b 4"]) -> Float[Tensor, "b 4"]:
        return constant((1, 1, 1, 0), params) + params * constant(self.bounds, params)

    def forward(self, images: Float[Tensor, "b 3 h w"], params: Float[Tensor, "b 4"]) -> Float[Tensor, "b 3 h w"]:
        bright, contrast, saturation, turns = self._physical(params).unbind(dim=1)
        matrix = colours.brightness(bright)
        means = colours.shifted_means(matrix, images.mean(dim=(2, 3)))
        for step in (colours.contrast(contrast, means), colours.saturation(saturation), colours.hue(turns)):
            matrix = colours.compose(step, matrix)
        return colours.apply_colour(images, matrix)

    def describe(self, params: Float[Tensor, "b 4"]) -> dict[str, Float[Tensor, " b"]]:
        columns = torch.unbind(self._physical(params), dim=1)
        return {f"jitter/{name}": column for name, column in zip(NAMES, columns, strict=True)}

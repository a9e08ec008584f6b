"""The operations of AutoAugment and its relatives in one transform, one parameter each, with torchvision's ranges."""

import math
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor
from torchvision.transforms import AutoAugment, TrivialAugmentWide

from sparring import colours
from sparring.contracts import ImageShape, Transform
from sparring.schema import checked
from sparring.tensors import clamped, constant, magnitude
from sparring.transforms.geometry import Padding, rotation, warp
from sparring.transforms.tones import autocontrast, equalize, posterize, solarize

SMOOTH = (((1, 1, 1), (1, 5, 1), (1, 1, 1)),)
Ranges = Literal["standard", "wide"]
Space = dict[str, tuple[Tensor, bool]]
"""torchvision's table: by operation, its magnitudes from the weakest on and whether their sign is drawn."""

TRANSLATIONS, ALL_BITS, WHITE = ("TranslateX", "TranslateY"), 8, 255
NAMES = (
    *("ShearX", "ShearY", "TranslateX", "TranslateY", "Rotate", "Brightness", "Color", "Contrast", "Sharpness"),
    *("Posterize", "Solarize", "AutoContrast", "Equalize", "Invert"),
)
"""torchvision's, in its order."""


def _strength(name: str, magnitude: float) -> float:
    """How far a magnitude of torchvision's table lies from leaving the image as it is."""
    if name in TRANSLATIONS:
        return math.trunc(magnitude)  # torchvision shifts by whole pixels
    return {"Posterize": ALL_BITS - magnitude, "Solarize": WHITE - magnitude}.get(name, magnitude)


def _detail(images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
    """What each pixel has beyond its smoothed neighbourhood, as Pillow smooths; nothing on the border."""
    smooth = constant(SMOOTH, images).expand(images.shape[1], 1, 3, 3) / 13
    return F.pad(images[..., 1:-1, 1:-1] - F.conv2d(images, smooth, groups=images.shape[1]), (1, 1, 1, 1))


class Operations(Transform):
    """Fourteen operations of augmentation policies in a fixed order, in one resampling, one 3x4 matrix, and six tones.

    The order is that of `NAMES`; the papers apply operations in the order in which they are drawn. Parameter 1 is
    torchvision's largest magnitude. Shear x, shear y, translate x, translate y, rotate, brightness, colour
    (saturation), contrast and sharpness read the parameter's sign; posterize drops round(|p| bits) bits, solarize
    inverts from 1 - |p| on, and neither has a gradient in p; autocontrast, equalize and invert are blended in by |p|.
    Departures from torchvision, besides the order: bilinear sampling, nothing is rounded to 8 bits or clamped between
    brightness, colour and contrast, and solarize leaves white alone at p = 0.

    Args:
        image_shape: channels, height, width of the images it will see.
        ranges: those of AutoAugment and RandAugment, or the wide ones of TrivialAugment.
        padding: what lies outside the image.

    Source: `AutoAugment` and `TrivialAugmentWide` of torchvision, after Cubuk et al. 2019 and Müller and Hutter 2021.
    """

    def __init__(
        self, *, image_shape: ImageShape = (3, 32, 32), ranges: Ranges = "standard", padding: Padding = "zeros"
    ) -> None:
        super().__init__()
        wide = checked(ranges, Ranges, "operations: ranges") == "wide"
        self.image_shape, self.padding = image_shape, checked(padding, Padding, "operations: padding")
        standard = AutoAugment()._augmentation_space(2, image_shape[1:])
        space: Space = TrivialAugmentWide()._augmentation_space(2) if wide else standard
        largest = {name: table.flatten()[-1].item() for name, (table, _) in space.items()}
        self.bounds = [self._bound(name, largest.get(name, 0)) for name in NAMES]

    @staticmethod
    def _bound(name: str, largest: float) -> float:
        # whole pixels are a matter of the table that is drawn from, the bound keeps its fraction; 0: on or off
        return largest if name in TRANSLATIONS else _strength(name, largest) or 1.0

    def parameter_of(self, name: str, magnitude: float) -> float:
        """The parameter at which operation `name` has this magnitude of torchvision's tables; above 1: out of reach."""
        place = NAMES.index(name)
        return _strength(name, magnitude) / self.bounds[place] if place < NAMES.index("AutoContrast") else 1.0

    def parameter_shape(self, image_shape: ImageShape) -> tuple[int, ...]:
        return (len(NAMES),)

    def unsigned(self, params: Float[Tensor, "b 14"]) -> Bool[Tensor, "b 14"]:
        return (torch.arange(len(NAMES), device=params.device) >= NAMES.index("Posterize")).expand_as(params)

    def _physical(self, params: Float[Tensor, "b 14"]) -> list[Float[Tensor, " b"]]:
        return list((params * constant(tuple(self.bounds), params)).unbind(dim=1))

    def matrix(self, params: Float[Tensor, "b 14"], height: int, width: int) -> Float[Tensor, "b 2 3"]:
        """Where each output pixel samples; x and y in pixels from the centre. Shears keep the upper left corner."""
        lean_x, lean_y, right, down, degrees = self._physical(params)[:5]
        right, down = right * width / self.image_shape[2], down * height / self.image_shape[1]  # of smaller views, less
        zero, one = torch.zeros_like(right), torch.ones_like(right)
        shear_x = torch.stack([one, lean_x, lean_x * height / 2, zero, one, zero], dim=1).view(-1, 2, 3)
        shear_y = torch.stack([one, zero, zero, lean_y, one, lean_y * width / 2], dim=1).view(-1, 2, 3)
        turn = F.pad(rotation(degrees.deg2rad()), (0, 1))
        shift = F.pad(-torch.stack([right, down], dim=1)[:, :, None], (2, 0))
        return colours.compose(shear_x, colours.compose(shear_y, turn + shift))

    def _recolour(self, images: Float[Tensor, "b 3 h w"], params: Float[Tensor, "b 14"]) -> Float[Tensor, "b 3 h w"]:
        bright, saturation, contrast = (1 + factor for factor in self._physical(params)[5:8])
        matrix = colours.compose(colours.saturation(saturation), colours.brightness(bright))
        means = colours.shifted_means(matrix, images.mean(dim=(2, 3)))
        return colours.apply_colour(images, colours.compose(colours.contrast(contrast, means), matrix))

    def forward(self, images: Float[Tensor, "b 3 h w"], params: Float[Tensor, "b 14"]) -> Float[Tensor, "b 3 h w"]:
        images = warp(images, self.matrix(params, *images.shape[-2:]), self.padding)
        images = self._recolour(images, params)
        sharper, bits, above, *blends = (each[:, None, None, None] for each in self._physical(params)[8:])
        images = clamped(images + sharper * _detail(images))
        images = posterize(images, ALL_BITS - magnitude(bits).round())
        images = torch.where(above == 0, images, solarize(images, 1 - magnitude(above) / WHITE))
        for blend, operation in zip(blends, (autocontrast, equalize, lambda image: 1 - image), strict=True):
            images = images + magnitude(blend) * (operation(images) - images)
        return clamped(images)

    def describe(self, params: Float[Tensor, "b 14"]) -> dict[str, Float[Tensor, " b"]]:
        return {f"operations/{name}": value for name, value in zip(NAMES, self._physical(params), strict=True)}

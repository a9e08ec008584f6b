"""Hue, saturation and value, changed in HSV itself."""

import torch
from jaxtyping import Float
from torch import Tensor

from sparring.contracts import ImageShape, Transform
from sparring.schema import check_ranges
from sparring.tensors import clamped, constant

NAMES = ("hue", "saturation", "value")
FLOOR = 1e-8  # of a divisor: grey pixels have no hue and black ones no saturation


@torch.no_grad()
def _chosen(first: Tensor, second: Tensor, third: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """1 for the largest of three, the first one if equal, and 0 for the others."""
    one = ((first >= second) & (first >= third)).to(first)
    two = (1 - one) * (second >= third)
    return one, two, 1 - one - two


def hue_and_chroma(images: Float[Tensor, "b 3 h w"]) -> tuple[Tensor, Tensor, Tensor]:
    """Hue in sixths of a turn (0 for grey, from -1 to 5), the largest channel, and its distance from the smallest."""
    r, g, b = images.unbind(dim=1)
    # sums weighted by constants: half the time of `where`, `maximum` and `minimum`, whose backward passes are slow
    red, green, blue = _chosen(r, g, b)
    least_red, least_green, least_blue = _chosen(-r, -g, -b)
    top = red * r + green * g + blue * b
    chroma = top - (least_red * r + least_green * g + least_blue * b)
    ahead = (blue - green) * r + (red - blue) * g + (green - red) * b
    return 2 * green + 4 * blue + ahead / torch.where(chroma > FLOOR, chroma, 1.0), top, chroma


class Hsv(Transform):
    """Shift the hue, multiply saturation and value by a factor each, in HSV; both are clamped to [0, 1].

    With hue H in sixths of a turn, channel c of the result is V - V S clamp(2 - |k - 2|, 0, 1), k = (n_c + H) mod 6
    and n = 5, 3, 1. Piecewise smooth: the kinks lie where two channels are equal. Grey pixels have no hue; their
    gradients are finite. `jitter` is the linear relative, without kinks.

    Args:
        hue: the shift lies in [-hue, hue] turns of the hue circle.
        saturation: the factor lies in [1 - saturation, 1 + saturation].
        value: likewise.

    Source: Smith 1978, "Color Gamut Transform Pairs"; equal to Kornia's `rgb_to_hsv` and `hsv_to_rgb`, several times
    faster.
    """

    def __init__(self, *, hue: float = 0.1, saturation: float = 0.4, value: float = 0.4) -> None:
        super().__init__()
        self.hue, self.saturation, self.value = hue, saturation, value
        check_ranges(self, {"hue": (0, 0.5), "saturation": (0, 1), "value": (0, 1)}, "hsv: ")

    def parameter_shape(self, image_shape: ImageShape) -> tuple[int, ...]:
        return (3,)

    def _physical(self, params: Float[Tensor, "b 3"]) -> Float[Tensor, "b 3"]:
        bounds = constant((self.hue, self.saturation, self.value), params)
        return constant((0, 1, 1), params) + params * bounds

    def forward(self, images: Float[Tensor, "b 3 h w"], params: Float[Tensor, "b 3"]) -> Float[Tensor, "b 3 h w"]:
        turns, saturation, value = self._physical(params)[:, :, None, None].unbind(dim=1)
        hue, top, chroma = hue_and_chroma(images)
        tops = clamped(top * value)
        depth = tops * clamped(chroma / top.clamp(min=FLOOR) * saturation)
        k = ((hue + 6 * turns)[:, None] + constant((5, 3, 1), images)[:, None, None]).remainder(6)
        falls = (2 - (k - 2).abs()).clamp(0, 1)
        return tops[:, None] - depth[:, None] * falls

    def describe(self, params: Float[Tensor, "b 3"]) -> dict[str, Float[Tensor, " b"]]:
        columns = torch.unbind(self._physical(params), dim=1)
        return {f"hsv/{name}": column for name, column in zip(NAMES, columns, strict=True)}

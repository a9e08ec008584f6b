"""A gain for each channel, as of a wrong white balance."""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from sparring.colours import apply_colour
from sparring.contracts import ImageShape, Transform
from sparring.schema import check_ranges

NAMES = ("red", "green", "blue")


class Gain(Transform):
    """Multiply red, green and blue by a factor each, then clamp to [0, 1]: C_i' = (1 + gain p_i) C_i.

    Linear as the factors of `jitter`, not symmetric in the logarithm.

    Args:
        gain: each factor lies in [1 - gain, 1 + gain].

    Source: Afifi and Brown 2019, "What Else Can Fool Deep Learning? Addressing Color Constancy Errors on Deep Neural
    Network Performance", who show what wrong white balance does.
    """

    def __init__(self, *, gain: float = 0.3) -> None:
        super().__init__()
        self.gain = gain
        check_ranges(self, {"gain": (0, 1)}, "gain: ")

    def parameter_shape(self, image_shape: ImageShape) -> tuple[int, ...]:
        return (3,)

    def _factors(self, params: Float[Tensor, "b 3"]) -> Float[Tensor, "b 3"]:
        return 1 + self.gain * params

    def forward(self, images: Float[Tensor, "b 3 h w"], params: Float[Tensor, "b 3"]) -> Float[Tensor, "b 3 h w"]:
        return apply_colour(images, F.pad(self._factors(params).diag_embed(), (0, 1)))

    def describe(self, params: Float[Tensor, "b 3"]) -> dict[str, Float[Tensor, " b"]]:
        columns = self._factors(params).unbind(dim=1)
        return {f"gain/{name}": column for name, column in zip(NAMES, columns, strict=True)}

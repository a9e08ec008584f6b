"""Every pixel for itself: the unstructured perturbation of Madry et al. 2018."""

from jaxtyping import Float
from torch import Tensor

from sparring.contracts import Transform
from sparring.encoders import ImageShape
from sparring.errors import InputError


class Pixels(Transform):
    """Add at most `eps` to each channel of each pixel (L-inf ball), then clamp to [0, 1].

    Args:
        eps: radius, in units of the full range [0, 1].
    """

    def __init__(self, *, eps: float = 8 / 255) -> None:
        super().__init__()
        if not 0 <= eps <= 1:
            raise InputError(f"pixels: expected eps in [0, 1] (8/255 = 0.0314), got {eps}")
        self.eps = eps

    def parameter_shape(self, image_shape: ImageShape) -> tuple[int, ...]:
        return image_shape

    def forward(self, images: Float[Tensor, "b c h w"], params: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        return (images + self.eps * params).clamp(0, 1)

    def describe(self, params: Float[Tensor, "b c h w"]) -> dict[str, Float[Tensor, "b"]]:
        size = self.eps * params.flatten(1).abs()
        return {"pixels/l_inf": size.amax(dim=1), "pixels/mean_size": size.mean(dim=1)}

"""Every pixel for itself: the unstructured perturbation of Madry et al. 2018."""

from jaxtyping import Float
from torch import Tensor

from sparring.contracts import ImageShape, Transform
from sparring.errors import InputError
from sparring.schema import check_ranges, checked
from sparring.tensors import clamped
from sparring.transforms import balls


class Pixels(Transform):
    """Add `eps` times the parameters, whose norm is at most 1, then clamp to [0, 1].

    The ball is that of the whole image vector; parameters of the box outside it are rescaled onto it.

    Args:
        eps: radius, in units of the full range [0, 1]: 8/255 for `linf`, about 0.5 for `l2` and 10 for `l1` on 32x32.
        norm: of the perturbation: `linf` (largest entry), `l2` (root of the sum of squares), `l1` (sum of sizes).
        sphere: the projection rescales parameters to norm 1, so that the perturbation has norm `eps` before the
            clamp and only a strength below 1 makes it smaller; zero stays zero.

    Source: Madry et al. 2018; L2: Miyato et al. 2018 (VAT); the L1 sphere: Tamkin et al. 2021, "Viewmaker Networks",
    whose budget is the mean size: `eps` = 0.05 x 3 x 32 x 32 = 153.6 there.
    """

    def __init__(self, *, eps: float = 8 / 255, norm: balls.Norm = "linf", sphere: bool = False) -> None:
        super().__init__()
        if norm == "linf" and not 0 <= eps <= 1:
            raise InputError(f"pixels: expected eps in [0, 1] (8/255 = 0.0314), got {eps}")
        self.eps, self.norm, self.sphere = eps, checked(norm, balls.Norm, "pixels: norm"), sphere
        check_ranges(self, {"eps": (0, float("inf"))}, "pixels: ")

    def parameter_shape(self, image_shape: ImageShape) -> tuple[int, ...]:
        return image_shape

    def project(self, params: Float[Tensor, " b *p"]) -> Float[Tensor, " b *p"]:
        return balls.rescale(params, self.norm) if self.sphere else balls.project(params, self.norm)

    def steepest(self, gradient: Float[Tensor, " b *p"]) -> Float[Tensor, " b *p"]:
        """The move of length 1 in the norm that raises the loss most; a length of 1 spans the radius."""
        return balls.steepest(gradient, self.norm)

    def perturbation(self, params: Float[Tensor, " b *p"]) -> Float[Tensor, " b *p"]:
        """What is added, of norm at most `eps`."""
        return self.eps * (params if self.norm == "linf" else balls.hold(params, self.norm))

    def forward(self, images: Float[Tensor, "b c h w"], params: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        return clamped(images + self.perturbation(params))

    def describe(self, params: Float[Tensor, "b c h w"]) -> dict[str, Float[Tensor, " b"]]:
        added = self.perturbation(params).flatten(1)
        return {
            "pixels/l_inf": balls.size(added, "linf"),
            "pixels/l2": balls.size(added, "l2"),
            "pixels/mean_size": added.abs().mean(dim=1),
        }

"""Gaussian blur with a chosen width."""

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from sparring.contracts import ImageShape, Transform
from sparring.schema import check_ranges
from sparring.tensors import clamped, magnitude

REACH = 3  # of the kernel, in the largest deviations: it holds 99.7 % of the weight


class Blur(Transform):
    """Convolve with a Gaussian; edges are mirrored without repeating the outermost pixel.

    The parameter sets the weight q = exp(-1 / 2 sigma^2) of a neighbour at distance 1, so that a neighbour at distance
    x weighs q^(x^2): q = |p| exp(-1 / 2 sigma_max^2). In sigma itself all derivatives vanish at 0 (a search
    would never leave the sharp image); in q its slope there is 1. The sign of the parameter has no effect.

    Args:
        sigma: largest standard deviation, in pixels.

    Source: the random blur of Chen et al. 2020, "A Simple Framework for Contrastive Learning of Visual
    Representations".
    """

    def __init__(self, *, sigma: float = 1.5) -> None:
        super().__init__()
        self.sigma = sigma
        check_ranges(self, {"sigma": (0, 100)}, "blur: ")
        self.radius, self.most = math.ceil(REACH * sigma), math.exp(-1 / (2 * sigma**2)) if sigma else 0.0

    def parameter_shape(self, image_shape: ImageShape) -> tuple[int, ...]:
        return (1,)

    def unsigned(self, params: Float[Tensor, "b 1"]) -> Bool[Tensor, "b 1"]:
        return torch.ones_like(params, dtype=torch.bool)

    def _neighbour(self, params: Float[Tensor, "b 1"]) -> Float[Tensor, " b"]:
        return self.most * magnitude(params[:, 0])

    def kernel(self, params: Float[Tensor, "b 1"]) -> Float[Tensor, "b k"]:
        """Weights at the distances -radius ... radius, of sum 1."""
        neighbour = self._neighbour(params)
        weights = torch.stack([neighbour ** (x * x) for x in range(-self.radius, self.radius + 1)], dim=1)
        return weights / weights.sum(dim=1, keepdim=True)

    def _mixing(self, kernel: Float[Tensor, "b k"], side: int) -> Float[Tensor, "b side side"]:
        """The convolution along an axis of `side` pixels as a matrix per image, its mirrored edges included."""
        offsets = torch.arange(-self.radius, self.radius + 1, device=kernel.device)
        period = max(1, 2 * side - 2)
        wrapped = (torch.arange(side, device=kernel.device)[:, None] + offsets).remainder(period)
        sources = torch.minimum(wrapped, period - wrapped).clamp(max=side - 1)
        table = torch.nn.functional.one_hot(sources, side).to(kernel.dtype)
        return (kernel @ table.transpose(0, 1).flatten(1)).view(-1, side, side)

    def forward(self, images: Float[Tensor, "b c h w"], params: Float[Tensor, "b 1"]) -> Float[Tensor, "b c h w"]:
        b, c, height, width = images.shape
        kernel = self.kernel(params)
        down, across = self._mixing(kernel, height), self._mixing(kernel, width)
        rows = images.reshape(b, c * height, width) @ across.transpose(1, 2)
        return clamped(down[:, None] @ rows.view(b, c, height, width))

    def describe(self, params: Float[Tensor, "b 1"]) -> dict[str, Float[Tensor, " b"]]:
        return {"blur/sigma": (-2 * self._neighbour(params).log()).rsqrt()}

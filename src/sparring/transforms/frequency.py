"""A perturbation with a budget on the coefficients of the discrete cosine transform."""

import math
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sparring.contracts import ImageShape, Transform
from sparring.errors import InputError
from sparring.schema import check_ranges, checked
from sparring.tensors import clamped
from sparring.transforms import balls

Band = Literal["low", "mid", "high"]


def cosines(size: int, like: Tensor) -> Float[Tensor, "n n"]:
    """The orthonormal DCT-II as a matrix: row k holds sqrt(2/n) cos(pi k (2x + 1) / 2n), row 0 divided by sqrt(2)."""
    places = torch.arange(size, dtype=like.dtype, device=like.device)
    matrix = math.sqrt(2 / size) * (math.pi / (2 * size) * places[:, None] * (2 * places + 1)).cos()
    return torch.cat([matrix[:1] / math.sqrt(2), matrix[1:]])


class Frequency(Transform):
    """Add a sum of cosine waves from one band of frequencies, then clamp to [0, 1].

    The parameters are the coefficients of the band, in units of `eps`; the transform is orthonormal, so an L2 budget
    on coefficients is one on pixels too.

    Args:
        eps: radius of the ball of coefficients, in units of the full range [0, 1].
        norm: `l2` bounds the whole perturbation, `linf` each coefficient by itself, `l1` the sum of their sizes.
        band: the lowest (with the constant wave), middle or highest frequencies by (k_y / h)^2 + (k_x / w)^2.
        keep: share of all frequencies in the band, in (0, 1].
        block: side in pixels of the blocks that are transformed each for itself (JPEG: 8); 0 is the whole image.

    Source: Guo et al. 2019, "Low Frequency Adversarial Perturbation"; Yin et al. 2019, "A Fourier Perspective on
    Model Robustness".
    """

    def __init__(
        self, *, eps: float = 0.5, norm: balls.Norm = "l2", band: Band = "low", keep: float = 0.25, block: int = 0
    ) -> None:
        super().__init__()
        self.norm, self.band = checked(norm, balls.Norm, "frequency: norm"), checked(band, Band, "frequency: band")
        self.eps, self.keep, self.block = eps, keep, block
        check_ranges(self, {"eps": (0, math.inf), "keep": (1e-9, 1), "block": (0, math.inf)}, "frequency: ")

    def _sides(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of a block."""
        if self.block and (height % self.block or width % self.block):
            raise InputError(f"frequency: expected block to divide {height} x {width} pixels, got {self.block}")
        return (self.block, self.block) if self.block else (height, width)

    def _count(self, height: int, width: int) -> int:
        """Frequencies in the band of a block."""
        return max(1, round(self.keep * height * width))

    def _places(self, height: int, width: int, device: torch.device) -> Int[Tensor, " k"]:
        """Where the band lies in the flattened coefficients of a block."""
        rows, columns = torch.arange(height, device=device) * width, torch.arange(width, device=device) * height
        order = (rows[:, None] ** 2 + columns**2).flatten().argsort(stable=True)  # in whole numbers: ties are exact
        count, total = self._count(height, width), height * width
        start = {"low": 0, "mid": (total - count) // 2, "high": total - count}[self.band]
        return order[start : start + count]

    def parameter_shape(self, image_shape: ImageShape) -> tuple[int, ...]:
        channels, height, width = image_shape
        tall, wide = self._sides(height, width)
        return (channels, (height // tall) * (width // wide) * self._count(tall, wide))

    def project(self, params: Float[Tensor, " b *p"]) -> Float[Tensor, " b *p"]:
        return balls.project(params, self.norm)

    def steepest(self, gradient: Float[Tensor, " b *p"]) -> Float[Tensor, " b *p"]:
        """The move of length 1 in the norm that raises the loss most; a length of 1 spans the radius."""
        return balls.steepest(gradient, self.norm)

    def _coefficients(self, params: Float[Tensor, "b c k"]) -> Float[Tensor, "b c k"]:
        return self.eps * (params if self.norm == "linf" else balls.hold(params, self.norm))

    def perturbation(self, params: Float[Tensor, "b c k"], height: int, width: int) -> Float[Tensor, "b c h w"]:
        """What is added to images of this size."""
        b, c, _ = params.shape
        tall, wide = self._sides(height, width)
        places = self._places(tall, wide, params.device)
        banded = self._coefficients(params).reshape(b, -1, len(places))
        empty = params.new_zeros(b, banded.shape[1], tall * wide)
        spectrum = empty.index_copy(2, places, banded).view(-1, tall, wide)
        waves = cosines(tall, params).T @ spectrum @ cosines(wide, params)
        blocks = waves.view(b, c, height // tall, width // wide, tall, wide)
        return blocks.transpose(3, 4).reshape(b, c, height, width)

    def forward(self, images: Float[Tensor, "b c h w"], params: Float[Tensor, "b c k"]) -> Float[Tensor, "b c h w"]:
        return clamped(images + self.perturbation(params, images.shape[2], images.shape[3]))

    def describe(self, params: Float[Tensor, "b c k"]) -> dict[str, Float[Tensor, " b"]]:
        coefficients = self._coefficients(params)
        return {
            "frequency/l2": balls.size(coefficients, "l2"),
            "frequency/largest_coefficient": balls.size(coefficients, "linf"),
        }

"""Elastic distortion: a grid of points moves, and the image between them bends like a thin plate."""

from functools import lru_cache

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from sparring.contracts import ImageShape, Transform
from sparring.schema import check_ranges, checked
from sparring.transforms.geometry import Padding, sample


def lattice(height: int, width: int, offset: float) -> Float[Tensor, "n 2"]:
    """The points (x, y) of a grid over [-1, 1], row by row, the outermost `offset` cells from the edge."""
    rows, columns = ((torch.arange(n, dtype=torch.float64) + offset) / (n - 1 + 2 * offset) for n in (height, width))
    return 2 * torch.cartesian_prod(rows, columns).flip(1) - 1


def _bending(first: Float[Tensor, "m 2"], second: Float[Tensor, "n 2"]) -> Float[Tensor, "m n"]:
    squares = torch.cdist(first, second).square()
    return torch.xlogy(squares, squares)


def spline(points: Float[Tensor, "n 2"], places: Float[Tensor, "m 2"]) -> Float[Tensor, "m n"]:
    """How much the value at each point counts at each place: f(x) = a + b x + sum_i w_i |x - x_i|^2 log |x - x_i|^2.

    The thin-plate spline is linear in its values, so that one matrix serves a whole batch.
    """
    n, m = len(points), len(places)
    plane, floor = F.pad(points, (1, 0), value=1.0), torch.zeros(3, 3, dtype=points.dtype)
    system = torch.cat([torch.cat([_bending(points, points), plane], 1), torch.cat([plane.T, floor], 1)])
    weights = torch.linalg.solve(system, torch.eye(n + 3, n, dtype=points.dtype))
    return torch.cat([_bending(places, points), torch.ones(m, 1, dtype=points.dtype), places], dim=1) @ weights


@lru_cache(8)
def _grid(
    points: int, height: int, width: int, dtype: torch.dtype, device: torch.device
) -> tuple[Float[Tensor, "m 2"], Float[Tensor, "m n"]]:
    """The centres of an image's pixels, and how much each point counts there."""
    with torch.inference_mode(False):  # what is kept must serve training too
        places = lattice(height, width, 0.5)
        found = spline(lattice(points, points, 0.0), places)
        return places.to(device, dtype), found.to(device, dtype)


class ThinPlate(Transform):
    """Shift a grid of points, corners included; the shifts between are their smoothest interpolation (thin plate).

    The shifts are interpolated over the output's pixels, so they are linear in the parameters, and one matrix serves
    all images. Kornia's `get_tps_transform` centres its kernels on the shifted points and solves for each image: equal
    to first order in the shifts, and several times slower.

    Args:
        share: largest shift of a point along each axis, as a share of the image's side; right and down are positive.
        points: points along each side; their distance is 1 / (points - 1) of it, and `share` stays below its half.
        padding: what lies outside the image.

    Source: Bookstein 1989, "Principal Warps: Thin-Plate Splines and the Decomposition of Deformations".
    """

    def __init__(self, *, share: float = 0.1, points: int = 3, padding: Padding = "reflection") -> None:
        super().__init__()
        self.share, self.points = share, points
        self.padding = checked(padding, Padding, "thin_plate: padding")
        check_ranges(self, {"points": (2, 16)}, "thin_plate: ")
        check_ranges(self, {"share": (0, 0.49 / (points - 1))}, "thin_plate: ")

    def parameter_shape(self, image_shape: ImageShape) -> tuple[int, ...]:
        return (self.points**2, 2)

    def forward(self, images: Float[Tensor, "b c h w"], params: Float[Tensor, "b n 2"]) -> Float[Tensor, "b c h w"]:
        height, width = images.shape[-2:]
        places, matrix = _grid(self.points, height, width, params.dtype, params.device)
        shifts = 2 * self.share * (matrix @ params)
        return sample(images, (places - shifts).view(-1, height, width, 2), self.padding)

    def describe(self, params: Float[Tensor, "b n 2"]) -> dict[str, Float[Tensor, " b"]]:
        shifts = torch.linalg.vector_norm(self.share * params, dim=2)
        return {"thin_plate/mean_shift": shifts.mean(dim=1), "thin_plate/largest_shift": shifts.amax(dim=1)}

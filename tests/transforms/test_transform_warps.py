"""Affine, perspective and thin-plate warps against Kornia, SciPy and each other."""

import itertools
import re

import kornia
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.interpolate import RBFInterpolator
from torch import Tensor

from sparring.errors import InputError
from sparring.transforms import Affine, Perspective, Rotation, ThinPlate, Translation
from sparring.transforms.thin_plate import lattice, spline

TOLERANCE = 1e-6
PADDINGS = ["zeros", "border", "reflection"]


@pytest.fixture(params=["square", "tall"])
def images(request: pytest.FixtureRequest, photographs: Tensor) -> Tensor:
    return photographs[:6] if request.param == "square" else photographs[:6, :, :, 4:25]


def draw(*shape: int, seed: int = 0) -> Tensor:
    return 2 * torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) - 1


@pytest.mark.parametrize("padding", PADDINGS)
def test_affine_is_kornias_composition(images: Tensor, padding: str) -> None:
    height, width = images.shape[-2:]
    params = draw(6, 6)
    affine = Affine(degrees=40, share=0.2, scale=1.5, shear=25, padding=padding)  # type: ignore[arg-type]
    angle, right, down, wide, tall, lean = affine.describe(params).values()
    matrix = kornia.geometry.transform.get_affine_matrix2d(
        translations=torch.stack([right * width, down * height], dim=1),
        center=torch.tensor([[(width - 1) / 2, (height - 1) / 2]]).double().expand(6, 2),
        scale=torch.stack([wide, tall], dim=1),
        angle=-angle,  # Kornia's own RandomAffine negates it too
        sx=torch.deg2rad(lean),
    )[:, :2]
    theirs = kornia.geometry.transform.warp_affine(
        images, matrix, (height, width), padding_mode=padding, align_corners=False
    )
    assert torch.allclose(affine(images, params), theirs, atol=TOLERANCE)


def test_affine_contains_rotation_and_translation(images: Tensor) -> None:
    affine, params = Affine(degrees=30, share=0.1), draw(6, 6)
    turn = F.pad(params[:, :1], (0, 5))
    shift = F.pad(params[:, 1:3], (1, 3))
    assert torch.allclose(affine(images, turn), Rotation(degrees=30)(images, params[:, :1]), atol=1e-12)
    assert torch.allclose(affine(images, shift), Translation(share=0.1)(images, params[:, 1:3]), atol=1e-12)


def test_affine_is_described_within_its_bounds() -> None:
    corners = torch.stack([torch.ones(6), -torch.ones(6)]).double()
    described = Affine(degrees=20, share=0.1, scale=1.25, shear=5).describe(corners)
    expected = {
        "degrees": [20, -20],
        "right": [0.1, -0.1],
        "down": [0.1, -0.1],
        "width": [1.25, 0.8],
        "height": [1.25, 0.8],
        "shear": [5, -5],
    }
    assert {name: value.tolist() for name, value in described.items()} == {
        f"affine/{name}": pytest.approx(values) for name, values in expected.items()
    }


def homography(source: list[list[float]], target: list[list[float]]) -> np.ndarray:
    """The direct linear transform: eight equations from four points."""
    rows, sides = [], []
    for (x, y), (u, v) in zip(source, target, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        sides += [u, v]
    return np.append(np.linalg.solve(rows, sides), 1).reshape(3, 3)


@pytest.mark.parametrize("padding", PADDINGS)
def test_perspective_moves_the_corners(images: Tensor, padding: str) -> None:
    """Against a homography written out: each output pixel samples where the inverse map sends it."""
    height, width = images.shape[-2:]
    params = draw(6, 4, 2)
    ours = Perspective(share=0.2, padding=padding)(images, params)  # type: ignore[arg-type]
    corners = [[0.0, 0.0], [width, 0.0], [width, height], [0.0, height]]
    for image, shifts, found in zip(images, params.tolist(), ours, strict=True):
        moved = [[x + 0.2 * width * a, y + 0.2 * height * b] for (x, y), (a, b) in zip(corners, shifts, strict=True)]
        back = homography(moved, corners)
        grid = np.empty((1, height, width, 2))
        for row, column in itertools.product(range(height), range(width)):
            x, y, scale = back @ [column + 0.5, row + 0.5, 1]
            grid[0, row, column] = 2 * x / scale / width - 1, 2 * y / scale / height - 1
        theirs = F.grid_sample(image[None], torch.from_numpy(grid), padding_mode=padding, align_corners=False)
        assert torch.allclose(found, theirs[0], atol=TOLERANCE)


def test_perspective_with_equal_shifts_is_a_translation(images: Tensor) -> None:
    shift = draw(6, 1, 2)
    ours = Perspective(share=0.15)(images, shift.expand(6, 4, 2))
    assert torch.allclose(ours, Translation(share=0.15)(images, shift[:, 0]), atol=TOLERANCE)


def test_no_perspective_within_the_bound_folds_the_image() -> None:
    """Every quadrilateral with corners at the extremes of the box turns the same way at all four corners."""
    corners = torch.tensor([[0, 0], [1, 0], [1, 1], [0, 1]]).double()
    extremes = torch.tensor(list(itertools.product([-1.0, 1.0], repeat=8))).double().view(-1, 4, 2)
    with pytest.raises(InputError) as refused:
        Perspective(share=1)
    largest = float(re.findall(r"0, (.+)\]", str(refused.value))[0])
    moved = corners + largest * extremes
    along, onward = moved.roll(-1, 1) - moved, moved.roll(-2, 1) - moved.roll(-1, 1)
    assert (along[..., 0] * onward[..., 1] - along[..., 1] * onward[..., 0]).min() > 0


@pytest.mark.parametrize("points", [2, 3, 5])
def test_the_spline_is_scipys(points: int) -> None:
    anchors, places, values = lattice(points, points, 0.0), lattice(7, 4, 0.5), draw(points**2, 2)
    theirs = RBFInterpolator(anchors.numpy(), values.numpy(), kernel="thin_plate_spline", degree=1)(places.numpy())
    assert np.allclose((spline(anchors, places) @ values).numpy(), theirs, atol=1e-9)


def test_a_lattice_lists_x_and_y_row_by_row() -> None:
    assert lattice(2, 3, 0.0).tolist() == [[-1, -1], [0, -1], [1, -1], [-1, 1], [0, 1], [1, 1]]
    assert lattice(1, 2, 0.5).tolist() == [[-0.5, 0], [0.5, 0]]


def test_thin_plate_equals_kornias_to_first_order(images: Tensor) -> None:
    """Kornia centres its kernels on the shifted points, so the two part with the square of the shifts."""
    params, fixed = draw(6, 9, 2), lattice(3, 3, 0.0).expand(6, 9, 2)
    gaps = []
    for share in (2e-3, 1e-3):
        kernel, affine = kornia.geometry.transform.get_tps_transform(fixed + 2 * share * params, fixed)
        theirs = kornia.geometry.transform.warp_image_tps(images, fixed, kernel, affine, padding_mode="reflection")
        gaps.append((ThinPlate(share=share)(images, params) - theirs).abs().max().item())
    assert gaps[0] < 1e-3
    assert gaps[1] < gaps[0] / 3.5


@pytest.mark.parametrize("points", [2, 3, 4])
def test_thin_plate_with_equal_shifts_is_a_translation(images: Tensor, points: int) -> None:
    shift = draw(6, 1, 2)
    ours = ThinPlate(share=0.15, points=points)(images, shift.expand(6, points**2, 2))
    assert torch.allclose(ours, Translation(share=0.15)(images, shift[:, 0]), atol=TOLERANCE)


def test_a_point_of_the_thin_plate_moves_what_lies_under_it() -> None:
    """The middle of a ramp: shifted right by 0.1 of the side, the value there falls by 0.1 of the ramp."""
    ramp = ((torch.arange(21) + 0.5) / 21).double().expand(1, 3, 21, 21)
    params = torch.zeros(1, 9, 2).double()
    params[0, 4, 0] = 1.0
    hard = ThinPlate(share=0.1)(ramp, params)
    assert hard[0, 0, 10, 10].item() == pytest.approx(0.5 - 0.1)


@pytest.mark.parametrize(
    ("constructor", "settings"),
    [
        (Affine, {"degrees": 181.0}),
        (Affine, {"share": -0.1}),
        (Affine, {"scale": 0.5}),
        (Affine, {"shear": 90.0}),
        (Perspective, {"share": 0.25}),
        (ThinPlate, {"share": 0.25}),
        (ThinPlate, {"points": 1}),
    ],
)
def test_bounds_that_cannot_be_are_refused(constructor: type, settings: dict[str, float]) -> None:
    with pytest.raises(InputError, match=next(iter(settings))):
        constructor(**settings)

"""Gaussian blur against Kornia's and against its own closed forms."""

import math

import kornia
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings, strategies as st
from torch import Tensor

from sparring.errors import InputError
from sparring.transforms import Blur


@pytest.fixture(params=["square", "tall"])
def images(request: pytest.FixtureRequest, photographs: Tensor) -> Tensor:
    return photographs[:4] if request.param == "square" else photographs[:4, :, :, 4:25]


def parameter_of(sigma: float, most: float) -> float:
    """The share of the neighbour's weight at the bound: exp(-1 / 2 sigma^2) / exp(-1 / 2 most^2)."""
    return math.exp(1 / (2 * most**2) - 1 / (2 * sigma**2))


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("sigma", [0.2, 0.5, 1.0, 1.7, 2.0])
def test_it_is_kornias_blur(images: Tensor, sigma: float, sign: int) -> None:
    params = torch.full((4, 1), sign * parameter_of(sigma, 2.0)).double()
    theirs = kornia.filters.gaussian_blur2d(images, (13, 13), (sigma, sigma))
    assert torch.allclose(Blur(sigma=2.0)(images, params), theirs, atol=1e-8)
    assert Blur(sigma=2.0).describe(params)["blur/sigma"].tolist() == pytest.approx([sigma] * 4)


def test_each_image_has_its_own_width(images: Tensor) -> None:
    sigmas = [0.4, 0.8, 1.2, 1.5]
    params = torch.tensor([[parameter_of(sigma, 1.5)] for sigma in sigmas]).double()
    theirs = torch.cat(
        [kornia.filters.gaussian_blur2d(images[i : i + 1], (11, 11), (s, s)) for i, s in enumerate(sigmas)]
    )
    assert torch.allclose(Blur(sigma=1.5)(images, params), theirs, atol=1e-8)


def test_zero_is_exact_and_its_slope_is_the_laplacian(images: Tensor) -> None:
    """Near zero only the four neighbours count, each with weight q: d out / d q = sum of neighbours - 4 x."""
    blur = Blur(sigma=1.5)
    zero = torch.zeros(4, 1, dtype=torch.float64)
    assert torch.equal(blur(images, zero), images)
    assert torch.equal(blur.describe(zero)["blur/sigma"], zero[:, 0])
    _, slope = torch.autograd.functional.jvp(lambda p: blur(images, p), zero, torch.ones_like(zero))
    padded = F.pad(images, (1, 1, 1, 1), mode="reflect")
    sides = padded[..., 1:-1, :-2] + padded[..., 1:-1, 2:] + padded[..., :-2, 1:-1] + padded[..., 2:, 1:-1]
    inner = (images > 0) & (images < 1)  # elsewhere the clamp holds
    expected = math.exp(-1 / (2 * 1.5**2)) * (sides - 4 * images)
    assert torch.allclose(slope[inner], expected[inner], atol=1e-9)


@given(first=st.floats(0, 1), second=st.floats(0, 1))
@settings(max_examples=30, deadline=None)
def test_a_larger_parameter_blurs_more_within_the_bound(first: float, second: float) -> None:
    params = torch.tensor([[min(first, second)], [max(first, second)]]).double()
    narrow, wide = Blur(sigma=3.0).describe(params)["blur/sigma"].tolist()
    assert narrow <= wide + 1e-12
    assert wide <= 3.0 + 1e-9


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (2, 3)])
def test_images_smaller_than_the_kernel(shape: tuple[int, int]) -> None:
    """A constant image stays as it is whatever the mirrored edges meet."""
    images = torch.full((2, 3, *shape), 0.3).double()
    assert torch.allclose(Blur(sigma=4.0)(images, torch.ones(2, 1).double()), images)


def test_a_bound_of_zero_changes_nothing(images: Tensor) -> None:
    assert torch.equal(Blur(sigma=0.0)(images, torch.ones(4, 1).double()), images)


@pytest.mark.parametrize("sigma", [-1.0, float("nan"), float("inf")])
def test_a_width_that_cannot_be_is_refused(sigma: float) -> None:
    with pytest.raises(InputError, match="sigma"):
        Blur(sigma=sigma)

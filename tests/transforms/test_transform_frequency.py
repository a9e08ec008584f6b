"""The cosine transform against SciPy's, bands, blocks and budgets."""

import numpy as np
import pytest
import scipy.fft
import torch
from hypothesis import given, settings, strategies as st
from torch import Tensor

from sparring.errors import InputError
from sparring.transforms import Frequency, balls
from sparring.transforms.frequency import cosines


def draw(transform: Frequency, shape: tuple[int, int, int], seed: int = 0, count: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    size = (count, *transform.parameter_shape(shape))
    return 2 * torch.rand(size, generator=generator, dtype=torch.float64) - 1


def spectrum(perturbation: Tensor) -> np.ndarray:
    return scipy.fft.dctn(perturbation.numpy(), axes=(2, 3), norm="ortho")


@pytest.mark.parametrize("size", [1, 2, 5, 8, 32])
def test_the_matrix_is_scipys_orthonormal_transform(size: int) -> None:
    matrix = cosines(size, torch.zeros(1).double())
    assert np.allclose(matrix.numpy(), scipy.fft.dct(np.eye(size), axis=0, norm="ortho"), atol=1e-12)
    assert torch.allclose(matrix @ matrix.T, torch.eye(size).double(), atol=1e-12)


@pytest.mark.parametrize("band", ["low", "mid", "high"])
def test_the_perturbation_has_the_parameters_as_its_spectrum(band: str) -> None:
    transform = Frequency(eps=0.1, norm="linf", band=band, keep=0.3)  # type: ignore[arg-type]
    params = draw(transform, (3, 8, 6))
    found = spectrum(transform.perturbation(params, 8, 6)).reshape(3, 3, 48)
    kept = np.abs(found).max(axis=(0, 1)) > 1e-9
    assert kept.sum() == round(0.3 * 48)
    radius = ((np.arange(8)[:, None] * 6) ** 2 + (np.arange(6) * 8) ** 2).ravel()  # as (k_y / 8)^2 + (k_x / 6)^2
    expected_order = np.argsort(radius[kept], kind="stable")
    assert np.allclose(found[:, :, kept][:, :, expected_order], 0.1 * params.numpy(), atol=1e-12)
    if band == "low":
        assert radius[kept].max() <= radius[~kept].min()
    elif band == "high":
        assert radius[kept].min() >= radius[~kept].max()
    else:
        assert radius[~kept].min() < radius[kept].min() <= radius[kept].max() < radius[~kept].max()


def test_blocks_are_transformed_each_for_itself() -> None:
    transform = Frequency(eps=0.1, norm="linf", keep=1.0, block=4)
    params = draw(transform, (3, 8, 12))
    perturbation = transform.perturbation(params, 8, 12)
    order = np.argsort((np.arange(4)[:, None] ** 2 + np.arange(4) ** 2).ravel(), kind="stable")
    coefficients = params.view(3, 3, 2, 3, 16).numpy()
    for i in range(2):
        for j in range(3):
            found = spectrum(perturbation[:, :, 4 * i : 4 * i + 4, 4 * j : 4 * j + 4]).reshape(3, 3, 16)
            assert np.allclose(found[:, :, order], 0.1 * coefficients[:, :, i, j], atol=1e-12)


@pytest.mark.parametrize("block", [0, 2])
@pytest.mark.parametrize("band", ["low", "mid", "high"])
@given(seed=st.integers(0, 2**31))
@settings(max_examples=10, deadline=None)
def test_an_l2_budget_on_coefficients_is_one_on_pixels(band: str, block: int, seed: int) -> None:
    transform = Frequency(eps=0.4, band=band, block=block)  # type: ignore[arg-type]
    params = draw(transform, (3, 8, 6), seed)
    added = transform.perturbation(params, 8, 6)
    assert torch.allclose(balls.size(added, "l2"), transform.describe(params)["frequency/l2"])
    assert balls.size(added, "l2").max() <= 0.4 * (1 + balls.SLACK)
    images = torch.rand(3, 3, 8, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    assert balls.size(transform(images, params) - images, "l2").max() <= 0.4 * (1 + balls.SLACK)


def test_all_frequencies_span_all_pixels() -> None:
    """Parseval: with every coefficient free the L2 ball is that of `pixels`, in another basis."""
    transform = Frequency(eps=1.0, keep=1.0)
    params = transform.project(draw(transform, (3, 8, 6)))
    added = transform.perturbation(params, 8, 6)
    assert torch.allclose((added[0] * added[1]).sum(), (params[0] * params[1]).sum())


@pytest.mark.parametrize("settings_", [{"keep": 0.0}, {"keep": 2.0}, {"eps": -1.0}, {"eps": float("nan")}])
def test_settings_that_cannot_be_are_refused(settings_: dict[str, float]) -> None:
    with pytest.raises(InputError, match=next(iter(settings_))):
        Frequency(**settings_)  # type: ignore[arg-type]


def test_blocks_that_do_not_divide_the_image_are_refused() -> None:
    with pytest.raises(InputError, match="divide 8 x 6 pixels, got 4"):
        Frequency(block=4).parameter_shape((3, 8, 6))

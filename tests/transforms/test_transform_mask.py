"""Soft occlusion: the area it may hide, what it hides with, and its projection."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings, strategies as st
from torch import Tensor

from sparring.errors import InputError
from sparring.transforms import Mask, balls

SHAPE = (3, 7, 10)


def draw(transform: Mask, seed: int = 0, count: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    size = (count, *transform.parameter_shape(SHAPE))
    return 2 * torch.rand(size, generator=generator, dtype=torch.float64) - 1


@pytest.mark.parametrize("form", ["grid", "free"])
@given(seed=st.integers(0, 2**31), area=st.floats(0, 1), cells=st.integers(1, 12), corner=st.booleans())
@settings(max_examples=30, deadline=None)
def test_the_hidden_area_keeps_its_bound_for_any_parameters_of_the_box(
    form: str, seed: int, area: float, cells: int, corner: bool
) -> None:
    transform = Mask(form=form, area=area, cells=cells)  # type: ignore[arg-type]
    params = draw(transform, seed)
    params = params.sign() if corner else params
    for allowed in (params, transform.project(params)):
        opacity = transform.opacity(allowed, *SHAPE[1:])
        assert opacity.min() >= 0
        assert opacity.max() <= 1
        assert opacity.mean(dim=(1, 2, 3)).max() <= area * (1 + balls.SLACK) + 1e-12
    # grey on white: half of the hidden share is lost in brightness
    white = torch.ones(3, *SHAPE).double()
    grey = Mask(form=form, area=area, cells=cells, fill="grey")  # type: ignore[arg-type]
    assert (1 - grey(white, params)).mean(dim=(1, 2, 3)).max() <= area * (1 + balls.SLACK) / 2 + 1e-12


@given(seed=st.integers(0, 2**31), area=st.floats(0.01, 0.9))
@settings(max_examples=30, deadline=None)
def test_the_projection_is_the_nearest_mask_that_keeps_the_area(seed: int, area: float) -> None:
    transform = Mask(form="free", area=area)
    params, other = draw(transform, seed), transform.project(draw(transform, seed + 1))
    nearest = transform.project(params)
    assert nearest.abs().mean(dim=(1, 2, 3)).max() <= area + 1e-12
    assert ((params - nearest).flatten(1).norm(dim=1) <= (params - other).flatten(1).norm(dim=1) + 1e-9).all()


@pytest.mark.parametrize(("fill", "value"), [("mean", None), ("grey", 0.5), ("black", 0.0)])
def test_full_opacity_shows_the_fill_and_the_rest_is_untouched(fill: Any, value: float | None) -> None:
    images = torch.rand(2, 3, 8, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    params = torch.zeros(2, 1, 4, 3).double()
    params[:, :, 1, 2] = torch.tensor([[1.0], [-1.0]])
    hard = Mask(cells=4, area=0.5, fill=fill)(images, torch.nn.functional.pad(params, (0, 1))[..., :3])
    hidden = torch.zeros(8, 6, dtype=torch.bool)
    hidden[2:4, 4:6] = True
    expected = images.mean(dim=(2, 3)) if value is None else torch.full((2, 3), value).double()
    assert torch.allclose(hard[:, :, hidden], expected[:, :, None].expand(2, 3, 4))
    assert torch.equal(hard[:, :, ~hidden], images[:, :, ~hidden])


@pytest.mark.parametrize(("form", "shape"), [("grid", (1, 4, 4)), ("free", (1, 7, 10))])
def test_parameters_are_cells_or_pixels(form: Any, shape: tuple[int, int, int]) -> None:
    assert Mask(form=form).parameter_shape(SHAPE) == shape


def test_a_grid_has_at_most_one_cell_a_pixel() -> None:
    assert Mask(cells=9).parameter_shape(SHAPE) == (1, 7, 9)


def test_the_steepest_move_fills_the_area_with_whole_cells() -> None:
    mask = Mask(area=0.25)
    gradient = torch.arange(-8.0, 8.0).view(1, 1, 4, 4)
    move = mask.steepest(gradient)
    assert move.abs().mean() == 0.25
    assert move.flatten().nonzero().flatten().tolist() == [0, 1, 2, 15]  # -8, -7, -6 and 7 (or the -7 that ties)
    assert torch.equal(mask.project(move), move)
    assert (gradient * move).sum() == 8 + 7 + 6 + 7


def test_described_area_is_that_of_the_pixels() -> None:
    mask = Mask(cells=2)
    params = mask.project(draw(mask))
    shown = mask.describe(params)
    opacity = mask.opacity(params, 8, 6)
    assert torch.allclose(shown["mask/area"], opacity.mean(dim=(1, 2, 3)))
    assert torch.allclose(shown["mask/largest_opacity"], opacity.amax(dim=(1, 2, 3)))


@pytest.mark.parametrize("wrong", [{"area": 1.1}, {"area": -0.1}, {"cells": 0}])
def test_settings_that_cannot_be_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=next(iter(wrong))):
        Mask(**wrong)

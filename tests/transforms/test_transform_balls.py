"""Projections onto balls against loops and bisection; norms, spheres and steepest moves in their closed forms."""

import math
from typing import get_args

import pytest
import torch
from hypothesis import given, settings, strategies as st
from torch import Tensor

from sparring.transforms import Pixels, balls

NORMS = list(get_args(balls.Norm))
SHAPE = (3, 4, 5)
EXACT = 1e-12

seeds = st.integers(0, 2**31)
reaches = st.floats(1e-3, 50)
examples = settings(max_examples=30, deadline=None)


def draw(seed: int, reach: float = 1.0, count: int = 4) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return reach * (2 * torch.rand(count, *SHAPE, generator=generator, dtype=torch.float64) - 1)


def l1_by_bisection(row: list[float], radius: float) -> list[float]:
    """Shrink by the threshold at which the sizes sum to the radius, found by halving an interval."""
    if sum(map(abs, row)) <= radius:
        return row
    low, high = 0.0, max(map(abs, row))
    for _ in range(200):
        middle = (low + high) / 2
        if sum(max(0.0, abs(x) - middle) for x in row) > radius:
            low = middle
        else:
            high = middle
    return [math.copysign(max(0.0, abs(x) - high), x) for x in row]


@given(seed=seeds, reach=reaches, radius=st.floats(0.1, 20))
@examples
def test_l1_projection_equals_bisection(seed: int, reach: float, radius: float) -> None:
    params = draw(seed, reach)
    expected = [l1_by_bisection(row, radius) for row in params.flatten(1).tolist()]
    assert torch.allclose(balls.onto_l1(params, radius).flatten(1), torch.tensor(expected).double(), atol=1e-10)


@given(seed=seeds, reach=reaches)
@examples
def test_l2_projection_equals_a_loop(seed: int, reach: float) -> None:
    params = draw(seed, reach)
    for row, ours in zip(params.flatten(1).tolist(), balls.project(params, "l2").flatten(1).tolist(), strict=True):
        length = math.sqrt(sum(x * x for x in row))
        assert ours == pytest.approx([x / max(1.0, length) for x in row], abs=EXACT)


@pytest.mark.parametrize("norm", NORMS)
@given(seed=seeds, reach=reaches)
@examples
def test_no_point_of_the_ball_is_nearer_than_the_projection(norm: balls.Norm, seed: int, reach: float) -> None:
    params, others = draw(seed, reach), balls.project(draw(seed + 1, reach), norm)
    nearest = balls.project(params, norm)
    distance = (params - nearest).flatten(1).norm(dim=1)
    assert (distance <= (params - others).flatten(1).norm(dim=1) + EXACT).all()
    assert torch.allclose(balls.project(nearest, norm), nearest, atol=EXACT)


@pytest.mark.parametrize("norm", NORMS)
@given(seed=seeds, reach=reaches)
@examples
def test_everything_that_holds_a_point_in_the_ball_does(norm: balls.Norm, seed: int, reach: float) -> None:
    params = draw(seed, reach)
    assert balls.size(balls.project(params, norm), norm).max() <= 1 + EXACT
    assert balls.size(balls.hold(params, norm), norm).max() <= 1 + balls.SLACK
    assert torch.allclose(balls.size(balls.rescale(params, norm), norm), torch.ones(4).double())
    inside = params / (1.1 * balls.size(params, norm).max())
    assert torch.equal(balls.project(inside, norm), inside)
    assert torch.equal(balls.hold(inside, norm), inside)


@pytest.mark.parametrize("norm", NORMS)
def test_zero_stays_zero_and_keeps_a_finite_gradient(norm: balls.Norm) -> None:
    zero = torch.zeros(2, *SHAPE, dtype=torch.float64, requires_grad=True)
    for move in (balls.project, balls.rescale, balls.hold):
        out = move(zero, norm)
        assert torch.equal(out, zero)
        (gradient,) = torch.autograd.grad(out.sum(), zero)
        assert torch.equal(gradient, torch.ones_like(gradient)), move


@pytest.mark.parametrize("norm", NORMS)
def test_a_steepest_move_has_norm_one_and_follows_the_gradient(norm: balls.Norm) -> None:
    gradient = draw(3, 1e-6)
    move = balls.steepest(gradient, norm)
    assert torch.allclose(balls.size(move, norm), torch.ones(4).double())
    gain = (gradient * move).flatten(1).sum(dim=1)
    assert (gain > 0).all()
    dual = {"linf": "l1", "l2": "l2", "l1": "linf"}  # the most that a move of norm 1 can gain (Hölder)
    assert torch.allclose(gain, balls.size(gradient, dual[norm]), rtol=1e-6)  # type: ignore[arg-type]
    assert torch.equal(balls.steepest(torch.zeros_like(gradient), norm), torch.zeros_like(gradient))


def test_an_l1_step_moves_one_percent_of_the_entries_alike() -> None:
    gradient = torch.linspace(-1, 0.5, 1000).view(1, 1000)
    move = balls.steepest(gradient, "l1")
    assert torch.equal(move[0, :10], torch.full((10,), -0.1))
    assert move[0, 10:].count_nonzero() == 0


@pytest.mark.parametrize("sphere", [False, True])
@pytest.mark.parametrize(("norm", "eps"), [("linf", 0.05), ("l2", 0.5), ("l1", 4.0)])
@given(seed=seeds)
@examples
def test_pixels_keep_their_bound_for_any_parameters_of_the_box(
    norm: balls.Norm, eps: float, sphere: bool, seed: int
) -> None:
    transform = Pixels(eps=eps, norm=norm, sphere=sphere)
    images = (draw(seed + 1) + 1) / 2
    for params in (draw(seed), torch.ones(4, *SHAPE).double(), transform.project(draw(seed))):
        assert balls.size(transform(images, params) - images, norm).max() <= eps * (1 + balls.SLACK)
        assert balls.size(transform.perturbation(params), norm).max() <= eps * (1 + balls.SLACK)


@pytest.mark.parametrize(("norm", "eps"), [("linf", 0.05), ("l2", 0.5), ("l1", 4.0)])
def test_on_the_sphere_the_perturbation_has_norm_eps_and_strength_scales_it(norm: balls.Norm, eps: float) -> None:
    transform = Pixels(eps=eps, norm=norm, sphere=True)
    params = transform.project(draw(5, 0.01))
    grey = torch.full((4, *SHAPE), 0.5).double()
    for strength in (1.0, 0.3):
        added = transform(grey, strength * params) - grey
        assert torch.allclose(balls.size(added, norm), torch.full((4,), strength * eps).double())
    assert torch.equal(transform.project(torch.zeros(1, *SHAPE)), torch.zeros(1, *SHAPE))


def test_the_l1_sphere_is_viewmakers_budget() -> None:
    """Viewmaker divides by the mean size and multiplies by its budget."""
    raw, budget = draw(6), 0.05
    transform = Pixels(eps=budget * raw[0].numel(), norm="l1", sphere=True)
    expected = budget * raw / raw.abs().mean(dim=(1, 2, 3), keepdim=True)
    assert torch.allclose(transform.perturbation(transform.project(raw)), expected)


def test_pixels_describe_their_size_in_each_norm() -> None:
    described = Pixels(eps=0.5, norm="l2").describe(torch.ones(1, *SHAPE).double())
    side = 0.5 / math.sqrt(60)
    assert {name: value.item() for name, value in described.items()} == pytest.approx(
        {"pixels/l_inf": side, "pixels/l2": 0.5, "pixels/mean_size": side}
    )

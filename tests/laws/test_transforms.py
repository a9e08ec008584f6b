"""The laws that every registered transform obeys."""

from typing import Any, get_args

import pytest
import torch
from torch import Tensor

from sparring.contracts import Transform
from sparring.parts import build
from sparring.recipe import Part
from sparring.transforms import TRANSFORMS
from sparring.transforms.colour import WITHOUT_IDENTITY
from sparring.transforms.tones import Operation

NEEDS = {"chain": {"parts": ["rotation", "colour"]}}
SPACES = [Part("colour", {"space": space}) for space in ("softmax", "grey", "doubly_stochastic")]
VARIANTS = [
    Part("affine", {"degrees": 180, "share": 0.5, "scale": 2, "shear": 45, "padding": "zeros"}),
    Part("blur", {"sigma": 0.3}),
    Part("blur", {"sigma": 5}),
    Part("frequency", {"norm": "linf", "eps": 0.1, "band": "mid"}),
    Part("frequency", {"norm": "l1", "eps": 2.0, "band": "high"}),
    Part("frequency", {"block": 2, "keep": 0.5}),
    Part("hsv", {"hue": 0.5, "saturation": 1, "value": 1}),
    Part("mask", {"form": "free", "fill": "black"}),
    Part("mask", {"cells": 5, "area": 0.6, "fill": "grey"}),
    Part("operations", {"ranges": "wide", "padding": "reflection"}),
    Part("perspective", {"share": 0.24, "padding": "border"}),
    Part("pixels", {"norm": "l2", "eps": 0.5}),
    Part("pixels", {"norm": "l1", "eps": 5}),
    Part("pixels", {"norm": "l1", "eps": 5, "sphere": True}),
    Part("pixels", {"norm": "l2", "eps": 0.5, "sphere": True}),
    Part("pixels", {"norm": "linf", "sphere": True}),
    Part("thin_plate", {"points": 4, "padding": "zeros"}),
    *(Part("tone", {"operation": operation}) for operation in get_args(Operation)),
]
PARTS = [Part(name, NEEDS.get(name, {})) for name in TRANSFORMS] + SPACES + VARIANTS
SHAPE, SMALL = (3, 18, 16), (3, 4, 4)  # equalize leaves images of fewer than 255 pixels as they are
STEEP = sorted(TRANSFORMS.keys() - {"chain", "colour", "crop", "operations"})
"""Where each parameter acts by itself and smoothly: colour's and crop's wait for their first, two operations step."""
RESAMPLED = 1e-6


def named(part: Part) -> str:
    return "-".join([part.name, *map(str, part.settings.values())])[:40]


def make(part: Part, shape: tuple[int, int, int] = SHAPE) -> Transform:
    transform: Transform = build("transform", part, {"image_shape": shape, "image_count": 8, "labels": None})
    return transform.double()


def box(transform: Transform, count: int, seed: int = 0, shape: tuple[int, int, int] = SHAPE) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.rand(count, *transform.parameter_shape(shape), generator=generator, dtype=torch.float64) - 1


def draw(transform: Transform, count: int, seed: int = 0) -> Tensor:
    return transform.project(box(transform, count, seed))


@pytest.fixture
def images(photographs: Tensor) -> Tensor:
    return photographs[:6, :, 8:26, 4:20]


every = pytest.mark.parametrize("part", PARTS, ids=named)


@every
def test_zero_is_the_identity(part: Part, images: Tensor) -> None:
    transform = make(part)
    zero = torch.zeros(len(images), *transform.parameter_shape(SHAPE), dtype=torch.float64)
    expected = images
    if part.settings.get("space") in WITHOUT_IDENTITY:  # declared exceptions: zero is grey, the mean of the channels
        expected = images.mean(dim=1, keepdim=True).expand_as(images)
    assert torch.allclose(transform(images, zero), expected, atol=RESAMPLED)
    assert torch.allclose(transform.float()(images.float(), zero.float()), expected.float(), atol=RESAMPLED)


@every
def test_the_sign_of_an_entry_matters_unless_it_is_said_to_have_none(part: Part, images: Tensor) -> None:
    transform = make(part)
    params = box(transform, len(images))
    hard, unsigned = transform(images, params), transform.unsigned(params).flatten(1)
    for place in range(unsigned.shape[1])[:20]:
        flipped = params.flatten(1).clone()
        flipped[:, place] *= -1
        same = torch.equal(transform(images, flipped.view_as(params)), hard)
        assert unsigned[:, place].tolist() == [same] * len(images), place


@every
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_output_is_an_image_of_the_same_kind(part: Part, images: Tensor, dtype: torch.dtype) -> None:
    transform = make(part).to(dtype)
    raw = box(transform, len(images))
    for params in (raw, raw.sign(), transform.project(raw), draw(transform, len(images), 1)):
        hard = transform(images.to(dtype), params.to(dtype))
        assert hard.shape == images.shape
        assert hard.dtype == dtype
        assert hard.min() >= 0
        assert hard.max() <= 1


@every
def test_gradients_in_images_and_parameters(part: Part) -> None:
    """On mid-range images and half-way parameters, away from clamping, from kinks and from the edge of a sphere."""
    transform = make(part, SMALL)
    generator = torch.Generator().manual_seed(0)
    images = (0.4 + 0.2 * torch.rand(2, *SMALL, generator=generator, dtype=torch.float64)).requires_grad_()
    params = 0.9 * transform.project(0.4 + 0.1 * box(transform, 2, 1, SMALL))
    assert torch.autograd.gradcheck(transform, (images, params.requires_grad_()), atol=1e-5, rtol=1e-3)


@every
def test_the_projection_is_differentiable(part: Part) -> None:
    """Also outside the box and the ball; on a sphere it is the direction that counts."""
    transform = make(part, SMALL)
    params = (1.3 * box(transform, 2, shape=SMALL)).requires_grad_()
    assert torch.autograd.gradcheck(transform.project, (params,), atol=1e-5, rtol=1e-3)


@pytest.mark.parametrize("name", STEEP)
def test_a_search_can_leave_the_identity(name: str, images: Tensor) -> None:
    """Zero is not a stationary point: on every image nearly every parameter has a gradient there."""
    transform = make(Part(name))
    zero = torch.zeros_like(box(transform, len(images))).requires_grad_()
    weights = torch.rand(images.shape, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    (gradient,) = torch.autograd.grad((weights * transform(0.1 + 0.8 * images, zero)).sum(), zero)
    assert (gradient.flatten(1).abs() > 1e-9).double().mean(dim=1).min() > 0.9


def test_a_search_can_begin_to_crop(images: Tensor) -> None:
    zero = torch.zeros(len(images), 4, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(make(Part("crop")).box(zero).sum(), zero)  # type: ignore[operator]
    assert (gradient[:, 0] < -0.1).all()


@every
def test_a_batch_equals_each_image_alone(part: Part, images: Tensor) -> None:
    transform = make(part)
    params = draw(transform, len(images))
    alone = torch.cat([transform(images[i : i + 1], params[i : i + 1]) for i in range(len(images))])
    assert torch.allclose(transform(images, params), alone, atol=1e-9)


@every
def test_projection_is_idempotent_and_lands_in_the_box(part: Part) -> None:
    transform = make(part)
    once = transform.project(3 * box(transform, 5) + 0.5)
    assert once.abs().max() <= 1 + 1e-12
    assert torch.allclose(transform.project(once), once, atol=1e-12)


@every
def test_it_changes_something_and_describes_it(part: Part, images: Tensor) -> None:
    transform = make(part)
    params = draw(transform, len(images), seed=2)
    assert not torch.allclose(transform(images, params), images, atol=1e-3)
    described = transform.describe(params)
    assert described
    for name, value in described.items():
        assert value.shape == (len(images),), name
        assert value.isfinite().all(), name
        assert name.partition("/")[0] in (part.name, *TRANSFORMS), name


def _colour_rows(transform: Any, params: Tensor) -> None:
    matrix = transform.matrix(params)
    assert torch.allclose(matrix.sum(dim=2), torch.ones_like(matrix[..., 0]))
    assert matrix.min() >= 0
    if transform.space not in WITHOUT_IDENTITY:
        assert (matrix.diagonal(dim1=1, dim2=2) >= 1 - transform.a_max - 1e-12).all()
    if transform.space == "grey":
        assert torch.equal(matrix, matrix[:, :1].expand_as(matrix))
    if transform.space == "doubly_stochastic":
        assert torch.allclose(matrix.sum(dim=1), torch.ones_like(matrix[..., 0]))


@pytest.mark.parametrize("part", [Part("colour"), *SPACES, Part("colour", {"a_max": 0.1})], ids=named)
def test_colour_matrices_are_stochastic_and_near_the_identity(part: Part) -> None:
    transform = make(part)
    _colour_rows(transform, draw(transform, 50))
    corners = torch.cat(
        [torch.ones(1, *transform.parameter_shape(SHAPE)), -torch.ones(1, *transform.parameter_shape(SHAPE))]
    )
    _colour_rows(transform, corners.double())


def test_pixels_stay_in_their_ball(images: Tensor) -> None:
    transform = make(Part("pixels", {"eps": 0.03}))
    assert (transform(images, draw(transform, len(images))) - images).abs().max() <= 0.03 + 1e-12


def test_described_units_stay_within_the_constructors_bounds() -> None:
    for part, name, bound in (
        (Part("rotation", {"degrees": 20}), "rotation/degrees", 20),
        (Part("translation", {"share": 0.1}), "translation/right", 0.1),
        (Part("pixels", {"eps": 0.05}), "pixels/l_inf", 0.05),
    ):
        transform = make(part)
        box = torch.ones(1, *transform.parameter_shape(SHAPE), dtype=torch.float64)
        values = [transform.describe(sign * box)[name].abs().item() for sign in (1, -1)]
        assert max(values) == pytest.approx(bound)


@pytest.mark.parametrize(
    ("part", "remedy"),
    [
        (Part("colour", {"a_max": 1.5}), "a_max"),
        (Part("colour", {"space": "hsl"}), "softmax"),
        (Part("rotation", {"degrees": -1}), "degrees"),
        (Part("translation", {"share": 2}), "share"),
        (Part("pixels", {"eps": 8}), "8/255"),
        (Part("jitter", {"hue": 0.7}), "hue"),
        (Part("chain", {"parts": []}), "at least one"),
    ],
    ids=str,
)
def test_bounds_that_cannot_be_are_refused(part: Part, remedy: str) -> None:
    with pytest.raises(ValueError, match=remedy):
        make(part)

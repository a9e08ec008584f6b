"""The laws that every registered transform obeys."""

from typing import Any

import pytest
import torch
from torch import Tensor

from sparring.contracts import Transform
from sparring.parts import build
from sparring.recipe import Part
from sparring.transforms import TRANSFORMS
from sparring.transforms.colour import WITHOUT_IDENTITY

NEEDS = {"chain": {"parts": ["rotation", "colour"]}}
SPACES = [Part("colour", {"space": space}) for space in ("softmax", "grey", "doubly_stochastic")]
PARTS = [Part(name, NEEDS.get(name, {})) for name in TRANSFORMS] + SPACES
SHAPE = (3, 8, 6)
RESAMPLED = 1e-6


def named(part: Part) -> str:
    return "-".join([part.name, *map(str, part.settings.values())])[:40]


def make(part: Part, shape: tuple[int, int, int] = SHAPE) -> Transform:
    transform: Transform = build("transform", part, {"image_shape": shape, "image_count": 8, "labels": None})
    return transform.double()


def draw(transform: Transform, count: int, seed: int = 0, reach: float = 1.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    shape = (count, *transform.parameter_shape(SHAPE))
    box = 2 * torch.rand(shape, generator=generator, dtype=torch.float64) - 1
    return transform.project(reach * box)


@pytest.fixture
def images(photographs: Tensor) -> Tensor:
    return photographs[:6, :, 8:16, 4:10]


every = pytest.mark.parametrize("part", PARTS, ids=named)


@every
def test_zero_is_the_identity(part: Part, images: Tensor) -> None:
    transform = make(part)
    zero = torch.zeros(len(images), *transform.parameter_shape(SHAPE), dtype=torch.float64)
    expected = images
    if part.settings.get("space") in WITHOUT_IDENTITY:  # declared exceptions: zero is grey, the mean of the channels
        expected = images.mean(dim=1, keepdim=True).expand_as(images)
    assert torch.allclose(transform(images, zero), expected, atol=RESAMPLED)


@every
def test_the_sign_of_an_unsigned_entry_does_not_matter(part: Part, images: Tensor) -> None:
    transform = make(part)
    params = draw(transform, len(images))
    unsigned = transform.unsigned(params)
    assert unsigned.shape == params.shape
    mirrored = torch.where(unsigned, -params, params)
    assert torch.equal(transform(images, mirrored), transform(images, params))


@every
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_output_is_an_image_of_the_same_kind(part: Part, images: Tensor, dtype: torch.dtype) -> None:
    transform = make(part).to(dtype)
    for seed in range(3):
        hard = transform(images.to(dtype), draw(transform, len(images), seed).to(dtype))
        assert hard.shape == images.shape
        assert hard.dtype == dtype
        assert hard.min() >= 0
        assert hard.max() <= 1


@every
def test_gradients_in_images_and_parameters(part: Part) -> None:
    """On mid-range images and half-way parameters, away from clamping and from kinks."""
    transform = make(part, (3, 4, 4))
    generator = torch.Generator().manual_seed(1)
    images = (0.4 + 0.2 * torch.rand(2, 3, 4, 4, generator=generator, dtype=torch.float64)).requires_grad_()
    shape = (2, *transform.parameter_shape((3, 4, 4)))
    params = transform.project(0.3 + 0.2 * torch.rand(shape, generator=generator, dtype=torch.float64))
    assert torch.autograd.gradcheck(transform, (images, params.requires_grad_()), atol=1e-5, rtol=1e-3)


@every
def test_a_batch_equals_each_image_alone(part: Part, images: Tensor) -> None:
    transform = make(part)
    params = draw(transform, len(images))
    alone = torch.cat([transform(images[i : i + 1], params[i : i + 1]) for i in range(len(images))])
    assert torch.allclose(transform(images, params), alone, atol=1e-9)


@every
def test_projection_is_idempotent_and_lands_in_the_box(part: Part) -> None:
    transform = make(part)
    params = 3 * draw(transform, 5, reach=1.0) + 0.5
    once = transform.project(params)
    assert once.abs().max() <= 1 + 1e-12
    assert torch.allclose(transform.project(once), once, atol=1e-9)


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

"""The laws of transforms under settings that are not the defaults, and the way out of the identity."""

from typing import Any, get_args

import pytest
import torch
from torch import Tensor

from sparring.contracts import Transform
from sparring.transforms import (
    TRANSFORMS,
    Affine,
    Blur,
    Frequency,
    Hsv,
    Mask,
    Operations,
    Perspective,
    Pixels,
    ThinPlate,
    Tone,
)
from sparring.transforms.tones import Operation

SHAPE = (3, 8, 6)
VARIANTS: dict[str, Transform] = {
    "affine": Affine(degrees=180, share=0.5, scale=2, shear=45, padding="zeros"),
    "blur-narrow": Blur(sigma=0.3),
    "blur-wide": Blur(sigma=5),
    "frequency-linf": Frequency(norm="linf", eps=0.1, band="mid"),
    "frequency-l1": Frequency(norm="l1", eps=2.0, band="high"),
    "frequency-blocks": Frequency(block=2, keep=0.5),
    "hsv-half-turn": Hsv(hue=0.5, saturation=1, value=1),
    "mask-free": Mask(form="free", fill="black"),
    "mask-cells": Mask(cells=5, area=0.6, fill="grey"),
    "perspective": Perspective(share=0.24, padding="border"),
    "pixels-l2": Pixels(eps=0.5, norm="l2"),
    "pixels-l1": Pixels(eps=5, norm="l1"),
    "pixels-l1-sphere": Pixels(eps=5, norm="l1", sphere=True),
    "pixels-l2-sphere": Pixels(eps=0.5, norm="l2", sphere=True),
    "pixels-linf-sphere": Pixels(sphere=True),
    "operations-wide": Operations(image_shape=SHAPE, ranges="wide", padding="reflection"),
    **{f"tone-{operation}": Tone(operation=operation) for operation in get_args(Operation)},
    "thin_plate": ThinPlate(points=4, padding="zeros"),
}
variants = pytest.mark.parametrize("name", VARIANTS)


def draw(transform: Transform, shape: tuple[int, int, int] = SHAPE, count: int = 5, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    size = (count, *transform.parameter_shape(shape))
    return 2 * torch.rand(size, generator=generator, dtype=torch.float64) - 1


@pytest.fixture
def images(photographs: Tensor) -> Tensor:
    return photographs[:5, :, 8:16, 4:10]


@variants
def test_zero_is_the_identity(name: str, images: Tensor) -> None:
    zero = torch.zeros_like(draw(VARIANTS[name]))
    assert torch.allclose(VARIANTS[name](images, zero), images, atol=1e-6)
    assert torch.allclose(VARIANTS[name](images.float(), zero.float()), images.float(), atol=1e-6)


@variants
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_output_is_an_image_of_the_same_kind(name: str, images: Tensor, dtype: torch.dtype) -> None:
    for params in (draw(VARIANTS[name]), draw(VARIANTS[name]).sign(), VARIANTS[name].project(draw(VARIANTS[name]))):
        hard = VARIANTS[name](images.to(dtype), params.to(dtype))
        assert (hard.shape, hard.dtype) == (images.shape, dtype)
        assert hard.min() >= 0
        assert hard.max() <= 1


@variants
def test_gradients_in_images_and_parameters(name: str) -> None:
    transform = VARIANTS[name]
    shape = (3, 4, 4)
    images = (0.4 + 0.2 * torch.rand(2, *shape, dtype=torch.float64)).requires_grad_()
    params = (0.9 * transform.project(0.4 + 0.1 * draw(transform, shape, count=2))).requires_grad_()
    assert torch.autograd.gradcheck(transform, (images, params), atol=1e-5, rtol=1e-3)


@variants
def test_the_projection_is_differentiable(name: str) -> None:
    """Also outside the box and the ball; on a sphere it is the direction that counts."""
    params = (1.3 * draw(VARIANTS[name], (3, 4, 4), count=2)).requires_grad_()
    assert torch.autograd.gradcheck(VARIANTS[name].project, (params,), atol=1e-5, rtol=1e-3)


@variants
def test_a_batch_equals_each_image_alone(name: str, images: Tensor) -> None:
    params = VARIANTS[name].project(draw(VARIANTS[name]))
    alone = [VARIANTS[name](image[None], own[None]) for image, own in zip(images, params, strict=True)]
    assert torch.allclose(VARIANTS[name](images, params), torch.cat(alone), atol=1e-9)


@variants
def test_projection_is_idempotent_and_lands_in_the_box(name: str) -> None:
    once = VARIANTS[name].project(3 * draw(VARIANTS[name]) + 0.5)
    assert once.abs().max() <= 1 + 1e-12
    assert torch.allclose(VARIANTS[name].project(once), once, atol=1e-12)


NEW = ["affine", "blur", "frequency", "gain", "hsv", "mask", "perspective", "pixels", "thin_plate"]


@pytest.mark.parametrize("name", NEW)
def test_a_search_can_leave_the_identity(name: str, images: Tensor) -> None:
    """Zero is not a stationary point: on every image nearly every parameter has a gradient there."""
    transform: Any = TRANSFORMS[name]()
    zero = torch.zeros_like(draw(transform)).requires_grad_()
    weights = torch.rand(images.shape, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    (gradient,) = torch.autograd.grad((weights * transform(0.1 + 0.8 * images, zero)).sum(), zero)
    assert (gradient.flatten(1).abs() > 1e-9).double().mean(dim=1).min() > 0.9

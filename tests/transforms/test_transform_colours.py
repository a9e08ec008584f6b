"""HSV against Kornia and the standard library, gain against arithmetic."""

import colorsys
import math

import kornia
import pytest
import torch
from torch import Tensor

from sparring.errors import InputError
from sparring.transforms import Gain, Hsv


@pytest.fixture(params=["square", "tall"])
def images(request: pytest.FixtureRequest, photographs: Tensor) -> Tensor:
    return photographs[:6] if request.param == "square" else photographs[:6, :, :, 4:25]


def draw(*shape: int) -> Tensor:
    return 2 * torch.rand(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64) - 1


def test_hsv_is_kornias(images: Tensor) -> None:
    params = draw(6, 3)
    hue, saturation, value = (bound * params[:, i, None, None] for i, bound in enumerate((0.3, 0.5, 0.7)))
    h, s, v = kornia.color.rgb_to_hsv(images).unbind(dim=1)
    changed = [h + 2 * math.pi * hue, (s * (1 + saturation)).clamp(0, 1), (v * (1 + value)).clamp(0, 1)]
    theirs = kornia.color.hsv_to_rgb(torch.stack(changed, dim=1))
    assert torch.allclose(Hsv(hue=0.3, saturation=0.5, value=0.7)(images, params), theirs, atol=1e-6)


def test_hsv_is_the_standard_librarys() -> None:
    images, params = (draw(2, 3, 4, 5) + 1) / 2, draw(2, 3)
    ours = Hsv(hue=0.5, saturation=0.9, value=0.9)(images, params)
    for image, (hue, saturation, value), hard in zip(images, params.tolist(), ours, strict=True):
        for pixel, found in zip(image.flatten(1).T.tolist(), hard.flatten(1).T.tolist(), strict=True):
            h, s, v = colorsys.rgb_to_hsv(*pixel)
            factors = (min(1, s * (1 + 0.9 * saturation)), min(1, v * (1 + 0.9 * value)))
            assert found == pytest.approx(colorsys.hsv_to_rgb((h + 0.5 * hue) % 1, *factors), abs=1e-9)


PURE = [[r, g, b] for r in (0, 0.5, 1) for g in (0, 0.5, 1) for b in (0, 0.5, 1)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_hsv_leaves_pure_and_grey_colours_alone_at_zero(dtype: torch.dtype) -> None:
    images = torch.tensor(PURE, dtype=dtype).T.reshape(1, 3, 9, 3)
    assert torch.allclose(Hsv()(images, torch.zeros(1, 3, dtype=dtype)), images, atol=1e-6)


@pytest.mark.parametrize("size", [0.0, 1.0])
def test_hsv_gradients_are_finite_on_pure_and_grey_colours(size: float) -> None:
    images = torch.tensor(PURE).T.reshape(1, 3, 9, 3).requires_grad_()
    params = torch.full((1, 3), size, requires_grad=True)
    for gradient in torch.autograd.grad(Hsv()(images, params).square().sum(), (images, params)):
        assert gradient.isfinite().all()
        assert gradient.abs().max() < 100


def test_a_third_of_a_turn_sends_red_to_green() -> None:
    red = torch.tensor([0.8, 0.2, 0.2]).view(1, 3, 1, 1)
    green = Hsv(hue=1 / 3)(red, torch.tensor([[1.0, 0.0, 0.0]]))
    assert green.flatten().tolist() == pytest.approx([0.2, 0.8, 0.2], abs=1e-6)


def test_gain_multiplies_each_channel(images: Tensor) -> None:
    params = draw(6, 3)
    expected = (images * (1 + 0.5 * params)[:, :, None, None]).clamp(0, 1)
    assert torch.allclose(Gain(gain=0.5)(images, params), expected, atol=1e-12)
    described = Gain(gain=0.5).describe(torch.tensor([[1.0, -1.0, 0.0]]))
    assert {name: value.item() for name, value in described.items()} == {
        "gain/red": 1.5,
        "gain/green": 0.5,
        "gain/blue": 1.0,
    }


@pytest.mark.parametrize(
    ("constructor", "settings"),
    [(Gain, {"gain": 1.1}), (Hsv, {"hue": 0.6}), (Hsv, {"saturation": -0.1}), (Hsv, {"value": 2.0})],
)
def test_bounds_that_cannot_be_are_refused(constructor: type, settings: dict[str, float]) -> None:
    with pytest.raises(InputError, match=next(iter(settings))):
        constructor(**settings)

"""Rotation, translation and jitter against Kornia's functional operations, in float64 to 1e-5."""

import math

import kornia
import pytest
import torch
from torch import Tensor

from sparring import colours
from sparring.transforms import Jitter, Rotation, Translation

TOLERANCE = 1e-5
KORNIA_YUV = ((0.299, 0.587, 0.114), (-0.147, -0.289, 0.436), (0.615, -0.515, -0.100))


@pytest.fixture(params=["square", "tall"])
def images(request: pytest.FixtureRequest, photographs: Tensor) -> Tensor:
    return photographs[:6] if request.param == "square" else photographs[:6, :, :, 4:25]


@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
def test_rotation(images: Tensor, padding: str) -> None:
    params = torch.linspace(-1, 1, len(images)).double()[:, None]
    ours = Rotation(degrees=35, padding=padding)(images, params)  # type: ignore[arg-type]
    theirs = kornia.geometry.transform.rotate(images, 35 * params[:, 0], padding_mode=padding, align_corners=False)
    assert torch.allclose(ours, theirs, atol=TOLERANCE)


@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
def test_translation(images: Tensor, padding: str) -> None:
    params = torch.linspace(-1, 1, 2 * len(images)).double().view(-1, 2)
    ours = Translation(share=0.2, padding=padding)(images, params)  # type: ignore[arg-type]
    pixels = 0.2 * params * torch.tensor([images.shape[3], images.shape[2]])
    theirs = kornia.geometry.transform.translate(images, pixels, padding_mode=padding, align_corners=False)
    assert torch.allclose(ours, theirs, atol=TOLERANCE)


@pytest.mark.parametrize(
    ("place", "adjust"),
    [
        (0, kornia.enhance.adjust_brightness_accumulative),
        (1, kornia.enhance.adjust_contrast_with_mean_subtraction),
        (2, kornia.enhance.adjust_saturation_with_gray_subtraction),
    ],
    ids=["brightness", "contrast", "saturation"],
)
def test_jitter(images: Tensor, place: int, adjust: object) -> None:
    params = torch.zeros(len(images), 4, dtype=torch.float64)
    params[:, place] = torch.linspace(-1, 1, len(images)).double()
    theirs = adjust(images, 1 + 0.5 * params[:, place])  # type: ignore[operator]
    ours = Jitter(brightness=0.5, contrast=0.5, saturation=0.5)(images, params)
    assert torch.allclose(ours, theirs, atol=TOLERANCE)


def test_hue_is_a_rotation_of_kornias_chroma_plane(images: Tensor) -> None:
    """Kornia's YUV constants are rounded to three digits, so they replace ours here; U, V turn as I, Q do."""
    turns = torch.linspace(-0.1, 0.1, len(images)).double()
    ours = colours.apply_colour(images, colours.hue(turns, basis=KORNIA_YUV))
    y, u, v = kornia.color.rgb_to_yuv(images).unbind(dim=1)
    cos, sin = ((2 * math.pi * turns).cos()[:, None, None], (2 * math.pi * turns).sin()[:, None, None])
    turned = torch.stack([y, cos * u + sin * v, cos * v - sin * u], dim=1)
    theirs = torch.einsum(
        "ij,bjhw->bihw", torch.linalg.inv(torch.tensor(KORNIA_YUV, dtype=torch.float64)), turned
    ).clamp(0, 1)
    assert torch.allclose(ours, theirs, atol=TOLERANCE)

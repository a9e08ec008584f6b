"""Rotation and translation against Kornia's functional operations, in float64 to 1e-5."""

import kornia
import pytest
import torch
from torch import Tensor

from sparring.transforms import Rotation, Translation

TOLERANCE = 1e-5


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

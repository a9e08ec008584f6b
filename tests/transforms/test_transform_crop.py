"""The crop against the base views' own crop, and what its parameters mean."""

import pytest
import torch
from torch import Tensor

from sparring.transforms import Crop
from sparring.views import crop


def test_a_box_of_whole_pixels_is_the_base_views_crop(photographs: Tensor) -> None:
    """On the inner pixels: at the box's edge the base view holds the edge pixel, the crop sees the pixel beside it."""
    transform = Crop(area=0.25, ratio=1.0)
    params = torch.tensor([[1.0, 0.0, -1.0, 1.0]]).double().expand(len(photographs), 4)
    boxes = torch.tensor([[16.0, 0.0, 16.0, 16.0]]).double().expand(len(photographs), 4)
    expected = crop(photographs, boxes, torch.zeros(len(photographs), dtype=torch.bool))
    inner = (slice(None), slice(None), slice(1, -1), slice(1, -1))
    assert torch.allclose(transform(photographs, params)[inner], expected[inner], atol=1e-9)


def test_the_aspect_ratio_reaches_its_bound_either_way() -> None:
    params = torch.tensor([[1.0, 1.0, 0.0, 0.0], [1.0, -1.0, 0.0, 0.0], [1.0, 0.5, 0.0, 0.0]]).double()
    width, height, *_ = Crop(area=0.3, ratio=2.0).box(params).unbind(dim=1)
    assert (width / height).tolist() == pytest.approx([2, 0.5, 2**0.5])
    assert (width * height).tolist() == pytest.approx([0.3] * 3)


def test_the_box_stays_inside_the_image_and_has_its_area() -> None:
    transform = Crop(area=0.2, ratio=2.0)
    draws = 2 * torch.rand(500, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) - 1
    width, height, right, down = transform.box(draws).unbind(dim=1)
    for side, place in ((width, right), (height, down)):
        assert (side <= 1).all()
        assert (place.abs() + side / 2 <= 0.5 + 1e-12).all()
    whole = (width < 1) & (height < 1)
    assert torch.allclose((width * height)[whole], 1 - 0.8 * draws[whole, 0].abs())
    assert (width * height <= 1 - 0.8 * draws[:, 0].abs() + 1e-12).all()
    assert 0.2 * len(draws) < whole.sum() < len(draws)

"""The base views against torchvision: crops by distribution and by pixel, colours by pixel."""

from collections.abc import Callable
from dataclasses import replace
from itertools import permutations

import pytest
import torch
import torchvision.transforms.functional as F
from scipy.stats import ks_2samp
from torch import Tensor
from torchvision.transforms import RandomResizedCrop

from sparring import colours
from sparring.recipe import Views
from sparring.tensors import constant
from sparring.views import base_view, crop, draw_boxes, draw_view, jitter_matrix, render_view

LUMA_ROUNDING = 3e-4
"""torchvision rounds the weight of red to 0.2989 where Rec. 601 has 0.299: at most 1e-4 per unit of a factor near 2."""
MEASURES: dict[str, Callable[[Tensor], Tensor]] = {
    "top": lambda box: box[:, 0],
    "left": lambda box: box[:, 1],
    "height": lambda box: box[:, 2],
    "width": lambda box: box[:, 3],
    "area": lambda box: box[:, 2] * box[:, 3],
    "ratio": lambda box: box[:, 3] / box[:, 2],
    "middle, down": lambda box: box[:, 0] + box[:, 2] / 2,
    "middle, right": lambda box: box[:, 1] + box[:, 3] / 2,
}


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(
    ("height", "width", "scale", "ratio"),
    [
        (32, 32, (0.2, 1.0), (3 / 4, 4 / 3)),
        (48, 32, (0.08, 1.0), (3 / 4, 4 / 3)),
        (30, 50, (0.08, 1.0), (3 / 4, 4 / 3)),
        (64, 32, (0.5, 1.0), (3 / 4, 4 / 3)),  # fits at one attempt in twelve: four crops in ten fall back
        (64, 16, (0.9, 1.0), (0.9, 1.1)),  # never fits: the fallback
    ],
)
def test_crops_are_distributed_as_torchvisions(
    height: int, width: int, scale: tuple[float, float], ratio: tuple[float, float]
) -> None:
    """Also the share of crops that fall back, which counts the attempts."""
    n = 4000
    ours = draw_boxes(n, height, width, scale, ratio, generator())
    image = torch.zeros(3, height, width)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        drawn = [RandomResizedCrop.get_params(image, list(scale), list(ratio)) for _ in range(n)]
    theirs = torch.tensor(drawn, dtype=ours.dtype)
    for name, measure in MEASURES.items():
        assert ks_2samp(measure(ours).tolist(), measure(theirs).tolist()).pvalue > 1e-3, name
    assert (ours[:, :2] >= 0).all()
    assert (ours[:, 0] + ours[:, 2] <= height).all()
    assert (ours[:, 1] + ours[:, 3] <= width).all()
    assert torch.equal(ours, ours.round())


@pytest.mark.parametrize(("flip", "side"), [(False, None), (True, None), (False, 24), (True, 24), (False, 40)])
def test_a_box_is_cropped_as_torchvision_crops_it(photographs: Tensor, flip: bool, side: int | None) -> None:
    boxes = torch.tensor([[0, 0, 32, 32], [3, 5, 17, 20], [10, 0, 9, 31], [31, 31, 1, 1]], dtype=torch.float64)
    ours = crop(photographs[:4], boxes, torch.full((4,), flip), side)
    for image, box, view in zip(photographs[:4], boxes.int().tolist(), ours, strict=True):
        expected = F.resized_crop(image, *box, size=[side or 32] * 2, antialias=False)
        assert torch.allclose(view, F.hflip(expected) if flip else expected, atol=1e-9)


@pytest.mark.parametrize("factor", [0.0, 0.6, 1.0, 1.4, 2.0])
def test_colours_are_adjusted_as_torchvision_adjusts_them(photographs: Tensor, factor: float) -> None:
    factors = torch.full((len(photographs),), factor, dtype=torch.float64)
    means = photographs.mean(dim=(2, 3))
    pairs = {
        "brightness": (colours.brightness(factors), F.adjust_brightness),
        "contrast": (colours.contrast(factors, means), F.adjust_contrast),
        "saturation": (colours.saturation(factors), F.adjust_saturation),
    }
    for name, (matrix, adjust) in pairs.items():
        ours, theirs = colours.apply_colour(photographs, matrix), adjust(photographs, factor)
        assert (ours - theirs).abs().max() < LUMA_ROUNDING, name


def test_grey_is_torchvisions(photographs: Tensor) -> None:
    ours = colours.apply_colour(photographs, colours.saturation(torch.zeros(len(photographs)).double()))
    assert (ours - F.rgb_to_grayscale(photographs, 3)).abs().max() < LUMA_ROUNDING


@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_jitter_composes_the_four_in_any_order(photographs: Tensor, order: tuple[int, ...]) -> None:
    """Against one after another, on faint images that no step clamps."""
    images = 0.4 + 0.1 * photographs[:3]
    factors = torch.tensor([[1.2, 0.7, 1.3, 0.05], [0.8, 1.2, 0.6, -0.1], [1.0, 1.1, 0.9, 0.02]]).double()
    orders = torch.tensor(order).expand(3, 4)
    ours = colours.apply_colour(images, jitter_matrix(images.mean(dim=(2, 3)), factors, orders))
    step = images
    for place in order:
        means = step.mean(dim=(2, 3))
        bright, contrast, saturation, turns = factors.unbind(1)
        matrices = (
            colours.brightness(bright), colours.contrast(contrast, means), colours.saturation(saturation),
            colours.hue(turns),
        )  # fmt: skip
        step = colours.apply_colour(step, matrices[place])
    assert torch.allclose(ours, step, atol=1e-9)


def test_views_are_a_function_of_the_generator_and_differ_between_images(photographs: Tensor) -> None:
    same = photographs[:1].expand(8, 3, 32, 32)
    first, again, other = (base_view(same, Views(), generator(seed)) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert all(not torch.equal(first[0], view) for view in first[1:])
    assert first.min() >= 0
    assert first.max() <= 1


def test_bytes_and_numbers_give_the_same_view(photographs: Tensor) -> None:
    as_bytes = (255 * photographs).round().to(torch.uint8)
    draw = draw_view(len(as_bytes), 32, 32, Views(), generator())
    assert torch.allclose(render_view(as_bytes, draw), render_view(as_bytes.float() / 255, draw))


def test_probabilities_are_met() -> None:
    n = 8000
    draw = draw_view(n, 32, 32, Views(flip=0.5, jitter=0.8, grey=0.2), generator())
    for name, share in (("flips", 0.5), ("jittered", 0.8), ("greys", 0.2)):
        deviation = (share * (1 - share) / n) ** 0.5
        assert abs(getattr(draw, name).double().mean().item() - share) < 4 * deviation, name
    assert draw.orders.sort(dim=1).values.unique(dim=0).tolist() == [[0, 1, 2, 3]]
    for column, (low, high) in enumerate([(0.6, 1.4)] * 3 + [(-0.1, 0.1)]):
        uniform = torch.linspace(low, high, n).tolist()
        assert ks_2samp(draw.factors[:, column].tolist(), uniform).pvalue > 1e-3


def test_no_chance_leaves_the_image_and_weakened_views_approach_it(photographs: Tensor) -> None:
    still = replace(Views(crop_scale=(1.0, 1.0), crop_ratio=(1.0, 1.0), flip=0.0), jitter=0.0, grey=0.0)
    assert torch.allclose(base_view(photographs, still, generator()), photographs, atol=1e-9)
    assert Views().weakened(1.0) == Views()
    weakest = Views().weakened(0.0)
    assert (weakest.crop_scale, weakest.jitter, weakest.grey, weakest.flip) == ((1.0, 1.0), 0.0, 0.0, 0.5)
    assert Views().weakened(0.5).crop_scale == pytest.approx((0.6, 1.0))


def test_constants_asked_for_in_inference_first_can_be_trained_through() -> None:
    values = (0.25, 0.5, 0.75)
    with torch.inference_mode():
        assert not constant(values, torch.ones(1, dtype=torch.float64)).is_inference()
    weights = torch.ones(3, dtype=torch.float64, requires_grad=True)
    (weights * constant(values, weights)).sum().backward()
    assert weights.grad is not None
    assert weights.grad.tolist() == list(values)
    assert constant(values, weights) is constant(values, weights)  # sent once
    assert constant(values, torch.ones(1)).dtype == torch.float32

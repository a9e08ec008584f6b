"""Where the base views and torchvision's differ on purpose, by how much; and whole views against one step at a time."""

from itertools import permutations

import pytest
import torch
import torchvision.transforms.functional as F
from torch import Tensor

from sparring import colours
from sparring.recipe import Views
from sparring.views import draw_view, jitter_matrix, render_view

HUE = {0.02: (0.011, 0.12), 0.05: (0.028, 0.24), 0.1: (0.05, 0.35)}
"""Mean and largest difference by turns: the worse of both directions as measured on the photographs of these tests
(0.0101 and 0.106, 0.0255 and 0.218, 0.0442 and 0.314), rounded up."""
CLAMPS, ONE_AFTER_ANOTHER = 0.003, 0.025
"""Mean difference that clamping once makes, measured 0.0022, and with HSV's hue besides, 0.0202; rounded up."""


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def hue_of(images: Tensor, turns: float) -> Tensor:
    return colours.apply_colour(images, colours.hue(torch.full((len(images),), turns, dtype=images.dtype)))


@pytest.mark.parametrize("turns", [sign * size for size in HUE for sign in (-1, 1)])
def test_hue_differs_from_torchvisions_no_more_than_measured(photographs: Tensor, turns: float) -> None:
    theirs, (mean, most) = F.adjust_hue(photographs, turns), HUE[abs(turns)]
    difference = (hue_of(photographs, turns) - theirs).abs()
    assert difference.mean() < mean
    assert difference.max() < most
    assert difference.mean() < (hue_of(photographs, -turns) - theirs).abs().mean() / 2, "torchvision's direction"


def test_hue_keeps_greys_and_luma_and_undoes_itself(photographs: Tensor) -> None:
    greys = photographs.mean(dim=1, keepdim=True).expand(-1, 3, -1, -1)
    assert torch.allclose(hue_of(greys, 0.3), greys, atol=1e-12)
    faint = 0.45 + 0.1 * photographs
    turned = hue_of(faint, 0.1)
    luma = colours.luma(faint)
    assert torch.allclose(*(torch.einsum("c,bchw->bhw", luma, x) for x in (faint, turned)), atol=1e-12)
    assert torch.allclose(hue_of(turned, -0.1), faint, atol=1e-12)


def one_after_another(image: Tensor, order: list[int], factors: list[float], *, hsv: bool) -> Tensor:
    """The four operations in this order, clamped after each as in `ColorJitter`; hue as torchvision's or as ours."""
    adjust = [F.adjust_brightness, F.adjust_contrast, F.adjust_saturation]
    for place in order:
        if place < 3:
            image = adjust[place](image, factors[place])
        else:
            image = F.adjust_hue(image, factors[3]) if hsv else hue_of(image[None], factors[3])[0]
    return image


def test_jitter_differs_from_colorjitter_no_more_than_measured(photographs: Tensor) -> None:
    """In each of the 24 orders, with factors drawn as the default views draw them."""
    orders, draws = torch.tensor(list(permutations(range(4)))).repeat(8, 1), generator()
    n, views = len(orders), Views()
    images = photographs.repeat(n // len(photographs), 1, 1, 1)
    factors = draw_view(n, 32, 32, views, draws).factors.double()
    ours = colours.apply_colour(images, jitter_matrix(images.mean(dim=(2, 3)), factors, orders))
    for hsv, bound in ((False, CLAMPS), (True, ONE_AFTER_ANOTHER)):
        pairs = zip(images, orders.tolist(), factors.tolist(), strict=True)
        theirs = torch.stack([one_after_another(*pair, hsv=hsv) for pair in pairs])
        assert (ours - theirs).abs().mean() < bound


def test_a_whole_view_is_its_steps_one_after_another(photographs: Tensor) -> None:
    """Crop, flip, jitter where its coin fell, grey where its coin fell; on faint images, which no step clamps."""
    images = 0.45 + 0.1 * photographs.repeat(4, 1, 1, 1)
    draw = draw_view(len(images), 32, 32, Views(jitter=0.5, grey=0.5), generator())
    cases = set(zip(draw.jittered.tolist(), draw.greys.tolist(), draw.flips.tolist(), strict=True))
    assert len(cases) == 8, "every combination of coins is met"
    for i, view in enumerate(render_view(images, draw)):
        expected = F.resized_crop(images[i], *draw.boxes[i].int().tolist(), size=[32, 32], antialias=False)
        expected = F.hflip(expected) if draw.flips[i] else expected
        if draw.jittered[i]:
            expected = one_after_another(expected, draw.orders[i].tolist(), draw.factors[i].tolist(), hsv=False)
        expected = F.rgb_to_grayscale(expected, 3) if draw.greys[i] else expected
        assert (view - expected).abs().max() < 3e-4, "torchvision's 0.2989 for 0.299"

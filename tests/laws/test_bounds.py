"""What the laws of transforms leave open: exact identities, what parameters mean physically, what the log is told."""

import math
from itertools import permutations
from typing import Any

import pytest
import torch
import torchvision.transforms.functional as F
from hypothesis import given, settings, strategies as st
from torch import Tensor

from sparring.colours import LUMA
from sparring.contracts import Transform
from sparring.errors import InputError
from sparring.parts import build
from sparring.recipe import Part
from sparring.transforms import TRANSFORMS, Chain, Colour, Jitter, Pixels, Rotation, Translation

SHAPE = (3, 8, 6)
NEEDS = {"chain": {"parts": ["rotation", "colour"]}}
ROUNDING = 1e-13
"""A few dozen float64 operations on numbers of at most 1."""
LUMA_ROUNDING = 3e-4
"""torchvision rounds the weight of red to 0.2989 where Rec. 601 has 0.299: at most 1e-4 per unit of a factor near 2."""


def every() -> list[Transform]:
    context = {"image_shape": SHAPE, "image_count": 8, "labels": None}
    return [build("transform", Part(name, NEEDS.get(name, {})), context).double() for name in TRANSFORMS]


def names(transform: Any) -> str:
    return type(transform).__name__


def box(transform: Transform, value: float, count: int = 1) -> Tensor:
    return torch.full((count, *transform.parameter_shape(SHAPE)), value, dtype=torch.float64)


@pytest.mark.parametrize(
    "transform",
    [Pixels(), Jitter(), Colour(), Colour(space="doubly_stochastic")],
    ids=["pixels", "jitter", "colour-mix", "colour-doubly"],
)
def test_zero_is_exact_where_nothing_is_resampled(transform: Transform, photographs: Tensor) -> None:
    images = photographs[:, :, :8, :6]
    assert (transform(images, box(transform, 0.0, len(images))) - images).abs().max() <= ROUNDING


@pytest.mark.parametrize("transform", every(), ids=names)
@given(seed=st.integers(0, 2**31), reach=st.floats(0, 1e6))
@settings(max_examples=20, deadline=None)
def test_projection_of_anything_lands_in_the_box_and_stays(transform: Transform, seed: int, reach: float) -> None:
    shape = (4, *transform.parameter_shape(SHAPE))
    anything = reach * torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    once = transform.project(anything)
    assert once.shape == anything.shape
    assert once.abs().max() <= 1 + ROUNDING
    assert torch.allclose(transform.project(once), once, atol=1e-9)
    if type(transform).project is Transform.project:  # others allow less than the box: a ball, an area
        inside = anything / max(1.0, anything.abs().max().item())
        assert torch.equal(transform.project(inside), inside)


def test_a_chain_applies_its_parts_in_their_order(photographs: Tensor) -> None:
    """Pixels, then colour: noise is recoloured too; the other way round it is not."""
    images, generator = 0.3 + 0.4 * photographs[:4, :, :8, :6], torch.Generator().manual_seed(0)
    pixels, colour = Pixels(eps=0.1), Colour(a_max=1.0)
    noise = 2 * torch.rand(4, *SHAPE, dtype=torch.float64, generator=generator) - 1
    mix = 2 * torch.rand(4, 10, dtype=torch.float64, generator=generator) - 1
    chain = Chain([pixels, colour], image_shape=SHAPE)
    ours = chain(images, torch.cat([noise.flatten(1), mix], dim=1))
    assert torch.allclose(ours, colour(pixels(images, noise), mix), atol=ROUNDING)
    assert not torch.allclose(ours, pixels(colour(images, mix), noise), atol=1e-3)


class Halved(Rotation):
    """Allows half of the box."""

    def project(self, params: Tensor) -> Tensor:
        return params.clamp(-0.5, 0.5)


def test_a_chain_projects_each_part_as_the_part_itself_does() -> None:
    chain = Chain([Rotation(), Halved(), Translation()], image_shape=SHAPE)
    assert chain.project(torch.full((2, 4), 3.0)).tolist() == [[1.0, 0.5, 1.0, 1.0]] * 2


def jittered_with_loops(image: Tensor, factors: list[float]) -> Tensor:
    """Brightness, contrast, saturation one after another, pixel by pixel, with nothing clamped."""
    bright, contrast, saturation = factors
    height, width = image.shape[1:]
    out = image.clone()
    grey = sum(LUMA[c] * float(bright * image[c].mean()) for c in range(3))
    for y in range(height):
        for x in range(width):
            rgb = [contrast * bright * float(image[c, y, x]) + (1 - contrast) * grey for c in range(3)]
            luma = sum(weight * value for weight, value in zip(LUMA, rgb, strict=True))
            for c in range(3):
                out[c, y, x] = saturation * rgb[c] + (1 - saturation) * luma
    return out


def test_jitter_written_with_loops(photographs: Tensor) -> None:
    """All three at once, so that contrast is taken against the mean of what brightness left."""
    images = 0.4 + 0.1 * photographs[:3, :, :8, :6]
    params = torch.tensor([[0.5, -0.7, 0.4, 0.0], [-1.0, 1.0, -0.6, 0.0], [0.3, 0.9, 1.0, 0.0]]).double()
    ours = Jitter(brightness=0.4, contrast=0.3, saturation=0.8)(images, params)
    for image, row, hard in zip(images, params.tolist(), ours, strict=True):
        factors = [1 + bound * p for bound, p in zip((0.4, 0.3, 0.8), row, strict=False)]
        assert torch.allclose(hard, jittered_with_loops(image, factors), atol=1e-12)


@pytest.mark.parametrize("param", [-1.0, -0.5, 0.5, 1.0])
def test_jitter_turns_hue_by_the_stated_angle_in_torchvisions_direction(photographs: Tensor, param: float) -> None:
    """Luma stays, chroma keeps its length and turns by hue x 360 degrees; torchvision's shift lies on the same side."""
    images, transform = 0.45 + 0.1 * photographs, Jitter(hue=0.08)
    params = torch.zeros(len(images), 4, dtype=torch.float64)
    params[:, 3] = param
    hard = transform(images, params)
    weights = torch.tensor(LUMA).double()
    assert torch.allclose(*(torch.einsum("c,bchw->bhw", weights, x) for x in (images, hard)), atol=1e-12)
    # the published YIQ axes have four digits, so that the angle in an independent basis holds to as many
    axes = torch.tensor([[0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]]).double()
    before, after = (torch.view_as_complex(torch.einsum("kc,bchw->bhwk", axes, x).contiguous()) for x in (images, hard))
    coloured = before.abs() > 1e-3
    angles = (after / before)[coloured].angle() / (2 * math.pi)
    assert angles.abs().sub(0.08 * abs(param)).abs().max() < 1e-6
    assert angles.sign().unique().numel() == 1
    theirs = F.adjust_hue(images, 0.08 * param)
    mirrored = transform(images, -params)
    assert (hard - theirs).abs().mean() < (mirrored - theirs).abs().mean() / 2


def test_jitter_at_its_bounds_is_torchvision_at_the_constructors_factors(photographs: Tensor) -> None:
    transform = Jitter(brightness=0.4, contrast=0.3, saturation=0.6, hue=0.0)
    adjust = (F.adjust_brightness, F.adjust_contrast, F.adjust_saturation)
    for place, (bound, function) in enumerate(zip((0.4, 0.3, 0.6), adjust, strict=True)):
        for sign in (-1, 1):
            params = torch.zeros(len(photographs), 4, dtype=torch.float64)
            params[:, place] = sign
            theirs = function(photographs, 1 + sign * bound)
            assert (transform(photographs, params) - theirs).abs().max() < LUMA_ROUNDING


def test_translation_by_whole_pixels_moves_right_and_down(photographs: Tensor) -> None:
    """An eighth of 32 pixels is 4, and the far rows and columns come from the image itself."""
    transform = Translation(share=0.125)
    right, down = torch.tensor([[1.0, 0.0]]).double(), torch.tensor([[0.0, 1.0]]).double()
    image = photographs[:1]
    assert torch.allclose(transform(image, right)[..., 4:], image[..., :-4], atol=1e-9)
    assert torch.allclose(transform(image, down)[..., 4:, :], image[..., :-4, :], atol=1e-9)
    for params, name, other in ((right, "right", "down"), (down, "down", "right")):
        described = transform.describe(params)
        assert described[f"translation/{name}"].item() == 0.125
        assert described[f"translation/{other}"].item() == 0


def test_a_quarter_turn_is_counter_clockwise(photographs: Tensor) -> None:
    ours = Rotation(degrees=90)(photographs[:2], torch.ones(2, 1).double())
    assert torch.allclose(ours, photographs[:2].rot90(1, dims=(2, 3)), atol=1e-9)


def test_described_numbers_reach_the_constructors_bounds() -> None:
    bounds = {"brightness": 0.4, "contrast": 0.3, "saturation": 0.2, "hue": 0.1}
    transform = Jitter(**bounds)
    for sign in (-1, 1):
        described = transform.describe(box(transform, sign))
        for name, bound in bounds.items():
            middle = 0 if name == "hue" else 1
            assert described[f"jitter/{name}"].item() == pytest.approx(middle + sign * bound)
    for space in ("mix", "doubly_stochastic"):
        colour = Colour(space=space, a_max=0.25)  # type: ignore[arg-type]
        assert [colour.describe(box(colour, sign))["colour/mix"].item() for sign in (-1, 1)] == [0.25, 0.25]


def test_the_colour_matrix_is_named_to_from() -> None:
    """Row r of the matrix holds what red is made of: Eq. 6 with all of red's weight on blue."""
    colour = Colour(space="softmax", sharpness=50.0)
    params = torch.zeros(1, 9, dtype=torch.float64)
    params[0, 2] = 1
    image = torch.tensor([0.2, 0.5, 0.9], dtype=torch.float64).view(1, 3, 1, 1)
    assert colour(image, params)[0, 0].item() == pytest.approx(0.9, abs=1e-9)
    assert colour.describe(params)["colour/r_from_b"].item() == pytest.approx(1, abs=1e-9)
    assert colour.describe(params)["colour/b_from_r"].item() == pytest.approx(1 / 3, abs=1e-9)


def test_a_doubly_stochastic_matrix_is_a_mean_of_permutations_by_their_sharpened_logits() -> None:
    colour = Colour(space="doubly_stochastic", a_max=0.6, sharpness=2.0)
    amount, *logits = (0.5, 0.3, -1.0, 0.7, 0.0, 1.0, -0.2)
    weights = [math.exp(2 * logit) for logit in logits]
    expected = (1 - 0.3) * torch.eye(3).double()
    for order, weight in zip(permutations(range(3)), weights, strict=True):
        for row, column in enumerate(order):
            expected[row, column] += 0.3 * weight / sum(weights)
    assert torch.allclose(colour.matrix(torch.tensor([[amount, *logits]]).double())[0], expected, atol=1e-12)


def test_a_search_that_starts_at_the_identity_can_leave_it() -> None:
    """The mix is even in its amount, and its derivative at 0 is still that of one side."""
    for space in ("mix", "doubly_stochastic"):
        colour = Colour(space=space)  # type: ignore[arg-type]
        params = box(colour, 0.0).requires_grad_()
        image = torch.tensor([0.2, 0.5, 0.9], dtype=torch.float64).view(1, 3, 1, 1)
        (gradient,) = torch.autograd.grad(colour(image, params)[0, 0, 0, 0], params)
        # red goes from 0.2 towards the mean of the channels, 1.6 / 3, at a rate of a_max
        assert gradient[0, 0].item() == pytest.approx(0.4 * (1.6 / 3 - 0.2), abs=1e-6)


def test_a_chain_describes_each_of_its_parts() -> None:
    parts: list[Transform] = [Rotation(), Translation(), Colour(), Jitter()]
    chain = Chain(parts, image_shape=SHAPE)
    expected = [name for part in parts for name in part.describe(box(part, 0.5))]
    assert list(chain.describe(box(chain, 0.5))) == expected
    assert len(set(expected)) == len(expected)


def test_a_chain_describes_a_part_that_it_holds_twice() -> None:
    """As in a blend of two opponents that both own a rotation."""
    chain = Chain([Rotation(degrees=30), Rotation(degrees=10)], image_shape=SHAPE)
    named = {name: value.item() for name, value in chain.describe(box(chain, 1.0)).items()}
    assert named == pytest.approx({"rotation/degrees": 30, "rotation/degrees-2": 10})
    deep = Chain([chain, Rotation(degrees=20)], image_shape=SHAPE)
    named = {name: value.item() for name, value in deep.describe(box(deep, 1.0)).items()}
    assert named == pytest.approx({"rotation/degrees": 30, "rotation/degrees-2": 10, "rotation/degrees-3": 20})


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation", "hue"])
def test_jitter_refuses_bounds_that_are_no_numbers(name: str, value: float) -> None:
    with pytest.raises(InputError, match="jitter"):
        build("transform", Part("jitter", {name: value}), {})


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_colour_refuses_a_sharpness_that_is_no_number(value: float) -> None:
    with pytest.raises(InputError, match="sharpness"):
        build("transform", Part("colour", {"sharpness": value}), {})

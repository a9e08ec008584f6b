"""Searches against a kept library and against their definitions."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import foolbox
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sparring.adversaries import Power, Search
from sparring.contracts import Transform, Turn
from sparring.errors import InputError
from sparring.transforms import Blur, Chain, Colour, Frequency, Gain, Hsv, Mask, Operations, Pixels, Rotation, Tone
from sparring.transforms.balls import size


class Classifier(nn.Module):
    """Small, without kinks, in float64."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Conv2d(3, 6, 3), nn.Tanh(), nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(96, 5))
        self.double().eval().requires_grad_(False)

    def forward(self, images: Tensor) -> Tensor:
        return self.net(images)


@pytest.fixture(scope="module")
def model() -> Classifier:
    with torch.random.fork_rng():
        return Classifier()


def turn(images: Tensor, loss: Callable[[Tensor], Tensor], transform: Transform) -> Turn:
    def hardness(params: Tensor, side: int = 0, running: bool = False) -> Tensor:
        return loss(transform(images, params))

    nothing = torch.zeros(len(images), 1)
    seeds = torch.Generator().manual_seed(0)
    return Turn(images, torch.arange(len(images)), lambda: nothing, hardness, lambda: nothing, 0, seeds)


def cross_entropy(model: nn.Module, labels: Tensor) -> Callable[[Tensor], Tensor]:
    return lambda views: F.cross_entropy(model(views), labels, reduction="none")


NORMS = pytest.mark.parametrize(
    ("norm", "eps", "attack"), [("linf", 8 / 255, foolbox.attacks.LinfPGD), ("l2", 1.0, foolbox.attacks.L2PGD)]
)


def assert_foolbox(
    images: Tensor, norm: Any, eps: float, attack: Any, model: Classifier, *, steps: int, step: float
) -> Tensor:
    """The images as foolbox attacks them, which are ours; `step` is a share of the radius."""
    labels, pixels = torch.arange(len(images)) % 5, Pixels(eps=eps, norm=norm)
    library = attack(steps=steps, abs_stepsize=step * eps, random_start=False)
    _, theirs, _ = library(foolbox.PyTorchModel(model, bounds=(0, 1)), images, labels, epsilons=eps)
    search = Search(pixels, steps=steps, step_size=step, random_start=False)
    found = search.propose(turn(images, cross_entropy(model, labels), pixels)).params
    assert found is not None
    assert torch.allclose(pixels(images, found), theirs, atol=1e-7)
    return theirs


@NORMS
@pytest.mark.parametrize("steps", [1, 7])
def test_pgd_is_foolbox(norm: Any, eps: float, attack: Any, steps: int, model: Classifier, photographs: Tensor) -> None:
    """Loss, step and ball are the same. It clamps the image to [0, 1] after each step, we the view: one path as long
    as no pixel is at an end of the range, so the photographs are squeezed; its guard in the divisor of L2 is 1e-12."""
    images = 0.3 + 0.4 * photographs
    theirs = assert_foolbox(images, norm, eps, attack, model, steps=steps, step=0.25)
    assert (theirs - images).abs().max() > 1 / 255


@NORMS
def test_a_first_step_moves_black_and_white_pixels_too(
    norm: Any, eps: float, attack: Any, model: Classifier, photographs: Tensor
) -> None:
    """torch's clamp has no slope at its bounds: with it a step from the clean image would leave them as they are."""
    images = (2 * photographs - 0.5).clamp(0, 1)
    ends = (images == 0) | (images == 1)
    theirs = assert_foolbox(images, norm, eps, attack, model, steps=1, step=1.0)
    assert (theirs != images)[ends].float().mean() > 0.3


@pytest.mark.parametrize(
    "transform", [Frequency(), Mask(fill="grey"), Tone(operation="invert"), Gain()], ids=lambda t: type(t).__name__
)
def test_black_and_white_images_have_a_slope_at_the_identity(transform: Transform) -> None:
    images = torch.tensor([0.0, 1.0], dtype=torch.float64)[:, None, None, None].expand(2, 3, 8, 8)
    still = torch.zeros(2, *transform.parameter_shape((3, 8, 8)), dtype=torch.float64, requires_grad=True)
    weights = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    (slope,) = torch.autograd.grad((weights * transform(images, still)).sum(), still)
    assert slope[1].abs().max() > 0
    assert slope[0].abs().max() > 0 or isinstance(transform, Gain), "a factor leaves black as it is"


@pytest.mark.parametrize(
    ("transform", "places"), [(Operations(image_shape=(3, 8, 8)), (5, 8)), (Hsv(), (1, 2))], ids=["operations", "hsv"]
)
def test_what_moves_black_and_white_pixels_one_way_has_that_slope(
    transform: Transform, places: tuple[int, ...]
) -> None:
    """Brightness and sharpness, saturation and value: the slope at the identity is one side's, of every pixel."""
    generator = torch.Generator().manual_seed(0)
    images = (2 * torch.rand(1, 3, 8, 8, generator=generator, dtype=torch.float64) - 0.5).clamp(0, 1)
    weights = torch.rand(1, 3, 8, 8, generator=generator, dtype=torch.float64)

    def objective(params: Tensor) -> Tensor:
        return (weights * transform(images, params)).sum()

    still = torch.zeros(1, *transform.parameter_shape((3, 8, 8)), dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(objective(still), still)
    step = 1e-6
    for place in places:
        moved = torch.zeros_like(still).index_fill(1, torch.tensor(place), step)
        inwards = (objective(still) - objective(-moved)) / step
        assert slope[0, place].item() == pytest.approx(inwards.item(), rel=1e-4)
        assert abs((objective(moved) - objective(still)).item() / step - slope[0, place].item()) > 0.1


def test_power_iteration_finds_the_direction_of_strongest_curvature(photographs: Tensor) -> None:
    """On a quadratic bowl it is the Hessian's leading eigenvector, found here by eigh."""
    images, pixels = photographs[:3, :, :4, :4], Pixels(eps=0.05, norm="l2")
    draws = torch.randn(48, 48, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    hessian = draws @ draws.T

    def bowl(views: Tensor) -> Tensor:
        moves = (views - images).flatten(1)
        return torch.einsum("bi,ij,bj->b", moves, hessian, moves)

    inside = 0.2 + 0.6 * images
    images = inside  # away from the ends of the range, so that no clamp bends the bowl
    found = Power(pixels, iterations=200).propose(turn(images, bowl, pixels)).params
    assert found is not None
    leading = torch.linalg.eigh(hessian).eigenvectors[:, -1]
    assert torch.allclose((found.flatten(1) @ leading).abs(), torch.ones(3).double(), atol=1e-6)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_power_looks_a_little_way_along_and_then_goes_to_the_bound(norm: Any, photographs: Tensor) -> None:
    images, pixels, looks = photographs[:3], Pixels(norm=norm), list[Tensor]()

    def hardness(params: Tensor, side: int = 0, running: bool = False) -> Tensor:
        looks.append(size(params, norm))
        return (params - 1).square().flatten(1).sum(dim=1)

    played = replace(turn(images, lambda views: views, pixels), hardness=hardness)
    found = Power(pixels, iterations=2, xi=0.2).propose(played).params
    assert found is not None
    assert [each.tolist() for each in looks] == [pytest.approx([0.2] * 3)] * 2
    assert size(found, norm).tolist() == pytest.approx([1.0] * 3)


def test_a_chain_moves_each_part_its_own_steepest_way(photographs: Tensor) -> None:
    parts = [Pixels(norm="l2"), Mask(area=0.25, cells=4), Rotation(), Colour()]
    chain = Chain(parts, image_shape=(3, 8, 8))
    seeds = torch.Generator().manual_seed(0)
    gradient = torch.randn(2, *chain.parameter_shape((3, 8, 8)), dtype=torch.float64, generator=seeds)
    ends = (0, 192, 208, 209, 219)
    shapes = [part.parameter_shape((3, 8, 8)) for part in parts]
    for part, start, end, shape in zip(parts, ends, ends[1:], shapes, strict=False):
        expected = part.steepest(gradient[:, start:end].reshape(2, *shape)).flatten(1)
        assert torch.equal(chain.steepest(gradient)[:, start:end], expected)


UNSIGNED = {"blur": Blur(sigma=2.0), "mask": Mask(), "mix": Colour(), "invert": Tone(operation="invert")}


@pytest.mark.parametrize("transform", UNSIGNED.values(), ids=UNSIGNED)
@pytest.mark.parametrize("start", ["identity", "chance"])
def test_a_search_leaves_alone_what_only_helps_the_encoder(
    transform: Transform, start: str, photographs: Tensor
) -> None:
    """The size of a parameter is what counts: a step to less of it must not come out as more of it behind 0."""
    images = photographs[:4]

    def loss(views: Tensor) -> Tensor:
        return -(views - images).abs().flatten(1).mean(dim=1)

    search = Search(transform, steps=6, step_size=0.5, random_start=start == "chance")
    found = search.propose(turn(images, loss, transform)).params
    assert found is not None
    unsigned = transform.unsigned(found)
    assert unsigned.any()
    assert (found[unsigned] == 0).all()
    assert torch.allclose(transform(images, found), images, atol=1e-6)


def test_the_last_step_of_a_search_is_written_out() -> None:
    """Loss a|p| of an opacity: up from 0 and from either side where a > 0, to 0 and no further where a < 0."""
    transform = Blur()
    params = torch.tensor([[0.0], [0.3], [-0.3], [0.0], [0.3], [-0.3]])
    gradient = torch.tensor([[1.0], [1.0], [-1.0], [-1.0], [-1.0], [1.0]])
    assert transform.ascend(params, gradient, 0.5).flatten().tolist() == pytest.approx([0.5, 0.8, -0.8, 0, 0, 0])
    signed = Rotation()
    assert signed.ascend(params, gradient, 0.5).flatten().tolist() == pytest.approx([0.5, 0.8, -0.8, -0.5, -0.2, 0.2])


def test_power_leaves_alone_what_only_helps_the_encoder(photographs: Tensor) -> None:
    images = photographs[:4]
    found = Power(Blur()).propose(turn(images, lambda views: -(views - images).abs().sum(dim=(1, 2, 3)), Blur())).params
    assert found is not None
    assert (found == 0).all()


def test_a_search_from_the_identity_asks_for_one() -> None:
    with pytest.raises(InputError, match="search: random_start = false: expected a transform that leaves the image"):
        Search(Colour(space="grey"), random_start=False)
    Search(Colour(space="grey"))

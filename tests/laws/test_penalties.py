"""The laws that every registered penalty obeys, and what each one measures."""

import copy
import math

import pytest
import torch
from fits import CONTEXT
from torch import Tensor

from sparring.assembly import build_learner
from sparring.contracts import Move, Penalty
from sparring.encoders import resnet12
from sparring.errors import InputError
from sparring.parts import build
from sparring.penalties import PENALTIES
from sparring.randomness import generator_for, seeded
from sparring.recipe import Part, Recipe
from sparring.rounds import Batch
from sparring.transforms import Colour, Rotation

STRICT: dict[str, dict[str, float]] = {
    "colour_distance": {"budget": 0.5},
    "entropy_band": {"low": 0.99},
    "hardness_bound": {"ratio": 0.0, "margin": -2.0},
    "teacher": {"floor": 1.0},
}


def make(name: str, transform: Colour) -> Penalty:
    with seeded(0):
        context = {"encoder": resnet12(width=0.0625).double(), "transform": transform}
        penalty: Penalty = build("penalty", Part(name, STRICT.get(name, {})), context)
    return penalty.double()


def darkness(view: Tensor) -> Tensor:
    """A stand-in for the round's loss."""
    return -view.square().mean(dim=(1, 2, 3))


def move(transform: Colour, images: Tensor, reach: float, seed: int = 0) -> Move:
    draws = torch.Generator().manual_seed(seed)
    box = 2 * torch.rand(len(images), *transform.parameter_shape((3, 32, 32)), generator=draws, dtype=torch.float64) - 1
    params = (reach * box).requires_grad_()
    return Move(images, transform(images, params), params, transform, darkness)


every = pytest.mark.parametrize("name", PENALTIES)


@every
def test_costs_are_per_image_non_negative_and_give_the_adversary_a_gradient(name: str, photographs: Tensor) -> None:
    transform = Colour(a_max=0.8)
    penalty, played = make(name, transform), move(transform, photographs, 1.0)
    cost = penalty(played)
    assert cost.shape == (len(photographs),)
    assert (cost >= 0).all()
    (gradient,) = torch.autograd.grad(cost.sum(), played.params)
    assert gradient.abs().max() > 0


@every
def test_descending_the_cost_lowers_it(name: str, photographs: Tensor) -> None:
    transform = Colour(a_max=0.8)
    penalty, played = make(name, transform), move(transform, photographs, 0.5)
    params, costs = played.params.detach(), []
    for _ in range(15):
        params = params.detach().requires_grad_()
        cost = penalty(Move(photographs, transform(photographs, params), params, transform, darkness)).mean()
        costs.append(cost.item())
        (gradient,) = torch.autograd.grad(cost, params)
        params = transform.project(params - 0.01 * gradient.sign())
    assert costs[-1] < costs[0]


@every
def test_the_encoder_learns_nothing_from_a_penalty(name: str, photographs: Tensor) -> None:
    """Its gradient on the method's weights is the one without the penalty, bit for bit."""
    gradients = []
    for penalties in ((), (Part(name, STRICT.get(name, {})),)):
        recipe = Recipe(encoder=Part("resnet12", {"width": 0.0625}), penalties=penalties)
        with seeded(0):
            learner = build_learner(recipe, CONTEXT).double()
        views = {"first": photographs, "second": photographs.flip(3)}
        outcome = learner(Batch(views, torch.arange(12), 0, 1.0, generator_for(0, 0)))
        outcome.loss.backward()
        assert (outcome.loss.item() < outcome.comparison.mean().item()) == bool(penalties)
        gradients.append([weight.grad for weight in learner.method.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*gradients, strict=True))


def test_divergences_have_their_closed_forms(photographs: Tensor) -> None:
    transform = Colour()
    still = move(transform, photographs, 0.0)
    assert make("kl_identity", transform)(still).abs().max() < 1e-9
    assert torch.allclose(make("kl_uniform", transform)(still), torch.tensor(math.log(3)).double(), atol=1e-9)
    assert make("colour_distance", transform)(still).max() == 0
    grey = Colour(space="softmax")
    assert make("kl_uniform", grey)(move(grey, photographs, 0.0)).abs().max() < 1e-9
    assert torch.allclose(
        make("kl_identity", grey)(move(grey, photographs, 0.0)), torch.tensor(math.log(3)).double(), atol=1e-9
    )


def test_the_entropy_band_sees_the_batchs_mean_not_its_images(photographs: Tensor) -> None:
    """Images that each read one channel, but different ones, have a mean of high entropy."""
    transform = Colour(space="softmax", sharpness=20)
    one_hot = -torch.ones(3, 9, dtype=torch.float64)
    for image in range(3):
        one_hot[image, [(channel + image) % 3 + 3 * channel for channel in range(3)]] = 1
    same = one_hot[:1].expand(3, 9)
    penalty = make("entropy_band", transform)
    diverse, collapsed = (
        penalty(Move(photographs[:3], transform(photographs[:3], params), params, transform, darkness))
        for params in (one_hot, same)
    )
    assert diverse.max() < 1e-6
    assert collapsed.min() > 0.9


def test_colour_penalties_refuse_other_transforms() -> None:
    for name in ("kl_identity", "kl_uniform", "entropy_band"):
        with pytest.raises(InputError, match="'colour'"):
            build("penalty", Part(name), {"transform": Rotation()})


def test_the_teacher_follows_the_encoder(photographs: Tensor) -> None:
    with seeded(0):
        encoder = resnet12(width=0.0625).double()
    teacher = build("penalty", Part("teacher", {"momentum": 0.9}), {"encoder": encoder})
    before = {name: value.clone() for name, value in teacher.teacher.state_dict().items()}
    with torch.no_grad():
        encoder(photographs)  # moves its statistics
        for weight in encoder.parameters():
            weight.add_(1.0)
    teacher.after_step(encoder)
    for name, value in encoder.state_dict().items():
        expected = 0.9 * before[name] + 0.1 * value if value.is_floating_point() else value
        assert torch.allclose(teacher.teacher.state_dict()[name], expected), name
    assert all(not weight.requires_grad for weight in teacher.parameters())


def test_the_teacher_judges_in_evaluation_mode_by_what_the_cosine_lacks_of_the_floor(photographs: Tensor) -> None:
    transform = Colour(a_max=0.8)
    with seeded(0):
        encoder = resnet12(width=0.0625).double()
    for norm in (each for each in encoder.modules() if isinstance(each, torch.nn.BatchNorm2d)):
        norm.momentum = 1.0
    encoder(photographs)  # by the first statistics features of an untrained encoder hardly differ
    played = move(transform, photographs, 1.0)
    cosines = torch.cosine_similarity(copy.deepcopy(encoder).eval()(played.hard), encoder.eval()(photographs))
    floor = cosines.median().item()
    penalty = build("penalty", Part("teacher", {"floor": floor}), {"encoder": encoder.train()}).train()
    before = copy.deepcopy(penalty.state_dict())
    cost = penalty(played)
    assert torch.allclose(cost, (floor - cosines).clamp(min=0), atol=1e-12)
    assert 0 < (cost > 0).sum() < len(photographs)
    assert all(torch.equal(value, before[name]) for name, value in penalty.state_dict().items())


def test_the_colour_distance_of_greys_is_that_of_their_lightness() -> None:
    """L* is 100 for white and 116 Y^(1/3) - 16 for grey, Y = ((0.5 + 0.055) / 1.055)^2.4; half of the pixels change."""
    lightness = 116 * ((0.5 + 0.055) / 1.055) ** (2.4 / 3) - 16
    grey, transform = torch.full((1, 3, 4, 4), 0.5).double(), Colour()
    hard = torch.cat([grey[..., :2], torch.ones_like(grey[..., 2:])], dim=3)
    played = Move(grey, hard, torch.zeros(1, 10).double(), transform, darkness)
    for budget in (10.0, 5.0):
        cost = build("penalty", Part("colour_distance", {"budget": budget}), {})(played)
        assert cost.item() == pytest.approx((100 - lightness) / 2 / budget - 1, abs=1e-3)
    assert build("penalty", Part("colour_distance", {"budget": 24.0}), {})(played).item() == 0


def test_the_entropy_band_is_left_on_either_side_in_units_of_log_3(photographs: Tensor) -> None:
    """Uniform rows have an entropy of 1, the identity's of 0."""
    for transform, entropy in ((Colour(space="softmax"), 1.0), (Colour(), 0.0)):
        for low, high in ((0.6, 0.75), (0.0, 1.0)):
            penalty = build("penalty", Part("entropy_band", {"low": low, "high": high}), {"transform": transform})
            expected = max(0.0, low - entropy, entropy - high)
            assert penalty(move(transform, photographs, 0.0)).tolist() == pytest.approx([expected] * 12, abs=1e-9)


def test_the_hardness_bound_is_a_multiple_of_the_views_own_loss(photographs: Tensor) -> None:
    played = move(Colour(a_max=0.8), photographs, 1.0)
    hard, clean = darkness(played.hard), darkness(photographs)
    margin = (hard - 0.5 * clean).median().item()
    cost = build("penalty", Part("hardness_bound", {"ratio": 0.5, "margin": margin}), {})(played)
    expected = [2 * max(0.0, h - (0.5 * c + margin)) for h, c in zip(hard.tolist(), clean.tolist(), strict=True)]
    assert cost.tolist() == pytest.approx(expected, abs=1e-12)
    assert 0 < (cost > 0).sum() < len(photographs)

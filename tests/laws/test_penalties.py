"""The laws that every registered penalty obeys, and what each one measures."""

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
        for weight in encoder.parameters():
            weight.add_(1.0)
    teacher.after_step(encoder)
    for name, value in encoder.named_parameters():
        assert torch.allclose(teacher.teacher.state_dict()[name], 0.9 * before[name] + 0.1 * value)
    assert all(not weight.requires_grad for weight in teacher.parameters())

"""What the laws of adversaries leave open: where each draw comes from, and how far each choice may go."""

from dataclasses import replace
from itertools import product
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from fits import REQUIRES, fits, normal
from scipy.stats import kstest
from torch import Tensor

from sparring.adversaries import ADVERSARIES, BestOf, Free, Learned, Random
from sparring.contracts import Turn
from sparring.encoders import HALF
from sparring.parts import build
from sparring.randomness import derived_seed, generator_for, seeded
from sparring.recipe import Part
from sparring.transforms import TRANSFORMS, Colour, Jitter, Pixels, Rotation

SIDE, COUNT, FEATURES = 16, 6, 8
CONTEXT: dict[str, Any] = {
    "image_shape": (3, SIDE, SIDE),
    "image_count": 20,
    "labels": None,
    "statistics": HALF,
    "features": FEATURES,
}
BLEND = {"opponents": [{"name": "learned", "transform": "rotation"}, {"name": "search", "transform": "pixels"}]}
NEEDS = {"chain": {"parts": ["rotation", "colour"]}, "blend": BLEND, "replay": {"opponent": "learned"}}
DRAWS = {"random", "best_of", "blend", "search", "policy", "generator", "unet", *REQUIRES}
"""Whose choice depends on chance by default; `power` starts by chance, but the bowl's signs lead to one corner."""


def turn(hardness: Any, *, seed: int = 0, step: int = 0, count: int = COUNT) -> Turn:
    """A turn whose judge is a plain function of the parameters."""
    images, features = torch.rand(count, 3, SIDE, SIDE, generator=generator_for(9, 9)), normal(count, FEATURES).float()
    draws = generator_for(seed, step, stream="adversary")
    return Turn(images, torch.arange(count), lambda: features, hardness, lambda: features + 1, step, draws)


def bowl(params: Tensor, side: int = 0, running: bool = False) -> Tensor:
    """Hardest at 0.3 everywhere; no kinks, no other top."""
    return -(params.flatten(1) - 0.3).square().sum(dim=1)


@pytest.mark.parametrize(("adversary", "transform"), [pair for pair in product(ADVERSARIES, TRANSFORMS) if fits(*pair)])
def test_a_choice_is_a_function_of_seed_and_step_and_of_nothing_else(adversary: str, transform: str) -> None:
    """Every transform: torch's global generator is neither read nor moved."""
    with seeded(0):
        moved = build("transform", REQUIRES.get(adversary, Part(transform, NEEDS.get(transform, {}))), CONTEXT)
        context = {**CONTEXT, "transform": moved}
        player = build("adversary", Part(adversary, NEEDS.get(adversary, {})), context)
    before = {name: value.clone() for name, value in player.state_dict().items()}
    state = torch.random.get_rng_state()
    found = {}
    for name, seed, step, global_seed in (("one", 1, 3, 0), ("again", 1, 3, 1), ("step", 1, 4, 0), ("seed", 2, 3, 0)):
        with torch.random.fork_rng():
            torch.manual_seed(global_seed)
            found[name] = player.propose(turn(bowl, seed=seed, step=step)).params
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(value, before[name]) for name, value in player.state_dict().items())
    if found["one"] is None:
        assert adversary == "none"
        return
    assert torch.equal(found["one"], found["again"])
    for other in ("step", "seed") if adversary != "power" else ():
        assert torch.equal(found["one"], found[other]) == (adversary not in DRAWS), other


def test_streams_and_ranks_draw_apart() -> None:
    """Any two places of training have different seeds, and 1, 23 is not 12, 3."""
    places = [(s, t, r, n) for s in (0, 1, 12) for t in (0, 3, 23) for r in (0, 1) for n in ("", "views", "adversary")]
    assert len({derived_seed(*place) for place in places}) == len(places)
    first, again = (torch.rand(4, generator=generator_for(1, 2, rank=1, stream="views")) for _ in range(2))
    assert torch.equal(first, again)


def test_the_random_control_is_uniform_over_the_whole_box() -> None:
    params = Random(Jitter()).propose(turn(bowl, count=3000)).params
    assert params is not None
    for column in params.unbind(dim=1):
        assert kstest(column.numpy(), "uniform", args=(-1, 2)).pvalue > 1e-3
    correlation = torch.corrcoef(params.T) - torch.eye(4)
    assert correlation.abs().max() < 4 / 3000**0.5, "columns are drawn apart"


def test_best_of_compares_at_its_side_and_each_image_for_itself() -> None:
    sides: list[int] = []
    draws: list[Tensor] = []

    def judge(params: Tensor, side: int = 0) -> Tensor:
        sides.append(side)
        draws.append(params)
        return bowl(params)

    found = BestOf(Rotation(), draws=5, side=8).propose(turn(judge)).params
    assert sides == [8] * 5
    losses = torch.stack([bowl(params) for params in draws])
    assert found is not None
    for image in range(COUNT):
        assert torch.equal(found[image], draws[int(losses[:, image].argmax())][image])
    assert losses.argmax(dim=0).unique().numel() > 1, "images differ in which draw is the hardest"


def test_best_of_trains_an_opponent_by_what_was_kept() -> None:
    with seeded(0):
        opponent = Learned(Rotation(), features=FEATURES, noise=4)
    played, proposed = turn(bowl), turn(bowl)
    kept = BestOf(Colour(), draws=3, opponent=opponent).propose(played).params
    candidates = [opponent.propose(proposed).params for _ in range(3)]
    assert kept is not None
    assert all(params is not None for params in candidates)
    expected = [
        max((params[image] for params in candidates), key=lambda row: bowl(row[None])) for image in range(COUNT)
    ]
    assert torch.equal(kept, torch.stack(expected))
    slope = normal(*kept.shape, seed=3)
    gradients = [
        torch.autograd.grad((rows * slope).sum(), opponent.head.weight)[0] for rows in (kept, torch.stack(expected))
    ]
    assert torch.allclose(*gradients, atol=1e-7)
    assert gradients[0].abs().max() > 0
    assert BestOf(Colour(), opponent=opponent).transform is opponent.transform


@pytest.mark.parametrize("step_size", [0.5, 5.0])
def test_the_memory_of_free_stays_in_the_box(step_size: float) -> None:
    """Rows that took part move by the sign of their gradient and stop at the wall; the others stay."""
    with seeded(0):
        player = Free(Pixels(), image_count=20, image_shape=(3, SIDE, SIDE), step_size=step_size)
    (optimiser,) = player.optimisers(0.0)
    before = player.memory.weight.detach().clone()
    played = replace(turn(bowl), indices=torch.tensor([2, 7, 7, 11, 0, 2]))
    params = player.propose(played).params
    assert params is not None
    slope = normal(*params.shape, seed=3)
    (params * slope).sum().backward()
    optimiser.step()
    expected = before.clone()
    for row in (0, 2, 7, 11):
        own = slope[played.indices == row].sum(dim=0).flatten()
        expected[row] = (before[row] + step_size * own.sign()).clamp(-1, 1)
    assert torch.equal(player.memory.weight, expected)


def test_the_memory_of_free_starts_as_chance_does() -> None:
    with seeded(0):
        player, ball = Free(Jitter(), image_count=3000), Free(Pixels(norm="l2"), image_count=5)
    for column in player.memory.weight.detach().unbind(dim=1):
        assert kstest(column.numpy(), "uniform", args=(-1, 2)).pvalue > 1e-3
    assert torch.allclose(ball.memory.weight.norm(dim=1), torch.ones(5))


def test_noise_of_logits_is_added_before_the_tanh() -> None:
    with seeded(0):
        player = Learned(Jitter(), features=FEATURES, logit_noise=0.3).double()
    features = normal(COUNT, FEATURES)
    draws = torch.randn(COUNT, 4, generator=generator_for(0, 0)).double()
    expected = player.head(F.layer_norm(features, (FEATURES,))) + 0.3 * draws
    assert torch.allclose(player.choose(features, generator_for(0, 0)), expected.tanh(), atol=1e-12)


def test_the_learned_head_written_out() -> None:
    """tanh(W norm(features) + b), features normalised per image: neither their scale nor a shift of all matters."""
    with seeded(0):
        player = Learned(Jitter(), features=FEATURES)
    features = normal(COUNT, FEATURES)
    player = player.double()
    chosen = player.choose(features)
    for row, choice in zip(features, chosen, strict=True):
        variance = ((row - row.mean()) ** 2).mean()
        norm = (row - row.mean()) / (variance + 1e-5).sqrt()
        expected = [
            torch.tanh(sum(w * x for w, x in zip(weights, norm, strict=True)) + bias).item()  # type: ignore[arg-type]
            for weights, bias in zip(player.head.weight, player.head.bias, strict=True)
        ]
        assert choice.tolist() == pytest.approx(expected, abs=1e-12)
    assert torch.allclose(player.choose(1000 * features + 7), chosen, atol=1e-4)


def test_a_learned_choice_keeps_a_gradient_near_the_walls() -> None:
    """`tanh` bends before the wall where a clamp would cut: logits of 3 still learn, 1 - tanh(3)^2 = 0.0099 a unit."""
    with seeded(0):
        player = Learned(Jitter(), features=FEATURES, reads="nothing")
    torch.nn.init.zeros_(player.head.weight)
    torch.nn.init.constant_(player.head.bias, 3.0)
    chosen = player.choose(normal(1, FEATURES).float())
    chosen.sum().backward()
    assert player.head.bias.grad is not None
    expected = 1 - torch.tanh(torch.tensor(3.0)) ** 2
    assert torch.allclose(player.head.bias.grad, expected.expand(4), atol=1e-6)


@pytest.mark.parametrize("reads", ["partner", "own", "nothing"])
def test_a_learned_head_reads_what_it_says(reads: str) -> None:
    """It asks once for what it reads, and for nothing else, since that may cost a pass; nothing is a constant 1."""
    with seeded(0):
        player = Learned(Rotation(), features=FEATURES, reads=reads)  # type: ignore[arg-type]
    own, partner = (normal(COUNT, FEATURES, seed=seed).float() for seed in (5, 6))
    asked: list[str] = []
    played = replace(
        turn(bowl),
        own_features=lambda: asked.append("own") or own,
        partner_features=lambda: asked.append("partner") or partner,
    )
    params = player.propose(played).params
    read = {"partner": partner, "own": own, "nothing": torch.zeros(COUNT, FEATURES)}[reads]
    assert asked == ([] if reads == "nothing" else [reads])
    inputs = torch.ones(COUNT, 1) if reads == "nothing" else F.layer_norm(read, (FEATURES,))
    assert params is not None
    assert torch.allclose(params, player.head(inputs).tanh())

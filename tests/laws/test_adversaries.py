"""The laws that every registered adversary obeys, against every transform and under every method."""

from collections.abc import Iterable
from dataclasses import replace
from itertools import product
from typing import Any

import pytest
import torch
from fits import PAINTERS, REQUIRES, arena, fits
from torch import Tensor, nn

from sparring.adversaries import ADVERSARIES, Learned, Random
from sparring.assembly import build_learner
from sparring.contracts import Turn
from sparring.encoders import Encoder
from sparring.errors import InputError
from sparring.learner import Learner
from sparring.methods import METHODS, SimSiam
from sparring.parts import build
from sparring.randomness import generator_for, seeded
from sparring.recipe import Part, Recipe
from sparring.rounds import Batch
from sparring.transforms import TRANSFORMS

SIDE, COUNT = 16, 6
BLEND = {"opponents": [{"name": "learned", "transform": "rotation"}, {"name": "search", "transform": "pixels"}]}
NEEDS = {"chain": {"parts": ["rotation", "colour"]}, "blend": BLEND, "replay": {"opponent": "learned", "every": 1}}
CHANCY = {"random", "best_of", "blend", "policy", "generator", "unet", *REQUIRES}
"""Whose choice depends on chance by default."""
LOOPS = {"learned", "generator", "unet", "random", "none", *REQUIRES}
"""Adversaries of a loop of one's own; the others need the loss."""
ADVERSARY_PARTS = [Part(name, NEEDS.get(name, {})) for name in ADVERSARIES] + [
    Part("learned", {"reads": "own", "noise": 3, "logit_noise": 0.5}),
    Part("learned", {"reads": "nothing"}),
    Part("best_of", {"draws": 2, "side": 8}),
    Part("best_of", {"draws": 3, "opponent": {"name": "learned", "noise": 4}}),
    Part("search", {"steps": 1, "random_start": False}),
    Part("policy", {"slots": 3, "levels": 4, "entropy": 0.1}),
    Part("generator", {"noise": 2, "blocks": 1}),
    Part("unet", {"masks": 2, "sparsity": 0.0}),
    Part("blend", {**BLEND, "turns": "all"}),
]
TRANSFORM_PARTS = [Part(name, NEEDS.get(name, {})) for name in TRANSFORMS]
PICTURE_PARTS = [Part("mask", {"form": "free"}), Part("pixels", {"norm": "l1", "sphere": True, "eps": 40.0})]


def named(part: Part) -> str:
    return "-".join([part.name, *(f"{key}={value}" for key, value in part.settings.items())])[:40]


def context() -> dict[str, Any]:
    return {
        "image_shape": (3, SIDE, SIDE),
        "image_count": 20,
        "labels": torch.arange(20) % 4,
        "statistics": ((0.5, 0.5, 0.5), (0.25, 0.25, 0.25)),
    }


class Smooth(nn.Module):
    """A tiny encoder without kinks, so that small steps raise a smooth loss."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Tanh(), nn.AdaptiveAvgPool2d(3), nn.Flatten(), nn.Linear(72, 8))

    def forward(self, images: Tensor) -> Tensor:
        return self.net(images)


def make(adversary: Part, transform: Part | str = "rotation", method: str = "simsiam") -> Learner:
    """A small learner in float64, the same for the same parts."""
    statistics = context()["statistics"]
    recipe = Recipe(adversary=adversary, transform=Part.of(transform), method=Part(method))
    with seeded(0):
        learner = build_learner(recipe, context(), tried=False)
    with seeded(1):
        encoder = Encoder(Smooth(), 8, statistics)
    with seeded(0):
        learner.method = build("method", Part(method), {**context(), "encoder": encoder})
        features = {**context(), "features": 8, "encoder": encoder, "transform": learner.adversary.transform}
        learner.adversary = build("adversary", adversary, features)
    return learner.double()


def make_batch(photographs: Tensor, step: int = 0, strength: float = 1.0) -> Batch:
    images = 0.1 + 0.8 * photographs[:, :, 4 : 4 + SIDE, 4 : 4 + SIDE]
    views = {"first": images[:COUNT], "second": images[:COUNT].flip(3)}
    return Batch(views, torch.arange(COUNT), step, strength, generator_for(0, step, stream="adversary"))


def make_turn(learner: Learner, batch: Batch) -> Turn:
    """The turn as the learner would hand it over, with the method as the judge of hardness."""
    partner = learner.comparison.glance(batch.views["first"], batch.indices)
    turns: list[Turn] = []
    original = learner.adversary.propose
    learner.adversary.propose = lambda turn: turns.append(turn) or original(turn)  # type: ignore[method-assign,func-returns-value]
    learner.harden("second*", lambda: partner, batch, learner.adversary)
    del learner.adversary.propose
    return replace(turns[0], generator=generator_for(0, batch.step, stream="adversary"))


every_adversary = pytest.mark.parametrize("adversary", ADVERSARY_PARTS, ids=named)
every_transform = pytest.mark.parametrize("transform", TRANSFORM_PARTS, ids=named)
every_method = pytest.mark.parametrize("method", METHODS)
SMOOTH = [name for name in METHODS if name != "mochi"]
"""MoCHi picks its hardest negatives anew at each look, so its loss jumps and small ascents need not add up."""


def crossed(methods: Iterable[str]) -> pytest.MarkDecorator:
    """Every transform under SimSiam and SimCLR, and every method with a structured and an unstructured transform."""
    pairs = [
        (transform, method)
        for transform, method in product(TRANSFORM_PARTS, methods)
        if method in ("simsiam", "simclr") or transform.name in ("colour", "pixels")
    ]
    return pytest.mark.parametrize(("transform", "method"), pairs, ids=[f"{named(t)}-{m}" for t, m in pairs])


@pytest.mark.parametrize(
    ("adversary", "transform"),
    [pair for pair in product(ADVERSARY_PARTS, TRANSFORM_PARTS + PICTURE_PARTS) if fits(pair[0].name, pair[1].name)],
    ids=named,
)
def test_proposals_lie_in_the_box(adversary: Part, transform: Part, photographs: Tensor) -> None:
    learner = make(adversary, REQUIRES.get(adversary.name, transform))
    proposal = learner.adversary.propose(make_turn(learner, make_batch(photographs)))
    if proposal.params is not None:
        assert proposal.params.shape[0] == COUNT
        assert proposal.params.abs().max() <= 1
        assert torch.allclose(learner.adversary.transform.project(proposal.params), proposal.params, atol=1e-9)


@pytest.mark.parametrize("adversary", PAINTERS)
@every_transform
def test_what_an_adversary_cannot_drive_is_one_clear_line(adversary: str, transform: Part) -> None:
    if fits(adversary, transform.name):
        make(Part(adversary), transform)
        return
    with pytest.raises(InputError, match="pixels or mask") as error:
        make(Part(adversary), transform)
    assert "\n" not in str(error.value)


@every_adversary
def test_proposals_are_a_function_of_seed_and_step(adversary: Part, photographs: Tensor) -> None:
    learner = make(adversary, arena(adversary, "colour"))

    def params(step: int) -> Tensor | None:
        return learner.adversary.propose(make_turn(learner, make_batch(photographs, step))).params

    first, again, later = params(3), params(3), params(4)
    if first is None:
        return
    assert torch.equal(first, again)  # type: ignore[arg-type]
    draws = adversary.name in CHANCY or "noise" in adversary.settings
    if draws or (adversary.name == "search" and adversary.settings.get("random_start", True)):
        assert not torch.equal(first, later)  # type: ignore[arg-type]


def signal(learner: Learner, batch: Batch, params: Tensor) -> float:
    """What the gradient sees of hardness: all of it, but in SimSiam only the prediction's term (Eq. 5)."""
    hard = learner.adversary.transform(batch.views["second"], params)
    partner, embedding = (learner.comparison.glance(view, batch.indices) for view in (batch.views["first"], hard))
    if isinstance(learner.method, SimSiam):
        assert embedding.prediction is not None
        return -torch.cosine_similarity(embedding.prediction, partner.projection).mean().item()
    return learner.method.compare(partner, embedding).mean().item()


@crossed(METHODS)
def test_a_search_with_small_steps_raises_hardness_and_leaves_no_trace(
    transform: Part, method: str, photographs: Tensor
) -> None:
    learner, batch = make(Part("search", {"steps": 10, "step_size": 1e-3}), transform, method), make_batch(photographs)
    before = {name: value.clone() for name, value in learner.state_dict().items()}
    found = learner.adversary.propose(make_turn(learner, batch)).params
    start = Random(learner.adversary.transform).propose(make_turn(learner, batch)).params
    assert start is not None
    assert found is not None
    assert signal(learner, batch, found) > signal(learner, batch, start)
    assert all(torch.equal(value, before[name]) for name, value in learner.state_dict().items())
    assert all(weight.grad is None for weight in learner.parameters())


@crossed(SMOOTH)
def test_a_learned_adversary_that_ascends_raises_hardness(transform: Part, method: str, photographs: Tensor) -> None:
    learner, batch = make(Part("learned"), transform, method), make_batch(photographs)
    ascend = torch.optim.SGD(learner.adversary.parameters(), lr=0.01, maximize=True)
    signals = []
    for _ in range(10):
        outcome = learner(batch)
        signals.append(signal(learner, batch, outcome.params["second*"]))
        outcome.loss.backward()
        ascend.step()
        ascend.zero_grad()
    assert signals[-1] > signals[0]


@pytest.mark.parametrize("adversary", [Part("generator"), Part("unet", {"sparsity": 0.0})], ids=named)
@pytest.mark.parametrize("transform", PICTURE_PARTS, ids=named)
@pytest.mark.parametrize("method", SMOOTH)
def test_a_painter_that_ascends_raises_hardness(
    adversary: Part, transform: Part, method: str, photographs: Tensor
) -> None:
    """Noise and the choice of a mask are drawn alike each time, so that losses can be compared."""
    learner = make(adversary, transform, method)
    (ascend,) = learner.adversary.optimisers(1e-3)
    signals = []
    for _ in range(10):
        batch = make_batch(photographs)
        outcome = learner(batch)
        signals.append(signal(learner, batch, outcome.params["second*"]))
        outcome.loss.backward()
        ascend.step()
        ascend.zero_grad()
    assert signals[-1] > signals[0]


@every_transform
def test_the_memory_of_free_moves_towards_hardness(transform: Part, photographs: Tensor) -> None:
    learner = make(Part("free", {"step_size": 1e-3}), transform, "simclr")
    (optimiser,) = learner.adversary.optimisers(0.0)
    before = learner.adversary.memory.weight.detach().clone()  # type: ignore[union-attr]
    losses = []
    for _ in range(10):
        outcome = learner(make_batch(photographs))
        losses.append(outcome.loss.item())
        outcome.loss.backward()
        optimiser.step()
        optimiser.zero_grad()
    after = learner.adversary.memory.weight.detach()  # type: ignore[union-attr]
    assert losses[-1] > losses[0]
    assert torch.equal(after[COUNT:], before[COUNT:]), "images that did not take part are left alone"


def test_best_of_keeps_the_hardest_draw_of_each_image(photographs: Tensor) -> None:
    """With BatchNorm in evaluation mode images do not touch each other, and the law holds image by image."""
    chosen = {}
    for draws in (1, 4, 16):
        learner = make(Part("best_of", {"draws": draws}), "rotation").eval()
        turn = make_turn(learner, make_batch(photographs))
        chosen[draws] = turn.hardness(learner.adversary.propose(turn).params)
    assert (chosen[4] >= chosen[1]).all()
    assert (chosen[16] >= chosen[4]).all()
    assert chosen[16].mean() > chosen[1].mean()


@every_adversary
@every_method
def test_strength_0_equals_no_adversary_bit_for_bit(adversary: Part, method: str, photographs: Tensor) -> None:
    batch = make_batch(photographs, strength=0.0)
    gradients = []
    for part in (adversary, Part("none")):
        learner = make(part, arena(adversary, "colour"), method)
        loss = learner(batch).loss
        loss.backward()
        gradients.append([loss.detach(), *(weight.grad for weight in learner.method.encoder.parameters())])
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(*gradients, strict=True))


def test_noise_gives_one_image_many_views_and_constants_give_all_images_one(photographs: Tensor) -> None:
    features = torch.randn(5, 8, generator=torch.Generator().manual_seed(0))
    rotation = build("transform", Part("rotation"), context())
    with seeded(0):
        noisy = Learned(rotation, features=8, noise=4)
        constant = Learned(rotation, features=8, reads="nothing")
    first, second = (noisy.choose(features, torch.Generator().manual_seed(seed)) for seed in (0, 1))
    assert not torch.equal(first, second)
    assert constant.choose(features).unique().numel() == 1


@every_adversary
def test_adversaries_are_swapped_by_argument_in_a_loop_of_ones_own(adversary: Part, photographs: Tensor) -> None:
    player = make(adversary, arena(adversary, "rotation")).adversary
    images = make_batch(photographs).views["second"]
    features = torch.randn(COUNT, 8, generator=torch.Generator().manual_seed(0)).double()
    if adversary.name not in LOOPS:
        with pytest.raises(InputError, match=r"needs the loss of the game: play it with a Learner \(docs/python\.md\)"):
            player(images, features)
        return
    first, again = (player(images, features, generator=generator_for(0, 0)) for _ in range(2))
    assert first.shape == images.shape
    assert torch.equal(first, again)
    assert torch.equal(first, images) == (adversary.name == "none")
    if adversary.name == "learned" and player.reads != "nothing":
        with pytest.raises(InputError, match="learned: expected the features that it reads, got none"):
            player(images)
        with pytest.raises(InputError, match=rf"expected features of size \({COUNT}, 8\), got \({COUNT}, 3\)"):
            player(images, features[:, :3])
    else:
        assert torch.equal(player(images, generator=generator_for(0, 0)), first)
    if adversary.name in ("learned", "generator", "unet"):
        with pytest.raises(InputError, match=rf"{adversary.name}: expected images as floats in \[0, 1\], got others"):
            player(2 * images, features)

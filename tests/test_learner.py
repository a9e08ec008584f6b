"""One round of the game: one backward for two players, passes counted, nothing moved by a look."""

import copy
import gc
import subprocess
import sys
import weakref
from functools import partial
from typing import Any

import pytest
import torch
from fits import CONTEXT, arena
from torch import Tensor

from sparring.adversaries import Learned, Random, Search
from sparring.assembly import build_learner
from sparring.contracts import Adversary, Proposal, Turn
from sparring.dual_norm import with_dual_norms
from sparring.encoders import resnet12
from sparring.hardening import Hardening
from sparring.learner import Learner
from sparring.looks import hard_views, hardness
from sparring.methods import SimSiam, simclr
from sparring.penalties import IdentityDivergence
from sparring.randomness import generator_for, seeded
from sparring.recipe import Part, Recipe
from sparring.rounds import Batch, partner_of
from sparring.transforms import Colour, Rotation


def make(adversary: Adversary | None = None, **settings: object) -> Learner:
    with seeded(0):
        method = SimSiam(resnet12(width=0.0625), projection=16, bottleneck=8)
        opponent = adversary or Learned(Colour(), features=32)
    return Learner(method, opponent, **settings).double()  # type: ignore[arg-type]


def make_batch(photographs: Tensor, step: int = 0) -> Batch:
    views = {"first": photographs, "second": photographs.flip(3)}
    indices = torch.arange(len(photographs))
    return Batch(views, indices, step, 1.0, generator_for(0, step, stream="adversary"))


def optimisers(learner: Learner, *, ascend: bool) -> tuple[torch.optim.Optimizer, torch.optim.Optimizer]:
    settings = {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01}
    return (
        torch.optim.SGD(learner.method.parameters(), **settings),  # type: ignore[arg-type]
        torch.optim.SGD(learner.adversary.parameters(), maximize=ascend, **settings),  # type: ignore[arg-type]
    )


def test_one_backward_equals_two_passes(photographs: Tensor) -> None:
    """Reference: the adversary descends the negated loss in a pass of its own, the encoder the loss in another."""
    together, apart = make(), make()
    ours, theirs = optimisers(together, ascend=True), optimisers(apart, ascend=False)
    for step in range(4):
        together(make_batch(photographs, step)).loss.backward()
        for optimiser in ours:
            optimiser.step()
            optimiser.zero_grad()
        before = copy.deepcopy(apart)
        gradients = torch.autograd.grad(apart(make_batch(photographs, step)).loss, list(apart.method.parameters()))
        loss = -before(make_batch(photographs, step)).loss
        # maximize=True negates the gradient before weight decay is added, so decay still shrinks the weights
        against = torch.autograd.grad(loss, list(before.adversary.parameters()))
        for weights, grads, optimiser in (
            (apart.method.parameters(), gradients, theirs[0]),
            (apart.adversary.parameters(), against, theirs[1]),
        ):
            for weight, gradient in zip(weights, grads, strict=True):
                weight.grad = gradient
            optimiser.step()
            optimiser.zero_grad()
    for (name, one), two in zip(together.named_parameters(), apart.parameters(), strict=True):
        assert torch.allclose(one, two, atol=1e-12), name


@pytest.mark.parametrize(
    ("adversary", "forwards", "units"),
    [
        (Part("none"), 2, 6),
        (Part("random"), 2, 6),
        (Part("learned"), 2, 6),
        (Part("learned", {"reads": "own"}), 3, 7),
        (Part("free"), 2, 6),
        (Part("generator"), 2, 6),
        (Part("unet"), 2, 6),
        (Part("search", {"steps": 1}), 3, 8),
        (Part("search", {"steps": 5}), 7, 16),
        (Part("best_of", {"draws": 4}), 6, 10),
        (Part("best_of", {"draws": 4, "side": 16}), 6, 7),  # a look at a quarter of the pixels costs a quarter
    ],
    ids=str,
)
def test_the_passes_of_a_round(adversary: Part, forwards: int, units: int, photographs: Tensor) -> None:
    """Counted twice: by the meter, and by calls of the encoder."""
    transform = arena(adversary, "colour")
    recipe = Recipe(encoder=Part("resnet12", {"width": 0.0625}), adversary=adversary, transform=transform)
    learner = build_learner(recipe, CONTEXT).double()
    calls: list[object] = []
    learner.method.encoder.register_forward_hook(lambda *_: calls.append(None))
    learner(make_batch(photographs)).loss.backward()
    assert len(calls) == forwards
    assert learner.meter.take().units == units
    assert learner.meter.take().units == 0


@pytest.mark.parametrize(
    ("adversary", "units"),
    [
        (Part("generator"), 6),
        (Part("random"), 6),
        (Part("learned"), 8),
        (Part("learned", {"reads": "nothing", "noise": 2}), 6),
        (Part("search"), 28),
    ],
    ids=str,
)
def test_a_partner_that_is_not_compared_is_only_encoded_if_somebody_asks(
    adversary: Part, units: int, photographs: Tensor
) -> None:
    """Both views hard: the rivals are clean views that no pair names. Search: 6 + 2 partners + 2 x 5 x (1 + 1)."""
    recipe = Recipe(
        encoder=Part("resnet12", {"width": 0.0625}),
        adversary=adversary,
        transform=Part("pixels"),
        pairs=(("first*", "second*"),),
    )
    learner = build_learner(recipe, CONTEXT).double()
    learner(make_batch(photographs)).loss.backward()
    assert learner.meter.take().units == units


def test_a_look_changes_nothing(photographs: Tensor) -> None:
    learner, batch = make(), make_batch(photographs)
    before = {name: value.clone() for name, value in learner.state_dict().items()}
    losses = hardness(learner, batch)
    players = {f"hardness/{name}" for name in ("adversary", "random", "clean", "stranger")}
    assert set(losses) == {*players, "alignment"}
    assert hard_views(learner, batch).shape == photographs.shape
    assert all(torch.equal(value, before[name]) for name, value in learner.state_dict().items())
    learner(batch)
    assert not torch.equal(
        learner.state_dict()["method.projector.1.running_mean"], before["method.projector.1.running_mean"]
    )


def test_a_look_measures_what_a_round_would(photographs: Tensor) -> None:
    learner, batch = make(), make_batch(photographs)
    measured = hardness(learner, batch)
    first, second = (
        learner.comparison.glance(batch.views[name], batch.indices).features for name in ("first", "second")
    )
    units = [(a / a.norm(), b / b.norm()) for a, b in zip(first, second, strict=True)]
    assert measured["alignment"] == pytest.approx(sum(float(((a - b) ** 2).sum()) for a, b in units) / len(units))
    assert measured["hardness/adversary"] == pytest.approx(learner(batch).loss.item(), abs=1e-12)


def test_a_probability_hardens_some_images_wholly_and_leaves_the_others(photographs: Tensor) -> None:
    batch = make_batch(photographs.repeat(20, 1, 1, 1))
    images = batch.views["second"]
    learner = make(Random(Rotation(degrees=90)), probability=0.3)
    partner = learner.comparison.glance(batch.views["first"], batch.indices).detach()
    hard, proposal = learner.harden("second*", lambda: partner, batch, learner.adversary)
    assert proposal.params is not None
    rotated = learner.adversary.transform(images, proposal.params)
    untouched = (hard == images).flatten(1).all(dim=1)
    assert torch.equal(hard[~untouched], rotated[~untouched])
    n = len(images)
    assert abs((~untouched).double().mean().item() - 0.3) < 4 * (0.3 * 0.7 / n) ** 0.5


def test_a_penalty_is_paid_for_views_that_are_played(photographs: Tensor) -> None:
    opponent = Learned(Colour(), features=32)
    penalty = IdentityDivergence(opponent.transform, weight=1.0)
    learner = make(opponent, probability=0.0, penalties=[penalty])
    batch = make_batch(photographs)
    outcome = learner(batch)
    assert outcome.loss.item() == pytest.approx(outcome.comparison.mean().item(), abs=1e-12)
    learner.probability = 1.0
    outcome = learner(make_batch(photographs))
    assert outcome.loss.item() < outcome.comparison.mean().item() - 1e-3


def test_a_starred_view_that_comes_first_is_searched_and_measured_in_that_order(photographs: Tensor) -> None:
    """MoCo without symmetry: the first view of a pair is the query, the second the key."""
    recipe = Recipe(
        encoder=Part("resnet12", {"width": 0.0625}),
        method=Part("moco", {"symmetric": False, "queue": 8, "projection": 16}),
        adversary=Part("random"),
        transform=Part("rotation"),
        pairs=(("first*", "second"),),
    )
    seen: list[Tensor] = []
    with seeded(0):
        learner = build_learner(recipe, CONTEXT).double()
    for weight in learner.method.parameters():  # query and key encoders must differ
        if weight.requires_grad:
            weight.data.add_(0.05 * torch.randn_like(weight))

    class Looking(Random):
        def propose(self, turn: Turn) -> Proposal:
            proposal = super().propose(turn)
            assert proposal.params is not None
            seen.append(turn.hardness(proposal.params).detach())
            return proposal

    learner.adversary = Looking(learner.adversary.transform)
    assert torch.allclose(learner(make_batch(photographs)).comparison, seen[0], atol=1e-9)
    expected = learner(make_batch(photographs)).comparison.mean().item()
    assert hardness(learner, make_batch(photographs))["hardness/adversary"] == pytest.approx(expected, abs=1e-9)


def test_the_loss_is_the_mean_over_the_pairs(photographs: Tensor) -> None:
    pairs = (("first", "second"), ("first", "second*"))
    learner, batch = make(Random(Rotation()), pairs=pairs), make_batch(photographs)
    outcome = learner(batch)
    assert set(outcome.embeddings) == {"first", "second", "second*"}
    first, second, hard = (outcome.embeddings[name] for name in ("first", "second", "second*"))
    expected = (learner.method.compare(first, second) + learner.method.compare(first, hard)) / 2
    assert torch.allclose(outcome.comparison, expected, atol=1e-12)


def test_a_hard_view_is_played_against_the_clean_view_it_is_compared_with() -> None:
    """CLAE attacks an image against its own clean view; ACL's hard pair falls back on the other base view."""
    assert partner_of("second*", (("first", "second*"),)) == "first"
    assert partner_of("second*", (("first", "second"), ("second*", "second"))) == "second"
    assert partner_of("first*", (("first*", "second*"),)) == "second"


def test_both_views_may_be_hard(photographs: Tensor) -> None:
    learner = make(Random(Rotation()), pairs=(("first*", "second*"),))
    outcome = learner(make_batch(photographs))
    assert set(outcome.params) == {"first*", "second*"}
    assert not torch.equal(outcome.params["first*"], outcome.params["second*"])


def test_negatives_take_part_in_simclrs_round(photographs: Tensor) -> None:
    with seeded(0):
        learner = Learner(simclr(resnet12(width=0.0625)), Learned(Colour(), features=32)).double()
    alone = learner(make_batch(photographs[:2])).comparison
    among = learner(make_batch(photographs)).comparison[:2]
    assert (among > alone).all()


@pytest.mark.parametrize("adversary", ["best_of", "search", "learned"])
def test_under_autocast_no_look_cuts_the_encoders_gradient(adversary: str, photographs: Tensor) -> None:
    """Weights that a look without gradient has cast must not serve the training pass."""
    pairs = (("first*", "second*"),)
    recipe = Recipe(encoder=Part("resnet12", {"width": 0.0625}), adversary=Part(adversary), pairs=pairs)
    learner = build_learner(recipe, CONTEXT, partial(torch.autocast, "cpu", torch.bfloat16))
    batch = make_batch(photographs.float())
    learner(batch).loss.backward()
    assert all(weight.grad is not None for weight in learner.method.parameters())


@pytest.mark.parametrize("dual", [False, True])
def test_a_step_leaves_nothing_to_the_cycle_collector(
    dual: bool, photographs: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hardening holds whole views: kept until Python looks for cycles, those of many steps would fill a device."""
    alive: weakref.WeakSet[Hardening] = weakref.WeakSet()
    build_one = Learner.hardening

    def noted(*args: Any) -> Hardening:
        alive.add(one := build_one(*args))
        return one

    monkeypatch.setattr(Learner, "hardening", noted)
    learner = make(Search(Rotation(), steps=1))
    if dual:
        with_dual_norms(learner.method)
    gc.disable()
    try:
        loss = learner(make_batch(photographs)).loss
        assert len(alive) == 0
        loss.backward()
    finally:
        gc.enable()


WRONG = """
import sparring
from sparring.adversaries import Absent, Random
from sparring.encoders import resnet12
from sparring.methods import simclr
from sparring.penalties import ColourDistance
from sparring.transforms import Rotation
method, chance = simclr(resnet12(width=0.0625)), Random(Rotation())
wrong = [
    ("simclr", "random", {}), (method.encoder, chance, {}), (method, Random, {}), (method, "random", {}),
    (method, chance, {"probability": 2}),
    (method, chance, {"probability": "half"}), (method, chance, {"pairs": (("first", "second"),)}),
    (method, chance, {"pairs": (("frist", "second*"),)}), (method, chance, {"pairs": ("first", "second*")}),
    (method, chance, {"pairs": ()}), (method, chance, {"penalties": ["teacher"]}),
    (method, chance, {"penalties": ColourDistance()}),
]
for method, adversary, settings in wrong:
    try:
        sparring.Learner(method, adversary, **settings)
    except sparring.InputError as error:
        print(error)
sparring.Learner(method, Absent(Rotation()), pairs=[["first", "second"]])
"""


def test_what_cannot_play_a_round_is_one_line() -> None:
    """In a process of its own, as a user has it: here annotations are checked first."""
    done = subprocess.run([sys.executable, "-c", WRONG], capture_output=True, text=True, check=True)
    star = 'expected a star behind a view for the adversary to change, such as [["first", "second*"]], got none'
    assert done.stdout.splitlines() == [
        "method: expected a Method, such as sparring.methods.simclr(encoder), got 'simclr'",
        "method: expected a Method, such as sparring.methods.simclr(encoder), got an Encoder",
        "adversary: expected an Adversary, such as sparring.adversaries.Random(transform), got the class Random",
        "adversary: expected an Adversary, such as sparring.adversaries.Random(transform), got 'random'",
        "probability: expected a number in [0, 1], got 2.0",
        "probability: expected a number, got 'half'",
        f"pairs: {star}; without an adversary: --adversary none",
        "unknown view in pairs 'frist'; did you mean 'first'?",
        "pairs: expected a list, each a list of 2, each a text, got ('first', 'second*')",
        'pairs: expected at least one pair, such as [["first", "second*"]], got none',
        "penalties: expected a Penalty, such as sparring.penalties.ColourDistance(), got 'teacher'",
        "penalties: expected a list, got ColourDistance()",
    ]

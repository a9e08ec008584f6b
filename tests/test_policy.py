"""Policies over discrete operations: a learned one's score, the tables of random ones, the memory of past ones."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from scipy.stats import binomtest, chisquare
from torch import Tensor
from torchvision import transforms as library

from sparring.adversaries import (
    Absent,
    AutoAugment,
    BestOf,
    Blend,
    Free,
    Learned,
    Policy,
    RandAugment,
    Random,
    Replay,
    TrivialAugment,
)
from sparring.contracts import Adversary, Move, Penalty, Transform, Turn
from sparring.encoders import resnet12
from sparring.errors import InputError
from sparring.learner import Learner
from sparring.looks import hard_views
from sparring.methods import SimSiam
from sparring.parts import build
from sparring.randomness import generator_for, seeded
from sparring.recipe import Part
from sparring.rounds import Batch
from sparring.transforms import Chain, Colour, Frequency, Jitter, Mask, Operations, Pixels, Rotation, Tone, Translation
from sparring.transforms.operations import NAMES

SIDE, DRAWS = 32, 7000


def turn(count: int = 8, step: int = 0, rank: int = 0) -> Turn:
    """A turn of which a policy reads the number of images, and nothing else."""
    images = torch.zeros(count, 3, 1, 1, dtype=torch.float64)

    def unasked(params: Tensor, side: int = 0) -> Tensor:
        raise AssertionError("a policy looks at no losses")

    def features() -> Tensor:
        raise AssertionError("a policy looks at no features")

    draws = generator_for(0, step, rank, stream="adversary")
    return Turn(images, torch.arange(count), lambda: torch.ones(count, 4).double(), unasked, features, step, draws)


def chosen(player: Adversary, count: int = DRAWS) -> Tensor:
    params = player.propose(turn(count)).params
    assert params is not None
    return params


def test_the_gradient_is_reinforce_written_by_hand(photographs: Tensor) -> None:
    """Of one slot: advantage x (one-hot of the choice - probabilities), averaged over the batch."""
    with seeded(0):
        method = SimSiam(resnet12(width=0.0625), projection=16, bottleneck=8)
    policy = Policy(Operations(), slots=1, levels=4)
    torch.nn.init.normal_(policy.logits, generator=torch.Generator().manual_seed(1))
    learner = Learner(method, policy).double()
    views = {"first": photographs, "second": photographs.flip(3)}
    outcome = learner(Batch(views, torch.arange(12), 0, 1.0, generator_for(0, 0)))
    (gradient,) = torch.autograd.grad(outcome.loss, policy.logits)
    probabilities = policy.logits.detach().exp() / policy.logits.detach().exp().sum()
    expected = torch.zeros_like(policy.logits)
    mean = sum(outcome.comparison.tolist()) / 12
    for params, loss in zip(outcome.params["second*"], outcome.comparison.tolist(), strict=True):
        operation = int(params.abs().argmax())
        choice = operation * 4 + round(params.abs().max().item() * 4) - 1
        one_hot = torch.zeros_like(expected)
        one_hot[0, choice] = 1
        expected += (loss - mean) * (one_hot - probabilities) / 12
    assert expected.abs().max() > 1e-4
    assert torch.allclose(gradient, expected, atol=1e-12)


def test_the_probability_of_a_choice_with_a_loop() -> None:
    """Two slots that cannot draw the same operation, so that the choices can be read off the parameters."""
    levels, policy = 5, Policy(Operations(), levels=5).double()
    torch.nn.init.normal_(policy.logits, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        policy.logits[0, 7 * levels :] = -math.inf
        policy.logits[1, : 7 * levels] = -math.inf
    proposal = policy.propose(turn(40))
    assert proposal.params is not None
    assert proposal.log_probability is not None
    for params, log_probability in zip(proposal.params, proposal.log_probability.tolist(), strict=True):
        probability = 1.0
        for slot, half in enumerate((params[:7], params[7:])):
            (place,) = half.nonzero()[:, 0].tolist()
            choice = (7 * slot + place) * levels + round(half[place].abs().item() * levels) - 1
            weights = policy.logits[slot].exp()
            probability *= (weights[choice] / weights.sum()).item()
        assert log_probability == pytest.approx(math.log(probability), abs=1e-12)


def test_the_parts_of_a_chain_move_as_a_whole_and_the_others_stay() -> None:
    chain = Chain([Rotation(), Jitter(), Translation()], image_shape=(3, SIDE, SIDE))
    params = chosen(Policy(chain, slots=1, levels=4), 400)
    parts = params.split([1, 4, 2], dim=1)
    moved = torch.stack([(part != 0).any(dim=1) for part in parts], dim=1)
    assert (moved.sum(dim=1) == 1).all()
    for part, own in zip(parts, moved.unbind(dim=1), strict=True):
        sizes = part[own].abs()
        assert torch.equal(sizes, sizes[:, :1].expand_as(sizes))
        assert sizes.unique().tolist() == [0.25, 0.5, 0.75, 1.0]
        assert 0.35 < (part[own] > 0).double().mean() < 0.65
    assert len(params[:, 1:5][moved[:, 1]].sign().unique(dim=0)) == 16, "each parameter has a sign of its own"


def test_an_operation_drawn_twice_is_as_drawn_last() -> None:
    policy = Policy(Rotation(), slots=2, levels=4).double()
    with torch.no_grad():
        policy.logits[0, 3], policy.logits[1, 0] = 100, 100
    assert chosen(policy, 20).abs().unique().tolist() == [0.25]


def test_a_policy_learns_to_choose_the_hardest_operation() -> None:
    """The loss is 1 where the third of four operations is at its largest magnitude, and 0 elsewhere."""
    parts = [Rotation(), Tone(operation="invert"), Tone(operation="equalize"), Tone(operation="solarize")]
    policy = Policy(Chain(parts, image_shape=(3, SIDE, SIDE)), slots=1, levels=3).double()
    (optimiser,) = policy.optimisers(0.1)
    for step in range(80):
        proposal = policy.propose(turn(64, step))
        assert proposal.params is not None
        assert proposal.log_probability is not None
        losses = (proposal.params[:, 2].abs() == 1).double()
        ((losses - losses.mean()) * proposal.log_probability).mean().backward()
        optimiser.step()
        optimiser.zero_grad()
    probabilities = policy.logits.softmax(dim=1)[0].view(4, 3)
    assert probabilities[2, 2] > 0.9


def test_the_entropy_with_a_loop_and_what_ascends_it() -> None:
    policy = Policy(Rotation(), slots=2, levels=3, entropy=0.7).double()
    torch.nn.init.normal_(policy.logits, generator=torch.Generator().manual_seed(3))
    expected = 0.0
    for logits in policy.logits.tolist():
        total = sum(math.exp(logit) for logit in logits)
        expected -= sum(math.exp(logit) / total * math.log(math.exp(logit) / total) for logit in logits)
    cost = policy.propose(turn()).penalty
    assert cost is not None
    assert cost.tolist() == pytest.approx([-0.7 * expected] * 8, abs=1e-12)
    even = Policy(Rotation(), slots=2, levels=3, entropy=0.7).propose(turn()).penalty
    assert even is not None
    assert even.tolist() == pytest.approx([-0.7 * 2 * math.log(3)] * 8, abs=1e-6)
    assert cost.min() > even.max(), "an uneven policy pays more"
    assert Policy(Rotation()).propose(turn()).penalty is None


@pytest.mark.parametrize("name", ["slots", "levels"])
def test_settings_that_cannot_be_are_refused(name: str) -> None:
    with pytest.raises(InputError, match=name):
        Policy(Rotation(), **{name: 0})


def counts(params: Tensor) -> list[int]:
    """How often each operation is chosen, and last how often none is."""
    return [*(params != 0).sum(dim=0).tolist(), int((params == 0).all(dim=1).sum())]


def test_randaugment_draws_as_torchvisions_table_says() -> None:
    """One operation: Identity and 13 others evenly, at level 9 of 31; there is no Invert in this table."""
    player = RandAugment(Operations(), count=1)
    params = chosen(player)
    found = counts(params)
    assert found.pop(NAMES.index("Invert")) == 0
    assert chisquare(found).pvalue > 1e-3
    space = library.RandAugment()._augmentation_space(31, (SIDE, SIDE))
    for place, name in enumerate(NAMES[:-1]):
        own = params[:, place][params[:, place] != 0]
        magnitudes, signed = space[name]
        expected = player.transform.parameter_of(name, magnitudes[9].item() if magnitudes.ndim else 0.0)  # type: ignore[operator]
        assert own.abs().unique().tolist() == pytest.approx([expected]), name
        assert binomtest(int((own > 0).sum()), len(own)).pvalue > 1e-4 if signed else (own > 0).all(), name


def test_randaugment_with_two_operations() -> None:
    """An operation is there unless both draws miss it: 1 - (13 / 14)^2."""
    params = chosen(RandAugment(Operations()))
    for name, count in zip(NAMES[:-1], counts(params)[:-2], strict=True):
        assert binomtest(count, DRAWS, 1 - (13 / 14) ** 2).pvalue > 1e-4, name


def test_trivialaugment_draws_operation_and_magnitude_evenly() -> None:
    player = TrivialAugment(Operations(ranges="wide"))
    params = chosen(player)
    space = library.TrivialAugmentWide()._augmentation_space(31)
    moving = {name: [] for name in space if name != "Identity"}  # type: dict[str, list[float]]
    for name in moving:
        magnitudes = space[name][0].flatten().tolist() if space[name][0].ndim else [0.0]
        moving[name] = [player.transform.parameter_of(name, magnitude) for magnitude in magnitudes]  # type: ignore[operator]
    for name, found in zip(NAMES[:-1], counts(params)[:-2], strict=True):
        # a level that leaves the image as it is cannot be told from Identity
        share = sum(parameter != 0 for parameter in moving[name]) / len(moving[name])
        assert binomtest(found, DRAWS, share / 14).pvalue > 1e-4, name
    degrees = params[:, NAMES.index("Rotate")].abs()
    assert chisquare((30 * degrees[degrees > 0]).round().long().bincount(minlength=31)[1:].tolist()).pvalue > 1e-3


@pytest.mark.parametrize("policy", ["cifar10", "imagenet", "svhn"])
def test_autoaugment_draws_as_the_published_pairs_say(policy: str) -> None:
    """An operation's probability: the mean over the pairs of 1 less the chance that none of its mentions is applied."""
    player = AutoAugment(Operations(), policy=policy)  # type: ignore[arg-type]
    params = chosen(player)
    published = library.AutoAugment(library.AutoAugmentPolicy(policy))
    space = published._augmentation_space(10, (SIDE, SIDE))
    for place, name in enumerate(NAMES):
        expected, magnitudes = 0.0, set()
        for pair in published.policies:
            missed = 1.0
            for own, chance, level in pair:
                if own == name:
                    magnitude = space[name][0][level].item() if level is not None else 0.0
                    parameter = player.transform.parameter_of(name, magnitude)  # type: ignore[operator]
                    missed *= 1 - chance if parameter else 1
                    magnitudes |= {round(parameter, 4)} if chance and parameter else set()
            expected += (1 - missed) / len(published.policies)
        found = params[:, place]
        assert binomtest(int((found != 0).sum()), DRAWS, expected).pvalue > 1e-4, name
        assert {round(value, 4) for value in found[found != 0].abs().tolist()} == magnitudes, name


def test_autoaugments_pairs_are_drawn_as_pairs() -> None:
    """ShearY comes with TranslateY or Posterize, never with Rotate."""
    params = chosen(AutoAugment(Operations()))
    shear, rotate, shift = (params[:, NAMES.index(name)] != 0 for name in ("ShearY", "Rotate", "TranslateY"))
    assert not (shear & rotate).any()
    assert binomtest(int((shear & shift).sum()), DRAWS, 0.5 * 0.7 / 25).pvalue > 1e-4


@pytest.mark.parametrize("make", [RandAugment, TrivialAugment, AutoAugment])
def test_random_policies_refuse_transforms_without_their_operations(make: Callable[..., Adversary]) -> None:
    with pytest.raises(InputError, match='expected the transform operations, got Colour; set transform = "operations"'):
        make(Colour())


def test_trivialaugment_asks_for_the_wide_ranges() -> None:
    with pytest.raises(InputError, match='ranges = "wide"'):
        TrivialAugment(Operations())


class Constant(Learned):
    """Proposes its one weight."""

    def __init__(self) -> None:
        super().__init__(Rotation(), features=1, reads="nothing")
        torch.nn.init.zeros_(self.head.weight)
        torch.nn.init.zeros_(self.head.bias)

    def set(self, value: float) -> None:
        torch.nn.init.constant_(self.head.bias, math.atanh(value))


def remembering(steps: int, **settings: float) -> Replay:
    """The opponent proposes 0.01 at step 1, 0.02 at step 2, ..."""
    opponent = Constant()
    replay = Replay(opponent, **{"size": 3, "every": 2, **settings}).double()  # type: ignore[arg-type]
    replay.seed = 0
    for step in range(1, steps + 1):
        opponent.set(step / 100)
        replay.after_step()
    return replay


def proposed(replay: Adversary, steps: int = 300) -> list[int]:
    """What is proposed over many steps, in hundredths."""
    values = []
    for step in range(steps):
        params = replay.propose(turn(3, step)).params
        assert params is not None
        assert params.unique().numel() == 1, "one opponent for the whole batch"
        values.append(round(100 * params[0].item()))
    return values


def test_the_oldest_copy_gives_way() -> None:
    for steps, held in ((2, [2]), (5, [2, 4]), (7, [2, 4, 6]), (11, [6, 8, 10])):
        found = proposed(remembering(steps, share=1.0), 90)
        assert sorted(set(found)) == held, steps
        assert len(held) == 1 or chisquare([found.count(each) for each in held]).pvalue > 1e-3


def test_a_share_of_the_batches_meets_the_past() -> None:
    found = proposed(remembering(5, share=0.3))
    assert set(found) == {2, 4, 5}
    assert binomtest(300 - found.count(5), 300, 0.3).pvalue > 1e-3
    assert set(proposed(remembering(5, share=0.0), 30)) == {5}
    assert set(proposed(remembering(1, share=1.0), 30)) == {1}, "there is no past yet"


def test_the_past_may_leave_out_the_steps_in_which_the_opponent_learns() -> None:
    found = proposed(remembering(5, share=1.0, present_every=5))
    assert set(found[::5]) == {5}
    assert {value for step, value in enumerate(found) if step % 5} == {2, 4}


def test_processes_agree_on_when_the_past_plays() -> None:
    """Each rank's generator is its own; a penalty that waits for all ranks would wait forever if they parted."""
    replay = remembering(7, share=0.5)
    ranks = [[replay.propose(turn(3, step, rank)).params[0].item() for step in range(40)] for rank in (0, 1)]
    assert ranks[0] == ranks[1]
    assert len(set(ranks[0])) > 2


def test_a_look_meets_the_present(photographs: Tensor) -> None:
    """Whatever the schedule says of its step; and training meets the past again afterwards."""
    replay = remembering(7, share=1.0)
    with seeded(0):
        learner = Learner(SimSiam(resnet12(width=0.0625), projection=8, bottleneck=8), replay).double()
    views = {"first": photographs, "second": photographs.flip(3)}
    batch = Batch(views, torch.arange(len(photographs)), 0, 1.0, generator_for(0, 0))
    shown = replay.transform(views["second"], torch.full((len(photographs), 1), 0.07, dtype=torch.float64))
    assert torch.allclose(hard_views(learner, batch), shown, atol=1e-12)
    assert 7 not in proposed(replay, 20)


def test_each_memory_has_a_schedule_of_its_own() -> None:
    replay, other = remembering(7, share=0.5), remembering(7, share=0.5)
    other.seed = 1
    assert proposed(replay, 40) != proposed(other, 40)
    assert set(proposed(replay.eval(), 40)) == {7}
    with seeded(0):
        seeds = {Replay(Policy(Rotation())).seed for _ in range(3)}
    assert len(seeds) == 3


def test_the_past_is_neither_trained_nor_reinforced() -> None:
    replay = Replay(Policy(Rotation(), entropy=1.0), every=1, share=1.0)
    present = replay.propose(turn())
    assert present.log_probability is not None
    assert present.penalty is not None
    replay.after_step()
    past = replay.propose(turn())
    assert past.log_probability is None
    assert past.penalty is None
    assert past.params is not None
    assert not past.params.requires_grad
    (optimiser,) = replay.optimisers(0.1)
    trained = [id(weight) for group in optimiser.param_groups for weight in group["params"]]
    assert trained == [id(replay.opponent.logits)]


def test_the_memory_is_saved_and_goes_on_as_if_nothing_had_happened() -> None:
    first, again = remembering(5), remembering(0)
    again.load_state_dict(first.state_dict())
    for replay in (first, again):
        for step in range(6, 10):
            replay.opponent.set(step / 100)  # type: ignore[operator]
            replay.after_step()
    assert proposed(first, 40) == proposed(again, 40)
    ours, theirs = first.state_dict(), again.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_an_opponent_without_weights_is_refused() -> None:
    with pytest.raises(InputError, match="an opponent that learns"):
        Replay(Random(Rotation()))
    with pytest.raises(InputError, match="got Free, whose weights are of single images"):
        Replay(Free(Pixels(), image_count=3, image_shape=(3, 8, 8)))


def test_learner_and_blend_pass_the_step_on(photographs: Tensor) -> None:
    replays = [Replay(Constant(), every=1), Replay(Constant(), every=2)]
    with seeded(0):
        method = SimSiam(resnet12(width=0.0625), projection=16, bottleneck=8)
    learner = Learner(method, Blend(replays)).double()
    views = {"first": photographs, "second": photographs.flip(3)}
    for step in range(3):
        learner.after_step(learner(Batch(views, torch.arange(12), step, 1.0, generator_for(0, step))))
    assert [(replay.steps, replay.copies) for replay in replays] == [(3, 3), (3, 1)]


def test_who_has_opponents_passes_on_their_optimisers_and_the_step() -> None:
    inner = [Replay(Constant(), every=1) for _ in range(3)]
    player = Blend([BestOf(Rotation(), opponent=inner[0]), Replay(inner[1]), inner[2]])
    player.after_step()
    assert [replay.steps for replay in inner] == [1, 1, 1]
    groups = [group for optimiser in player.optimisers(0.1) for group in optimiser.param_groups]
    trained = {id(weight) for group in groups for weight in group["params"]}
    assert trained == {id(weight) for replay in inner for weight in replay.opponent.parameters()}


def test_what_is_not_played_is_not_reinforced(photographs: Tensor) -> None:
    with seeded(0):
        method = SimSiam(resnet12(width=0.0625), projection=16, bottleneck=8)
    policy = Policy(Rotation(), slots=1, levels=3)
    learner = Learner(method, policy, probability=0.0).double()
    views = {"first": photographs, "second": photographs.flip(3)}
    outcome = learner(Batch(views, torch.arange(12), 0, 1.0, generator_for(0, 0)))
    assert torch.autograd.grad(outcome.loss, policy.logits)[0].abs().max() == 0


def test_a_blend_reinforces_each_image_for_the_opponent_that_hardened_it() -> None:
    policy = Policy(Rotation(), slots=1, levels=3)
    torch.nn.init.normal_(policy.logits, generator=torch.Generator().manual_seed(4))
    proposal = Blend([Random(Translation()), policy]).propose(turn(40))
    assert proposal.params is not None
    assert proposal.log_probability is not None
    scores = policy.logits.log_softmax(dim=1)[0].tolist()
    for params, score in zip(proposal.params.tolist(), proposal.log_probability.tolist(), strict=True):
        level = round(3 * abs(params[2]))
        assert score == pytest.approx(scores[level - 1] if level else 0.0)


def test_a_blend_of_all_reinforces_and_charges_each_image_for_every_opponent() -> None:
    policies = [Policy(Rotation(), slots=1, levels=3, entropy=weight) for weight in (0.1, 0.3)]
    for policy in policies:
        torch.nn.init.normal_(policy.logits, generator=torch.Generator().manual_seed(4))
    proposal = Blend([policies[0], Random(Translation()), policies[1]], turns="all").propose(turn(40))
    assert proposal.params is not None
    assert proposal.log_probability is not None
    assert proposal.penalty is not None
    scores = policies[0].logits.log_softmax(dim=1)[0].tolist()
    entropy = -sum(math.exp(score) * score for score in scores)
    for params, score in zip(proposal.params.tolist(), proposal.log_probability.tolist(), strict=True):
        assert score == pytest.approx(sum(scores[round(3 * abs(params[place])) - 1] for place in (0, -1)))
    assert proposal.penalty.tolist() == pytest.approx([-0.4 * entropy] * 40)


def test_what_a_sampled_move_costs_lowers_its_reward(photographs: Tensor) -> None:
    """Reinforced is the comparison less the penalty, each less the batch's mean."""
    with seeded(0):
        method = SimSiam(resnet12(width=0.0625), projection=16, bottleneck=8)
    chain = Chain([Colour(a_max=0.8), Rotation()])
    policy, (colours,) = Policy(chain, slots=1, levels=4), chain.shapes[0]
    distance: Penalty = build("penalty", Part("colour_distance", {"weight": 5.0}), {})
    learner = Learner(method, policy, penalties=[distance]).double()
    views = {"first": photographs, "second": photographs.flip(3)}
    outcome = learner(Batch(views, torch.arange(12), 0, 1.0, generator_for(0, 0)))
    (gradient,) = torch.autograd.grad(outcome.loss, policy.logits)
    params = outcome.params["second*"]
    hard = policy.transform(views["second"], params)
    move = Move(views["second"], hard, params, policy.transform, lambda view: view)
    costs = 5.0 * distance(move)
    reward = outcome.comparison - costs
    expected = torch.zeros_like(policy.logits)
    for image, chosen_params in enumerate(params):
        moved = chosen_params.abs()
        operation = int(moved[colours:].max() > 0)
        level = round(4 * moved.max().item()) - 1
        one_hot = torch.zeros(8).double()
        one_hot[4 * operation + level] = 1
        expected[0] += (reward[image] - reward.mean()) * (one_hot - 1 / 8) / 12
    assert costs.std() > 0.01
    assert torch.allclose(gradient, expected, atol=1e-9)


def parts_moved(params: Tensor, chain: Chain) -> Tensor:
    """How many parts of a chain each image's parameters move."""
    pieces = params.split([math.prod(shape) for shape in chain.shapes], dim=1)
    return torch.stack([(piece != 0).any(dim=1) for piece in pieces]).sum(dim=0)


def test_controls_choose_among_the_same_moves() -> None:
    """A policy's is its own draw from even logits, a blend's moves one part, a random policy is its own."""
    chain = Chain([Rotation(), Translation(), Jitter(), Tone()])
    policy = Policy(chain, slots=2, levels=5)
    torch.nn.init.normal_(policy.logits, std=5.0, generator=torch.Generator().manual_seed(0))
    before = policy.logits.detach().clone()
    even = policy.control()
    assert isinstance(even, Policy)
    assert torch.equal(policy.logits, before)
    params = chosen(even)
    assert parts_moved(params, chain).max() == 2
    first, second = (params[:, start] for start in (0, 1))
    assert abs((first != 0).double().mean() - (second != 0).double().mean()) < 0.03

    blend = Blend([Random(Rotation()), policy], image_shape=(3, SIDE, SIDE))
    control = blend.control()
    assert isinstance(control, Blend)
    turned = chosen(control)[:, 0] != 0
    assert 0.45 < turned.double().mean() < 0.55
    assert parts_moved(chosen(control)[:, 1:], chain).max() == 2

    half = Blend([Absent(Rotation()), Random(Translation())]).control()
    assert 0.45 < (chosen(half) != 0).any(dim=1).double().mean() < 0.55, "who leaves images alone has no other choice"
    for player in (RandAugment(Operations()), TrivialAugment(Operations(ranges="wide")), Random(Rotation())):
        assert player.control() is player
    assert isinstance(Replay(policy).control(), Policy)
    assert isinstance(Learned(Rotation(), features=4).control(), Random)


@pytest.mark.parametrize("player", [Policy, lambda grey: Blend([Random(grey), Random(Rotation())])])
@pytest.mark.parametrize("wrapped", [False, True])
def test_transforms_that_cannot_be_left_out_are_refused(player: Callable[[Any], Adversary], wrapped: bool) -> None:
    grey = Colour(space="softmax")
    with pytest.raises(InputError, match="identity"):
        player(Chain([Rotation(), grey]) if wrapped else grey)


@pytest.mark.parametrize("transform", [Pixels(norm="l2"), Frequency(norm="l2"), Mask(form="free")], ids=str)
def test_a_level_is_a_share_of_the_full_move_under_a_bound_on_its_norm(transform: Transform) -> None:
    chain = Chain([transform], image_shape=(3, 8, 8))
    lengths = []
    for level in range(4):
        policy = Policy(chain, image_shape=(3, 8, 8), slots=1, levels=4).double()
        with torch.no_grad():
            policy.logits[0, level] = 100
        lengths.append(chosen(policy, 5).norm(dim=1))
    for level, length in enumerate(lengths, start=1):
        assert torch.allclose(length, level / 4 * lengths[-1])

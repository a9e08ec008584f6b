"""Forms of a round against the same round written out, and what strength and sampled choices mean."""

import copy
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from sparring.adversaries import Absent, Blend, Free, Learned, Random, Search
from sparring.contracts import Adversary, Embedding, Proposal, Turn
from sparring.encoders import resnet12
from sparring.errors import InputError
from sparring.learner import Learner
from sparring.methods import BYOL, MoCo, SimSiam
from sparring.penalties import HardnessBound, IdentityDivergence, Teacher
from sparring.randomness import generator_for, seeded
from sparring.rounds import Batch, base_views_of
from sparring.transforms import Colour, Pixels, Rotation


def make(adversary: Adversary, **settings: object) -> Learner:
    with seeded(0):
        method = SimSiam(resnet12(width=0.0625), projection=16, bottleneck=8)
    return Learner(method, adversary, **settings).double()  # type: ignore[arg-type]


def learned() -> Learned:
    with seeded(1):
        return Learned(Colour(a_max=0.8), features=32)


def make_batch(photographs: Tensor, strength: float = 1.0, step: int = 0) -> Batch:
    views = {"first": photographs, "second": photographs.flip(3)}
    return Batch(views, torch.arange(len(photographs)), step, strength, generator_for(0, step, stream="adversary"))


def gradients(loss: Tensor, module: nn.Module) -> list[Tensor]:
    return list(torch.autograd.grad(loss, list(module.parameters()), retain_graph=True))


def close(ours: list[Tensor], theirs: list[Tensor]) -> bool:
    return all(torch.allclose(a, b, atol=1e-12) for a, b in zip(ours, theirs, strict=True))


@pytest.mark.parametrize("strength", [1.0, 0.3])
@pytest.mark.parametrize("hardened", [("second*",), ("first*", "second*")])
def test_a_round_is_the_round_written_out(hardened: tuple[str, ...], strength: float, photographs: Tensor) -> None:
    """Loss, the encoder's gradients and the adversary's: hard views are chosen by the other clean view's features."""
    pairs = (("first*", "second*"),) if len(hardened) == 2 else (("first", "second"), ("first", "second*"))
    learner, batch = make(learned(), pairs=pairs), make_batch(photographs, strength)
    method, adversary = copy.deepcopy((learner.method, learner.adversary))
    assert isinstance(adversary, Learned)
    clean = {name: method.encode(view) for name, view in batch.views.items()}
    other = {"first*": "second", "second*": "first"}
    embeddings = dict(clean)
    for name in hardened:
        params = adversary.choose(clean[other[name]].features.detach())
        embeddings[name] = method.encode(adversary.transform(batch.views[name[:-1]], strength * params))
    losses = [method.compare(embeddings[a], embeddings[b]).mean() for a, b in pairs]
    expected = sum(losses[1:], start=losses[0]) / len(losses)
    outcome = learner(batch)
    assert outcome.loss.item() == pytest.approx(expected.item(), abs=1e-12)
    assert close(gradients(outcome.loss, learner.method), gradients(expected, method))
    assert close(gradients(outcome.loss, learner.adversary), gradients(expected, adversary))
    assert max(gradient.abs().max().item() for gradient in gradients(expected, adversary)) > 0


def test_both_hard_views_draw_anew(photographs: Tensor) -> None:
    """By chance, first and then second from one generator."""
    rotation, batch = Rotation(), make_batch(photographs)
    learner, draws = make(Random(rotation), pairs=(("first*", "second*"),)), generator_for(0, 0, stream="adversary")
    method = copy.deepcopy(learner.method)
    params = [2 * torch.rand(len(photographs), 1, generator=draws).double() - 1 for _ in range(2)]
    hard = [method.encode(rotation(view, p)) for view, p in zip(batch.views.values(), params, strict=True)]
    assert learner(batch).loss.item() == pytest.approx(method.compare(*hard).mean().item(), abs=1e-12)


def test_a_search_looks_at_the_strength_it_will_play_at(photographs: Tensor) -> None:
    """Hardness of parameters is the loss of the view that a round would render from them."""
    seen: list[tuple[Tensor, Tensor]] = []

    class Judge(Random):
        def propose(self, turn: Turn) -> Proposal:
            params = self.transform.sample(turn.images, turn.generator)
            seen.append((params, turn.hardness(params)))
            return Proposal(params)

    learner = make(Judge(Rotation(degrees=90)))
    outcome = learner(make_batch(photographs, strength=0.4))
    ((params, losses),) = seen
    assert torch.allclose(outcome.params["second*"], params)
    assert torch.allclose(outcome.comparison, losses, atol=1e-12)
    at_full = make(Judge(Rotation(degrees=90)))(make_batch(photographs)).comparison
    assert not torch.allclose(at_full, losses, atol=1e-3)


def test_what_a_search_looks_at_is_less_what_it_would_pay(photographs: Tensor) -> None:
    """By hand: twice the divergence from the identity."""
    seen: list[tuple[Tensor, Tensor]] = []
    colour = Colour(a_max=0.8)

    class Judge(Random):
        def propose(self, turn: Turn) -> Proposal:
            params = self.transform.sample(turn.images, turn.generator)
            seen.append((params, turn.hardness(params)))
            return Proposal(params)

    outcome = make(Judge(colour), penalties=[IdentityDivergence(colour, weight=2.0)])(make_batch(photographs))
    ((params, losses),) = seen
    paid = -2 * colour.matrix(params).diagonal(dim1=1, dim2=2).log().mean(dim=1)
    assert torch.allclose(losses, outcome.comparison - paid, atol=1e-9)
    assert outcome.penalties["second*"].item() == pytest.approx(paid.mean().item(), abs=1e-9)


def test_a_sampled_choice_is_reinforced_by_its_advantage(photographs: Tensor) -> None:
    """Williams 1992: the gradient on the score is the image's comparison less the batch's mean, over the batch size."""

    class Sampled(Adversary):
        def __init__(self) -> None:
            super().__init__(Rotation())
            self.score = nn.Parameter(torch.zeros(len(photographs)))

        def propose(self, turn: Turn) -> Proposal:
            return Proposal(self.transform.sample(turn.images, turn.generator), log_probability=self.score * 1)

    learner = make(Sampled())
    outcome = learner(make_batch(photographs))
    (gradient,) = gradients(outcome.loss, learner.adversary)
    advantage = outcome.comparison - outcome.comparison.mean()
    assert torch.allclose(gradient, advantage / len(photographs), atol=1e-12)
    assert advantage.abs().max() > 0


def test_a_penalty_lowers_what_the_adversary_ascends_and_leaves_the_encoder(photographs: Tensor) -> None:
    class Costly(Learned):
        def propose(self, turn: Turn) -> Proposal:
            proposal = super().propose(turn)
            assert proposal.params is not None
            return Proposal(proposal.params, penalty=proposal.params.square().sum(dim=1))

    batch = make_batch(photographs)
    with seeded(1):
        costly = Costly(Colour(a_max=0.8), features=32)
    free, dear = make(learned()), make(costly)
    without, priced = free(batch), dear(batch)
    penalty = priced.params["second*"].square().sum(dim=1).mean()
    assert priced.loss.item() == pytest.approx(without.loss.item() - penalty.item(), abs=1e-12)
    assert close(gradients(priced.loss, dear.method), gradients(without.loss, free.method))
    own = gradients(
        dear.adversary.choose(dear.comparison.glance(batch.views["first"], batch.indices).features)
        .square()
        .sum(1)
        .mean(),
        dear.adversary,
    )
    expected = [a - b for a, b in zip(gradients(without.loss, free.adversary), own, strict=True)]
    assert close(gradients(priced.loss, dear.adversary), expected)


def test_an_adversary_pays_its_own_penalty_and_those_of_the_recipe(photographs: Tensor) -> None:
    class Costly(Random):
        def propose(self, turn: Turn) -> Proposal:
            return replace(super().propose(turn), penalty=torch.full((len(turn.images),), 0.25).double())

    colour = Colour(a_max=0.8)
    outcome = make(Costly(colour), penalties=[IdentityDivergence(colour, weight=2.0)])(make_batch(photographs))
    divergence = -colour.matrix(outcome.params["second*"]).diagonal(dim1=1, dim2=2).log().mean().item()
    assert outcome.penalties["second*"].item() == pytest.approx(0.25 + 2 * divergence, abs=1e-9)
    assert outcome.loss.item() == pytest.approx(outcome.comparison.mean().item() - 0.25 - 2 * divergence, abs=1e-9)


def propose(adversary: Adversary, photographs: Tensor, step: int = 0) -> Tensor:
    learner, batch = make(adversary), make_batch(photographs, step=step)
    params = learner(batch).params["second*"]
    assert params.shape[0] == len(photographs)
    return params


def test_blended_opponents_play_one_image_each(photographs: Tensor) -> None:
    """Every image is moved by exactly one of them, and every one of them has its images; cyclic: one after another."""
    parts = [Random(Rotation()), Random(Colour()), Search(Rotation(degrees=10), steps=1)]
    ends = ((0, 1), (1, 11), (11, 12))

    def movers(params: Tensor) -> Tensor:
        return torch.stack([(params[:, start:end] != 0).any(dim=1) for start, end in ends], dim=1)

    moved = movers(propose(Blend(parts), photographs.repeat(4, 1, 1, 1)))
    assert (moved.sum(dim=1) == 1).all()
    assert moved.any(dim=0).all()
    for step in range(4):
        moved = movers(propose(Blend(parts, turns="cyclic"), photographs, step))
        assert moved[:, step % 3].all()
        assert moved.sum() == len(photographs)


def test_blended_opponents_may_share_one_transform(photographs: Tensor) -> None:
    """Then it is applied once, and needs no identity unless one of them leaves images alone."""
    grey = Colour(space="softmax")
    always = torch.full((9,), 0.5).double()

    class Constant(Random):
        def propose(self, turn: Turn) -> Proposal:
            return Proposal(always.expand(len(turn.images), 9))

    blend = Blend([Constant(grey), Random(grey)])
    assert blend.transform is grey
    params = propose(blend, photographs.repeat(4, 1, 1, 1))
    constant = params == always
    assert (constant.all(dim=1) | ~constant.any(dim=1)).all()
    assert 0 < constant.all(dim=1).sum() < len(params)
    with pytest.raises(InputError, match="blend: expected a transform that leaves the image as it is at zero"):
        propose(Blend([Absent(grey), Random(grey)]), photographs)
    search = Search(Rotation(), steps=2, random_start=False)
    assert torch.equal(propose(Blend([search, search]), photographs), propose(search, photographs))


def test_all_opponents_of_a_blend_may_play_each_image(photographs: Tensor) -> None:
    """Each chooses its own part of the chain as it would alone; only who asks for the loss needs an identity."""
    search = Search(Rotation(), steps=2, random_start=False)
    params = propose(Blend([Random(Colour()), search], turns="all"), photographs)
    assert torch.equal(params[:, :-1], propose(Random(Colour()), photographs))
    assert torch.equal(params[:, -1:], propose(search, photographs))
    grey = Colour(space="softmax")
    assert (propose(Blend([Random(grey), Random(Rotation())], turns="all"), photographs) != 0).all()
    for players in ([search, Random(grey)], [Absent(grey), search]):
        with pytest.raises(InputError, match="blend: expected a transform that leaves the image as it is at zero"):
            propose(Blend(players, turns="all"), photographs)


def test_a_search_of_one_step_from_the_identity_is_fgsm(photographs: Tensor) -> None:
    """Goodfellow et al. 2015: a step's length in the direction of the gradient's sign, for every pixel."""
    pixels = Pixels(eps=0.02)
    learner, batch = make(Search(pixels, steps=1, step_size=0.7, random_start=False)), make_batch(photographs)
    method = copy.deepcopy(learner.method)
    partner = method.encode(batch.views["first"])
    images = batch.views["second"].clone().requires_grad_()
    (slope,) = torch.autograd.grad(method.compare(partner, method.encode(images)).sum(), images)
    inside = (images > 0) & (images < 1)  # at the ends of the range the clamp's own slope counts
    found = learner(batch).params["second*"]
    assert torch.allclose(found[inside], 0.7 * slope.sign()[inside])


def test_beyond_the_hardness_bound_the_adversary_descends(photographs: Tensor) -> None:
    """PointAugment's turning point: with every image beyond it the adversary's gradient is the negated one."""
    batch, free = make_batch(photographs), make(learned())
    loss = free(batch).loss
    # in SimSiam half of the loss lies behind the stop-gradient, for the bound as for the comparison
    expected = [-gradient for gradient in gradients(loss, free.adversary)]
    bounded = make(learned(), penalties=[HardnessBound(ratio=0.0, margin=-5.0)])
    outcome = bounded(batch)
    assert close(gradients(outcome.loss, bounded.adversary), expected)
    assert close(gradients(outcome.loss, bounded.method), gradients(loss, free.method))
    within = make(learned(), penalties=[HardnessBound(ratio=1.0, margin=5.0)])
    assert within(batch).loss.item() == pytest.approx(loss.item(), abs=1e-12)


def test_a_penalty_weighs_as_much_as_the_pairs_that_it_is_for(photographs: Tensor) -> None:
    """The mean over pairs halves what a hard view has of the loss; of what it pays there is as much."""
    batch, pairs = make_batch(photographs), (("first", "second"), ("first", "second*"))
    free = make(learned(), pairs=pairs)
    bounded = make(learned(), pairs=pairs, penalties=[HardnessBound(ratio=0.0, margin=-5.0)])
    expected = [-gradient for gradient in gradients(free(batch).loss, free.adversary)]
    assert close(gradients(bounded(batch).loss, bounded.adversary), expected)


def test_after_a_step_the_methods_target_and_the_penaltys_teacher_follow(photographs: Tensor) -> None:
    with seeded(0):
        method = BYOL(resnet12(width=0.0625), hidden=16, projection=8, momentum=0.5)
        teacher = Teacher(method.encoder, momentum=0.5)
    learner = Learner(method, learned(), penalties=[teacher]).double()
    outcome = learner(make_batch(photographs))
    slow = (next(method.target.parameters()), next(teacher.teacher.parameters()))
    online = next(method.encoder.parameters())
    before = online.detach().clone()
    with torch.no_grad():
        online.add_(1.0)
    learner.after_step(outcome)
    assert all(torch.allclose(own, before + 0.5, atol=1e-12) for own in slow)


def chosen(learner: Learner, photographs: Tensor, partner: Embedding) -> Tensor:
    params = learner.harden("second*", lambda: partner, make_batch(photographs), learner.adversary)[1].params
    assert params is not None
    return params


def test_a_search_may_look_with_running_statistics(photographs: Tensor) -> None:
    """ACL attacks in evaluation mode: what is found is what a network in evaluation mode would be attacked with."""
    found = {}
    for mode in ("batch", "running"):
        search = Search(Rotation(), steps=3, batch_norm=mode)  # type: ignore[arg-type]
        learner = make(search)
        with torch.no_grad():  # let the running statistics be something
            learner.method.encode(photographs.flip(2))
        before = {name: value.clone() for name, value in learner.state_dict().items()}
        partner = learner.comparison.glance(photographs, torch.arange(len(photographs))).detach()
        found[mode] = chosen(learner, photographs, partner)
        assert all(torch.equal(value, before[name]) for name, value in learner.state_dict().items())
        assert all(module.training for module in learner.method.modules())
        if mode == "running":
            learner.method.eval()
            assert torch.allclose(found[mode], chosen(learner, photographs, partner), atol=1e-12)
    assert not torch.allclose(found["batch"], found["running"], atol=1e-6)


def test_the_image_itself_may_play(photographs: Tensor) -> None:
    """RoCL and HVP harden from the image; its partner is the first random view."""
    pairs = (("first", "image*"),)
    assert base_views_of(pairs) == {"first", "image"}
    assert base_views_of((("first", "second"),)) == {"first", "second"}
    batch = make_batch(photographs)
    learner = make(Random(Rotation()), pairs=pairs)
    outcome = learner(replace(batch, views={"first": photographs.flip(3), "image": photographs}))
    rotated = learner.adversary.transform(photographs, outcome.params["image*"])
    partner, hard = learner.method.encode(photographs.flip(3)), learner.method.encode(rotated)
    assert torch.allclose(outcome.comparison, learner.method.compare(partner, hard), atol=1e-12)


def test_the_memory_of_free_gets_the_gradient_of_a_pass_of_its_own(photographs: Tensor) -> None:
    """Explicit: render from the remembered parameters, and ask for the loss's gradient in them."""
    with seeded(0):
        learner = make(Free(Rotation(), image_count=20))
    batch, method = make_batch(photographs), copy.deepcopy(learner.method)
    learner(batch).loss.backward()
    memory = learner.adversary.memory.weight  # type: ignore[union-attr]
    params = memory.detach()[: len(photographs)].clone().requires_grad_()
    hard = learner.adversary.transform(batch.views["second"], params)
    loss = method.compare(method.encode(batch.views["first"]), method.encode(hard)).mean()
    (expected,) = torch.autograd.grad(loss, params)
    assert torch.allclose(memory.grad.to_dense()[: len(photographs)], expected, atol=1e-12)
    assert memory.grad.to_dense()[len(photographs) :].abs().max() == 0
    assert expected.abs().min() > 0


def test_where_only_hard_views_are_compared_each_is_judged_in_its_own_place(photographs: Tensor) -> None:
    """Queries and keys are not alike in MoCo: what is searched for must be what is trained."""
    with seeded(0):
        method = MoCo(resnet12(width=0.0625), projection=16, hidden=16, queue=8, symmetric=False)
    learner, batch = Learner(method, learned(), pairs=(("first*", "second*"),)).double(), make_batch(photographs)
    one, other = (learner.comparison.glance(view, batch.indices) for view in batch.views.values())
    assert torch.equal(learner.comparison.loss("first*", other, one), method.compare(one, other))
    assert torch.equal(learner.comparison.loss("second*", one, other), method.compare(one, other))
    assert not torch.allclose(method.compare(one, other), method.compare(other, one))

"""One round of the game: encode the clean views, let the adversary harden, encode again, compare."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import cache
from typing import cast

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from sparring.contracts import Adversary, Embedding, Method, Move, Penalty, Proposal, Turn
from sparring.cost import Meter
from sparring.dual_norm import norms_for
from sparring.rounds import Batch, Outcome, Pairs, base_name, hardened_of, partner_of
from sparring.statistics import frozen_statistics, frozen_weights, running_statistics


def _own_objective(proposal: Proposal, comparison: Float[Tensor, " b"]) -> Tensor | float:
    """What the adversary ascends besides the comparison: less its penalty, and the score of what it sampled."""
    penalty = 0.0 if proposal.penalty is None else proposal.penalty.mean()
    if proposal.log_probability is None:
        return -penalty
    reward = comparison if proposal.penalty is None else comparison - proposal.penalty.detach()
    return ((reward - reward.mean()) * proposal.log_probability).mean() - penalty


class Learner(nn.Module):
    """A method and an adversary that share one loss and one backward pass.

    Args:
        method: encoder, heads and comparison.
        adversary: who hardens the starred views.
        pairs: which views are compared; the loss is the mean over the pairs.
        penalties: what the adversary pays for its moves; searches take them into account too.
        probability: share of the images whose view is hardened.
        autocast: context in which the method encodes; views, adversary and losses keep full precision.
        pixels: of an image at full size, by which cost is counted; the most seen so far if not given.
    """

    def __init__(
        self,
        method: Method,
        adversary: Adversary,
        *,
        pairs: Pairs = (("first", "second*"),),
        penalties: Sequence[Penalty] = (),
        probability: float = 1.0,
        autocast: Callable[[], AbstractContextManager] = nullcontext,
        pixels: int = 0,
    ) -> None:
        super().__init__()
        self.method, self.adversary, self.pairs, self.probability = method, adversary, pairs, probability
        self.penalties = cast("Sequence[Penalty]", nn.ModuleList(penalties))
        self.autocast, self.meter = autocast, Meter(self, pixels)

    def forward(self, batch: Batch) -> Outcome:
        with torch.autocast(batch.indices.device.type, enabled=False):
            return self._play(batch)

    def _play(self, batch: Batch) -> Outcome:
        names = sorted({name for pair in self.pairs for name in pair}, key=lambda name: (name.endswith("*"), name))
        embeddings: dict[str, Embedding] = {}
        proposals: dict[str, Proposal] = {}
        for name in names:
            view = batch.views[base_name(name)]
            if name.endswith("*"):
                partner = self._partner(partner_of(name, self.pairs), embeddings, batch)
                view, proposals[name] = self._harden(name, view, partner, batch, self.adversary)
            embeddings[name] = self._encode(view, batch.indices, hard=name.endswith("*"))
        comparison = torch.stack([self.method.compare(embeddings[a], embeddings[b]) for a, b in self.pairs]).mean(0)
        extras = [_own_objective(proposal, comparison.detach()) for proposal in proposals.values()]
        params = {name: p.params.detach() for name, p in proposals.items() if p.params is not None}
        seen = {name: embedding.detach() for name, embedding in embeddings.items()}
        return Outcome(comparison.mean() + sum(extras), comparison.detach(), seen, params)

    def harden(
        self, images: Float[Tensor, "b c h w"], partner: Embedding, batch: Batch, adversary: Adversary
    ) -> tuple[Float[Tensor, "b c h w"], Proposal]:
        """The view that the adversary makes of `images`, in the place of the first hardened view, and what it chose."""
        return self._harden(hardened_of(self.pairs), images, lambda: partner, batch, adversary)

    def compare(self, name: str, partner: Embedding, hard: Embedding) -> Float[Tensor, " b"]:
        """Loss per image of the hardened view `name` and its partner, in the order in which the pairs have them."""
        leads = (name, partner_of(name, self.pairs)) in self.pairs
        return self.method.compare(hard, partner) if leads else self.method.compare(partner, hard)

    def _partner(self, name: str, embeddings: Mapping[str, Embedding], batch: Batch) -> Callable[[], Embedding]:
        """Whom a hard view plays against; a view that is not itself compared is only encoded if somebody asks."""

        @cache
        def partner() -> Embedding:
            return (embeddings.get(name) or self.glance(batch.views[name], batch.indices)).detach()

        return partner

    def _harden(
        self,
        name: str,
        images: Float[Tensor, "b c h w"],
        partner: Callable[[], Embedding],
        batch: Batch,
        adversary: Adversary,
    ) -> tuple[Float[Tensor, "b c h w"], Proposal]:
        if batch.strength == 0:
            return images, Proposal(None)

        def look(view: Tensor) -> Tensor:
            with frozen_statistics(self.method):
                return self.compare(name, partner(), self._encode(view, batch.indices, hard=True))

        def frozen_look(view: Tensor) -> Tensor:
            with frozen_weights(self.method):
                return look(view)

        def move(params: Tensor) -> Move:
            return Move(images, adversary.transform(images, params), params, adversary.transform, frozen_look)

        def hardness(params: Tensor, side: int = 0, running: bool = False) -> Tensor:
            partner()  # before the statistics change: it is encoded as in training
            tried = move(batch.strength * params)
            small = F.interpolate(tried.hard, side, mode="bilinear", antialias=True) if side else tried.hard
            with running_statistics(self.method) if running else nullcontext():
                return look(small) - self._cost_of(tried)

        @cache
        def own_features() -> Tensor:
            return self.glance(images, batch.indices).features

        def features() -> Tensor:
            return partner().features

        turn = Turn(images, batch.indices, features, hardness, own_features, batch.step, batch.generator)
        with self.meter.inputs_only():
            proposal = adversary.propose(turn)
        if proposal.params is None:
            return images, proposal
        made = move(batch.strength * proposal.params)
        cost, hard = self._cost_of(made), made.hard
        proposal = replace(proposal, penalty=cost if proposal.penalty is None else cost + proposal.penalty)
        if self.probability < 1:
            draw = torch.rand(len(images), generator=batch.generator, device=batch.generator.device)
            played = (draw < self.probability).to(hard.device)
            hard = torch.where(played[:, None, None, None], hard, images)
            proposal = proposal.of(played)
        return hard, proposal

    def _cost_of(self, move: Move) -> Float[Tensor, " b"]:
        costs = [penalty.weight * penalty(move) for penalty in self.penalties]
        return sum(costs, start=move.images.new_zeros(len(move.images)))

    def after_step(self, outcome: Outcome) -> None:
        """Let the method, the adversary and the penalties do what they do once a step."""
        self.method.after_step(outcome.embeddings)
        self.adversary.after_step()
        for penalty in self.penalties:
            penalty.after_step(self.method.encoder)

    @torch.no_grad()
    def glance(self, images: Float[Tensor, "b c h w"], indices: Int[Tensor, " b"], *, hard: bool = False) -> Embedding:
        """Embed a view that is not itself compared; changes nothing."""
        with frozen_statistics(self.method):
            return self._encode(images, indices, hard=hard)

    def _encode(self, images: Float[Tensor, "b c h w"], indices: Int[Tensor, " b"], *, hard: bool = False) -> Embedding:
        with self.autocast(), norms_for(self.method, hard=hard):
            embedding = self.method.encode(images.contiguous(memory_format=torch.channels_last))
        if not torch.is_grad_enabled():
            torch.clear_autocast_cache()  # or the weights cast here, without a graph, would serve the training pass
        return replace(embedding.at_least_float32(), indices=indices)

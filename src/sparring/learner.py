"""One round of the game: encode the clean views, let the adversary harden, encode again, compare."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import cache
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sparring.comparison import Comparison
from sparring.contracts import Adversary, Embedding, Method, Penalty, Proposal
from sparring.cost import Meter
from sparring.hardening import Hardening
from sparring.randomness import uniform
from sparring.rounds import Batch, Outcome, Pairs, base_name, check_players, is_hard, partner_of, views_of


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

    Raises:
        InputError: if these cannot play a round, or no pair has a star for the adversary.
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
        check_players(method, adversary, pairs, penalties, probability)
        self.method, self.adversary, self.pairs, self.probability = method, adversary, pairs, probability
        self.penalties = cast("Sequence[Penalty]", nn.ModuleList(penalties))
        self.autocast, self.meter = autocast, Meter(self, pixels)

    @property
    def comparison(self) -> Comparison:
        """How this learner's method sees views."""
        return Comparison(self.method, self.pairs, self.autocast)

    def forward(self, batch: Batch) -> Outcome:
        with torch.autocast(batch.indices.device.type, enabled=False):
            return self._play(batch)

    def _play(self, batch: Batch) -> Outcome:
        names = sorted(views_of(self.pairs), key=lambda name: (is_hard(name), name))
        embeddings: dict[str, Embedding] = {}
        proposals: dict[str, Proposal] = {}
        for name in names:
            view = batch.views[base_name(name)]
            if is_hard(name):
                partner = self._partner(partner_of(name, self.pairs), embeddings, batch)
                view, proposals[name] = self.harden(name, partner, batch, self.adversary)
            embeddings[name] = self.comparison.embed(view, batch.indices, hard=is_hard(name))
        losses = torch.stack([self.method.compare(embeddings[a], embeddings[b]) for a, b in self.pairs]).mean(0)
        objectives = [proposal.objective(losses.detach()) for proposal in proposals.values()]
        params = {name: p.params.detach() for name, p in proposals.items() if p.params is not None}
        penalties = {name: p.penalty.detach().mean() for name, p in proposals.items() if p.penalty is not None}
        seen = {name: embedding.detach() for name, embedding in embeddings.items()}
        return Outcome(losses.mean() + sum(objectives), losses.detach(), seen, params, penalties)

    def _partner(self, name: str, embeddings: Mapping[str, Embedding], batch: Batch) -> Callable[[], Embedding]:
        """Whom a hard view plays against; one that is not itself compared is encoded when it is asked for."""

        @cache
        def partner() -> Embedding:
            return (embeddings.get(name) or self.comparison.glance(batch.views[name], batch.indices)).detach()

        return partner

    def hardening(self, name: str, partner: Callable[[], Embedding], batch: Batch, adversary: Adversary) -> Hardening:
        """The view behind `name` as an adversary is shown it."""
        return Hardening(self.comparison, self.penalties, adversary, name, partner, batch)

    def harden(
        self, name: str, partner: Callable[[], Embedding], batch: Batch, adversary: Adversary
    ) -> tuple[Float[Tensor, "b c h w"], Proposal]:
        """The view that the adversary makes of the one behind `name`, against this partner, and what it chose."""
        view = self.hardening(name, partner, batch, adversary)
        if batch.strength == 0:
            return view.images, Proposal(None)
        with self.meter.inputs_only():
            proposal = adversary.propose(view.turn())
        if proposal.params is None:
            return view.images, proposal
        made = view.move(proposal.params)
        hard = made.hard
        if self.penalties:
            share = sum(name in pair for pair in self.pairs) / len(self.pairs)  # in which it counts in the mean loss
            paid = share * view.cost_of(made)
            proposal = replace(proposal, penalty=paid if proposal.penalty is None else paid + proposal.penalty)
        if self.probability < 1:
            played = uniform((len(hard),), batch.generator, hard) < self.probability
            hard = torch.where(played[:, None, None, None], hard, view.images)
            proposal = proposal.of(played)
        return hard, proposal

    def after_step(self, outcome: Outcome) -> None:
        """Let the method, the adversary and the penalties do what they do once a step."""
        self.method.after_step(outcome.embeddings)
        self.adversary.after_step()
        for penalty in self.penalties:
            penalty.after_step(self.method.encoder)

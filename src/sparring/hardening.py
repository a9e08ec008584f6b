"""One view in an adversary's hands: what it is shown, and what its choice does."""

from collections.abc import Callable, Iterable
from contextlib import nullcontext
from functools import cached_property

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from sparring.comparison import Comparison
from sparring.contracts import Adversary, Embedding, Move, Penalty, Turn
from sparring.module_state import frozen_statistics, frozen_weights, running_statistics
from sparring.rounds import Batch, base_name


class Hardening:
    """What an adversary is shown of one view; whatever it tries leaves the method as it was.

    Args:
        comparison: who judges.
        penalties: what a move costs.
        adversary: who chooses.
        name: of the hardened view.
        partner: the embedding it is compared with; called only if somebody asks.
        batch: its images and its place in training.
    """

    def __init__(
        self,
        comparison: Comparison,
        penalties: Iterable[Penalty],
        adversary: Adversary,
        name: str,
        partner: Callable[[], Embedding],
        batch: Batch,
    ) -> None:
        self.comparison, self.penalties, self.adversary = comparison, penalties, adversary
        self.name, self.partner, self.batch = name, partner, batch
        self.images = batch.views[base_name(name)]

    def turn(self) -> Turn:
        """All that the adversary may look at."""
        return Turn(
            self.images,
            self.batch.indices,
            partner_features=lambda: self.partner().features,
            hardness=self.hardness,
            own_features=lambda: self._own_features,
            step=self.batch.step,
            generator=self.batch.generator,
        )

    def move(self, params: Float[Tensor, " b *p"]) -> Move:
        """What parameters do to the view, at the batch's strength."""
        params = self.batch.strength * params
        transform = self.adversary.transform
        return Move(self.images, transform(self.images, params), params, transform, self._frozen_loss)

    def hardness(self, params: Float[Tensor, " b *p"], side: int = 0, running: bool = False) -> Float[Tensor, " b"]:
        """As `Turn.hardness`: the loss per image under these parameters, less their penalties."""
        self.partner()  # before the statistics change: it is encoded as in training
        tried = self.move(params)
        small = F.interpolate(tried.hard, side, mode="bilinear", antialias=True) if side else tried.hard
        with running_statistics(self.comparison.method) if running else nullcontext():
            return self._loss(small) - self.cost_of(tried)

    def cost_of(self, move: Move) -> Float[Tensor, " b"]:
        """What all penalties together ask for a move."""
        costs = [penalty.weight * penalty(move) for penalty in self.penalties]
        return sum(costs, start=move.images.new_zeros(len(move.images)))

    @cached_property
    def _own_features(self) -> Float[Tensor, "b d"]:
        return self.comparison.glance(self.images, self.batch.indices).features

    def _loss(self, view: Float[Tensor, "b c _ _"]) -> Float[Tensor, " b"]:
        with frozen_statistics(self.comparison.method):
            embedding = self.comparison.embed(view, self.batch.indices, hard=True)
            return self.comparison.loss(self.name, self.partner(), embedding)

    def _frozen_loss(self, view: Float[Tensor, "b c _ _"]) -> Float[Tensor, " b"]:
        with frozen_weights(self.comparison.method):
            return self._loss(view)

"""One view in an adversary's hands: what it is shown, and what its choice does."""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from sparring.comparison import Comparison
from sparring.contracts import Adversary, Embedding, Move, Penalty, Turn
from sparring.dual_norm import has_dual_norms
from sparring.module_state import frozen_statistics, frozen_weights, running_statistics
from sparring.rounds import Batch, base_name, partner_of


class Hardening:
    """What an adversary is shown of one view; whatever it tries leaves the method as it was.

    `name` is that of the hardened view, `partner` the embedding it is compared with, called only if somebody asks.
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
        self.rivals: dict[bool, Embedding] = {}  # no functools.cache, which would keep each step's batch alive

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
        rival = self._rival(running)  # before the statistics change: the partner is encoded as in training
        tried = self.move(params)
        small = F.interpolate(tried.hard, side, mode="bilinear", antialias=True) if side else tried.hard
        with self._statistics(running):
            loss = self._loss(small, rival)
        return loss - self.cost_of(tried)  # asked as in training, whatever the statistics of the loss

    def cost_of(self, move: Move) -> Float[Tensor, " b"]:
        """What all penalties together ask for a move."""
        costs = [penalty.weight * penalty(move) for penalty in self.penalties]
        return sum(costs, start=move.images.new_zeros(len(move.images)))

    @cached_property
    def _own_features(self) -> Float[Tensor, "b d"]:
        return self.comparison.glance(self.images, self.batch.indices).features

    def _rival(self, running: bool) -> Embedding:
        """Whom tried views are compared with: the partner; where BatchNorm is doubled, as hard views' layers see it.

        So ACL and CLAE do it: through the other layers an image would not even be near itself.
        """
        if not has_dual_norms(self.comparison.method):
            return self.partner()
        if running not in self.rivals:
            view = self.batch.views[partner_of(self.name, self.comparison.pairs)]
            with self._statistics(running):
                self.rivals[running] = self.comparison.glance(view, self.batch.indices, hard=True)
        return self.rivals[running]

    def _statistics(self, running: bool) -> AbstractContextManager[None]:
        return running_statistics(self.comparison.method) if running else nullcontext()

    def _loss(self, view: Float[Tensor, "b c _ _"], rival: Embedding) -> Float[Tensor, " b"]:
        with frozen_statistics(self.comparison.method):
            embedding = self.comparison.embed(view, self.batch.indices, hard=True)
            return self.comparison.loss(self.name, rival, embedding)

    def _frozen_loss(self, view: Float[Tensor, "b c _ _"]) -> Float[Tensor, " b"]:
        rival = self._rival(False)
        with frozen_weights(self.comparison.method):
            return self._loss(view, rival)

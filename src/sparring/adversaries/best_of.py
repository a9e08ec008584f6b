"""The hardest of several proposals."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.optim import Optimizer

from sparring.adversaries.chance import Random
from sparring.contracts import Adversary, Proposal, Transform, Turn
from sparring.schema import check_range


class BestOf(Adversary):
    """Let an opponent propose n times, look at the loss of each proposal, and keep the hardest for each image.

    The looks are forward only. An opponent that learns is trained by what was kept; one without chance in its choice
    proposes the same every time.

    Args:
        transform: what may change, if the opponent is chance.
        draws: number of proposals, each one encoder forward (none at 1, the opponent itself).
        side: side in pixels at which the candidates are compared; 0 is the view's own.
        opponent: who proposes; the random control if not given.

    Source: Ferreira et al. 2025, "Beyond Random Augmentations: Pretraining with Hard Views".
    """

    def __init__(
        self, transform: Transform, *, draws: int = 4, side: int = 0, opponent: Adversary | None = None
    ) -> None:
        opponent = opponent or Random(transform)
        super().__init__(opponent.transform)
        check_range("best_of: draws", draws, 1)
        check_range("best_of: side", side, 0)
        self.draws, self.side, self.opponent = draws, side, opponent

    def propose(self, turn: Turn) -> Proposal:
        proposals = [self.opponent.propose(turn) for _ in range(self.draws)]
        candidates = [proposal.params for proposal in proposals if proposal.params is not None]
        if self.draws == 1 or len(candidates) < self.draws:
            return proposals[0]
        with torch.no_grad():
            losses = torch.stack([turn.hardness(params, self.side) for params in candidates])
        return picked(losses.argmax(dim=0), proposals)

    def optimisers(self, learning_rate: float) -> list[Optimizer]:
        return self.opponent.optimisers(learning_rate)

    def after_step(self) -> None:
        self.opponent.after_step()

    def control(self) -> Adversary:
        return self.opponent.control()


def picked(chosen: Int[Tensor, " b"] | None, proposals: Sequence[Proposal]) -> Proposal:
    """Each image's own from the proposal that is chosen for it; where none is, the sum of all."""
    return Proposal(
        params=_of_chosen(chosen, [proposal.params for proposal in proposals]),
        penalty=_of_chosen(chosen, [proposal.penalty for proposal in proposals]),
        log_probability=_of_chosen(chosen, [proposal.log_probability for proposal in proposals]),
    )


def _of_chosen(
    chosen: Int[Tensor, " b"] | None, values: Sequence[Float[Tensor, " b *p"] | None]
) -> Float[Tensor, " b *p"] | None:
    """Each image's value from the proposal that is chosen for it, 0 if that one has none; None if none has."""
    own = [
        value if chosen is None else torch.where((chosen == place).view(-1, *[1] * (value.ndim - 1)), value, 0.0)
        for place, value in enumerate(values)
        if value is not None
    ]
    return torch.stack(own).sum(0) if own else None

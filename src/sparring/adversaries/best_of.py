"""The hardest of several draws."""

import torch

from sparring.adversaries.random import Random
from sparring.contracts import Adversary, Proposal, Transform, Turn
from sparring.errors import InputError


class BestOf(Adversary):
    """Draw n times, look at the loss of each draw, and keep the hardest for each image; forward only.

    Args:
        transform: what may change.
        draws: number of draws, each one encoder forward (none at 1, the random control).
        side: side in pixels at which the candidates are compared; 0 is the view's own.

    Source: Ferreira et al. 2024, "Hard View Pretraining for Self-Supervised Learning".
    """

    def __init__(self, transform: Transform, *, draws: int = 4, side: int = 0) -> None:
        super().__init__(transform)
        if draws < 1 or side < 0:
            raise InputError(f"best_of: expected draws >= 1 and side >= 0, got {draws} and {side}")
        self.draws, self.side, self.chance = draws, side, Random(transform)

    @torch.no_grad()
    def propose(self, turn: Turn) -> Proposal:
        candidates = [self.chance.draw(turn) for _ in range(self.draws)]
        if self.draws == 1:
            return Proposal(candidates[0])
        losses = torch.stack([turn.hardness(params, self.side) for params in candidates])
        rows = torch.arange(len(turn.images), device=losses.device)
        return Proposal(torch.stack(candidates)[losses.argmax(dim=0), rows])

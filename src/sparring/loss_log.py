"""Losses of the steps since the last line of the log."""

import torch
from jaxtyping import Float
from torch import Tensor

from sparring.gather import all_reduce_sum, rank, ranks, unshard


class LossLog:
    """The sum of a rank's own losses; mean and state are of all ranks, which must all ask."""

    def __init__(self, device: torch.device) -> None:
        self.total, self.steps = torch.zeros(1, device=device), 0

    def add(self, loss: Float[Tensor, ""]) -> None:
        """A step's."""
        self.total, self.steps = self.total + loss, self.steps + 1

    def clear(self) -> None:
        """After a line of the log."""
        self.total, self.steps = torch.zeros_like(self.total), 0

    def mean(self) -> float:
        """Over steps and ranks; 0 where there are none."""
        return all_reduce_sum(self.total).item() / (self.steps * ranks()) if self.steps else 0.0

    def state(self) -> tuple[Float[Tensor, " ranks"], int]:
        """What a checkpoint keeps: each rank's sum, and of how many steps."""
        return unshard(self.total, ranks()), self.steps

    def load(self, state: tuple[Float[Tensor, " ranks"], int]) -> None:
        """Go on with this rank's sum, or with the mean of all if there were more or fewer ranks."""
        totals, self.steps = state
        own = totals[rank() : rank() + 1] if len(totals) == ranks() else totals.mean(dim=0, keepdim=True)
        self.total = own.to(self.total.device)

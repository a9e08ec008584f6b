"""Losses of the steps since the last line of the log."""

import torch
from torch import Tensor

from sparring.gather import collected, dealt, ranks, summed


class LossLog:
    """A rank's own losses; mean and state are of all ranks, which must all ask."""

    def __init__(self) -> None:
        self.losses: list[Tensor] = []

    def add(self, loss: Tensor) -> None:
        """A step's."""
        self.losses.append(loss)

    def clear(self) -> None:
        """After a line of the log."""
        self.losses.clear()

    def mean(self) -> float:
        """Over steps and ranks; 0 where there are none."""
        return summed(torch.stack(self.losses).mean()).item() / ranks() if self.losses else 0.0

    def state(self) -> Tensor:
        """What a checkpoint keeps."""
        return collected(torch.stack(self.losses), ranks() * len(self.losses)) if self.losses else torch.zeros(0)

    def load(self, state: Tensor | list[Tensor], device: torch.device) -> None:
        """Go on with this rank's share of a checkpoint (a list, if it is of a version that kept the first rank's)."""
        rows = state if isinstance(state, list) else list(dealt(state))
        self.losses = [loss.to(device) for loss in rows]

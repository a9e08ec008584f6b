"""Losses of the steps since the last line of the log; each rank holds its own."""

import torch
from torch import Tensor

from sparring.gather import collected, dealt, ranks, summed


class Losses(list[Tensor]):
    """A rank's losses; mean and state are of all ranks, so all must ask."""

    def average(self) -> float:
        """Over steps and ranks; 0 where there are none."""
        return summed(torch.stack(self).mean()).item() / ranks() if self else 0.0

    def state(self) -> Tensor | None:
        """What a checkpoint keeps."""
        return collected(torch.stack(self), ranks() * len(self)) if self else None

    def load(self, state: Tensor | None, device: torch.device) -> None:
        """Go on with this rank's share of a checkpoint."""
        self[:] = [] if state is None else dealt(state.to(device))

"""A bound on how much harder than the view itself a hard view may be."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from sparring.contracts import Move, Penalty
from sparring.schema import check_ranges


class HardnessBound(Penalty):
    """2 relu(L_hard - (ratio L_clean + margin)) per image: beyond the bound the adversary's ascent turns into descent.

    At weight 1 the adversary ascends -|L_hard - bound| up to a constant, PointAugment's objective without its
    exponential. A ratio means something only for losses above 0 (NT-Xent and its kin); for SimSiam and BYOL, whose
    losses are negative or count cosines, take ratio 1 and a margin. Costs two forwards and one backward to the input.

    Args:
        ratio: bound on the hard view's loss as a multiple of the view's own.
        margin: added to the bound.

    Source: Li et al. 2020, "PointAugment: an Auto-Augmentation Framework for Point Cloud Classification".
    """

    def __init__(self, *, ratio: float = 1.0, margin: float = 0.5, weight: float = 1.0) -> None:
        super().__init__(weight)
        self.ratio, self.margin = ratio, margin
        check_ranges(self, {"ratio": (0, math.inf), "margin": (-math.inf, math.inf)}, "hardness_bound: ")

    def forward(self, move: Move) -> Float[Tensor, " b"]:
        with torch.no_grad():
            bound = self.ratio * move.loss_of(move.images) + self.margin
        return 2 * torch.relu(move.loss_of(move.hard) - bound)

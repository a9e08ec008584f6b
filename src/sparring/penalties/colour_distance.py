"""A budget of perceived colour change."""

import math

import torch
from jaxtyping import Float
from kornia.color import rgb_to_lab
from torch import Tensor

from sparring.contracts import Move, Penalty
from sparring.schema import check_ranges

TINY = 1e-6  # the square root has no gradient at 0


class ColourDistance(Penalty):
    """Mean CIE76 distance (Delta E) of hard and clean pixels beyond a budget, in units of the budget.

    Args:
        budget: mean Delta E without a penalty; 2.3 is just noticeable, 10 plain at a glance.

    Source: CIE 1976; a colour distance as the adversary's constraint: Zhao et al. 2020, "Towards Large yet
    Imperceptible Adversarial Image Perturbations with Perceptual Color Distance".
    """

    def __init__(self, *, budget: float = 10.0, weight: float = 1.0) -> None:
        super().__init__(weight)
        self.budget = budget
        check_ranges(self, {"budget": (1e-3, math.inf)}, "colour_distance: ")

    def forward(self, move: Move) -> Float[Tensor, " b"]:
        difference = rgb_to_lab(move.hard) - rgb_to_lab(move.images)
        distance = (difference.square().sum(dim=1) + TINY).sqrt().mean(dim=(1, 2))
        return torch.relu(distance / self.budget - 1)

"""A floor under what a hard view may lose, judged by a slow copy of the encoder."""

from copy import deepcopy

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from sparring.contracts import Move, Penalty
from sparring.encoders import Encoder
from sparring.schema import check_ranges


class Teacher(Penalty):
    """Features of the hard view stay within a cosine of the clean view's, under an exponential moving average encoder.

    Costs two forwards and one backward to the input.

    Args:
        encoder: the one that is trained; copied at the start, followed after each step.
        floor: cosine below which the penalty begins, in [-1, 1].
        momentum: share of the copy that a step keeps.

    Source: Suzuki 2022, "TeachAugment: Data Augmentation Optimization Using Teacher Knowledge".
    """

    def __init__(self, encoder: Encoder, *, floor: float = 0.7, momentum: float = 0.999, weight: float = 1.0) -> None:
        super().__init__(weight)
        self.floor, self.momentum = floor, momentum
        check_ranges(self, {"floor": (-1, 1), "momentum": (0, 1)}, "teacher: ")
        self.teacher = deepcopy(encoder).requires_grad_(False).eval()

    def train(self, mode: bool = True) -> "Teacher":
        """The copy stays in evaluation mode: it judges by running statistics and changes nothing."""
        return super().train(False)

    def forward(self, move: Move) -> Float[Tensor, " b"]:
        with torch.no_grad():
            clean = self.teacher(move.images)
        return torch.relu(self.floor - F.cosine_similarity(self.teacher(move.hard), clean))

    @torch.no_grad()
    def after_step(self, encoder: Encoder) -> None:
        state = encoder.state_dict()
        for name, slow in self.teacher.state_dict().items():
            if slow.is_floating_point():
                slow.lerp_(state[name], 1 - self.momentum)
            else:
                slow.copy_(state[name])

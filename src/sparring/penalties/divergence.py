"""Penalties on stochastic colour matrices: divergence from identity and uniform, and an entropy band on their mean."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from sparring.contracts import Move, Penalty, Transform
from sparring.errors import InputError
from sparring.gather import gather
from sparring.transforms import Colour

TINY = 1e-12  # keeps the logarithm of an exact 0 finite


def _matrix(move: Move) -> Float[Tensor, "b 3 3"]:
    assert isinstance(move.transform, Colour)
    return move.transform.matrix(move.params)


def _require_colour(name: str, transform: Transform) -> None:
    if not isinstance(transform, Colour):
        raise InputError(f"penalty {name}: expected the transform 'colour', whose rows are distributions")


class IdentityDivergence(Penalty):
    """KL(I || A), the mean over rows of -log a_ii: 0 where colours stay.

    Args:
        transform: the adversary's, which must be a colour space.

    Source: ours, for the closing question of "Adversarial Augmentations for Contrastive Learning", whether more
    constraint helps more.
    """

    def __init__(self, transform: Transform, *, weight: float = 0.1) -> None:
        super().__init__(weight)
        _require_colour("kl_identity", transform)

    def forward(self, move: Move) -> Float[Tensor, " b"]:
        return -(_matrix(move).diagonal(dim1=1, dim2=2) + TINY).log().mean(dim=1)


class UniformDivergence(Penalty):
    """KL(A || 1/3), the mean over rows: 0 for grey, log 3 for a row that reads one channel.

    Args:
        transform: the adversary's, which must be a colour space.

    Source: as of `IdentityDivergence`.
    """

    def __init__(self, transform: Transform, *, weight: float = 0.1) -> None:
        super().__init__(weight)
        _require_colour("kl_uniform", transform)

    def forward(self, move: Move) -> Float[Tensor, " b"]:
        return math.log(3) - _entropy(_matrix(move)).mean(dim=1)


class EntropyBand(Penalty):
    """Keep the entropy of the batch's mean matrix in a band, so that the choices cannot collapse to one point.

    The batch is that of all processes, which must all call it.

    Entropy per row in units of log 3, mean over rows; the penalty is its distance from [low, high].

    Args:
        transform: the adversary's, which must be a colour space.
        low: lowest entropy without a penalty, in [0, 1].
        high: highest, in [low, 1].

    Source: as of `IdentityDivergence`.
    """

    def __init__(self, transform: Transform, *, low: float = 0.6, high: float = 1.0, weight: float = 1.0) -> None:
        super().__init__(weight)
        _require_colour("entropy_band", transform)
        if not 0 <= low <= high <= 1:
            raise InputError(f"penalty entropy_band: expected 0 <= low <= high <= 1, got {low} and {high}")
        self.low, self.high = low, high

    def forward(self, move: Move) -> Float[Tensor, " b"]:
        entropy = _entropy(gather(_matrix(move)).mean(dim=0)).mean() / math.log(3)
        return (torch.relu(self.low - entropy) + torch.relu(entropy - self.high)).expand(len(move.params))


def _entropy(rows: Float[Tensor, "*b 3 3"]) -> Float[Tensor, "*b 3"]:
    return -(rows * (rows + TINY).log()).sum(dim=-1)

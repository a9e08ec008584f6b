"""How far an adversary may go, as a cost of its own. A new penalty is one file and one row."""

from sparring.contracts import Penalty
from sparring.penalties.colour_distance import ColourDistance
from sparring.penalties.divergence import EntropyBand, IdentityDivergence, UniformDivergence
from sparring.penalties.hardness import HardnessBound
from sparring.penalties.teacher import Teacher

PENALTIES: dict[str, type[Penalty]] = {
    "colour_distance": ColourDistance,
    "entropy_band": EntropyBand,
    "hardness_bound": HardnessBound,
    "kl_identity": IdentityDivergence,
    "kl_uniform": UniformDivergence,
    "teacher": Teacher,
}

__all__ = [
    "PENALTIES",
    "ColourDistance",
    "EntropyBand",
    "HardnessBound",
    "IdentityDivergence",
    "Teacher",
    "UniformDivergence",
]

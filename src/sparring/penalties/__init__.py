"""How far an adversary may go, as a cost of its own. A new penalty is one file and one row."""

from sparring.contracts import Penalty
from sparring.penalties.colour_distance import ColourDistance as ColourDistance
from sparring.penalties.divergence import (
    EntropyBand as EntropyBand,
    IdentityDivergence as IdentityDivergence,
    UniformDivergence as UniformDivergence,
)
from sparring.penalties.hardness import HardnessBound as HardnessBound
from sparring.penalties.teacher import Teacher as Teacher

PENALTIES: dict[str, type[Penalty]] = {
    "colour_distance": ColourDistance,
    "entropy_band": EntropyBand,
    "hardness_bound": HardnessBound,
    "kl_identity": IdentityDivergence,
    "kl_uniform": UniformDivergence,
    "teacher": Teacher,
}

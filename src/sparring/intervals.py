"""How far a mean of few values may be off."""

import math
from collections.abc import Sequence
from statistics import stdev

from scipy.special import stdtrit


def t_margin(values: Sequence[float]) -> float:
    """Half the 95 % interval of the mean by Student's t (1908), for values that are about normal, at least two.

    Not a number where one of them is not finite.
    """
    if not all(map(math.isfinite, values)):
        return math.nan
    return float(stdtrit(len(values) - 1, 0.975)) * stdev(values) / len(values) ** 0.5

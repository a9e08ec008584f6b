"""Statistics over seeds: runs in groups that differ in nothing else, and how far a group is from the baseline."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean

import numpy as np

from sparring.intervals import t_margin
from sparring.recipe import PLACEMENT
from sparring.reports.record import Record
from sparring.reports.tables import played
from sparring.reports.words import name

RESAMPLES = 10_000
LEAST_SEEDS = 3
"""Two differences say nothing of how much a third would differ."""
IGNORED = ("seed", "hardness_every", *PLACEMENT)
"""Settings that do not change what is trained: looks leave it bit for bit the same."""


Interval = tuple[float, float] | None


@dataclass(frozen=True)
class Difference:
    """Mean over seeds of a group's figure minus the baseline's at the same seed, and its 95 % intervals."""

    mean: float
    interval: Interval
    """By Student's t: what a claim is judged by."""
    resampled: Interval
    """By the bootstrap, which is too narrow with few seeds."""
    seeds: int

    def __str__(self) -> str:
        ends = f" [{self.interval[0]:+.2f}, {self.interval[1]:+.2f}]" if self.interval else ""
        return f"{self.mean:+.2f}{ends}"


def grouped(runs: Sequence[Record]) -> list[list[Record]]:
    """Runs of the same recipe but for the seed and the place, in order of appearance."""
    groups: dict[tuple[tuple[str, str], ...], list[Record]] = {}
    for run in runs:
        key = tuple(sorted((name, value) for name, value in played(run).items() if name not in IGNORED))
        groups.setdefault(key, []).append(run)
    return list(groups.values())


def baseline_of(groups: Sequence[Sequence[Record]]) -> int:
    """The place of the first group without an adversary, or of the first group."""
    vanilla = [number for number, runs in enumerate(groups) if not name(runs[0].recipe, "adversary")]
    return vanilla[0] if vanilla else 0


def by_seed(values: Sequence[tuple[int, float]]) -> dict[int, float]:
    """One value a seed; a seed that was trained twice counts once, with its mean."""
    seeds = dict.fromkeys(seed for seed, _ in values)
    return {seed: mean(value for own, value in values if own == seed) for seed in seeds}


def difference(values: Mapping[int, float], baseline: Mapping[int, float]) -> Difference | None:
    """Paired by seed; None where the two share no seed."""
    pairs = [values[seed] - baseline[seed] for seed in values if seed in baseline]
    return Difference(mean(pairs), t_interval(pairs), bootstrap_interval(pairs), len(pairs)) if pairs else None


def t_interval(values: Sequence[float]) -> Interval:
    """95 % interval of the mean by Student's t (1908), for values that are about normal; below 3 there is none."""
    if len(values) < LEAST_SEEDS:
        return None
    half = t_margin(values)
    return mean(values) - half, mean(values) + half


def bootstrap_interval(values: Sequence[float]) -> Interval:
    """The 2.5th and 97.5th percentile of the means of 10,000 resamples with replacement (Efron 1979).

    The same values always have the same interval; below 3 values there is none.
    """
    if len(values) < LEAST_SEEDS:
        return None
    draws = np.random.default_rng(0).integers(len(values), size=(RESAMPLES, len(values)))
    low, high = np.percentile(np.asarray(values)[draws].mean(axis=1), (2.5, 97.5))
    return float(low), float(high)

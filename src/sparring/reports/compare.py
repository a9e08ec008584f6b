"""Statistics over seeds: runs in groups that differ in nothing else, and how far a group is from the baseline."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any

import numpy as np

from sparring.intervals import t_margin
from sparring.reports.record import Record
from sparring.reports.tables import BOOKS, FIGURES, played
from sparring.reports.words import name

RESAMPLES = 10_000
MOST_GROUPS = 8
"""Of more, nobody reads how far each is from each."""
LEAST_SEEDS = 3
"""Two differences say nothing of how much a third would differ."""
UNLABELLED = (
    "Without labels groups are compared by RankMe: a higher one often, not always, goes with a better encoder, so it "
    "decides nothing between an adversary and none."
)
IGNORED = ("seed", *BOOKS)
CELL = re.compile(r"(.+),seed=\d+")
"""The folder of a sweep's cell: what its arm or its settings are called, and the seed."""


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
        return with_interval(self.mean, self.interval, ".2f")


def grouped(runs: Sequence[Record]) -> list[list[Record]]:
    """Runs of the same recipe but for the seed and the place, in order of appearance."""
    groups: dict[tuple[tuple[str, str], ...], list[Record]] = {}
    for run in runs:
        key = tuple(sorted((name, value) for name, value in played(run).items() if name not in IGNORED))
        groups.setdefault(key, []).append(run)
    return list(groups.values())


def group_of(folder: str) -> str:
    """A cell's folder without its seed; empty for a folder of another name."""
    match = CELL.fullmatch(folder)
    return match[1] if match else ""


def group_names(groups: Sequence[Sequence[Record]]) -> list[str]:
    """What a sweep calls each group: the NAME of its folders NAME,seed=N; empty where they have none of their own."""
    found = [{group_of(run.path.name) for run in runs} for runs in groups]
    return [
        next(iter(own)) if len(own) == 1 and sum(bool(own & other) for other in found) == 1 else "" for own in found
    ]


def baseline_of(groups: Sequence[Sequence[Record]]) -> int:
    """The place of the first group without an adversary, or of the first group."""
    vanilla = [number for number, runs in enumerate(groups) if not name(runs[0].recipe, "adversary")]
    return vanilla[0] if vanilla else 0


def by_seed(values: Sequence[tuple[int, float]]) -> dict[int, float]:
    """One value a seed; a seed that was trained twice counts once, with its mean."""
    seeds = dict.fromkeys(seed for seed, _ in values)
    return {seed: mean(value for own, value in values if own == seed) for seed in seeds}


def paired(values: Mapping[Any, float], baseline: Mapping[Any, float]) -> list[float]:
    """What each seed has over the baseline's same seed, where it has one."""
    return [values[seed] - baseline[seed] for seed in values if seed in baseline]


def difference(values: Mapping[int, float], baseline: Mapping[int, float]) -> Difference | None:
    """Paired by seed; None where the two share no seed."""
    pairs = paired(values, baseline)
    return Difference(mean(pairs), t_interval(pairs), bootstrap_interval(pairs), len(pairs)) if pairs else None


def with_interval(difference: float, interval: Interval, form: str) -> str:
    """A difference and its interval in brackets, where there is one, each number with its sign."""
    ends = f" [{', '.join(f'{end:+{form}}' for end in interval)}]" if interval else ""
    return f"{difference:+{form}}{ends}"


def in_words(compared: Mapping[str, Any]) -> list[str]:
    """A line for each group of sweep.json and, of few groups, for each difference: what is read without a browser."""
    (title, form), groups = FIGURES[compared["measure"]], compared["groups"]
    lines = []
    for group in groups:
        spread = "" if group["deviation"] is None else f" ± {group['deviation']:{form}}"
        lines.append(f"{group['name']}: {title} {group['mean']:{form}}{spread}, seeds: {group['seeds']}")
    for each in compared["differences"] if len(groups) <= MOST_GROUPS else ():
        line = f"{each['of']} over {each['against']}: {with_interval(each['mean'], each['interval'], form)}"
        settled = each["interval"] and not each["interval"][0] <= 0 <= each["interval"][1]
        lines.append(line if settled else f"{line}, not settled")
    return [*lines, *([] if compared["measure"] == "knn" else [UNLABELLED])]


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

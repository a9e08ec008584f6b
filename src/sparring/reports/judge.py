"""Whether a study's claims hold, by the figures of its runs: each judgement has words, a verdict and its figures."""

from collections.abc import Callable, Mapping, Sequence
from statistics import mean
from typing import Any

from sparring.errors import InputError
from sparring.reports.compare import LEAST_SEEDS, Difference, difference
from sparring.reports.record import Record

Values = Mapping[str, Mapping[int, float]]
"""By arm and seed: the last epoch's kNN accuracy in percent."""
Judgement = dict[str, Any]
FEW = f"open: fewer than {LEAST_SEEDS} seeds"
RULE = (
    "A bound of points holds if the mean keeps it and the whole interval lies on its side of 0 (`within`, and bounds "
    "that allow a loss: on its side of the bound); it fails if the whole interval lies beyond it; else it is open. "
    "Intervals are 95 % intervals by Student's t over seeds, paired."
)


def _at_least(limit: float, found: float, low: float, high: float) -> bool | None:
    if found >= limit and (low > 0 if limit > 0 else low >= limit):
        return True
    return False if high < limit else None


def _at_most(limit: float, found: float, low: float, high: float) -> bool | None:
    return _at_least(-limit, -found, -high, -low)


def _within(limit: float, found: float, low: float, high: float) -> bool | None:
    if -limit <= low and high <= limit:
        return True
    return False if low > limit or high < -limit else None


BOUNDS: dict[str, Callable[[float, float, float, float], bool | None]] = {
    "within": _within,
    "at_least": _at_least,
    "at_most": _at_most,
}
"""Of a limit, a mean and its interval: whether the bound holds; None if the figures do not tell."""


def comparison(bound: Mapping[str, Any], values: Values) -> Judgement:
    """Of an `arm` held `against` another: the paired difference, and whether it keeps its bound."""
    found = difference(values[bound["arm"]], values[bound["against"]])
    if found is None:
        raise InputError(f"{bound['arm']} against {bound['against']}: expected seeds that both have, got none")
    (kind,) = (kind for kind in BOUNDS if kind in bound)
    words = f"{bound['arm']} against {bound['against']}: {found}"
    figures = {"difference": found.mean, "interval": found.interval, "seeds": found.seeds}
    return {**bound, **figures, "words": words, "verdict": _verdict(kind, bound[kind], found)}


def _verdict(kind: str, limit: float, found: Difference) -> str:
    if found.interval is None:
        return FEW
    held = BOUNDS[kind](limit, found.mean, *found.interval)
    return f"{_word(held)} ({kind.replace('_', ' ')} {limit:g})"


def _word(held: bool | None) -> str:
    return "open: the interval does not tell" if held is None else "held" if held else "did not hold"


def gap(bound: Mapping[str, Any], values: Values) -> list[Judgement]:
    """The share of the gap between `low` and `high` that each arm closes; `arms` are to close `at_least` so much."""
    if not bound:
        return []
    return [_share(bound, arm, values) for arm in values if arm not in (bound["low"], bound["high"])]


def _share(bound: Mapping[str, Any], arm: str, values: Values) -> Judgement:
    """Over the seeds that the arm shares with both ends."""
    ends = [values[arm], values[bound["low"]], values[bound["high"]]]
    seeds = [seed for seed in ends[0] if all(seed in end for end in ends)]
    if not seeds:
        return {"arm": arm, "words": f"{arm} shares no seed with the ends of the gap", "verdict": FEW}
    own, low, high = (mean(end[seed] for seed in seeds) for end in ends)
    if high <= low:
        words = f"{bound['high']} is {high - low:+.2f} points from {bound['low']}"
        return {"arm": arm, "words": words, "verdict": "open: there is no gap to close"}
    share = (own - low) / (high - low)
    words = f"{arm} closes {100 * share:.0f} % of the gap of {high - low:.2f} points"
    held = f"{_word(share >= bound['at_least'])} (at least {100 * bound['at_least']:.0f} %)"
    verdict = "for comparison" if arm not in bound["arms"] else FEW if len(seeds) < LEAST_SEEDS else held
    return {"arm": arm, "share": share, "words": words, "verdict": verdict}


def collapse(bound: Mapping[str, Any], runs: Mapping[str, Sequence[Record]]) -> list[Judgement]:
    """Of each arm: whether its parameters `keys` ended as one constant `above` a level, as is expected of `arms` alone.

    One constant: their deviation over images and draws is at most `spread`; a choice between extremes by image, whose
    mean may lie anywhere, is none.
    """
    return [_collapse(bound, arm, own) for arm, own in runs.items()] if bound else []


def _collapse(bound: Mapping[str, Any], arm: str, runs: Sequence[Record]) -> Judgement:
    means, spreads = (_ends(runs, kind, bound["keys"]) for kind in ("adversary", "spread"))
    if not (means and spreads):
        return {"arm": arm, "words": f"{arm}: {', '.join(bound['keys'])}", "verdict": "open: not measured"}
    level, spread = mean(means), mean(spreads)
    collapsed, expected = level > bound["above"] and spread <= bound["spread"], arm in bound["arms"]
    words = f"{arm}: {', '.join(bound['keys'])} end at {level:.2f} on the mean, deviation {spread:.2f}"
    constant = "one constant expected" if expected else "no constant expected"
    rule = f"{constant}: above {bound['above']:g}, deviation up to {bound['spread']:g}"
    verdict = FEW if len(runs) < LEAST_SEEDS else f"{_word(collapsed == expected)} ({rule})"
    return {"arm": arm, "expected": expected, "mean": level, "deviation": spread, "words": words, "verdict": verdict}


def paragraph(judged: Sequence[Mapping[str, Any]]) -> str:
    """Which judgements held, which did not and which are open, each by its arms."""
    said = []
    for verdict, words in (("held", "Held"), ("did not hold", "Did not hold"), ("open", "Open")):
        found = [each for each in judged if each["verdict"].startswith(verdict)]
        arms = [f"{each['arm']} against {each['against']}" if "against" in each else each["arm"] for each in found]
        said += [f"{words}: {', '.join(arms)}."] if arms else []
    return " ".join(said)


def _ends(runs: Sequence[Record], kind: str, keys: Sequence[str]) -> list[float]:
    return [value for run in runs for key in keys if (value := run.last(f"{kind}/{key}")) is not None]

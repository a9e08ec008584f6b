"""When a figure means trouble: thresholds, and what to try. Imports no torch."""

import math
from collections.abc import Mapping

DEAD_MARGIN = 0.1
"""Least advantage over the random control as a share of the control's own effect, where one batch was looked at."""
OF_UNTRAINED = 0.5
"""An untrained encoder's features are narrow by nature: only what falls below this share of them has collapsed."""
RUNAWAY_SHARE = 0.8
"""Of the way from the clean view's loss to the loss against another image's view."""

LEAST = {"feature_spread": ("feature spread", 2, 0.3), "rankme": ("RankMe", 1, 3.0)}
"""Name, decimals, and what is too little. The spread's square is about the share of a feature that differs between
images: below 0.3 less than a tenth does. Fewer than three directions cannot hold more than a handful of classes apart.
"""
HINTS = {
    "collapsed": "try a smaller --learning-rate, or a tighter bound of the transform",
    "idle": "try a wider bound of the transform, or a larger --adversary-learning-rate",
    "dead": "try a larger --adversary-learning-rate, or compare with --adversary random",
    "runaway": "try a tighter bound of the transform, a smaller --probability, or the penalty hardness_bound",
}
AT_ONCE = ("collapsed",)
"""What one look is enough for."""
STATES = {
    "idle": "the adversary is idle: its views are no harder than clean ones",
    "dead": "the adversary is dead: its views are not seen to be harder than chance makes them",
    "runaway": "the adversary has run away: its views are hardly closer to their image than another image's are",
}


def signs_of_collapse(figures: Mapping[str, float], untrained: Mapping[str, float]) -> list[str]:
    """What says that features hardly differ between images; empty if nothing does.

    Args:
        figures: an evaluation's, by name; `feature_spread` and `rankme` are judged where they were measured.
        untrained: the same of the untrained encoder, where they are known.
    """
    signs = []
    for key, (name, decimals, least) in LEAST.items():
        limit = collapsed_below(key, untrained)
        if key in figures and figures[key] < limit:
            found, below = _told_apart(figures[key], limit, decimals)
            half = ", half the untrained encoder's" if limit < least else ""
            signs.append(f"{name} is {found} (below {below}{half})")
    return signs


def _told_apart(value: float, limit: float, decimals: int) -> tuple[str, str]:
    """Two numbers that differ, both with as many decimals as it takes to see it."""
    while f"{value:.{decimals}f}" == f"{limit:.{decimals}f}":
        decimals += 1
    return f"{value:.{decimals}f}", f"{limit:.{decimals}f}"


def collapsed_below(key: str, untrained: Mapping[str, float]) -> float:
    """The smaller of `LEAST` and half the untrained encoder's: `feature_spread` or `rankme` below it is a collapse."""
    _, _, least = LEAST[key]
    return min(least, OF_UNTRAINED * untrained.get(key, math.inf))


def state_of(figures: Mapping[str, float | None]) -> str:
    """Whether the adversary is `idle`, `dead`, `runaway` or `alive`, by its mean loss and those it is held against.

    Args:
        figures: loss per image under the `adversary`, its `random` control, on the `clean` view, and with a
            `stranger`, another image's view; `lead_margin` is how far adversary less random may be off; what is
            missing is not judged.
    """
    adversary, random, clean, stranger = (figures.get(key) for key in ("adversary", "random", "clean", "stranger"))
    if adversary is None or clean is None:
        return "alive"
    if adversary <= clean:
        return "idle"
    if random is not None and adversary - random <= _within_noise(random - clean, figures.get("lead_margin")):
        return "dead"
    if stranger is not None and adversary - clean > RUNAWAY_SHARE * (stranger - clean) > 0:
        return "runaway"
    return "alive"


def _within_noise(effect: float, margin: float | None) -> float:
    return DEAD_MARGIN * abs(effect) if margin is None else margin


def alarms(figures: Mapping[str, float], untrained: Mapping[str, float], *, against_chance: bool) -> dict[str, str]:
    """Sentences by kind, each with what to try, on an evaluation's figures; empty if all is well.

    Args:
        figures: by name, as a run records them.
        untrained: the same of the untrained encoder, where they are known.
        against_chance: whether there is an adversary other than the random control.
    """
    found = {}
    if signs := signs_of_collapse(figures, untrained):
        found["collapsed"] = f"signs of collapse: {' and '.join(signs)}"
    state = state_of({key.removeprefix("hardness/"): value for key, value in figures.items() if "hardness/" in key})
    if against_chance and state in STATES:
        found[state] = STATES[state]
    return {kind: f"{sentence}; {HINTS[kind]}" for kind, sentence in found.items()}

"""When a figure means trouble: thresholds, and what to try. Imports no torch."""

from collections.abc import Mapping

COLLAPSED_SPREAD = 0.3
"""Squared, this is about the share of a feature that differs between images: below 0.3 less than a tenth does."""
COLLAPSED_RANK = 3.0
"""Fewer than three directions in use cannot hold more than a handful of classes apart."""
DEAD_MARGIN = 0.1
"""Of the random control's own effect: an advantage below this is within what a small test batch varies by."""
RUNAWAY_SHARE = 0.8
"""Of the way from the clean view's loss to the loss against another image's view."""

HINTS = {
    "collapsed": "try a smaller --learning-rate or --strength",
    "idle": "try a larger --strength, or a wider bound of the transform",
    "dead": "try a larger --adversary-learning-rate, or compare with --adversary random",
    "runaway": "try a smaller --strength, a tighter bound of the transform, or the penalty hardness_bound",
}
STATES = {
    "idle": "the adversary is idle: its views are no harder than clean ones",
    "dead": "the adversary is dead: its views are no harder than chance makes them",
    "runaway": "the adversary has run away: its views are hardly closer to their image than another image's are",
}


def signs_of_collapse(spread: float | None, rank: float | None) -> list[str]:
    """What says that features hardly differ between images; empty if nothing does."""
    signs = []
    if spread is not None and spread < COLLAPSED_SPREAD:
        signs.append(f"feature spread is {spread:.2f} (below {COLLAPSED_SPREAD:g}; healthy is near 1)")
    if rank is not None and rank < COLLAPSED_RANK:
        signs.append(f"RankMe is {rank:.1f} (below {COLLAPSED_RANK:g})")
    return signs


def state_of(figures: Mapping[str, float | None]) -> str:
    """Whether the adversary is `idle`, `dead`, `runaway` or `alive`, by its mean loss and those it is held against.

    Args:
        figures: loss per image under the `adversary`, its `random` control, on the `clean` view, and with a
            `stranger`, another image's view; what is missing is not judged.
    """
    adversary, random, clean, stranger = (figures.get(key) for key in ("adversary", "random", "clean", "stranger"))
    if adversary is None or clean is None:
        return "alive"
    if adversary <= clean:
        return "idle"
    if random is not None and adversary - random <= DEAD_MARGIN * abs(random - clean):
        return "dead"
    if stranger is not None and adversary - clean > RUNAWAY_SHARE * (stranger - clean) > 0:
        return "runaway"
    return "alive"


def alarms(figures: Mapping[str, float], *, against_chance: bool) -> dict[str, str]:
    """Sentences by kind, each with what to try, on an evaluation's figures; empty if all is well.

    Args:
        figures: by name, as a run records them.
        against_chance: whether there is an adversary other than the random control.
    """
    found = {}
    if signs := signs_of_collapse(figures.get("feature_spread"), figures.get("rankme")):
        found["collapsed"] = f"the features have collapsed: {' and '.join(signs)}"
    state = state_of({key.removeprefix("hardness/"): value for key, value in figures.items() if "hardness/" in key})
    if against_chance and state in STATES:
        found[state] = STATES[state]
    return {kind: f"{sentence}; {HINTS[kind]}" for kind, sentence in found.items()}

"""What is drawn: each function turns runs into panels; an empty list where nothing was measured."""

import re
from collections.abc import Sequence

from sparring.alarms import collapsed_below
from sparring.reports.compare import grouped
from sparring.reports.panels import CHANNEL_COLOURS, DASHES, RUN_COLOURS, Curve, Panel
from sparring.reports.record import Record, Series
from sparring.reports.words import is_chance, is_played, true_minus

MATRIX_ENTRY = re.compile(r"(.*/)([rgb])_from_([rgb])")
CHANNELS = {"r": "Red", "g": "Green", "b": "Blue"}
PLAYERS = {"adversary": RUN_COLOURS[1], "random": RUN_COLOURS[0]}
SEEN = {"clean": ("the clean view", "--"), "adversary": ("the hard view", "-")}
"""The two views whose gradient is split, with their names and dashes."""
ALONE = {"clean": ("", "-")}
"""The one view, where there is no adversary."""


def styles(runs: Sequence[Record]) -> list[tuple[str, str]]:
    """A colour and a dash for each run: runs that differ in their seed only share the colour."""
    found: dict[str, tuple[str, str]] = {}
    for group, members in enumerate(grouped(runs)):
        for place, run in enumerate(members):
            dash = DASHES[(group // len(RUN_COLOURS) + place) % len(DASHES)]
            found[run.label] = RUN_COLOURS[group % len(RUN_COLOURS)], dash
    return [found[run.label] for run in runs]


def knn(runs: Sequence[Record]) -> list[Panel]:
    """kNN accuracy of all runs on one axis."""
    single = runs[0].series("knn") if len(runs) == 1 else None
    reference = (single.values[0], "untrained") if single and single.epochs[0] == 0 else None
    neighbours = sorted({run.recipe.get("knn_k", [200])[0] for run in runs})
    title = f"kNN accuracy (k = {' or '.join(map(str, neighbours))}), %"
    return _shared(runs, "knn", title, ".1f", reference=reference)


def loss(runs: Sequence[Record]) -> list[Panel]:
    """Training loss of all runs on one axis."""
    return _shared(runs, "loss", "Training loss", ".3f")


def collapse(runs: Sequence[Record]) -> list[Panel]:
    """Feature spread and RankMe, with the levels below which features count as collapsed."""
    return [
        *_collapse(runs, "feature_spread", "Feature spread", ".2f"),
        *_collapse(runs, "rankme", "RankMe (effective rank)", ".1f"),
    ]


def _collapse(runs: Sequence[Record], key: str, title: str, form: str) -> list[Panel]:
    limits = {collapsed_below(key, run.untrained) for run in runs}
    reference = (limits.pop(), "collapse") if len(limits) == 1 else None  # else each has a limit of its own
    return _shared(runs, key, title, form, reference=reference, across=2)


def hardness(runs: Sequence[Record]) -> list[Panel]:
    """How much loss the adversary and its random control add to a view's; one panel a run that has an adversary."""
    return [panel for run in runs if is_played(run) for panel in _run_hardness(run, _group(run, runs))]


def parameters(runs: Sequence[Record]) -> list[Panel]:
    """The adversary's mean parameters, but for chance's: a panel for each row of a colour matrix or other name."""
    return [panel for run in runs if not is_chance(run) for panel in _run_parameters(run, _group(run, runs))]


def negatives(runs: Sequence[Record]) -> list[Panel]:
    """Weight on false negatives, and the sizes of both parts of the gradient, before and after the adversary."""
    panels = []
    for run in runs:
        group = _group(run, runs)
        share = _before_and_after(run, {"false_weight": ""}, RUN_COLOURS[0])
        sizes = _before_and_after(run, {"pull": "pull", "push": "push"}, RUN_COLOURS[2])
        if share:
            panels.append(Panel("Share of negative weight on false negatives", share, group, legend=True, across=2))
        if sizes:
            panels.append(Panel("Length of the gradient's two parts", sizes, group, legend=True, across=2))
    return panels


def choices(runs: Sequence[Record]) -> list[Panel]:
    """Spread and entropy of the parameters, and the share of their variance that the image explains."""
    named = {"spread": "spread", "entropy": "entropy", "by_image": "explained by the image"}
    panels = []
    for run in (run for run in runs if not is_chance(run)):  # which fills its box, whatever the image
        curves = [
            _curve(run, f"parameters/{key}", label, RUN_COLOURS[number], "-")
            for number, (key, label) in enumerate(named.items())
            if run.series(f"parameters/{key}")
        ]
        if curves:
            panels.append(Panel("How varied its choices are", curves, _group(run, runs), (-0.02, 1.02), legend=True))
    return panels


def _group(run: Record, runs: Sequence[Record]) -> str:
    return run.label if len(runs) > 1 else ""


def _shared(
    runs: Sequence[Record],
    key: str,
    title: str,
    form: str,
    *,
    reference: tuple[float, str] | None = None,
    across: int = 1,
) -> list[Panel]:
    curves = []
    for run, style in zip(runs, styles(runs), strict=True):
        if series := run.series(key):
            end = true_minus(f"{series.values[-1]:{form}}")
            curves.append(Curve(run.label, series.epochs, series.values, *style, end))
    return [Panel(title, curves, reference=reference, legend=len(runs) > 1, across=across)] if curves else []


def _run_hardness(run: Record, group: str) -> list[Panel]:
    before, curves = dict(run.series("hardness/clean").points()), []
    for player, colour in PLAYERS.items():
        series = run.series(f"hardness/{player}")
        added = {epoch: value - before[epoch] for epoch, value in series.points() if epoch in before}
        if added:
            curves.append(Curve(player, list(added), list(added.values()), colour, end=player))
    return [Panel("Loss per image, beyond the clean view's", curves, group, reference=(0.0, "clean"))] if curves else []


def _run_parameters(run: Record, group: str) -> list[Panel]:
    keys = [key for key in run.keys("adversary/") if run.series(key)]
    rows = dict.fromkeys((m[1], m[2]) for key in keys if (m := MATRIX_ENTRY.fullmatch(key)))
    others = [key for key in keys if not MATRIX_ENTRY.fullmatch(key)]
    return [_matrix_row(run, beginning, output, group) for beginning, output in rows] + [
        _parameter(run, key, group) for key in others
    ]


def _matrix_row(run: Record, beginning: str, output: str, group: str) -> Panel:
    curves = []
    for channel, colour in CHANNEL_COLOURS.items():
        if series := run.series(key := f"{beginning}{output}_from_{channel}"):
            label, spread = f"from {CHANNELS[channel].lower()}", _spread(run, key, series)
            curves.append(Curve(label, series.epochs, series.values, colour, end=channel.upper(), spread=spread))
    values = [value for curve in curves for value in curve.values]
    # The same axis in all rows; entries are weights, so 0 to 1 unless the transform allows more.
    limits = (min(-0.02, *values), max(1.02, *values))
    return Panel(f"{CHANNELS[output]} of the view", curves, group, limits, across=3)


def _parameter(run: Record, key: str, group: str) -> Panel:
    series = run.series(key)
    title = key.removeprefix("adversary/").replace("/", ": ").replace("_", " ")
    end, spread = true_minus(f"{series.values[-1]:.3g}"), _spread(run, key, series)
    return Panel(title, [Curve("mean", series.epochs, series.values, end=end, spread=spread)], group, across=3)


def _spread(run: Record, key: str, about: Series) -> list[float]:
    """The deviation over images about each value of a parameter; empty where it was not logged with all of them."""
    series = run.series(key.replace("adversary/", "spread/", 1))
    return series.values if series.epochs == about.epochs else []


def _before_and_after(run: Record, names: dict[str, str], colour: str) -> list[Curve]:
    colours = dict(zip(names, (colour, RUN_COLOURS[1]), strict=False))
    return [
        _curve(run, key, ", ".join(filter(None, (label, seen))), colours[name], dash)
        for name, label in names.items()
        for view, (seen, dash) in (SEEN if is_played(run) else ALONE).items()
        if run.series(key := f"negatives/{view}/{name}")
    ]


def _curve(run: Record, key: str, label: str, colour: str, dash: str) -> Curve:
    series = run.series(key)
    return Curve(label, series.epochs, series.values, colour, dash)

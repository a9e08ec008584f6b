"""Curves of the mechanism: what pulls and pushes a hard view, and what the adversary's choices vary with."""

from collections.abc import Sequence

from sparring.reports.panels import RUN_COLOURS, Curve, Panel
from sparring.reports.record import Record
from sparring.reports.words import is_chance, is_played

SEEN = {"clean": ("the clean view", "--"), "adversary": ("the hard view", "-")}
"""The two views whose gradient is split, with their names and dashes."""
ALONE = {"clean": ("", "-")}
"""The one view, where there is no adversary."""


def negatives(runs: Sequence[Record]) -> list[Panel]:
    """Weight on false negatives, and the sizes of both parts of the gradient, before and after the adversary."""
    panels = []
    for run in runs:
        group = run.label if len(runs) > 1 else ""
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
            group = run.label if len(runs) > 1 else ""
            panels.append(Panel("How varied its choices are", curves, group, (-0.02, 1.02), legend=True))
    return panels


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

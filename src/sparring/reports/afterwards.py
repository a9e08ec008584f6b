"""What `sparring evaluate` measured after training: its figures by readable names, and the pictures it drew."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from sparring.errors import InputError
from sparring.reports.compare import by_seed, grouped
from sparring.reports.measures import digits, is_shown, label, margins
from sparring.reports.pictures import Picture, beside
from sparring.reports.record import Record, is_number, labels
from sparring.reports.seeds import label_of, telling
from sparring.reports.tables import ABSENT, row, table
from sparring.reports.words import name, written

PICTURES = {
    "confusion": ("Confusion matrix", "Confusion matrix: of each class, which classes its test images are taken for"),
    "features": ("Map of the features", "Features of test images in two dimensions, coloured by class"),
    "corruptions": ("Under corruptions", "Accuracy under each corruption over its severities"),
}
NOTE = (
    "By sparring evaluate, of the trained encoder. A figure behind ± is the deviation over draws of labels, or half "
    "the 95\u00a0% interval over episodes"
)
SEEDS = "; where a column is of several seeds, figures are means over them, and ± is the deviation over seeds"

Figures = Mapping[str, float]


@dataclass(frozen=True)
class Column:
    """What was measured of one run, or of runs that differ in their seed only."""

    heading: str
    runs: Sequence[tuple[int, Figures]]
    """Seed and figures of each."""

    def cell(self, key: str) -> str:
        """The figure of this name with its margin, as text."""
        values = by_seed([(seed, own[key]) for seed, own in self.runs if is_number(own.get(key))])
        if not values:
            return ABSENT
        form = digits(key)
        text = written(mean(values.values()), form)
        if len(values) > 1:
            return f"{text} ± {stdev(values.values()):{form}}"
        behind = [margin for _, own in self.runs for margin in margins(own, key)]
        return text + "".join(f" ± {margin:{form}}" for margin in behind[:1])


def section(runs: Sequence[Record]) -> tuple[str, str, str]:
    """Heading, body (HTML) and note; the body is empty where nothing was evaluated."""
    found = {run.label: _read(run.path / "evaluation.json") for run in runs}
    names = list(dict.fromkeys(data for own in found.values() for data in own))
    seeds = SEEDS if any(len(members) > 1 for members in grouped(runs)) else ""
    body = "".join(_on(data, title, runs, found) for data, title in zip(names, _titles(names, runs), strict=True))
    return "Measured afterwards", body, f"{NOTE}{seeds}."


def _on(data: str, title: str, runs: Sequence[Record], found: Mapping[str, dict[str, Figures]]) -> str:
    measured = [run for run in runs if data in found[run.label]]
    columns = _columns(measured, {label: own[data] for label, own in found.items() if data in own})
    keys = [key for key in dict.fromkeys(key for own in found.values() for key in own.get(data, ())) if is_shown(key)]
    rows = [row(escape(label(key)), [], [column.cell(key) for column in columns]) for key in keys]
    heading = f"<h3>{escape(title)}</h3>" if title else ""
    body = table(["Measure", *(column.heading for column in columns)], 1, rows) if rows else ""
    return heading + body + (beside(_pictures(runs[0], data)) if len(runs) == 1 else "")


def _columns(runs: Sequence[Record], figures: Mapping[str, Figures]) -> list[Column]:
    groups = grouped(runs)
    settings = telling(groups)
    columns = []
    for members in groups:
        alone = len(members) == 1
        heading = members[0].label if alone else f"{label_of(members[0], settings)} ({len(members)} runs)"
        columns.append(Column(heading, [(run.recipe.get("seed", 0), figures[run.label]) for run in members]))
    return columns


def _titles(names: Sequence[str], runs: Sequence[Record]) -> list[str]:
    """The data sets by name; none where there is only the one that all runs were trained on."""
    if all(name(run.recipe, "data") == data for run in runs for data in names):
        return [""] * len(names)
    return [f"On {short}" for short in labels([Path(data) for data in names])]


def _pictures(run: Record, data: str) -> list[Picture]:
    """Those of the run's own data set, or of another, whose name their files bear."""
    suffix = suffix_of(data, str(run.recipe.get("data", "")))
    files = {kind: run.path / "figures" / f"{kind}{suffix}.png" for kind in PICTURES}
    return [Picture(kind, *PICTURES[kind], png=file.read_bytes()) for kind, file in files.items() if file.is_file()]


def suffix_of(data: str, own: str) -> str:
    """What the file names of pictures on a data set end in: nothing for the one that was trained on."""
    return "" if data == own else f"-{Path(data).name}"


def _read(file: Path) -> dict[str, Figures]:
    """Figures by data set; empty without a file."""
    if not file.is_file():
        return {}
    try:
        return {
            data: _figures(found["figures"]) for data, found in json.loads(file.read_text(encoding="utf-8")).items()
        }
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        got = f"{type(error).__name__}: {error}"
        raise InputError(
            f"expected {file} as `sparring evaluate` writes it, got {got}; delete it and evaluate again"
        ) from error


def _figures(found: dict[str, Any]) -> Figures:
    return {key: float(value) for key, value in found.items()}

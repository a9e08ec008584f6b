"""What `sparring evaluate` measured after training: its figures by readable names, and the pictures it drew."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from html import escape
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from sparring.reports.compare import by_seed, grouped
from sparring.reports.measures import digits, is_shown, label, margins
from sparring.reports.pictures import Picture, beside
from sparring.reports.record import Record, is_number, labels
from sparring.reports.seeds import titles
from sparring.reports.tables import ABSENT, row, table
from sparring.reports.words import name, true_minus
from sparring.run import Run

PICTURES = {
    "confusion": ("Confusion matrix", "Confusion matrix: of each class, which classes its test images are taken for"),
    "features": ("Map of the features", "Features of images in two dimensions, coloured by class"),
    "corruptions": ("Under corruptions", "Accuracy under each corruption over its severities"),
}
NOTE = (
    "By sparring evaluate, of the trained encoder. A figure behind ± is the deviation over draws of labels, or half "
    "the 95\u00a0% interval over episodes"
)
CLIPPED = " On other images than a run's own, k is clipped to the training images where there are fewer."
SEEDS = "; where a column is of several seeds, figures are means over them, and ± is the deviation over seeds"

Figures = Mapping[str, float]


@dataclass(frozen=True)
class Evaluated:
    """What was measured of a run on one data set, and by which settings of each evaluation."""

    figures: Figures
    settings: Mapping[str, Any]

    def agrees(self, other: "Evaluated") -> bool:
        """Whether all evaluations that both had were the same."""
        return all(self.settings[each] == other.settings[each] for each in self.settings.keys() & other.settings)

    @property
    def first(self) -> tuple[int | None, float | None]:
        """Neighbours and temperature of the figure `knn`; None where they were not kept."""
        own = self.settings.get("knn", {})
        return own.get("ks", [None])[0], own.get("ts", [None])[0]


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
        text = true_minus(f"{mean(values.values()):{form}}")
        if len(values) > 1:
            return f"{text} ± {stdev(values.values()):{form}}"
        behind = [margin for _, own in self.runs for margin in margins(own, key)]
        return text + "".join(f" ± {margin:{form}}" for margin in behind[:1])


def section(runs: Sequence[Record]) -> tuple[str, str, str]:
    """Heading, body (HTML) and note; the body is empty where nothing was evaluated."""
    found = {run.label: _evaluated(run) for run in runs}
    names = list(dict.fromkeys(data for own in found.values() for data in own))
    seeds = SEEDS if any(len(members) > 1 for members in grouped(runs)) else ""
    body = "".join(_on(data, title, runs, found) for data, title in zip(names, _titles(names, runs), strict=True))
    return "Measured afterwards", body, f"{NOTE}{seeds}.{_clipped(runs, found)}"


def _clipped(runs: Sequence[Record], found: Mapping[str, dict[str, Evaluated]]) -> str:
    """What a reader must know of numbers of neighbours that are, or may be, more than there were training images."""
    notes, unknown = [], False
    for run in runs:
        for data, measured in found[run.label].items():
            most = max(measured.settings.get("knn", {}).get("ks", [0])) if "knn" in measured.figures else 0
            own = data == name(run.recipe, "data")
            images = run.environment.get("train_images", most)
            if own and most > images:
                named = f"{run.label}: " if len(runs) > 1 else ""
                notes.append(f" {named}k = {most} is clipped to the {images:,} training images.")
            unknown |= bool(most and not own)
    return "".join(notes) + (CLIPPED if unknown else "")


def _evaluated(run: Record) -> dict[str, Evaluated]:
    """What was measured, by data set; empty if nothing was."""
    found = Run(run.path).evaluations()
    return {data: Evaluated(own["figures"], own.get("settings", {})) for data, own in found.items()}


def _on(data: str, title: str, runs: Sequence[Record], found: Mapping[str, dict[str, Evaluated]]) -> str:
    own = _by_neighbours({label: measured[data] for label, measured in found.items() if data in measured})
    columns = _columns([run for run in runs if run.label in own], own)
    keys = [key for key in dict.fromkeys(key for each in own.values() for key in each.figures) if is_shown(key)]
    kinds = list(dict.fromkeys(key.partition("/")[0] for key in keys))
    keys.sort(key=lambda key: kinds.index(key.partition("/")[0]))
    firsts = {each.first for each in own.values() if "knn" in each.figures}
    k = firsts.pop()[0] if len(firsts) == 1 else None
    rows = [row(escape(label(key, k)), [], [column.cell(key) for column in columns]) for key in keys]
    heading = f"<h3>{escape(title)}</h3>" if title else ""
    body = table(["Measure", *(column.heading for column in columns)], 1, rows) if rows else ""
    return heading + body + (beside(_pictures(runs[0], data)) if len(runs) == 1 else "")


def _by_neighbours(own: Mapping[str, Evaluated]) -> Mapping[str, Evaluated]:
    """The same, but where the neighbours of `knn` differ between runs, each has it under their number."""
    if len({each.first for each in own.values() if "knn" in each.figures}) < 2:
        return own
    return {label: replace(each, figures=_renamed(each)) for label, each in own.items()}


def _renamed(measured: Evaluated) -> Figures:
    k, t = measured.first
    named = "knn" if k is None else f"knn/k={k},t={t}"
    return {named if key == "knn" else key: value for key, value in measured.figures.items()}


def _columns(runs: Sequence[Record], own: Mapping[str, Evaluated]) -> list[Column]:
    groups, columns = grouped(runs), []
    for title, group in zip(titles(groups), groups, strict=True):
        apart = _alike(group, own)
        for members in apart:
            heading = members[0].label if len(members) == 1 else f"{title} ({len(members)} runs)"
            heading += _measured_by(members[0], apart, own)
            columns.append(Column(heading, [(run.recipe.get("seed", 0), own[run.label].figures) for run in members]))
    return columns


def _alike(runs: Sequence[Record], own: Mapping[str, Evaluated]) -> list[list[Record]]:
    """Runs that differ in their seed only, apart where they were measured by different settings."""
    found: list[list[Record]] = []
    for run in runs:
        mine = own[run.label]
        place = next((group for group in found if all(mine.agrees(own[each.label]) for each in group)), None)
        if place is None:
            found.append([run])
        else:
            place.append(run)
    return found


def _measured_by(run: Record, apart: Sequence[Sequence[Record]], own: Mapping[str, Evaluated]) -> str:
    """The settings that tell one group of measurements from the others; nothing where there is one."""
    mine, others = own[run.label].settings, [own[members[0].label].settings for members in apart]
    words = [
        f"{each} {key} = {value}"
        for each, settings in mine.items()
        for key, value in settings.items()
        if any(each in other and other[each].get(key) != value for other in others)
    ]
    return f" ({', '.join(words)})" if words else ""


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
    digest = blake2b(data.encode(), digest_size=3).hexdigest()  # folders of one name lie in many places
    return "" if data == own else f"-{Path(data).name}-{digest}"

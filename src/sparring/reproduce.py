"""The study's claims, each as a grid of runs that ends in figures, a picture and a judgement."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from shlex import quote
from statistics import mean, stdev
from typing import Any

from sparring.errors import InputError, unknown
from sparring.files import write_json
from sparring.grid import chosen, named_arms
from sparring.options import Reproduce
from sparring.recipe import Recipe, from_table
from sparring.recipe_files import read_table
from sparring.reports import charts, curves, judge
from sparring.reports.compare import by_seed
from sparring.reports.panels import DASHES, RUN_COLOURS, Curve, Panel
from sparring.reports.record import Record, read_runs
from sparring.reports.spending import total_cost
from sparring.reports.words import neighbours
from sparring.sweeps import sweep
from sparring.training import require_accuracy

STUDIES = Path(__file__).parent / "studies"
SCALES = read_table(STUDIES / "scales.toml")
PICTURES = {"knn": "kNN accuracy, mean over seeds", "parameters": "what each arm chose over training, first seed"}


@dataclass(frozen=True)
class Study:
    """A claim, the arms that test it, and what would count as holding."""

    title: str
    claim: str
    recipe: dict[str, Any]
    """What all arms share beside the scale."""
    arms: dict[str, dict[str, Any]]
    comparisons: Sequence[Mapping[str, Any]] = ()
    """As `judge.comparison` takes them."""
    collapse: Mapping[str, Any] = field(default_factory=dict)
    """As `judge.collapse` takes it."""
    gap: Mapping[str, Any] = field(default_factory=dict)
    """As `judge.gap` takes it."""
    picture: str = "knn"

    def limited(self, names: Sequence[str]) -> "Study":
        """Of these arms alone (all if none is named), and of what they can tell."""
        arms = chosen(self.arms, names)
        comparisons = [bound for bound in self.comparisons if {bound["arm"], bound["against"]} <= arms.keys()]
        gap = self.gap if {self.gap.get("low"), self.gap.get("high")} <= arms.keys() else {}
        return replace(self, arms=arms, comparisons=comparisons, gap=gap)


def studies() -> list[str]:
    """Names of what can be reproduced."""
    return sorted(path.stem for path in STUDIES.glob("*.toml") if path.stem != "scales")


def load_study(name: str) -> Study:
    """One of the shipped studies by name."""
    if name not in studies():
        raise unknown("study", name, studies())
    table = read_table(path := STUDIES / f"{name}.toml")
    known = {key: table.pop(key) for key in tuple(table) if key in Study.__dataclass_fields__ and key != "recipe"}
    return Study(**{**known, "recipe": table, "arms": named_arms(known["arms"], path)})


def reproduce(asked: Reproduce) -> Path:
    """Train the arms of a study (again: go on), then write results.json, figure.png and README.md; returns the folder.

    Raises:
        InputError: if there is no such study, scale or arm, or if a run failed.
    """
    name, scale, data = asked.study, asked.scale, asked.data
    study = load_study(name).limited(asked.arms)
    if scale not in SCALES:
        raise unknown("scale", scale, SCALES)
    given = {key: getattr(asked, key) for key in ("data", "data_root", "seeds", "knn_k")}
    place = {key: value for key, value in given.items() if value not in (None, ())}
    table = {**SCALES[scale], **study.recipe, **place}
    seeds = table.pop("seeds")
    recipe = from_table(table, f"scale {scale}", Recipe())
    folder = asked.out or Path("reproduced") / "-".join([name, scale, *([Path(data).absolute().name] if data else [])])
    held = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    if held and ("runs" not in held or {"README.md", "results.json"} & held == {"README.md"}):
        raise InputError(f"{folder}: expected a folder for this study, got one with other files; choose another --out")
    require_accuracy(recipe, name)
    cells = sweep(recipe, out=folder / "runs", seeds=seeds, jobs=asked.jobs, arms=study.arms)
    if failed := [f"{cell.path}: {cell.failure}" for cell in cells if cell.failure]:
        raise InputError(f"failed: {'; '.join(failed)}; the same command goes on with what is left")
    runs = {arm: read_runs([cell.path for cell in cells if cell.settings["arm"] == arm]) for arm in study.arms}
    options = {"--arms": " ".join(asked.arms), "--seeds": asked.seeds, "--data": data and quote(data)}
    options |= {"--data-root": asked.data_root and "FOLDER", "--knn-k": " ".join(map(str, asked.knn_k))}
    command = f"sparring reproduce {name} --scale {scale}"
    command += "".join(f" {option} {value}" for option, value in options.items() if value)
    return write_results(study, runs, recipe, folder, command)


def write_results(
    study: Study, runs: Mapping[str, Sequence[Record]], recipe: Recipe, folder: Path, command: str
) -> Path:
    """results.json, figure.png and README.md of finished runs, by arm."""
    values = {arm: by_seed([(run.recipe["seed"], run.require("knn")) for run in own]) for arm, own in runs.items()}
    judged = [judge.comparison(bound, values) for bound in study.comparisons] + judge.gap(study.gap, values)
    judged += judge.collapse(study.collapse, runs)
    rows = [_row(arm, own, values[arm]) for arm, own in runs.items()]
    commits = sorted({str(run.environment.get("commit")) for own in runs.values() for run in own})
    origin = {"command": command, "commits": commits, "data": recipe.data, "epochs": recipe.epochs}
    write_json(folder / "results.json", {"claim": study.claim, **origin, "arms": rows, "judgements": judged})
    charts.save_png(_panels(study, runs), folder / "figure.png")
    note = neighbours([run for own in runs.values() for run in own])
    page = _page(study, rows, judged, recipe, command, note=note)
    (folder / "README.md").write_text(page, encoding="utf-8")
    return folder


def _row(arm: str, runs: Sequence[Record], values: Mapping[int, float]) -> dict[str, Any]:
    own = list(values.values())
    cost = mean(map(total_cost, runs))
    spread = stdev(own) if len(own) > 1 else None
    row = {"arm": arm, "seeds": len(own), "knn": mean(own), "deviation": spread, "cost": cost, "values": dict(values)}
    return row | _false_weights(runs)


def _false_weights(runs: Sequence[Record]) -> dict[str, float]:
    """Share of the negatives' weight that lies on false ones, clean and hard; empty where it was not measured."""
    found = {}
    for view in ("clean", "adversary"):
        values = [value for run in runs if (value := run.last(f"negatives/{view}/false_weight")) is not None]
        if values:
            found[f"false_weight_{view}"] = mean(values)
    return found


def _panels(study: Study, runs: Mapping[str, Sequence[Record]]) -> list[Panel]:
    if study.picture == "parameters":  # of the first seed
        return curves.parameters([replace(own[0], label=arm) for arm, own in runs.items()])  # short titles
    shown = [_mean_curve(arm, own, number) for number, (arm, own) in enumerate(runs.items())]
    return [Panel("kNN accuracy (%), mean over seeds", shown, legend=True)]


def _mean_curve(arm: str, runs: Sequence[Record], number: int) -> Curve:
    series = [run.series("knn") for run in runs]
    values = [mean(column) for column in zip(*(each.values for each in series), strict=True)]
    colour, dash = RUN_COLOURS[number % len(RUN_COLOURS)], DASHES[number // len(RUN_COLOURS)]
    return Curve(arm, series[0].epochs, values, colour, dash, f"{values[-1]:.1f}")


def _page(
    study: Study,
    rows: Sequence[Mapping[str, Any]],
    judged: Sequence[Mapping[str, Any]],
    recipe: Recipe,
    command: str,
    *,
    note: str,
) -> str:
    table = [
        "| arm | seeds | kNN, % | deviation | cost, M | weight on false negatives: clean, hard |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        spread = "" if row["deviation"] is None else f"{row['deviation']:.2f}"
        weights = [f"{row[key]:.3f}" for key in ("false_weight_clean", "false_weight_adversary") if key in row]
        figures = [f"{row['knn']:.2f}", spread, f"{row['cost'] / 1e6:,.4g}", ", ".join(weights)]
        table.append(f"| {' | '.join([row['arm'], str(row['seeds']), *figures])} |")
    about = (
        f"`{command}`: {recipe.data}, {recipe.encoder.name} at width {recipe.encoder.settings.get('width', 1)}, "
        f"{recipe.epochs} epochs, batch {recipe.batch_size}. "
        f"kNN accuracy (k = {recipe.knn_k[0]}, t = {recipe.knn_t[0]}) at the last epoch, never the best; differences "
        f"are paired by seed; cost is in millions of encoder passes of one image. {judge.RULE}"
    )
    verdicts = [f"- {each['words']}: {each['verdict']}" for each in judged]
    parts = [
        f"# {study.title}",
        study.claim,
        judge.paragraph(judged),
        about,
        *([f"Note:{note}"] if note else []),
        f"![{PICTURES[study.picture]}](figure.png)",
        "\n".join(table),
        "\n".join(verdicts),
    ]
    return "\n\n".join(parts) + "\n"

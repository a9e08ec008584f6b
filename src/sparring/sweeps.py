"""`sparring sweep` as a function: check the whole grid, train its cells, put them beside each other."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import combinations
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from sparring.assembly import build_learner, context_of
from sparring.datasets import load_dataset
from sparring.errors import InputError
from sparring.files import write_json
from sparring.grid import SEEDS, Cell, make_cells
from sparring.jobs import LOG, play, take_lock
from sparring.part import tabled
from sparring.parts import ADDED, TABLES, load_parts
from sparring.placement import changed, located
from sparring.progress import SweepDisplay
from sparring.randomness import seeded
from sparring.recipe import Part, Recipe, check_recipe
from sparring.recipe_files import DEFAULT, dump_recipe, load_recipe
from sparring.reports import write_report
from sparring.reports.compare import difference, group_of
from sparring.reports.record import Record, read_runs
from sparring.reports.spending import total_cost
from sparring.reports.words import MEASURES, measured_on, warnings
from sparring.run import FILES, FOLDERS, Run
from sparring.schedules import count_steps
from sparring.schema import checked
from sparring.training import source_of

Groups = dict[str, dict[int, float]]
"""By group of cells, then by seed."""
MOST_GROUPS = 20
"""Of more, as of a search, nobody reads each difference."""
FIGURES = ("loss", "knn", "rankme", "feature_spread")
RESULTS = ("sweep.json", "search.json", "report.html")
"""Beside the cells: a folder without any of these or a cell is somebody else's."""


def sweep(
    recipe: Recipe | None = None,
    axes: Mapping[str, Sequence[Any]] | None = None,
    *,
    out: str | Path,
    seeds: int = SEEDS,
    jobs: int = 1,
    arms: Mapping[str, Mapping[str, Any]] | None = None,
) -> list[Cell]:
    """Train every cell of a grid, each in a process of its own; write sweep.json and report.html beside them.

    A finished cell is not trained again, an interrupted one goes on from its last checkpoint, and one that fails stops
    no other.

    Args:
        recipe: what all cells share; the shipped recipe `best` if not given, as in the command.
        axes: settings by name (those of parts are dotted) with the values to try; cells are their product.
        out: the folder of the cells' folders.
        seeds: how many; they count up from the recipe's own.
        jobs: cells that train at the same time; the processor's cores are shared among them.
        arms: partial recipes by name, for what takes several settings at once; multiplied with the axes.

    Returns:
        Every cell, with why it failed where it did.

    Raises:
        InputError: if a setting or a folder cannot be used; nothing has been trained then.
        KeyboardInterrupt: after Ctrl-C, once all running cells have saved.
    """
    check_recipe(recipe)
    played = train_cells(
        make_cells(recipe or load_recipe(DEFAULT), axes or {}, Path(out), seeds=seeds, arms=arms), jobs
    )
    summarise(played, Path(out))
    return played


def train_cells(cells: Sequence[Cell], jobs: int) -> list[Cell]:
    """Train what is not trained yet, `jobs` at a time, seed by seed: what is stopped early can still be compared.

    Returns all cells, with why each that failed did.
    """
    if checked(jobs, int, "jobs") < 1:
        raise InputError(f"jobs: expected a whole number of at least 1, got {jobs}")
    if (out := cells[0].path.parent).is_file():
        raise InputError(f"{out}: expected a folder for the runs, got a file; choose another --out")
    if (out / "recipe.toml").exists():
        raise InputError(f"{out}: expected a folder for several runs, got a run's own; choose another --out")
    held = list(out.iterdir()) if out.is_dir() else []
    cell_files = ("recipe.toml", LOG)
    if held and not any(path.name in RESULTS or any((path / file).is_file() for file in cell_files) for path in held):
        raise InputError(f"{out}: expected a folder for several runs, got one with other files; choose another --out")
    for cell in cells:
        check_folder(Run(cell.path), cell.recipe)
    waiting = sorted((cell for cell in cells if not Run(cell.path).finished), key=lambda cell: cell.recipe.seed)
    check_parts([cell.recipe for cell in waiting])
    failures = play(waiting, jobs, SweepDisplay(len(cells), len(cells) - len(waiting)))
    return [replace(cell, failure=failures.get(cell.name, "")) for cell in cells]


def check_folder(run: Run, recipe: Recipe) -> None:
    """Refuse a folder that holds anything but this recipe's run, or that another process trains in."""
    held = {path.name for path in run.path.iterdir()} if run.path.is_dir() else set()
    if LOG in held:
        with (run.path / LOG).open("a") as log:
            take_lock(log, run.path)
    own = {LOG, *FILES, *FOLDERS} if "recipe.toml" in held else {LOG}
    if run.begun:  # what never began may be begun otherwise
        if change := changed(run.recipe(), recipe):
            key, got, asked = change
            raise InputError(
                f"{run.path}: expected a run with {key} = {asked}, got one with {got}; choose another --out"
            )
    elif held - own or run.path.is_file():
        raise InputError(f"{run.path}: expected a free folder, got other files; choose another --out")


def _check_homes(recipe: Recipe) -> None:
    """Refuse parts that live in this process alone: each cell trains in one of its own."""
    added = set().union(*(ADDED.get(file, set()) for file in located(recipe).parts))
    for kind, part in [*recipe.named_parts(), ("data", Part(recipe.data))]:
        home = getattr(TABLES[kind].get(part.name), "__module__", "sparring.")
        if not home.startswith("sparring.") and (kind, part.name) not in added:
            raise InputError(
                f"{kind} {part.name}: expected a part of a file that cells can load, got one of {home}; write it into "
                "mine.py and name that file: parts=('mine.py',)"
            )


def check_parts(recipes: Sequence[Recipe]) -> None:
    """Build what each recipe names, so that what cannot be is said before the first cell trains for hours."""
    load = lru_cache(1)(load_dataset)
    for recipe in {dump_recipe(replace(each, seed=0)): each for each in recipes}.values():
        load_parts(recipe.parts)
        data = load(**source_of(recipe))
        count_steps(recipe, len(data.train), recipe.devices * recipe.nodes)
        with seeded(recipe.seed, "weights"):
            build_learner(recipe, context_of(data))
        _check_homes(recipe)


def summarise(cells: Sequence[Cell], out: Path) -> None:
    """Write sweep.json (every cell with its last figures) and the report of all that has been measured."""
    begun = [cell.path for cell in cells if (cell.path / "metrics.jsonl").is_file()]
    records = {run.path: run for run in read_runs(begun)} if begun else {}
    rows = [_row(cell, records.get(cell.path.resolve())) for cell in cells]
    measure = next((name for name in MEASURES if any(name in row for row in rows)), MEASURES[0])
    groups = _by_group(rows, measure)
    measured = {group_of(run.path.name): measured_on(run, measure) for run in records.values()}
    compared = {"measure": measure, "groups": _means(groups), "differences": _differences(groups, measured)}
    write_json(out / "sweep.json", {"cells": rows, **compared})
    if begun:
        write_report(begun, out / "report.html")


def _by_group(rows: Sequence[Mapping[str, Any]], measure: str) -> Groups:
    """The figure of finished cells that differ in their seed only, by seed."""
    groups: Groups = {}
    for row in rows:
        if row["finished"] and measure in row:
            groups.setdefault(group_of(row["name"]), {})[row["seed"]] = row[measure]
    return groups


def _means(groups: Groups) -> list[dict[str, Any]]:
    """Mean of each group, standard deviation (None of one seed), number of seeds."""
    return [
        {"name": name, "mean": mean(own.values()), "deviation": stdev(own.values()) if len(own) > 1 else None}
        | {"seeds": len(own)}
        for name, own in groups.items()
    ]


def _differences(groups: Groups, measured: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Each group less each before it, if `measured` alike: mean over common seeds, 95 % interval by Student's t."""
    if len(groups) > MOST_GROUPS:
        return []
    alike = [(one, other) for other, one in combinations(groups, 2) if measured[one] == measured[other]]
    pairs = [(one, other, difference(groups[one], groups[other])) for one, other in alike]
    return [
        {"of": one, "against": other, "mean": found.mean, "interval": found.interval, "seeds": found.seeds}
        for one, other, found in pairs
        if found
    ]


def _row(cell: Cell, record: Record | None) -> dict[str, Any]:
    figures = {name: record.last(name) for name in FIGURES} if record else {}
    return {
        "name": cell.name,
        "settings": tabled(cell.settings),
        "seed": cell.recipe.seed,
        "finished": Run(cell.path).finished,
        "failure": cell.failure,
        "epoch": record.reached if record else 0.0,
        "warnings": warnings(record) if record else [],
        **{name: value for name, value in figures.items() if value is not None},
        "cost": total_cost(record) if record else 0.0,
    }

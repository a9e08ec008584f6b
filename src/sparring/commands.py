"""What the commands do and print."""

import inspect
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from shlex import quote
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from sparring.assembly import build_learner, context_of
from sparring.batches import Batches
from sparring.environment import command
from sparring.errors import InputError, unknown
from sparring.files import check_writable
from sparring.gather import rank
from sparring.grid import Grid, chosen, load_grid, parse_axes
from sparring.looks import gallery
from sparring.options import List, Preview, Report, Reproduce, Sweep, Train
from sparring.part import all_bring_transforms, tabled
from sparring.parts import TABLES, load_parts, settings_of
from sparring.randomness import seeded
from sparring.recipe_files import about, shipped_recipes
from sparring.reports import write_report
from sparring.reports.compare import in_words
from sparring.reports.gallery import Row, save_png
from sparring.reproduce import reproduce as run_study
from sparring.run import Run
from sparring.sweeps import sweep as run_sweep
from sparring.training import load_data, train as run_training
from sparring.tuning import TRIALS, parse_space, tune

CONSOLE = Console(highlight=False, markup=False)
TITLES = {"penalty": "--penalties", "evaluation": "--probe"}
"""Of kinds whose option has another name."""
PREVIEW_BATCH = 64
"""Images among which an adversary that compares finds others to compare with."""
PICTURES = (".png", ".jpg", ".webp")


def _say(line: str) -> None:
    """A line that no terminal's width breaks, so that paths can be copied."""
    CONSOLE.print(line, soft_wrap=True)


def train(asked: Train) -> None:
    """Train, write the report, and say what came out and what to try next."""
    path = run_training(asked.settings, run=asked.run, resume=asked.resume, overwrite=asked.overwrite)
    if rank():
        return
    measured = [line for line in Run.open(path).metrics() if "rankme" in line]
    if "knn" in measured[-1]:
        _say(f"kNN accuracy  {measured[0]['knn']:.1f} % untrained -> {measured[-1]['knn']:.1f} %")
    _say(f"report        {path / 'report.html'}")
    _say(f"encoder       {path / 'encoder.safetensors'}  (sparring.load_encoder({str(path)!r}))")
    rival = "random" if Run.open(path).recipe().adversary.name == "none" else "none"
    own, other = quote(str(path)), quote(f"{path}-{rival}")
    _say(f"try next      {command()} train --recipe {own}/recipe.toml --adversary {rival} --run {other}")
    _say(f"              {command()} report {own} {other} --out comparison.html")


def sweep(asked: Sweep) -> None:
    """Train all cells, with the arms and seeds of a file, or let Optuna choose; say where the results are."""
    grid = load_grid(asked.recipe) if asked.recipe else Grid(asked.settings)
    seeds = grid.seeds if asked.seeds is None else asked.seeds
    if asked.search:
        _search(asked, grid, seeds)
        return
    axes, arms = parse_axes(asked.set), chosen(grid.arms, asked.arms)
    cells = run_sweep(asked.settings, axes, out=asked.out, seeds=seeds, jobs=asked.jobs, arms=arms)
    found = json.loads((asked.out / "sweep.json").read_text(encoding="utf-8"))
    for line in in_words(found):
        _say(line)
    _say_of_sweep(asked.out)
    if warned := [row for row in found["cells"] if row["warnings"]]:
        first = f"{warned[0]['name']}: {warned[0]['warnings'][0]}"
        print(f"{len(warned)} of {len(cells)} runs come with warnings: {first}", file=sys.stderr)
    failed = [cell for cell in cells if cell.failure]
    for cell in failed:
        print(f"sparring: failed: {cell.path}: {cell.failure}", file=sys.stderr)
    if failed:
        sys.exit(1)


def _search(asked: Sweep, grid: Grid, seeds: int) -> None:
    """Let Optuna choose settings; say which did best, and what that is worth."""
    if grid.arms:
        raise InputError(f"{asked.recipe}: expected a recipe without arms for --search, got {len(grid.arms)}")
    space, trials = parse_space(asked.search), TRIALS if asked.trials is None else asked.trials
    found = tune(asked.settings, space, out=asked.out, trials=trials, seeds=seeds, jobs=asked.jobs)
    _say_of_sweep(asked.out)
    if found[0].knn is None:
        print("sparring: failed: every trial; the cells' train.log say why", file=sys.stderr)
        sys.exit(1)
    settings = ", ".join(f"{name} = {value}" for name, value in found[0].settings.items())
    _say(f"best          {settings}: {found[0].knn:.2f} %, mean of {seeds} seeds, last epoch")
    _say("              chosen on validation images: train it without --search, on test images, before you report it")


def _say_of_sweep(out: Path) -> None:
    if (page := out / "report.html").exists():
        _say(f"report        {page}")
    _say(f"figures       {out / 'sweep.json'}")


def reproduce(asked: Reproduce) -> None:
    """Train a study's arms and print its page."""
    folder = run_study(asked)
    CONSOLE.print((folder / "README.md").read_text(encoding="utf-8"), soft_wrap=True)
    _say(f"results       {folder / 'results.json'}, {folder / 'figure.png'}")


def preview(asked: Preview) -> None:
    """Draw images, a base view of each, and what the untrained adversary makes of it."""
    recipe, out = asked.settings, asked.out
    if out.suffix.lower() not in PICTURES:
        raise InputError(
            f"{out}: expected a picture that ends in {' or '.join(PICTURES)}, got {out.suffix or 'no ending'!r}"
        )
    check_writable(out)
    data = load_data(recipe)
    # one image is refused by its number, not by its batch
    small = replace(recipe, batch_size=max(2, min(PREVIEW_BATCH, len(data.train))), ramp=0.0)
    with seeded(recipe.seed, "weights"):
        learner = build_learner(small, context_of(data))
    batch = Batches(small, data.train, torch.device("cpu")).look(0)
    shown = gallery(learner, batch, data.train.pixels)
    untrained = ", untrained" if any(True for _ in learner.adversary.parameters()) else ""
    changed = "" if all_bring_transforms(tabled(recipe.adversary)) else f" x {recipe.transform.name}"
    titles = ("image", "base view", f"{recipe.adversary.name}{changed}{untrained}")
    save_png([Row(title, row.numpy()) for title, row in zip(titles, shown.values(), strict=True)], out)
    _say(f"preview       {out}")


def report(asked: Report) -> None:
    """Write the page and say where it is."""
    _say(f"report        {write_report(asked.runs, asked.out)}")


def list_parts(asked: List) -> None:
    """Print every registered part, or those of some kinds: what it is, and what it can be told."""
    load_parts(asked.parts)
    rows = {kind: [_row(kind, name, part) for name, part in table.items()] for kind, table in TABLES.items()}
    recipes = shipped_recipes().items()
    rows["recipe"] = [{"kind": "recipe", "name": name, "about": about(path), "settings": {}} for name, path in recipes]
    if strange := [kind for kind in asked.kinds if kind not in rows]:
        raise unknown("kind of part", strange[0], rows)
    shown = {kind: rows[kind] for kind in asked.kinds or rows}
    if asked.json:
        print(json.dumps([row for own in shown.values() for row in own], indent=2))
        return
    for kind, own in shown.items():
        title = TITLES.get(kind, f"--{kind}")
        columns = ["name", "what it is", *(["settings"] if any(row["settings"] for row in own) else [])]
        table = Table(*columns, title=title, title_justify="left", show_lines=False)
        for row in own:
            settings = ", ".join(f"{name}={value}" for name, value in row["settings"].items())
            table.add_row(*[row["name"], row["about"], settings][: len(columns)])
        CONSOLE.print(table)


def _row(kind: str, name: str, part: Callable[..., Any]) -> dict[str, Any]:
    about = (inspect.getdoc(part) or "").partition("\n")[0]
    known = {} if kind == "data" else settings_of(part)
    defaults = {key: "required" if each.default is each.empty else each.default for key, each in known.items()}
    return {"kind": kind, "name": name, "about": about, "settings": defaults}

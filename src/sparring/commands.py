"""What the commands do and print."""

import inspect
import json
import sys
from collections.abc import Callable, Sequence
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
from sparring.errors import InputError
from sparring.files import check_writable
from sparring.gather import rank
from sparring.grid import Grid, load_grid, parse_axes
from sparring.parts import TABLES, settings_of
from sparring.probes import gallery
from sparring.randomness import seeded
from sparring.recipe import Recipe
from sparring.recipe_files import about, shipped_recipes
from sparring.reports import write_report
from sparring.reports.gallery import Row, save_png
from sparring.reproduce import reproduce as run_study
from sparring.run import Run
from sparring.sweeps import sweep as run_sweep
from sparring.training import load_data, train as run_training
from sparring.tuning import TRIALS, parse_space, tune

CONSOLE = Console(highlight=False)
PREVIEW_BATCH = 64
"""Images among which an adversary that compares finds others to compare with."""
PICTURES = (".png", ".jpg", ".webp")


def _say(line: str) -> None:
    """A line that no terminal's width breaks, so that paths can be copied."""
    CONSOLE.print(line, soft_wrap=True)


def train(recipe: Recipe, *, run: Path | None, resume: Path | None, overwrite: bool) -> None:
    """Train, write the report, and say what came out and what to try next."""
    path = run_training(recipe, run=run, resume=resume, overwrite=overwrite)
    if rank():
        return
    measured = [line for line in Run.open(path).metrics() if "rankme" in line]
    if "knn" in measured[-1]:
        _say(f"kNN accuracy  {measured[0]['knn']:.1f} % untrained -> [bold]{measured[-1]['knn']:.1f} %[/]")
    _say(f"report        {path / 'report.html'}")
    _say(f"encoder       {path / 'encoder.safetensors'}  (sparring.load_encoder({str(path)!r}))")
    rival = "random" if Run.open(path).recipe().adversary.name == "none" else "none"
    own, other = quote(str(path)), quote(f"{path}-{rival}")
    _say(f"try next      {command()} train --recipe {own}/recipe.toml --adversary {rival} --run {other}")
    _say(f"              {command()} report {own} {other} --out comparison.html")


def sweep(recipe: Recipe, file: Path | None, axes: Sequence[str], *, seeds: int | None, out: Path, jobs: int) -> None:
    """Train all cells, with the arms and seeds of a file; say where the results are and which cells failed."""
    grid = load_grid(file) if file else Grid(recipe)
    chosen = grid.seeds if seeds is None else seeds
    cells = run_sweep(recipe, parse_axes(axes), out=out, seeds=chosen, jobs=jobs, arms=grid.arms)
    _say_of_sweep(out)
    failed = [cell for cell in cells if cell.failure]
    for cell in failed:
        print(f"sparring: failed: {cell.path}: {cell.failure}", file=sys.stderr)
    if failed:
        sys.exit(1)


def search(
    recipe: Recipe,
    file: Path | None,
    words: Sequence[str],
    *,
    trials: int | None,
    seeds: int | None,
    out: Path,
    jobs: int,
) -> None:
    """Let Optuna choose settings; say which did best, and what that is worth."""
    grid = load_grid(file) if file else Grid(recipe)
    if grid.arms:
        raise InputError(f"{file}: expected a recipe without arms for --search, got {len(grid.arms)}")
    chosen = grid.seeds if seeds is None else seeds
    found = tune(
        recipe, parse_space(words), out=out, trials=TRIALS if trials is None else trials, seeds=chosen, jobs=jobs
    )
    _say_of_sweep(out)
    if found[0].knn is None:
        print("sparring: failed: every trial; the cells' train.log say why", file=sys.stderr)
        sys.exit(1)
    settings = ", ".join(f"{name} = {value}" for name, value in found[0].settings.items())
    _say(f"best          {settings}: {found[0].knn:.2f} %, mean of {chosen} seeds, last epoch")
    _say("              chosen on validation images: train it without --search, on test images, before you report it")


def _say_of_sweep(out: Path) -> None:
    if (page := out / "report.html").exists():
        _say(f"report        {page}")
    _say(f"figures       {out / 'sweep.json'}")


def reproduce(name: str, **settings: Any) -> None:
    """Train a study's arms, as `sparring.reproduce` does, and print its page."""
    folder = run_study(name, **settings)
    CONSOLE.print((folder / "README.md").read_text(encoding="utf-8"), soft_wrap=True, markup=False)
    _say(f"results       {folder / 'results.json'}, {folder / 'figure.png'}")


def preview(recipe: Recipe, out: Path) -> None:
    """Draw images, a base view of each, and what the untrained adversary makes of it."""
    if out.suffix.lower() not in PICTURES:
        raise InputError(
            f"{out}: expected a picture that ends in {' or '.join(PICTURES)}, got {out.suffix or 'no ending'!r}"
        )
    check_writable(out)
    data = load_data(recipe)
    small = replace(recipe, batch_size=min(PREVIEW_BATCH, len(data.train)), ramp=0.0)
    with seeded(recipe.seed, "weights"):
        learner = build_learner(small, context_of(data))
    batch = Batches(small, data.train, torch.device("cpu")).probe(0)
    shown = gallery(learner, batch, data.train.pixels)
    titles = ("image", "base view", f"{recipe.adversary.name} x {recipe.transform.name}")
    save_png([Row(title, row.numpy()) for title, row in zip(titles, shown.values(), strict=True)], out)
    _say(f"preview       {out}")


def report(paths: Sequence[Path], out: Path | None) -> None:
    """Write the page and say where it is."""
    _say(f"report        {write_report(paths, out)}")


def list_parts(*, as_json: bool) -> None:
    """Print every registered part: what it is, and what it can be told."""
    rows = [_row(kind, name, part) for kind, table in TABLES.items() for name, part in table.items()]
    recipes = shipped_recipes()
    rows += [{"kind": "recipe", "name": name, "about": about(path), "settings": {}} for name, path in recipes.items()]
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    for kind in (*TABLES, "recipe"):
        table = Table("name", "what it is", "settings", title=f"--{kind}", title_justify="left", show_lines=False)
        for row in (row for row in rows if row["kind"] == kind):
            shown = ", ".join(f"{name}={value}" for name, value in row["settings"].items())
            table.add_row(row["name"], row["about"], shown)
        CONSOLE.print(table)


def _row(kind: str, name: str, part: Callable[..., Any]) -> dict[str, Any]:
    about = (inspect.getdoc(part) or "").partition("\n")[0]
    defaults = {} if kind == "data" else {key: _default(p) for key, p in settings_of(part).items()}
    return {"kind": kind, "name": name, "about": about, "settings": defaults}


def _default(parameter: inspect.Parameter) -> Any:
    return "required" if parameter.default is inspect.Parameter.empty else parameter.default

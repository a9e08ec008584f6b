"""A single run's key numbers, each in a tile: what it is, its last value, and one figure to hold it against."""

from html import escape
from statistics import mean

from sparring.reports.record import Record
from sparring.reports.words import is_chance, is_played, true_minus

Tile = tuple[str, str, str, str]
"""Name, figure, unit, and the line under it."""


def tiles(run: Record) -> str:
    """All tiles of a run; those without a measurement are left out."""
    shown = [tile for tile in (_knn(run), _epochs(run), _spread(run), _rank(run), _lead(run), _speed(run)) if tile]
    return f'<dl class="tiles">{"".join(map(_tile, shown))}</dl>' if shown else ""


def _tile(tile: Tile) -> str:
    name, figure, unit, under = map(escape, tile)
    figures = f'<dd class="figure">{figure}<span class="unit">{unit}</span></dd>'
    return f'<div><dt>{name}</dt>{figures}<dd class="under">{under}</dd></div>'


def _knn(run: Record) -> Tile | None:
    series = run.series("knn")
    if not series:
        return None
    under = f"untrained {series.values[0]:.1f}" if series.epochs[0] == 0 else "at the last evaluation"
    return "kNN accuracy", f"{series.values[-1]:.1f}", "%", under


def _epochs(run: Record) -> Tile:
    planned = run.recipe.get("epochs")
    return "Epochs", f"{run.reached:.4g}", "", "" if planned is None else f"of {planned:g}"


def _spread(run: Record) -> Tile | None:
    value = run.last("feature_spread")
    return None if value is None else ("Feature spread", f"{value:.2f}", "", "0 is collapsed")


def _rank(run: Record) -> Tile | None:
    series = run.series("rankme")
    return ("RankMe", f"{series.values[-1]:.1f}", "", f"at first {series.values[0]:.1f}") if series else None


def _lead(run: Record) -> Tile | None:
    losses = run.together("hardness/")
    if not {"hardness/adversary", "hardness/random"} <= losses.keys() or not is_played(run) or is_chance(run):
        return None
    lead, margin = losses["hardness/adversary"] - losses["hardness/random"], losses.get("hardness/lead_margin")
    words = "" if margin is None else f" ± {margin:.3f}"
    return "Adversary", true_minus(f"{lead:+.3f}"), "", f"loss beyond chance{words}"


def _speed(run: Record) -> Tile | None:
    series = run.series("images_per_second")
    return ("Speed", f"{mean(series.values):,.0f}", "", "images a second") if series else None

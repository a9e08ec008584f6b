"""Tables of a page: settings, surroundings, and several runs beside each other."""

import json
import tomllib
from collections.abc import Iterator, Sequence
from html import escape
from typing import Any

from sparring.part import all_bring_transforms
from sparring.recipe import PARTS, PLACEMENT, Recipe
from sparring.recipe_files import dump_recipe
from sparring.reports.record import Record

ABSENT = "—"
BOOKS = ("evaluate_every", "log_every", "hardness_every", *PLACEMENT)
"""Settings that do not change what is trained: looks and lines of the log leave it bit for bit the same."""
FIGURES = {"knn": ("kNN, %", ".1f"), "rankme": ("RankMe", ".1f"), "feature_spread": ("Feature spread", ".2f")}


def flatten(table: dict[str, Any], beginning: str = "") -> Iterator[tuple[str, str]]:
    """The settings of nested tables, by dotted name."""
    for key, value in table.items():
        if isinstance(value, dict):
            yield from flatten(value, f"{beginning}{key}.")
        else:
            yield f"{beginning}{key}", setting_text(value)


def setting_text(value: Any) -> str:
    """A setting as a reader would write it."""
    if isinstance(value, list):
        return ", ".join(map(setting_text, value))
    if isinstance(value, dict):
        return str(value["name"]) if value.keys() == {"name"} else inline(value)
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def inline(value: Any) -> str:
    """A value as a line of TOML."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key} = {inline(each)}' for key, each in value.items())}}}"
    return f"[{', '.join(map(inline, value))}]" if isinstance(value, list) else json.dumps(value, ensure_ascii=False)


def settings(table: dict[str, Any]) -> str:
    """A table of names and values; empty without any."""
    rows = [f'<tr><th scope="row">{escape(key)}</th><td>{escape(value)}</td></tr>' for key, value in flatten(table)]
    return f'<div class="scroll"><table class="settings">{"".join(rows)}</table></div>' if rows else ""


UNSAID = {key: value for key, value in flatten(tomllib.loads(dump_recipe(Recipe()))) if key.split(".")[0] not in PARTS}
"""What runs from before a setting came to be were played with."""


def played(run: Record) -> dict[str, str]:
    """All settings that a run was played with, by dotted name: no transform where every opponent brought its own."""
    settings = {**UNSAID, **dict(flatten(run.recipe))}
    replaced = all_bring_transforms(run.recipe.get("adversary"))
    return {name: value for name, value in settings.items() if not (replaced and name.split(".")[0] == "transform")}


def differing(runs: Sequence[Record]) -> list[str]:
    """Names of the settings that are not the same in all runs, but for those that keep books."""
    recipes = [played(run) for run in runs]
    names = dict.fromkeys(name for recipe in recipes for name in recipe)
    return [name for name in names if name not in BOOKS and len({recipe.get(name) for recipe in recipes}) > 1]


def compared(runs: Sequence[Record], marks: Sequence[str]) -> str:
    """One row a run: its mark (HTML), the settings that differ, the epoch reached and its last figures."""
    names = differing(runs)
    measured = [key for key in FIGURES if any(run.last(key) is not None for run in runs)]
    head = ["Run", *map(heading, names), "Epoch", *(FIGURES[key][0] for key in measured)]
    rows = [
        row(f"{mark} {escape(run.label)}", recipe_cells(run, names), [f"{run.reached:.4g}", *_figures(run, measured)])
        for run, mark in zip(runs, marks, strict=True)
    ]
    return table(head, len(names) + 1, rows)


def recipe_cells(run: Record, names: Sequence[str]) -> list[str]:
    """A run's settings of these names."""
    recipe = played(run)
    return [recipe.get(name, ABSENT) for name in names]


def heading(name: str) -> str:
    """A part's name stands for the part."""
    return name.removesuffix(".name")


def _figures(run: Record, keys: Sequence[str]) -> list[str]:
    return [ABSENT if (value := run.last(key)) is None else format(value, FIGURES[key][1]) for key in keys]


def row(head: str, words: Sequence[str], numbers: Sequence[str]) -> str:
    """A row of a table; `head` is HTML, the rest is text."""
    cells = [f"<td>{escape(word)}</td>" for word in words]
    cells += [f'<td class="number">{escape(number)}</td>' for number in numbers]
    return f'<tr><th scope="row">{head}</th>{"".join(cells)}</tr>'


def table(head: Sequence[str], words: int, rows: Sequence[str]) -> str:
    """Rows under headings, of which the first `words` stand over text and the others over numbers; can be sorted."""
    kinds = [""] * words + [' class="number"'] * (len(head) - words)
    names = "".join(f'<th scope="col"{kind}>{escape(name)}</th>' for kind, name in zip(kinds, head, strict=True))
    head_and_body = f"<thead><tr>{names}</tr></thead><tbody>{''.join(rows)}</tbody>"
    return f'<div class="scroll"><table class="sortable">{head_and_body}</table></div>'

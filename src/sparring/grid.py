"""The cells of a sweep: every arm with every value of every axis and every seed, by readable name. Imports no torch."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import product
from pathlib import Path
from typing import Any

from sparring.errors import InputError, check_is, unknown
from sparring.part import tabled
from sparring.recipe import Part, Recipe, from_table
from sparring.recipe_files import read_table
from sparring.schema import checked, parse_literal

SEEDS = 3
LONGEST = 200  # bytes of a folder's name; file systems end at 255
ONE_EACH = "a sweep gives each cell its seed: leave seed out and say how many, as in --seeds 3"


@dataclass(frozen=True)
class Cell:
    """One run of a sweep, in a folder of its own; `settings` is what tells it from the others, but for the seed."""

    path: Path
    settings: dict[str, Any]
    recipe: Recipe
    failure: str = ""
    """Why it could not be trained, in one line."""

    @property
    def name(self) -> str:
        """What tells it from the others, and its seed."""
        return self.path.name


@dataclass(frozen=True)
class Grid:
    """A sweep's base recipe, its arms (partial recipes by name) and its number of seeds."""

    recipe: Recipe
    arms: dict[str, dict[str, Any]] = field(default_factory=dict)
    seeds: int = SEEDS


def load_grid(path: Path) -> Grid:
    """Read a recipe's TOML file that may also hold `seeds = N` and `[[arms]]`, each with a name in `arm`."""
    table = read_table(path)
    seeds, arms = table.pop("seeds", SEEDS), named_arms(table.pop("arms", []), path)
    return Grid(from_table(table, f"recipe {path}"), arms, checked(seeds, int, f"{path}: seeds"))


def named_arms(arms: Any, path: Path) -> dict[str, dict[str, Any]]:
    """The `[[arms]]` of a file by name."""
    named = [_arm(arm, f"{path}: arms") for arm in checked(arms, list[dict], f"{path}: arms")]
    for twice, count in Counter(name for name, _ in named).items():
        if count > 1:
            raise InputError(f"{path}: expected a different name for every arm, got {twice!r} {count} times")
    return dict(named)


def chosen(arms: Mapping[str, dict[str, Any]], names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The arms of these names; all if none is named."""
    if names and not arms:
        raise InputError(f"--arms: expected a recipe with [[arms]] to choose from, got none for {names[0]!r}")
    for name in names:
        if name not in arms:
            raise unknown("arm", name, arms)
    return {name: table for name, table in arms.items() if name in names or not names}


def _arm(table: dict[str, Any], where: str) -> tuple[str, dict[str, Any]]:
    rest = {key: value for key, value in table.items() if key != "arm"}
    if not table.get("arm"):
        raise InputError(f'{where}: expected a name for every arm, as in arm = "random", got none')
    return checked(table["arm"], str, f"{where}: arm"), rest


def parse_axes(words: Sequence[str]) -> dict[str, list[Any]]:
    """Axes from the command line, such as `transform.a_max=0.2,0.4`: names with the values to try."""
    texts = parse_names(words, "--set", "NAME=VALUE,VALUE")
    return {
        name: [parse_literal(value) for value in split_values(text, f"--set {name}")] for name, text in texts.items()
    }


def parse_names(words: Sequence[str], option: str, form: str) -> dict[str, str]:
    """What stands behind the first `=` of each word, by name; `form` is how the words of `option` should look."""
    texts: dict[str, str] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not (name and equals):
            raise InputError(f"{option}: expected {form}, got {word!r}")
        if (name := name.strip().replace("-", "_")) in texts:
            raise InputError(f"{option} {name}: expected each name once, got it twice; list its values with commas")
        texts[name] = text
    return texts


def split_values(text: str, name: str) -> list[str]:
    """The parts of `text` between the commas that stand outside brackets and quotes."""
    pieces, depth, quote = [""], 0, ""
    for letter in text:
        if letter in "\"'":
            quote = {"": letter, letter: ""}.get(quote, quote)
        elif not quote:
            depth += (letter in "[{") - (letter in "]}")
        if letter == "," and not (depth or quote):
            pieces.append("")
        else:
            pieces[-1] += letter
    if depth or quote:
        raise InputError(f"{name}: expected brackets and quotes in pairs, got {text!r}")
    if not all(map(str.strip, pieces)):
        raise InputError(f"{name}: expected values with commas between them, got {text!r}")
    return [piece.strip() for piece in pieces]


def make_cells(
    recipe: Recipe,
    axes: Mapping[str, Sequence[Any]],
    out: Path,
    *,
    seeds: int = SEEDS,
    arms: Mapping[str, Mapping[str, Any]] | None = None,
) -> list[Cell]:
    """The product of arms, axes and seeds; seeds count up from the recipe's own, the same ones in every arm.

    Raises:
        InputError: if a name or a value cannot be used, or if two cells would share a name.
    """
    check_is("axes", axes, Mapping, "{'adversary': ['none', 'random']}")
    if checked(seeds, int, "seeds") < 1:
        raise InputError(f"seeds: expected a whole number of at least 1, got {seeds}")
    for name, values in axes.items():
        if isinstance(values, str | dict) or not hasattr(values, "__len__"):
            raise InputError(f"{name}: expected a list of values to try, such as {[values]}, got {values!r}")
    if empty := [name for name, values in axes.items() if not len(values)]:
        raise InputError(f"{empty[0]}: expected at least one value to try, got none")
    for name, table in (arms or {}).items():
        if twice := sorted(axes.keys() & table.keys()):
            raise InputError(f"{twice[0]}: expected either an axis or an entry of arms, got both (in arm {name!r})")
    if "seed" in axes or any("seed" in table for table in (arms or {}).values()):
        raise InputError(ONE_EACH)
    found = [
        Cell(out / ",".join([*name, f"seed={seed}"]), settings, replace(changed, seed=seed))
        for name, settings, changed in _arms(recipe, axes, arms or {})
        for seed in range(recipe.seed, recipe.seed + seeds)
    ]
    _check_names([cell.name for cell in found])
    _check_differ(found)
    return found


def _arms(
    recipe: Recipe, axes: Mapping[str, Sequence[Any]], arms: Mapping[str, Mapping[str, Any]]
) -> Iterator[tuple[list[str], dict[str, Any], Recipe]]:
    starts = {name: from_table(dict(table), f"arm {name!r}", recipe) for name, table in arms.items()} or {"": recipe}
    for arm, *values in product(starts, *axes.values()):
        settings = dict(zip(axes, values, strict=True))
        name = [written(arm)] if arm else []
        name += [f"{key}={written(value)}" for key, value in settings.items()]
        changed = starts[arm]
        for key in sorted(settings, key=lambda key: "." in key):  # a part before its settings
            changed = with_value(changed, key, settings[key])
        yield name, ({"arm": arm} if arm else {}) | settings, changed


def with_value(recipe: Recipe, name: str, value: Any) -> Recipe:
    """The recipe with one setting changed; those of parts and views are dotted, as in `transform.a_max`."""
    head, dot, key = name.partition(".")
    known = [item.name for item in fields(Recipe)]
    if head not in known:
        raise unknown("key to sweep", head, known)
    if dot and isinstance(part := getattr(recipe, head), Part):
        changes: dict[str, Any] = {head: Part(part.name, {**part.settings, key: value})}
        return replace(recipe, **changes)
    return from_table({head: {key: value} if dot else value}, "sweep", recipe)


def written(value: Any) -> str:
    """A value as a piece of a folder's name: a part is its name and its settings."""
    if isinstance(value, Part | dict):
        words = [str(each) if key == "name" else f"{key}={each}" for key, each in tabled(value).items()]
        return written("-".join(words))
    text = str(value).lower() if isinstance(value, bool) else str(value)
    word = re.sub(r"[^\w.+=-]+", "-", text.replace("*", "+"))  # a shell reads stars
    return word if isinstance(value, int | float) else word.strip("-")  # a sign is no ornament


def _check_differ(cells: Sequence[Cell]) -> None:
    first: dict[str, str] = {}
    for cell in cells:
        if (twin := first.setdefault(repr(cell.recipe), cell.name)) != cell.name:
            raise InputError(f"{cell.name}: expected cells that differ, got the same recipe as {twin}")


def _check_names(names: Sequence[str]) -> None:
    for name in names:
        if len(name.encode()) > LONGEST:
            raise InputError(f"{name[:40]}...: expected cells with names of at most {LONGEST} bytes; use [[arms]]")
        if names.count(name) > 1:
            raise InputError(
                f"{name}: expected cells that differ, got two of this name; give each value once, or use [[arms]]"
            )

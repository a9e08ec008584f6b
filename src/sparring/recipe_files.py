"""Recipes on disk: shipped ones by name, others as TOML files. Imports no torch."""

import re
import tomllib
from itertools import takewhile
from pathlib import Path
from typing import Any

import tomli_w

from sparring.errors import InputError, unknown
from sparring.part import tabled
from sparring.recipe import Recipe, from_table

DEFAULT = Path(__file__).parent / "recipes" / "best.toml"
"""What is played if no recipe is named."""


def shipped_recipes() -> dict[str, Path]:
    """The recipes in the package by name: one for each published system, and the vanilla methods."""
    return {path.stem: path for path in sorted((Path(__file__).parent / "recipes").glob("*.toml"))}


def about(path: Path) -> str:
    """The sentence with which a recipe's comment begins."""
    lines = path.read_text(encoding="utf-8").splitlines()
    comment = " ".join(line.removeprefix("#").strip() for line in takewhile(lambda line: line.startswith("#"), lines))
    return re.split(r"(?<! al)(?<!Eq)\. ", comment)[0].removesuffix(".")


def read_table(path: Path) -> dict[str, Any]:
    """A TOML file, or a shipped recipe by name, as a table; what cannot be read is one clear line."""
    path = path if path.is_file() else shipped_recipes().get(str(path), path)
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if path.suffix == ".toml":
            hint = f"did you mean {path.stem!r}?" if path.stem in shipped_recipes() else "see `sparring list`"
            raise InputError(f"recipe {path}: expected an existing file, found none; {hint}") from None
        raise unknown("recipe", str(path), shipped_recipes()) from None
    except IsADirectoryError:
        inside = "; did you mean its recipe.toml?" if (path / "recipe.toml").is_file() else ""
        raise InputError(f"recipe {path}: expected a TOML file, got a folder{inside}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"recipe {path}: expected a readable TOML file; {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"recipe {path}: not valid TOML; {error}") from None


def load_recipe(path: str | Path) -> Recipe:
    """The recipe in a TOML file, or a shipped one by name, such as `best`; what it leaves out has Recipe's defaults.

    Raises:
        InputError: if there is no such file or recipe, or if a key or a value of it cannot be used.
    """
    table = read_table(Path(path))
    if own := sorted({"arms", "seeds"} & table.keys()):
        raise InputError(
            f"recipe {path}: expected one run's, got {' and '.join(own)}, a sweep's; sparring sweep {path}"
        )
    return from_table(table, f"recipe {path}")


def dump_recipe(recipe: Recipe) -> str:
    """The recipe as TOML, such that `load_recipe` gives it back; what is not set is left out (TOML has no null)."""
    return tomli_w.dumps({key: value for key, value in tabled(recipe).items() if value not in (None, [])})

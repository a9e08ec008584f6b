"""Where the run of a recipe happens, apart from what it is."""

import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

from sparring.datasets import DATASETS
from sparring.recipe import PLACEMENT, Recipe
from sparring.recipe_files import dump_recipe


def located(recipe: Recipe) -> Recipe:
    """The same recipe with absolute paths, so that it names the same images from any folder."""
    data = recipe.data if recipe.data in DATASETS else _absolute(recipe.data)
    root = _absolute(recipe.data_root) if recipe.data_root else None
    return replace(recipe, data=data, data_root=root, parts=tuple(map(_absolute, recipe.parts)))


def _absolute(path: str) -> str:
    return str(Path(path).expanduser().absolute())


def changed(there: Recipe, here: Recipe) -> tuple[str, Any, Any] | None:
    """The first setting, but for placement, in which two recipes differ, with both values."""
    # through TOML, so that lists equal tuples and what is not set is left out
    old, new = (tomllib.loads(dump_recipe(located(each))) for each in (there, here))
    for key in {**old, **new}:
        if key not in PLACEMENT and old.get(key) != new.get(key):
            return key, old.get(key, "not set"), new.get(key, "not set")
    return None

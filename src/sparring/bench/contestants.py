"""Who takes turns on the clock. A new contestant is one row."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sparring.bench.clock import Turn
from sparring.datasets import DataSet
from sparring.fit import Fit
from sparring.recipe import Recipe, from_table
from sparring.recipe_files import load_recipe
from sparring.run import Run
from sparring.training import launch

VANILLA = "vanilla"
ADVERSARIES: dict[str, dict[str, Any]] = {
    VANILLA: {"adversary": "none"},
    "random colour": {"adversary": "random"},
    "learned colour": {},
    "learned affine": {"transform": "affine"},
    "learned mask": {"transform": "mask"},
    "free pixels": {"adversary": "free", "transform": "pixels"},
    "FGSM pixels": {
        "adversary": {"name": "search", "steps": 1, "step_size": 1.0, "random_start": False},
        "transform": "pixels",
    },
    "PGD-5 pixels": {"adversary": {"name": "search", "steps": 5, "step_size": 0.25}, "transform": "pixels"},
    "best of 4": {"adversary": {"name": "best_of", "draws": 4}, "transform": "jitter"},
    "best of 4, seen at 16 pixels": {"adversary": {"name": "best_of", "draws": 4, "side": 16}, "transform": "jitter"},
}
"""What each changes of the size that is measured."""


@dataclass(frozen=True)
class Arena:
    """What all contestants share."""

    data: DataSet
    size: Recipe
    """Data, encoder, batch size."""

    def vanilla(self) -> Fit:
        """The project's own loop without an adversary."""
        return self.fit(from_table(ADVERSARIES[VANILLA], VANILLA, self.size))

    def fit(self, recipe: Recipe) -> Fit:
        """A recipe's loop, at this size, with views of its last side, far from its end, so that no step is the last."""
        shared = ("data", "data_root", "image_size", "encoder", "batch_size", "precision", "accelerator")
        same: dict[str, Any] = {name: getattr(self.size, name) for name in shared}
        views = replace(recipe.views, sides=recipe.views.sides[-1:])
        recipe = replace(recipe, **same, views=views, epochs=10**6, replays=1)
        return Fit(recipe, self.data, launch(recipe), Run(Path("unused")))


def steps_of(fit: Fit) -> Turn:
    """Whole steps of the project's own loop: batch, views, adversary, forward, backward, optimisers."""

    def play(steps: int) -> None:
        for _ in range(steps):
            fit.round()
        fit.monitor.losses.clear()

    return play


def contestants(arena: Arena, shipped: Sequence[str]) -> dict[str, Turn]:
    """Vanilla, and shipped recipes, or every adversary of the table if none is named."""
    tables = {VANILLA: ADVERSARIES[VANILLA]} if shipped else ADVERSARIES
    recipes = {name: from_table(table, name, arena.size) for name, table in tables.items()}
    recipes |= {name: load_recipe(Path(name)) for name in shipped}
    return {name: steps_of(arena.fit(recipe)) for name, recipe in recipes.items()}

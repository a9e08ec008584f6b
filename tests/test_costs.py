"""What docs/recipes.md says a step costs is what the meter counts."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from fits import CONTEXT
from torch import Tensor

from sparring.assembly import build_learner
from sparring.randomness import generator_for
from sparring.recipe import Part
from sparring.recipe_files import load_recipe, shipped_recipes
from sparring.rounds import Batch, base_views_of

DOCS = Path(__file__).parents[1] / "docs" / "recipes.md"
ROWS = [line.strip("| \n").split("|") for line in DOCS.read_text().splitlines() if line.startswith("| ")]
TABLE = {row[0].strip(): [float(cell) for cell in row[1:5]] for row in ROWS if row[0].strip() in shipped_recipes()}
MOST = {"clae": 12, "rocl": 29, "acl": 34, "adios": 11, "hvp": 10, "free": 6, "study-colour": 6, "viewmaker": 6}
"""Above these a form would be dearer than it need be."""


def test_every_recipe_has_its_row() -> None:
    assert TABLE.keys() == shipped_recipes().keys()


@pytest.mark.parametrize("name", shipped_recipes())
def test_a_step_costs_what_the_table_says(name: str, photographs: Tensor) -> None:
    recipe = replace(load_recipe(Path(name)), encoder=Part("resnet12", {"width": 0.0625}))
    learner = build_learner(recipe, CONTEXT)
    views = dict.fromkeys(base_views_of(recipe.pairs), photographs.float())
    learner(Batch(views, torch.arange(len(photographs)), 0, 1.0, generator_for(0, 0))).loss.backward()
    cost = learner.meter.take()
    assert TABLE[name] == [cost.units, cost.forwards, cost.backwards, cost.input_backwards]
    assert cost.units <= MOST.get(name, cost.units)

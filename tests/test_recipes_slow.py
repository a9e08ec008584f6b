"""Every shipped recipe trains for a whole epoch on the shipped photographs."""

import math
from dataclasses import replace
from pathlib import Path

import pytest

import sparring
from sparring.recipe import Part
from sparring.recipe_files import load_recipe, shipped_recipes
from sparring.run import Run

RECIPES = list(shipped_recipes().values())


@pytest.mark.slow
@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_whole_epoch(path: Path, tmp_path: Path) -> None:
    small = {
        "data": "sample",
        "epochs": 1,
        "batch_size": 128,
        "replays": 1,
        "warmup": 0.0,
        "views_anneal": 0,
        "encoder": Part("resnet12", {"width": 0.0625}),
    }
    run = Run.open(sparring.train(replace(load_recipe(path), **small), run=tmp_path / "run"))
    lines = run.metrics()
    assert run.finished
    assert all(math.isfinite(line["loss"]) for line in lines if "loss" in line)
    # a queue of random keys makes the loss rise while it fills, so what is asked is that the encoder did not collapse
    assert lines[-1]["feature_spread"] > 0.1

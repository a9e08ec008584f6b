"""Recipes: TOML there and back, errors that name the nearest key, every shipped recipe."""

import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import torch
from fits import CONTEXT
from hypothesis import given, strategies as st

from sparring.assembly import build_learner
from sparring.errors import InputError
from sparring.learner import Learner
from sparring.parts import build
from sparring.randomness import generator_for
from sparring.recipe import Part, Recipe, Views, from_table
from sparring.recipe_files import dump_recipe, load_recipe, shipped_recipes
from sparring.rounds import Batch, base_views_of
from sparring.schema import checked, parse_literal
from sparring.transforms import Chain, Rotation

RECIPES = list(shipped_recipes().values())
SHARE = st.floats(0, 1)
SETTINGS = st.dictionaries(st.sampled_from("abc"), st.integers() | SHARE | st.booleans() | st.text(), max_size=3)


TYPES = """
from pathlib import Path
import numpy as np
from sparring import InputError, Part, Recipe, Views
from sparring.grid import make_cells
from sparring.recipe_files import dump_recipe
wrong = [
    {"epochs": 1.0}, {"precision": "fp16"}, {"dual_norms": 1}, {"strength": True}, {"knn_k": 5}, {"parts": "mine.py"},
    {"views": {"jitter": 0}},
]
for settings in wrong:
    try:
        Recipe(**settings)
    except InputError as error:
        print(error)
print(repr(Recipe(data=Path("images"), data_root=Path("data"), parts=[Path("mine.py")])))
recipe = Recipe(
    learning_rate=np.float32(0.5), seed=np.int64(3), ramp=2, precision=32, pairs=[["first", "second*"]],
    penalties=[Part("teacher")], encoder=Part("timm:resnet10t"), views=Views(flip=1, sides=[0.5]),
)
cells = make_cells(recipe, {"learning_rate": np.logspace(-1, 0, 2)}, Path(), seeds=1)
print([cell.name for cell in cells])
print(repr(recipe))
print(dump_recipe(recipe))
print(sorted(set(dump_recipe(Recipe(adversary=Part("search", {"steps": np.int64(2)}))).splitlines()) & {"steps = 2"}))
"""


def test_a_recipe_in_python_is_held_to_its_types_and_read_back_as_it_is() -> None:
    """In a process of its own, as a user has it: here annotations are checked before the recipe can."""
    done = subprocess.run([sys.executable, "-c", TYPES], capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert lines[:7] == [
        "epochs: expected a whole number, got 1.0",
        "precision: expected one of 'auto', '32', 'bf16', got 'fp16'",
        "dual_norms: expected true or false, got 1",
        "strength: expected a number, got True",
        "knn_k: expected a list, each a whole number, got 5",
        "parts: expected a list, each a text, got 'mine.py'",
        "views: expected Views, such as sparring.Views(jitter=0.0), got {'jitter': 0}",
    ]
    assert lines[7] == repr(Recipe(data="images", data_root="data", parts=("mine.py",)))
    assert lines[8] == "['learning_rate=0.1,seed=3', 'learning_rate=1.0,seed=3']"
    again = from_table(tomllib.loads("\n".join(lines[10:-1])))
    assert lines[9] == repr(again)
    assert again.pairs == (("first", "second*"),)
    assert again.encoder == Part("timm", {"model": "resnet10t"})
    assert lines[-1] == "['steps = 2']"


@given(st.integers(1, 10**6), SHARE, st.text(), SETTINGS, st.lists(st.floats(0.01, 1), min_size=1), SHARE)
def test_toml_there_and_back(
    epochs: int, strength: float, data: str, settings: dict[str, Any], ts: list[float], flip: float
) -> None:
    recipe = Recipe(
        epochs=epochs, strength=strength, data=data, transform=Part("colour", settings), knn_t=tuple(ts),
        views=Views(flip=flip), penalties=(Part("teacher", {"floor": flip}), Part("kl_identity")),
        pairs=(("first", "second"), ("first*", "second*")),
    )  # fmt: skip
    assert from_table(tomllib.loads(dump_recipe(recipe))) == recipe


def test_a_name_in_place_of_a_part_is_one_clear_line() -> None:
    """In a process of its own: here the type checker would say so first."""
    code = "from sparring.recipe import Recipe; Recipe(method='simclr')"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "InputError: method: expected a Part, such as sparring.Part('simclr')" in ended.stderr


CALLS = """
from functools import partial
import sparring
from sparring import sweep, train
from sparring.adversaries import Learned
from sparring.transforms import Affine, Colour, Perspective, Rotation, ThinPlate, Translation
recipe = sparring.Recipe()
calls = [
    lambda: train("best"), lambda: train({"epochs": 1}), lambda: train({}), lambda: sweep("best", out="x"),
    lambda: sweep(recipe, ["adversary"], out="x"), lambda: sweep(recipe, {"adversary": "none"}, out="x"),
    lambda: sweep(recipe, {"epochs": 3}, out="x"), lambda: sweep(recipe, seeds="3", out="x"),
    lambda: sweep(recipe, jobs="2", out="x"),
    lambda: Learned("colour", features=128), lambda: Learned(Colour, features=128),
    *(partial(warp, padding="mirror") for warp in (Affine, Perspective, Rotation, ThinPlate, Translation)),
]
for call in calls:
    try:
        call()
    except sparring.InputError as error:
        print(error)
"""


def test_what_python_can_get_wrong_is_one_clear_line(tmp_path: Path) -> None:
    """In a process of its own, as a user has it: here annotations are checked first."""
    done = subprocess.run([sys.executable, "-c", CALLS], capture_output=True, text=True, check=True, cwd=tmp_path)
    recipe = "recipe: expected a Recipe, such as sparring.load_recipe('best'), got"
    learned = "learned: expected a Transform, such as sparring.transforms.Colour(), got"
    assert done.stdout.splitlines() == [
        f"{recipe} 'best'",
        f"{recipe} {{'epochs': 1}}",
        f"{recipe} {{}}",
        f"{recipe} 'best'",
        "axes: expected a Mapping, such as {'adversary': ['none', 'random']}, got ['adversary']",
        "adversary: expected a list of values to try, such as ['none'], got 'none'",
        "epochs: expected a list of values to try, such as [3], got 3",
        "seeds: expected a whole number, got '3'",
        "jobs: expected a whole number, got '2'",
        f"{learned} 'colour'",
        f"{learned} the class Colour",
        *(
            f"{warp}: padding: expected one of 'zeros', 'border', 'reflection', got 'mirror'"
            for warp in ("affine", "perspective", "rotation", "thin_plate", "translation")
        ),
    ]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({"epoch": 3}, "epochs"),
        ({"views": {"flips": 0.5}}, "flip"),
        ({"epochs": "3"}, "whole number"),
        ({"epochs": True}, "whole number"),
        ({"knn_k": 20}, "list"),
        ({"precision": "16"}, "'bf16'"),
        ({"transform": {"degrees": 3}}, "name"),
        ({"pairs": [["first", "secnd*"]]}, "second"),
        ({"pairs": [["first"]]}, "list"),
        ({"pairs": []}, "at least one"),
        ({"strength": 2}, "strength"),
        ({"batch_size": 0}, "at least 2"),
        ({"views": 3}, "views"),
    ],
    ids=str,
)
def test_what_cannot_be_is_one_line(table: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=says) as error:
        from_table(table)
    assert "\n" not in str(error.value)


def test_values_are_read_as_declared() -> None:
    assert checked(3, float, "x") == 3.0
    assert isinstance(checked(3, float, "x"), float)
    assert checked([1, 2], tuple[int, ...], "x") == (1, 2)
    assert checked(None, int | None, "x") is None
    assert checked("a/b", Path, "x") == Path("a/b")
    with pytest.raises(InputError, match="expected a list of 2, each a number"):
        checked([1.0], tuple[float, float], "x")
    values = [parse_literal(word) for word in ("0.2", "true", "colour", '"colour"', "[1, 2]")]
    assert values == [0.2, True, "colour", "colour", [1, 2]]
    assert [parse_literal(word) for word in (".5", "-.5e-1", "1.", ".", "1.a")] == [0.5, -0.05, 1.0, ".", "1.a"]
    assert [parse_literal(word) for word in ("2026-11-27", "12:30:00")] == ["2026-11-27", "12:30:00"]  # of a folder


def test_parts_nest() -> None:
    inner = [{"name": "rotation", "degrees": 10}, "colour"]
    chain = build("transform", Part("chain", {"parts": inner}), {"image_shape": (3, 8, 8)})
    assert isinstance(chain, Chain)
    assert isinstance(chain.parts[0], Rotation)
    assert chain.parts[0].degrees == 10
    with pytest.raises(InputError, match="degrees"):
        build("transform", Part("chain", {"parts": [{"name": "rotation", "degree": 10}]}), {})


def test_a_single_part_in_place_of_a_list_is_refused() -> None:
    with pytest.raises(InputError, match=r"transform chain: parts: expected a list, got 'colour'"):
        build("transform", Part("chain", {"parts": "colour"}), {"image_shape": (3, 8, 8)})


def test_what_the_builder_fills_in_is_no_setting() -> None:
    with pytest.raises(InputError, match="takes no settings"):
        build("adversary", Part("random", {"features": 3}), {})


def two_steps(recipe: Recipe, photographs: torch.Tensor) -> list[float]:
    learner: Learner = build_learner(recipe, {**CONTEXT, "labels": torch.arange(len(photographs)) % 3})
    optimisers = [torch.optim.SGD(learner.method.parameters(), 0.01), *learner.adversary.optimisers(1e-3)]
    losses = []
    for step in range(2):
        views = dict.fromkeys(base_views_of(recipe.pairs), photographs.float())
        draws = generator_for(0, step)
        outcome = learner(Batch(views, torch.arange(len(photographs)), step, recipe.strength, draws))
        outcome.loss.backward()
        for optimiser in optimisers:
            optimiser.step()
            optimiser.zero_grad()
        learner.after_step(outcome)
        losses.append(outcome.loss.item())
    return losses


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_shipped_recipe_loads_and_plays_two_rounds(path: Path, photographs: torch.Tensor) -> None:
    losses = two_steps(load_recipe(path), photographs)
    assert all(torch.tensor(losses).isfinite())
    assert losses[0] != losses[1]


def test_a_recipe_file_that_is_not_there_is_no_misspelt_name() -> None:
    with pytest.raises(InputError, match=r"expected an existing file, found none; see `sparring list`"):
        load_recipe(Path("none.toml"))
    with pytest.raises(InputError, match=r"expected an existing file, found none; did you mean 'clae'\?"):
        load_recipe(Path("clae.toml"))


def test_a_sweeps_file_is_no_recipe(tmp_path: Path) -> None:
    (tmp_path / "grid.toml").write_text('seeds = 2\n[[arms]]\narm = "vanilla"\n')
    with pytest.raises(InputError, match=r"expected one run's, got arms and seeds, a sweep's; sparring sweep .*grid"):
        load_recipe(tmp_path / "grid.toml")


def test_what_is_empty_is_not_written() -> None:
    """So that recipes of runs begun before a setting existed are still the same recipes."""
    assert "parts" not in dump_recipe(Recipe())
    assert "penalties" not in dump_recipe(Recipe())


def test_parts_inside_parts_are_written_as_tables() -> None:
    inner = Part("random")
    recipe = Recipe(adversary=Part("blend", {"opponents": [Part("best_of", {"opponent": inner}), inner]}))
    again = from_table(tomllib.loads(dump_recipe(recipe)))
    opponents = [{"name": "best_of", "opponent": {"name": "random"}}, {"name": "random"}]
    assert again.adversary == Part("blend", {"opponents": opponents})

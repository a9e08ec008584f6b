"""The cells of a sweep: their product, their names, and what is refused before anything runs."""

from dataclasses import replace
from pathlib import Path

import pytest

from sparring.errors import InputError
from sparring.grid import load_grid, make_cells, parse_axes, split_values, written
from sparring.recipe import Part, Recipe, Views

OUT = Path("out")


def test_cells_are_the_product_of_axes_and_seeds_with_readable_names() -> None:
    axes = parse_axes(["transform.a-max=0.2,0.4", "adversary=none,random"])
    cells = make_cells(Recipe(seed=5), axes, OUT, seeds=2)
    assert [cell.path for cell in cells] == [
        OUT / f"transform.a_max={a_max},adversary={adversary},seed={seed}"
        for a_max in (0.2, 0.4)
        for adversary in ("none", "random")
        for seed in (5, 6)
    ]
    assert cells[-1].recipe == Recipe(seed=6, adversary=Part("random"), transform=Part("colour", {"a_max": 0.4}))
    assert cells[-1].settings == {"transform.a_max": 0.4, "adversary": "random"}


def test_a_part_is_chosen_before_its_settings_whatever_the_order() -> None:
    for words in (["transform.degrees=10", "transform=rotation"], ["transform=rotation", "transform.degrees=10"]):
        (cell,) = make_cells(Recipe(), parse_axes(words), OUT, seeds=1)
        assert cell.recipe.transform == Part("rotation", {"degrees": 10})


def test_axes_in_python_may_hold_parts_views_and_tuples() -> None:
    axes = {
        "adversary": [{"name": "replay", "opponent": Part("learned")}, "none"],
        "penalties": [(), (Part("teacher"),)],
    }
    cells = make_cells(Recipe(), axes, OUT, seeds=1)
    assert len(cells) == 4
    assert cells[0].name == "adversary=replay-opponent=-name-learned,penalties=,seed=0"
    assert cells[1].recipe.penalties == (Part("teacher"),)
    (plain,) = make_cells(Recipe(), {"views": [Views(jitter=0.0)]}, OUT / "v", seeds=1)[:1]
    assert plain.recipe.views.jitter == 0.0


def test_numbers_are_names_where_names_are_asked_for() -> None:
    (one, other) = make_cells(Recipe(), parse_axes(["precision=32,bf16"]), OUT, seeds=1)
    assert (one.recipe.precision, other.recipe.precision) == ("32", "bf16")


def test_a_star_is_part_of_a_name() -> None:
    words = ['pairs=[["first", "second*"]],[["first*", "second*"]]']
    assert [cell.name for cell in make_cells(Recipe(), parse_axes(words), OUT, seeds=1)] == [
        "pairs=first-second+,seed=0",
        "pairs=first+-second+,seed=0",
    ]


def test_views_and_plain_keys_are_axes_too() -> None:
    (cell,) = make_cells(Recipe(), parse_axes(["views.flip=0.25", "pairs=[['first', 'second']]"]), OUT, seeds=1)
    base = Recipe()
    assert cell.recipe == replace(base, views=replace(base.views, flip=0.25), pairs=(("first", "second"),))


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("none,random", ["none", "random"]),
        ("[1, 2],[3]", ["[1, 2]", "[3]"]),
        (
            '{name = "chain", parts = ["blur", "mask"]}, colour',
            ['{name = "chain", parts = ["blur", "mask"]}', "colour"],
        ),
        ("'a,b',\"it's, so\"", ["'a,b'", '"it\'s, so"']),
    ],
)
def test_values_are_split_at_commas_outside_brackets_and_quotes(text: str, pieces: list[str]) -> None:
    assert split_values(text, "x") == pieces


def test_an_inline_table_is_a_part_with_a_name_for_a_folder() -> None:
    axes = parse_axes(['transform={name = "rotation", degrees = 30},colour'])
    first, second = make_cells(Recipe(), axes, OUT, seeds=1)
    assert first.name == "transform=rotation-degrees=30,seed=0"
    assert (first.recipe.transform, second.recipe.transform) == (Part("rotation", {"degrees": 30}), Part("colour"))


def test_a_value_written_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"probability=1\.0,seed=0: expected cells that differ"):
        make_cells(Recipe(), {"probability": [1, 1.0]}, tmp_path)


def test_an_axis_without_values_is_refused() -> None:
    with pytest.raises(InputError, match="strength: expected at least one value"):
        make_cells(Recipe(), {"strength": []}, Path("runs"))


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (True, "true"),
        ("data/a b", "data-a-b"),
        ([1, 2], "1-2"),
        (0.5, "0.5"),
        (-1, "-1"),
        (Part("pixels", {"eps": 0.1}), "pixels-eps=0.1"),
    ],
)
def test_values_are_written_without_what_folders_and_shells_trip_over(value: object, name: str) -> None:
    assert written(value) == name


def test_arms_are_partial_recipes_over_the_base(tmp_path: Path) -> None:
    (tmp_path / "g.toml").write_text(
        'epochs = 4\nseeds = 2\n[encoder]\nname = "resnet18"\n[[arms]]\narm = "vanilla"\nadversary = "none"\n'
        '[[arms]]\narm = "turned"\nadversary = "random"\ntransform = {name = "rotation", degrees = 9}\n'
    )
    grid = load_grid(tmp_path / "g.toml")
    cells = make_cells(grid.recipe, parse_axes(["epochs=1,2"]), OUT, seeds=grid.seeds, arms=grid.arms)
    assert [cell.name for cell in cells[:3]] == [
        "vanilla,epochs=1,seed=0", "vanilla,epochs=1,seed=1", "vanilla,epochs=2,seed=0",
    ]  # fmt: skip
    assert len(cells) == 8
    assert cells[-1].recipe == Recipe(
        epochs=2, seed=1, encoder=Part("resnet18"), adversary=Part("random"), transform=Part("rotation", {"degrees": 9})
    )
    assert cells[-1].settings == {"arm": "turned", "epochs": 2}


BAD = {
    "an unknown key": (["epoch=3"], "'epochs'"),
    "a setting of an unknown part": (["trasform.a_max=1"], "'transform'"),
    "an unknown view": (["views.flips=1"], "'flip'"),
    "a word for a number": (["epochs=x"], "whole number"),
    "no value": (["epochs"], "NAME=VALUE"),
    "an empty value": (["epochs=1,,2"], "commas between"),
    "an open bracket": (["knn_k=[1,2"], "in pairs"),
    "a name twice": (["epochs=1", "epochs=2"], "each name once"),
    "a value twice": (["epochs=1,1"], "two of this name"),
    "a seed": (["seed=1,2"], "--seeds"),
    "a name too long": (["data=" + 300 * "x"], "at most 200 bytes"),
    "a name too long in bytes": (["data=" + 90 * "\u56fe"], "at most 200 bytes"),
}


@pytest.mark.parametrize(("words", "remedy"), BAD.values(), ids=BAD)
def test_what_cannot_be_swept_is_one_line(words: list[str], remedy: str) -> None:
    with pytest.raises(InputError) as refused:
        make_cells(Recipe(), parse_axes(words), OUT)
    assert remedy in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("[[arms]]\nepochs = 1", "expected a name"),
        ('[[arms]]\narm = "a"\n[[arms]]\narm = "a"', "different name"),
        ("arms = 3", "a list"),
        ('seeds = "x"', "whole number"),
        ("epoch = 3", "'epochs'"),
    ],
)
def test_a_grid_that_cannot_be_read_is_one_line(text: str, remedy: str, tmp_path: Path) -> None:
    (tmp_path / "g.toml").write_text(text)
    with pytest.raises(InputError, match=remedy):
        load_grid(tmp_path / "g.toml")


def test_a_setting_of_both_an_arm_and_an_axis_is_refused(tmp_path: Path) -> None:
    arms = {"plain": {}, "chance": {"adversary": "random"}}
    with pytest.raises(InputError, match="adversary: expected either an axis or an entry of arms, got both"):
        make_cells(Recipe(), {"adversary": ["none"]}, tmp_path, arms=arms)


def test_an_arm_with_a_bad_key_names_itself() -> None:
    with pytest.raises(InputError, match=r"arm 'x'.*'epochs'"):
        make_cells(Recipe(), {}, OUT, arms={"x": {"epoch": 1}})

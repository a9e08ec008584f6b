"""Looks at hardness between evaluations: when they are made, that they change nothing, and what alarms make of them."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from runs import measured, same_weights, small

import sparring
from sparring import monitor
from sparring.batches import Batches
from sparring.datasets import Images
from sparring.recipe import Part, Recipe

SIMCLR = Part("simclr", {"projection": 16, "hidden": 32})
SETTINGS: dict[str, dict[str, Any]] = {
    "an adversary that searches": {"method": SIMCLR, "adversary": Part("search"), "transform": Part("pixels")},
    "an adversary that learns": {},
    "an adversary that remembers": {"adversary": Part("free"), "transform": Part("pixels")},
}


@pytest.fixture(autouse=True)
def _no_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of a short run's time goes into drawing."""
    monkeypatch.setattr("sparring.training.write_report", lambda runs: None)


def is_look(line: dict[str, float]) -> bool:
    return "hardness/clean" in line and "rankme" not in line


@pytest.mark.parametrize("changes", SETTINGS.values(), ids=SETTINGS)
def test_looks_change_nothing(changes: dict[str, Any], folder: Path, tmp_path: Path) -> None:
    watched = sparring.train(small(folder, epochs=1, hardness_every=2, **changes), run=tmp_path / "watched")
    alone = sparring.train(small(folder, epochs=1, **changes), run=tmp_path / "alone")
    assert same_weights(watched, alone)
    lines = measured(watched)
    assert [line for line in lines if not is_look(line)] == measured(alone)
    assert [line["step"] for line in lines if is_look(line)] == [2, 4]
    assert [line["step"] for line in lines if "hardness/clean" in line] == [0, 2, 4, 5]


def test_a_look_measures_what_an_evaluation_does(folder: Path, tmp_path: Path) -> None:
    """At the same step: a run that evaluates there and one that only looks."""
    settings = {"epochs": 2, "method": SIMCLR, "hardness_every": 5}
    evaluated = measured(sparring.train(small(folder, **settings), run=tmp_path / "often"))
    looked = measured(sparring.train(small(folder, **settings, evaluate_every=2), run=tmp_path / "seldom"))
    (at_5,) = [line for line in looked if is_look(line)]
    (same,) = [line for line in evaluated if line["step"] == 5 and "hardness/clean" in line]
    assert at_5["step"] == 5
    assert at_5.items() <= same.items()
    assert {"hardness/stranger", "negatives/clean/false_weight", "negatives/adversary/pull"} <= at_5.keys()


def test_alarms_see_a_look_beside_the_last_evaluation_of_a_trained_encoder(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[dict[str, float]] = []
    beside: list[float] = []

    def noted(figures: dict[str, float], untrained: dict[str, float], *, against_chance: bool) -> dict[str, str]:
        seen.append(dict(figures))
        beside.append(untrained["rankme"])
        return {}

    monkeypatch.setattr(monitor, "alarms", noted)
    lines = measured(sparring.train(small(folder, epochs=2, hardness_every=4), run=tmp_path / "run"))
    at_4, at_5, at_8, at_10 = seen
    assert set(beside) == {lines[0]["rankme"]}
    assert "rankme" not in at_4  # the untrained encoder's is not held against it
    assert at_8["rankme"] == at_5["rankme"] != at_10["rankme"]
    (look,) = [line for line in lines if is_look(line) and line["step"] == 8]
    assert at_8["hardness/adversary"] == look["hardness/adversary"] != at_5["hardness/adversary"]


def test_a_negative_number_of_steps_is_refused() -> None:
    with pytest.raises(sparring.InputError, match="hardness_every"):
        Recipe(hardness_every=-1)


@pytest.mark.parametrize("count", [1, 3, 9])
def test_batches_to_look_at_share_no_image_and_ranks_share_a_batch(count: int) -> None:
    images = Images(torch.zeros(60, 3, 4, 4, dtype=torch.uint8), torch.arange(60) // 20, ("a", "b", "c"))
    recipe = Recipe(batch_size=12)
    alone = list(Batches(recipe, images, torch.device("cpu")).looks(0, count))
    places = [batch.indices.tolist() for batch in alone]
    assert len(places) == min(count, 5)
    flat = [place for own in places for place in own]
    assert len(set(flat)) == len(flat) == 12 * len(places)
    assert all({place // 20 for place in own} == {0, 1, 2} for own in places)
    halves = [list(Batches(recipe, images, torch.device("cpu"), rank=r, ranks=2).looks(0, count)) for r in (0, 1)]
    for whole, first, second in zip(places, *halves, strict=True):
        assert sorted([*first.indices.tolist(), *second.indices.tolist()]) == sorted(whole)


def test_a_run_keeps_which_class_the_nearest_negatives_are_of(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = sparring.train(small(folder, epochs=1, method=SIMCLR), run=tmp_path / "run")
    tables = [json.loads((run / "nearest" / f"{stage}.json").read_text()) for stage in ("before", "after")]
    for found in tables:
        assert found["classes"] == ["class0", "class1", "class2"]
        assert found["views"] == [20, 20, 20]
        assert all(sum(row) == pytest.approx(1, abs=1e-3) for row in found["shares"])
    before, after = tables
    assert before["chance"] == after["chance"], "which depends on the images alone"
    assert before["shares"] != after["shares"]
    monkeypatch.setattr("sparring.looks.MOST_CLASSES", 2)
    for recipe in (small(folder, epochs=1), small(folder, epochs=1, method=SIMCLR)):
        assert not (sparring.train(recipe, run=tmp_path / recipe.method.name) / "nearest").exists()

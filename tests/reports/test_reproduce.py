"""Every shipped study is sound, and its judgement follows from the figures of the runs."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from fits import CONTEXT
from PIL import Image

from sparring.assembly import build_learner
from sparring.errors import InputError
from sparring.grid import make_cells
from sparring.options import Reproduce
from sparring.recipe import Part, Recipe, from_table
from sparring.reports import judge
from sparring.reports.judge import BOUNDS
from sparring.reports.record import Record, read_runs
from sparring.reproduce import SCALES, Study, load_study, reproduce, studies, write_results

COMMONEST = 13.98
"""Percent of the sample's test images that always naming the commonest training class gets right."""


@pytest.mark.parametrize("name", studies())
def test_every_study_names_arms_that_can_be_built(name: str) -> None:
    study = load_study(name)
    cells = make_cells(from_table(study.recipe), {}, Path("runs"), seeds=1, arms=study.arms)
    for recipe in (replace(cell.recipe, encoder=Part("resnet12", {"width": 0.0625})) for cell in cells):
        build_learner(recipe, {**CONTEXT, "labels": torch.arange(12) % 3})
    named = [bound[side] for bound in study.comparisons for side in ("arm", "against")]
    named += study.collapse.get("arms", [])
    named += [study.gap["low"], study.gap["high"], *study.gap["arms"]] if study.gap else []
    assert named
    assert set(named) <= study.arms.keys()
    assert all(sum(kind in bound for kind in BOUNDS) == 1 for bound in study.comparisons)


def test_the_paper_scale_is_the_studys_setting() -> None:
    recipe = from_table({key: value for key, value in SCALES["paper"].items() if key != "seeds"})
    assert (recipe.epochs, recipe.batch_size, recipe.knn_k, recipe.encoder.settings) == (
        150,
        512,
        (200,),
        {"width": 0.5},
    )


@pytest.fixture
def arms(fake_run: Callable[..., Path]) -> Callable[[dict[str, list[float]]], dict[str, Any]]:
    """Finished runs by arm, whose last kNN accuracies are these, one a seed."""

    def make(ends: dict[str, list[float]]) -> dict[str, Any]:
        runs: dict[str, Any] = {}
        for arm, values in ends.items():
            paths = []
            for seed, value in enumerate(values):
                folder = fake_run(f"{arm}-{seed}", seed=seed)
                with (folder / "metrics.jsonl").open("a") as file:
                    file.write(json.dumps({"step": 41, "epoch": 10.0, "knn": value, "rankme": 9.0}) + "\n")
                paths.append(folder)
            runs[arm] = read_runs(paths)
        return runs

    return make


def judged(arms: Any, bound: dict[str, Any], ends: list[float], tmp_path: Path, **more: Any) -> list[dict[str, Any]]:
    comparisons = [{"arm": "hard", "against": "plain", **bound}] if bound else []
    study = Study("Title", "Claim.", {}, {"plain": {}, "hard": {}}, comparisons, **more)
    runs = arms({"plain": [50.0, 51.0, 52.0][: len(ends)], "hard": ends})
    folder = write_results(study, runs, Recipe(), tmp_path, "sparring reproduce it")
    judgements: list[dict[str, Any]] = json.loads((folder / "results.json").read_text())["judgements"]
    assert all(each["words"] in (folder / "README.md").read_text() for each in judgements)
    with Image.open(folder / "figure.png") as picture:
        assert min(picture.size) > 200
    return judgements


@pytest.mark.parametrize(
    ("bound", "ends", "verdict"),
    [
        ({"at_least": 1.0}, [52.0, 53.0, 54.0], "held"),
        ({"at_least": 1.0}, [50.5, 51.5, 52.5], "did not hold"),
        ({"at_least": 1.0}, [49.0, 50.0, 60.0], "open"),  # +2 on the mean, but the interval reaches below 0
        ({"at_least": 1.0}, [50.8, 52.0, 53.4], "held"),  # +1.07 on the mean, from +0.31
        ({"at_least": 1.0}, [50.5, 51.5, 54.5], "open"),  # all above 0, and +1.2 on the mean, but too unlike
        ({"at_least": 1.0}, [50.2, 51.2, 54.0], "open"),  # +0.8 on the mean, but the interval reaches 1
        ({"at_least": 0.0}, [50.3, 51.4, 52.2], "held"),
        ({"at_least": 0.0}, [45.0, 56.0, 54.0], "open"),
        ({"at_least": 0.0}, [48.0, 49.0, 50.0], "did not hold"),
        ({"at_least": -0.5}, [40.0, 59.0, 53.0], "open"),  # -0.33 on the mean of -10, +8 and +1
        ({"at_least": -0.5}, [49.8, 51.0, 52.0], "held"),
        ({"within": 0.5}, [50.1, 51.1, 52.1], "held"),
        ({"within": 0.5}, [45.0, 56.0, 52.3], "open"),  # +0.10 on the mean of -5, +5 and +0.3
        ({"within": 0.5}, [51.0, 52.0, 53.0], "did not hold"),
        ({"within": 0.5}, [48.0, 49.0, 50.0], "did not hold"),
        ({"at_most": -1.0}, [48.0, 49.0, 50.0], "held"),
        ({"at_most": -1.0}, [49.5, 50.5, 51.5], "did not hold"),
        ({"at_most": -1.0}, [45.0, 52.0, 51.0], "open"),
        ({"at_most": 0.5}, [49.2, 50.1, 51.0], "held"),
        ({"at_least": 1.0}, [60.0, 61.0], "open"),
    ],
)
def test_a_bound_is_judged_by_mean_and_interval(
    bound: dict[str, Any], ends: list[float], verdict: str, arms: Any, tmp_path: Path
) -> None:
    (found,) = judged(arms, bound, ends, tmp_path / "out")
    assert found["verdict"].startswith(verdict)
    paragraph = f"\n\n{verdict.capitalize()}: hard against plain.\n\n"
    assert paragraph in (tmp_path / "out" / "README.md").read_text()
    assert found["difference"] == pytest.approx(sum(ends) / len(ends) - (50.5 if len(ends) == 2 else 51.0))


def shares(arms: Any, ends: dict[str, list[float]], tmp_path: Path) -> dict[str, tuple[float | None, str]]:
    bound = {"low": "low", "high": "high", "at_least": 0.8, "arms": ["most", "some"]}
    folder = write_results(Study("Title", "Claim.", {}, {}, gap=bound), arms(ends), Recipe(), tmp_path / "out", "")
    judgements = json.loads((folder / "results.json").read_text())["judgements"]
    return {each["arm"]: (each.get("share"), each["verdict"].partition(" (")[0]) for each in judgements}


def test_the_share_of_a_gap(arms: Any, tmp_path: Path) -> None:
    ends = {"low": [40.0] * 3, "high": [49.0, 50.0, 51.0], "most": [49.0] * 3, "some": [42.0] * 3, "chance": [45.0] * 3}
    assert shares(arms, ends, tmp_path) == {
        "most": (pytest.approx(0.9), "held"),
        "some": (pytest.approx(0.2), "did not hold"),
        "chance": (pytest.approx(0.5), "for comparison"),
    }
    assert "\n\nHeld: most. Did not hold: some.\n\n" in (tmp_path / "out" / "README.md").read_text()


def test_the_share_of_a_gap_is_taken_over_the_seeds_that_all_have(arms: Any, tmp_path: Path) -> None:
    ends = {"low": [40.0] * 3, "high": [50.0] * 4, "most": [49.0] * 3 + [0.0], "some": [42.0] * 2}
    assert shares(arms, ends, tmp_path) == {
        "most": (pytest.approx(0.9), "held"),
        "some": (pytest.approx(0.2), "open: fewer than 3 seeds"),
    }


def test_a_gap_is_not_judged_by_one_seed(arms: Any, tmp_path: Path) -> None:
    ends = {"low": [40.0], "high": [50.0], "most": [49.0], "some": [42.0]}
    assert {verdict for _, verdict in shares(arms, ends, tmp_path).values()} == {"open: fewer than 3 seeds"}


def test_a_gap_that_is_none_is_said(arms: Any, tmp_path: Path) -> None:
    none = {"low": [50.0] * 3, "high": [49.0] * 3, "most": [60.0] * 3, "some": [42.0] * 3}
    assert shares(arms, none, tmp_path) == dict.fromkeys(("most", "some"), (None, "open: there is no gap to close"))


@pytest.mark.parametrize(
    ("expected", "level", "spread", "verdict"),
    [
        (True, 0.9, 0.05, "held"),
        (True, 0.55, 0.47, "did not hold"),  # red for half of the images, blue for the other half
        (True, 0.3, 0.05, "did not hold"),
        (False, 0.9, 0.05, "did not hold"),
        (False, 0.55, 0.47, "held"),
    ],
)
def test_a_collapse_is_one_constant_for_all_images(
    expected: bool, level: float, spread: float, verdict: str, fake_run: Callable[..., Path]
) -> None:
    bound = {"keys": ["colour/blue"], "above": 0.5, "spread": 0.25, "arms": ["soft"] if expected else []}
    paths = [fake_run(f"soft-{seed}", seed=seed) for seed in range(3)]
    for path in paths:
        line = {"step": 41, "epoch": 10.0, "adversary/colour/blue": level, "spread/colour/blue": spread}
        with (path / "metrics.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")
    runs = read_runs(paths)

    def judged(own: list[Record], **changed: Any) -> str:
        (judgement,) = judge.collapse({**bound, **changed}, {"soft": own})
        return judgement["verdict"]

    assert judged(runs).startswith(verdict)
    assert judged(runs[:2]).startswith("open")
    assert judged(runs, keys=["colour/green"]) == "open: not measured"


def test_a_run_without_an_accuracy_is_no_zero(fake_run: Callable[..., Path], tmp_path: Path) -> None:
    folder = fake_run("bare")
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    bare = [{key: value for key, value in line.items() if key != "knn"} for line in lines]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in bare))
    with pytest.raises(InputError, match="bare: unknown measurement 'knn'"):
        write_results(Study("Title", "Claim.", {}, {}), {"one": read_runs([folder])}, Recipe(), tmp_path, "")


def test_some_arms_alone_are_judged_by_what_they_can_tell() -> None:
    study = load_study("no-prior")
    pair = study.limited(["random-chain", "learned-chain"])
    assert list(pair.arms) == ["random-chain", "learned-chain"]
    assert [(bound["arm"], bound["against"]) for bound in pair.comparisons] == [("learned-chain", "random-chain")]
    assert pair.gap == {}
    ends = study.limited(["learned-mix-noise", "hand-made", "crop-flip"])
    assert ends.comparisons == []
    assert ends.gap == study.gap
    assert study.limited([]) == study


def test_unknown_studies_scales_and_arms_are_one_line() -> None:
    with pytest.raises(InputError, match="unknown arm 'random-chian'; did you mean 'random-chain'"):
        reproduce(Reproduce("no-prior", arms=("random-chian",)))
    with pytest.raises(InputError, match="did you mean 'figure2'"):
        reproduce(Reproduce("figur2"))
    with pytest.raises(InputError, match="unknown scale 'labtop'; did you mean 'laptop'"):
        reproduce(Reproduce("figure2", scale="labtop"))


def test_a_readme_that_is_no_studys_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("mine")
    with pytest.raises(InputError, match="choose another --out"):
        reproduce(Reproduce("figure2", out=tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["README.md"]


def test_what_is_said_of_neighbours_is_said_on_the_page_once(arms: Any, tmp_path: Path) -> None:
    runs = arms({"plain": [50.0, 51.0], "hard": [52.0, 53.0]})
    for run in (each for own in runs.values() for each in own):
        run.environment["knn_note"] = "k = 200 is more than there are"
    folder = write_results(Study("Title", "Claim.", {}, {}), runs, Recipe(), tmp_path / "out", "")
    assert (folder / "README.md").read_text().count("\n\nNote: k = 200 is more than there are.\n\n") == 1


def test_neighbours_may_be_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(recipe: Recipe, **_: Any) -> None:
        raise InputError(f"played with {recipe.knn_k}")

    monkeypatch.setattr("sparring.reproduce.sweep", stop)
    for chosen, played in (((20, 5), r"\(20, 5\)"), ((), r"\(200,\)")):
        with pytest.raises(InputError, match=f"played with {played}"):
            reproduce(Reproduce("figure4", knn_k=chosen, out=tmp_path))


@pytest.mark.slow
@pytest.mark.parametrize("name", studies())
def test_every_study_runs_at_smoke_scale(name: str, tmp_path: Path) -> None:
    folder = reproduce(Reproduce(name, seeds=1, out=tmp_path))
    arms = json.loads((folder / "results.json").read_text())["arms"]
    assert {row["arm"] for row in arms} == load_study(name).arms.keys()
    assert all(row["knn"] > COMMONEST for row in arms)

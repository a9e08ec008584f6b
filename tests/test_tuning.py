"""A search proposes, plays, averages over seeds and goes on; training is replaced by a formula."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from runs import refused

from sparring import jobs, tuning
from sparring.cli import main
from sparring.errors import InputError
from sparring.grid import Cell
from sparring.recipe import Part, Recipe
from sparring.run import Run
from sparring.tuning import Choice, Found, Range, _study, _value_of, parse_space, tune

TINY = Recipe(image_size=16, encoder=Part("resnet12", {"width": 0.0625}), batch_size=512, epochs=2)
SPACE = parse_space(["learning_rate=0.001:1:log", "batch_size=256:512", "adversary=none,random"])
PLAYED = """
import json, pathlib, sys, tomllib
folder, unlucky = pathlib.Path(sys.argv[1]), sys.argv[2]
recipe = tomllib.loads((folder / "recipe.toml").read_text())
print("begun", flush=True)
if recipe["adversary"]["name"] == unlucky:
    sys.exit("sparring: error: out of luck")
last = 100 * recipe["learning_rate"] + recipe["seed"]
lines = [{"step": step, "epoch": step, "knn": knn, "rankme": 9.0} for step, knn in ((1, 200.0), (2, last))]
(folder / "metrics.jsonl").write_text("".join(json.dumps(line) + chr(10) for line in lines))
(folder / "encoder.safetensors").touch()
"""


@pytest.fixture
def unlucky(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The adversary whose cells fail, if there is one; without, the figure is 100 x the learning rate + the seed."""
    chosen: list[str] = []

    def command(cell: Cell) -> list[str]:
        return [sys.executable, "-c", PLAYED, str(cell.path), *(chosen or ["nobody"])]

    monkeypatch.setattr(jobs, "_command", command)
    monkeypatch.setattr(jobs, "POLL_SECONDS", 0.02)
    return chosen


def begun(folder: Path) -> list[str]:
    return sorted(
        file.parent.name for file in folder.glob("*/train.log") for _ in range(file.read_text().count("begun"))
    )


@pytest.mark.parametrize(
    ("space", "drawn", "value"),
    [
        (Range(0.99, 0.9999), 0.9997345, 0.99973),
        (Range(0.99, 0.9999), 0.9998999, 0.9999),
        (Range(0.1, 1.0), 0.123456, 0.123),
        (Range(0.001, 1.0, log=True), 0.00123456, 0.00123),
        (Range(100.0, 900.0), 123.456, 123.0),
    ],
)
def test_what_is_tried_has_few_digits_and_stays_in_its_range(space: Range, drawn: float, value: float) -> None:
    trial = SimpleNamespace(suggest_float=lambda *_, **__: drawn)
    assert space.suggest(trial, "x") == pytest.approx(value, rel=1e-12)  # type: ignore[arg-type]


def test_spaces_are_read_from_words() -> None:
    words = ["learning-rate=.01:1:log", "adversary.steps=1:7", "strength=0.1:1", "adversary=none,random"]
    assert parse_space(words) == {
        "learning_rate": Range(0.01, 1, log=True),
        "adversary.steps": Range(1, 7),
        "strength": Range(0.1, 1),
        "adversary": Choice(("none", "random")),
    }
    assert parse_space(["learning_rate=1E-3:1e+0"]) == {"learning_rate": Range(0.001, 1.0)}
    views = parse_space(["views.crop_scale=[0.08, 1.0],[0.2, 1.0]"])["views.crop_scale"]
    assert views.ends() == [[0.08, 1.0], [0.2, 1.0]]


def test_whole_ends_are_no_whole_numbers_where_the_setting_is_none() -> None:
    recipe = Recipe(adversary=Part("search"))
    for name, kind in (("strength", float), ("views.flip", float), ("adversary.step_size", float), ("epochs", int)):
        ends = Range(1, 7).like(_value_of(recipe, name)).ends()
        assert ends == [1, 7]
        assert all(type(end) is kind for end in ends), name
    assert _value_of(recipe, "no.such") is None


def test_a_study_seeks_the_top_by_the_seed_alone() -> None:
    def proposed(seed: int) -> list[float]:
        study, drawn = _study(seed), list[float]()
        for _ in range(30):
            trial = study.ask()
            drawn.append(trial.suggest_float("x", 0, 1))
            study.tell(trial, drawn[-1])
        return drawn

    drawn = proposed(0)
    assert drawn == proposed(0) != proposed(1)
    assert sum(drawn[-10:]) / 10 > 0.75


def test_the_best_comes_first_by_the_mean_over_seeds_at_the_last_epoch(unlucky: list[str], tmp_path: Path) -> None:
    found = tune(TINY, SPACE, out=tmp_path, trials=3, seeds=2, jobs=2)
    assert [each.knn for each in found] == sorted((each.knn or 0 for each in found), reverse=True)
    for each in found:
        assert each.knn == pytest.approx(100 * each.settings["learning_rate"] + 0.5)
        assert isinstance(each.settings["batch_size"], int)
        assert len(f"{each.settings['learning_rate']:g}".replace("0.", "").lstrip("0")) <= 3
    kept = json.loads((tmp_path / "search.json").read_text())["trials"]
    assert [Found(**row) for row in kept] == found
    cells = json.loads((tmp_path / "sweep.json").read_text())["cells"]
    assert len(cells) == 6
    assert {Run(cell).recipe().evaluate_on for cell in tmp_path.glob("*seed=*")} == {"validation"}
    assert all(cell["settings"].keys() == SPACE.keys() for cell in cells)
    assert (tmp_path / "report.html").exists()


def test_the_same_call_goes_on_where_it_was(unlucky: list[str], tmp_path: Path) -> None:
    whole = tune(TINY, SPACE, out=tmp_path / "whole", trials=4, seeds=1)
    tune(TINY, SPACE, out=tmp_path / "parts", trials=2, seeds=1)
    half = begun(tmp_path / "parts")
    assert tune(TINY, SPACE, out=tmp_path / "parts", trials=4, seeds=1) == whole
    assert len(half) == 2
    assert begun(tmp_path / "parts") == begun(tmp_path / "whole")  # nobody was trained twice


def test_a_trial_that_fails_stops_no_other_and_is_tried_again(unlucky: list[str], tmp_path: Path) -> None:
    space = {"adversary": Choice(("none", "random")), "learning_rate": Range(0.1, 0.9)}
    unlucky.append("none")
    found = tune(TINY, space, out=tmp_path, trials=6, seeds=1)
    assert {each.settings["adversary"]: each.knn is None for each in found} == {"none": True, "random": False}
    assert found[0].settings["adversary"] == "random"
    assert found[-1].knn is None
    unlucky.clear()
    assert all(each.knn is not None for each in tune(TINY, space, out=tmp_path, trials=6, seeds=1))


def test_the_command_says_what_the_best_is_worth(
    unlucky: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--image-size", "16", "--encoder.width", "0.0625", "--epochs", "2", "--seeds", "1", "--out", str(tmp_path)]
    main(["sweep", "--search", "learning_rate=0.1:0.2", "--trials", "2", *words])
    said = capsys.readouterr().out
    best = json.loads((tmp_path / "search.json").read_text())["trials"][0]
    assert f"learning_rate = {best['settings']['learning_rate']}: {best['knn']:.2f} %" in said
    assert "chosen on validation images" in said


BAD = {
    "no values": (["--search", "learning_rate"], "NAME=LOW:HIGH"),
    "a single value": (["--search", "learning_rate=0.03"], "several values"),
    "ends the wrong way round": (["--search", "learning_rate=1:0.1"], "low < high"),
    "a logarithm of nothing": (["--search", "learning_rate=0:1:log"], "0 < low"),
    "a name twice": (["--search", "epochs=1:2", "--search", "epochs=2:3"], "got it twice"),
    "an unknown key": (["--search", "epoch=1:2"], "'epochs'"),
    "an end out of range": (["--search", "transform.a_max=0.2:3"], "[0, 1]"),
    "no trials": (["--search", "strength=0.1:1", "--trials", "0"], "at least 1"),
    "a grid besides": (["--search", "strength=0.1:1", "--set", "adversary=none"], "--set"),
    "a seed": (["--search", "seed=1:4"], "--seeds"),
}


@pytest.mark.parametrize(("words", "remedy"), BAD.values(), ids=BAD)
def test_bad_input_is_one_line_before_anything_is_trained(
    words: list[str], remedy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    said = refused(["sweep", *words], capsys)
    assert remedy in said
    assert "parsing" not in said  # what the user wrote is named, not a class of ours
    assert list(tmp_path.iterdir()) == []


def test_images_without_labels_and_a_missing_library_are_one_line(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flat = next(path for path in sorted(folder.glob("*/*")) if path.is_dir())
    with pytest.raises(InputError, match="labelled validation images"):
        tune(Recipe(data=str(flat), batch_size=2, image_size=16), {"strength": Range(0.1, 1.0)}, out=tmp_path, trials=1)
    monkeypatch.setattr(tuning, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'sparring\[search\]'"):
        tune(TINY, SPACE, out=tmp_path)

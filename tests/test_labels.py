"""A folder whose sub-folders are no classes (`labels = "none"`), in every command that reads it."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from runs import refused, small
from safetensors.torch import load_file

import sparring
from sparring.cli import main, parse
from sparring.run import Run
from sparring.training import load_data

PATIENTS, EACH = 3, 10


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root, draw = tmp_path_factory.mktemp("patients"), np.random.default_rng(0)
    for patient in range(PATIENTS):
        (root / f"patient{patient}").mkdir()
        for number in range(EACH):
            image = Image.fromarray(draw.integers(0, 256, (16, 16, 3)).astype(np.uint8))
            image.save(root / f"patient{patient}" / f"{number}.png")
    return root


@pytest.fixture(scope="module")
def trained(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sparring.train(small(folder, labels="none", epochs=1), run=tmp_path_factory.mktemp("runs") / "run")


def test_all_images_are_trained_on_and_no_accuracy_is_measured(trained: Path) -> None:
    facts = json.loads((trained / "environment.json").read_text())
    assert (facts["train_images"], facts["test_images"]) == (PATIENTS * EACH, 0)
    assert {"rankme", "knn"} & Run.open(trained).metrics()[-1].keys() == {"rankme"}


def test_evaluate_reads_the_runs_own_folder_as_training_did_and_others_as_ever(
    trained: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "expected labels for knn, found none" in refused(["evaluate", str(trained), "--probe", "knn"], capsys)
    for own in ([], ["--data", f"{folder}/"]):
        kept = tmp_path / f"{len(own)}.safetensors"
        main(["evaluate", str(trained), *own, "--probe", "collapse", "--features", str(kept)])
        assert {name: len(rows) for name, rows in load_file(kept).items()} == {"bank": PATIENTS * EACH}
    other = tmp_path / "other"
    other.symlink_to(folder)
    capsys.readouterr()
    main(["evaluate", str(trained), "--data", str(other), "--probe", "knn", "--knn-k", "5", "--json"])
    figures = json.loads(capsys.readouterr().out)
    assert (figures["images"], "knn" in figures) == (PATIENTS, True)


def test_a_resume_refuses_a_change_of_it(trained: Path, folder: Path, tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    run.claim(small(folder, labels="none"))
    with pytest.raises(sparring.InputError, match="expected labels = none, as the run began, got folders"):
        parse(["train", "--resume", str(run.path), "--labels", "folders"])()
    began = Run.open(trained)
    with pytest.raises(sparring.InputError, match="expected labels = none, as the run began, got folders"):
        began.load_checkpoint(replace(began.recipe(), labels="folders"))


def test_a_sweep_reads_it_from_an_axis(folder: Path, tmp_path: Path) -> None:
    axis, recipe = {"labels": ["folders", "none"]}, small(folder, epochs=1)
    cells = sparring.sweep(recipe, axis, out=tmp_path, seeds=1)
    assert [cell.failure for cell in cells] == ["", ""]
    assert [len(load_data(cell.recipe).train) for cell in cells] == [PATIENTS * (EACH - 1), PATIENTS * EACH]
    assert ["knn" in row for row in json.loads((tmp_path / "sweep.json").read_text())["cells"]] == [True, False]


def test_what_needs_labels_refuses_it(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "preview.png")
    words = ["--data", str(folder), "--labels", "none", "--method", "supcon"]
    assert "label" in refused(["preview", *words, "--out", out], capsys)
    assert "label" in refused(["train", *words, "--batch-size", "12", "--run", str(tmp_path / "run")], capsys)

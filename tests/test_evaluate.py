"""`sparring evaluate`: which probes, what it prints, keeps and draws, and what it says of what cannot be."""

import json
from dataclasses import replace
from pathlib import Path
from shutil import copytree
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from runs import CLASSES, refused, write_images
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, is_autocast_enabled
from torch.nn.modules.module import register_module_forward_pre_hook

import sparring
from sparring.cli import main, parse
from sparring.contracts import Features
from sparring.datasets.decoding import read_image
from sparring.errors import InputError
from sparring.evaluate import table_rows
from sparring.evaluations import CORRUPTIONS, EVALUATIONS, Subject, extract
from sparring.measure import build_evaluations
from sparring.recipe import Part, Recipe
from sparring.reports import evaluation_plots
from sparring.run import Run

TEST = 6
COUNTS = '{name = "few_shot", ways = 3, shots = [1], queries = 5, episodes = 10}'
TUNING = '{name = "finetune", shares = [0.5, 1.0], epochs = 1}'


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As many test images of each class as the episodes need."""
    root = tmp_path_factory.mktemp("images")
    write_images(root, test=TEST)
    return root


@pytest.fixture(scope="module")
def trained(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    encoder = Part("resnet12", {"width": 0.0625})
    recipe = Recipe(
        data=str(folder), image_size=16, encoder=encoder, epochs=1, batch_size=12, accelerator="cpu", precision="32"
    )
    return sparring.train(recipe, run=tmp_path_factory.mktemp("runs") / "run")


def evaluated(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[dict[str, Any], str]:
    capsys.readouterr()
    main(["evaluate", *map(str, words), "--json"])
    said = capsys.readouterr()
    return json.loads(said.out), said.err


def test_probes_are_named_on_the_command_line() -> None:
    assert [part.name for part in parse(["evaluate", "runs/x"]).probe] == ["knn", "collapse"]
    asked = parse(["evaluate", "runs/x", "--probe", "linear", '{name = "robustness", eps = 0.1}']).probe
    assert asked == (Part("linear"), Part("robustness", {"eps": 0.1}))


def test_every_evaluation_gives_its_figures_keeps_and_draws_them(
    trained: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [name for name in EVALUATIONS if name not in ("few_shot", "finetune")]
    figures, said = evaluated(
        capsys, trained, "--probe", *names, COUNTS, TUNING, "--knn-k", 5, "--features", tmp_path / "f.safetensors"
    )
    assert said == ""
    assert {"knn", "rankme", "uniformity", "linear", "linear/c", "low_label/share=0.1", "lidar"} <= figures.keys()
    assert {
        "few_shot/ways=3,shots=1",
        "robustness/pgd",
        "corruptions",
        "alignment",
        "finetune/share=0.5",
    } <= figures.keys()
    # the attack and the corruptions see the same images and the same head
    assert figures["robustness/clean"] == figures["corruptions/clean"] == figures["linear"]
    assert figures["robustness/pgd"] <= figures["robustness/clean"]
    counts = np.array(figures["confusion"]["counts"])
    assert (counts.sum(axis=1) == TEST).all()
    assert figures["confusion"]["by"] == "linear"
    assert 100 * counts.trace() / counts.sum() == pytest.approx(figures["linear"])
    assert np.mean(list(figures["per_class"].values())) == pytest.approx(figures["linear"])
    assert list(figures["per_class"]) == [f"class{c}" for c in range(CLASSES)]
    kept = Run.open(trained).evaluations()[str(folder)]
    assert kept["figures"].items() <= figures.items()
    assert kept["settings"]["few_shot"]["ways"] == 3
    for picture in ("confusion", "features", "corruptions"):
        with Image.open(trained / "figures" / f"{picture}.png") as image:
            assert len(image.getcolors(image.width * image.height) or []) > 50
    with safe_open(tmp_path / "f.safetensors", "pt") as opened:
        assert json.loads(opened.metadata()["classes"]) == [f"class{c}" for c in range(CLASSES)]
    tensors = load_file(tmp_path / "f.safetensors")
    data = sparring.datasets.load_dataset(str(folder), image_size=16)
    assert data.test is not None
    assert torch.equal(tensors["queries"], extract(sparring.load_encoder(trained), data.test.pixels))
    assert torch.equal(tensors["query_labels"], data.test.labels)


def test_a_map_whose_library_is_missing_is_refused_before_anything_is_measured(
    trained: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(evaluation_plots, "find_spec", lambda name: None)
    assert "pip install 'sparring[umap]'" in refused(["evaluate", str(trained), "--projection", "umap"], capsys)


def test_what_was_found_before_is_kept(trained: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    evaluated(capsys, trained, "--probe", "collapse")
    evaluated(capsys, trained, "--probe", "knn", "--knn-k", 3)
    evaluated(capsys, trained, "--probe", "collapse", "--data", folder / "train")
    found = Run.open(trained).evaluations()
    assert {"rankme", "knn"} <= found[str(folder)]["figures"].keys()
    assert found[str(folder)]["confusion"]["by"] in ("knn", "linear")
    assert {"rankme"} <= found[str(folder / "train")]["figures"].keys()
    assert len(list((trained / "figures").glob("features-train-*.png"))) == 1


def test_what_was_decided_about_other_images_is_said(
    trained: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copytree(folder, tmp_path / "cut")
    cut = next((tmp_path / "cut" / "train").rglob("*.png"))
    cut.write_bytes(cut.read_bytes()[:40])
    _, said = evaluated(capsys, trained, "--data", tmp_path / "cut", "--knn-k", 3)
    assert "1 of" in said
    assert "no readable images" in said


class Majority:
    """An evaluation that takes every image for one of the first class."""

    def __call__(self, features: Features) -> dict[str, float]:
        return {}

    def judge(self, subject: Subject) -> tuple[dict[str, float], Tensor]:
        predicted = torch.zeros(len(subject.shown), dtype=torch.int64)
        return {"majority": 100 * (predicted == subject.features.query_labels).double().mean().item()}, predicted


def test_whoever_names_classes_has_a_confusion_matrix(
    trained: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(EVALUATIONS, "majority", Majority)  # type: ignore[arg-type]
    figures, _ = evaluated(capsys, trained, "--probe", "majority")
    assert figures["majority"] == pytest.approx(100 / CLASSES)
    assert (figures["confusion"]["by"], figures["per_class"]) == ("majority", {"class0": 100, "class1": 0, "class2": 0})
    assert len(figures["confusion"]["counts"]) == CLASSES
    monkeypatch.setattr("sparring.measure.MOST_CLASSES", CLASSES - 1)
    many, _ = evaluated(capsys, trained, "--probe", "majority")
    assert many["per_class"] == figures["per_class"]
    assert many["confusion"] == {"by": "majority", "classes": ["class0", "class1", "class2"]}


def test_classes_are_printed_when_asked(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["evaluate", str(trained), "--probe", "knn", "--knn-k", "3", "--per-class", "--projection", "tsne"])
    said = capsys.readouterr().out
    assert all(f"class{c}" in said for c in range(CLASSES))
    kept = [f"figures       {trained / 'evaluation.json'}", f"pictures      {trained / 'figures'}"]
    assert said.splitlines()[-2:] == kept
    main(["evaluate", str(trained), "--probe", "knn", "--knn-k", "3"])
    assert "class0" not in capsys.readouterr().out


def test_classes_that_no_probe_names_are_one_line(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["evaluate", str(trained), "--probe", "lidar", "collapse", "--per-class"])
    assert capsys.readouterr().err == "--per-class: none of lidar, collapse names classes; add knn or linear\n"
    main(["evaluate", str(trained), "--probe", "collapse"])
    assert capsys.readouterr().err == ""


def test_without_labels_what_needs_none_is_measured_and_the_rest_named(
    trained: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flat = tmp_path / "flat"
    flat.mkdir()
    for number, file in enumerate(sorted(folder.rglob("*.png"))[:30]):
        (flat / f"{number}.png").write_bytes(file.read_bytes())
    names = [name for name in EVALUATIONS if name != "few_shot"]
    kept = tmp_path / "features.safetensors"
    figures, said = evaluated(capsys, trained, "--data", flat, "--features", kept, "--probe", *names, COUNTS)
    (features,) = load_file(kept).values()
    with safe_open(kept, "pt") as opened:
        files = json.loads(opened.metadata()["bank_files"])
    assert sorted(files) == sorted(file.name for file in flat.iterdir())
    images = torch.stack([torch.tensor(read_image(str(flat / name), 16)) for name in files])
    assert torch.allclose(features, extract(sparring.load_encoder(trained), images), atol=1e-6)
    assert {"rankme", "uniformity", "lidar", "alignment"} <= figures.keys()
    assert not figures.keys() & {"knn", "linear", "robustness/pgd", "corruptions", "per_class", "confusion"}
    assert len(lines := [line for line in said.splitlines() if "left out" in line]) == 1
    assert all(name in lines[0] for name in ("knn", "linear", "low_label", "few_shot", "robustness", "corruptions"))
    words = ["evaluate", str(trained), "--data", str(flat), "--probe", "linear", "knn"]
    assert "expected labels for linear, knn, found none" in refused(words, capsys)


WRONG = {
    "an unknown probe": (["--probe", "liner"], "linear"),
    "an unknown setting": (["--probe", '{name = "linear", gird = [1.0]}'], "grid"),
    "an eps in bytes": (["--probe", '{name = "robustness", eps = 8}'], "8/255"),
    "no shots": (["--probe", '{name = "few_shot", shots = []}'], "shots: expected at least one"),
    "features in a file of another kind": (["--features", "f.npz"], ".safetensors"),
    "features in a folder that is not there": (["--features", "nowhere/f.safetensors"], "nowhere"),
    "an unknown projection": (["--projection", "umpa"], "umap"),
    "a share of no labels": (["--probe", '{name = "finetune", shares = [0.0]}'], "in (0, 1]"),
    "tuning without epochs": (["--probe", '{name = "finetune", epochs = 0}'], "epochs"),
    "too few classes for an episode": (["--probe", "few_shot"], "fewer ways"),
}


@pytest.mark.parametrize(("words", "remedy"), WRONG.values(), ids=WRONG)
def test_wrong_input_is_one_line_and_exit_code_2(
    words: list[str],
    remedy: str,
    trained: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert remedy in refused(["evaluate", str(trained), *words], capsys)


def test_one_evaluation_that_cannot_be_made_does_not_cost_the_others(
    trained: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["evaluate", str(trained), "--probe", "few_shot", '{name = "collapse", pairs_of = 7}', "--json"])
    said = capsys.readouterr()
    assert stop.value.code == 2
    assert "rankme" in json.loads(said.out)
    assert "fewer ways" in said.err
    assert Run.open(trained).evaluations()[str(folder)]["settings"]["collapse"] == {"pairs_of": 7}


def test_features_that_are_not_finite_are_one_line(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = copytree(trained, tmp_path / "broken")
    with safe_open(broken / "encoder.safetensors", "pt") as file:
        weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        about = file.metadata()
    first = next(name for name, weight in weights.items() if weight.is_floating_point())
    save_file(weights | {first: torch.full_like(weights[first], float("nan"))}, broken / "encoder.safetensors", about)
    assert "features are finite" in refused(["evaluate", str(broken), "--probe", "knn", "collapse"], capsys)
    assert Run.open(broken).evaluations() == Run.open(trained).evaluations()


def test_a_table_shows_margins_beside_their_figure_and_no_single_severity() -> None:
    figures = {"linear": 50.0, "linear/c": 0.01, "low_label/share=0.1": 40.0, "low_label/share=0.1/std": 1.5}
    figures |= {"corruptions": 30.0, f"corruptions/{next(iter(CORRUPTIONS))}/5": 20.0, "rankme": 12.0}
    assert table_rows(figures) == [
        ("linear", "50.00 %"),
        ("linear/c", "0.01"),
        ("low_label/share=0.1", "40.00 ± 1.50 %"),
        ("corruptions", "30.00 %"),
        ("rankme", "12.00"),
    ]


def test_other_data_is_read_at_the_size_that_the_encoder_knows(folder: Path, tmp_path: Path, monkeypatch: Any) -> None:
    """A recipe without an image_size: 64 pixels for a folder, 32 for the shipped sample."""
    encoder = Part("resnet12", {"width": 0.0625})
    recipe = Recipe(data=str(folder), encoder=encoder, epochs=1, batch_size=12, accelerator="cpu")
    run, sizes = sparring.train(recipe, run=tmp_path / "run"), []
    original = sparring.evaluate.load_dataset
    monkeypatch.setattr(
        "sparring.evaluate.load_dataset",
        lambda name, **options: sizes.append(options["image_size"]) or original(name, **options),
    )
    main(["evaluate", str(run), "--data", "sample", "--probe", "collapse"])
    assert sizes == [64]


@pytest.mark.parametrize("precision", ["32", "bf16"])
def test_a_run_is_fine_tuned_in_the_precision_it_was_trained_in(
    precision: str, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever the processor likes best."""
    run = Run(copytree(trained, tmp_path / "run"))
    run.place(replace(run.recipe(), precision=precision))
    seen = set()
    hook = register_module_forward_pre_hook(lambda module, _: seen.add((module.training, is_autocast_enabled("cpu"))))
    evaluated(capsys, run.path, "--probe", TUNING)
    hook.remove()
    assert seen == {(True, precision == "bf16"), (False, False)}


def test_a_folder_has_one_name_however_it_is_written(
    trained: Path, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.parent)
    evaluated(capsys, trained, "--data", f"{folder.name}/")
    assert [name for name in Run(trained).evaluations() if Path(name).name == folder.name] == [str(folder)]
    assert not list((trained / "figures").glob(f"*-{folder.name}.png"))


def test_an_evaluation_asked_for_twice_is_one_line() -> None:
    with pytest.raises(InputError, match="--probe low_label: expected each evaluation once, got it 2 times"):
        build_evaluations([Part("low_label", {"per_class": [5]}), Part("knn"), Part("low_label", {"shares": [0.1]})])

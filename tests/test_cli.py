"""The command line: options are recipe keys, help is quick, bad input is one line and exit code 2."""

import json
import re
import subprocess
import sys
from dataclasses import fields, replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from runs import refused

from sparring import commands
from sparring.cli import main, parse
from sparring.errors import InputError
from sparring.recipe import Part, Recipe, Views
from sparring.recipe_files import dump_recipe, load_recipe, shipped_recipes
from sparring.run import Run


def settings(*words: str) -> Recipe:
    return parse(["train", *words]).settings


def test_options_override_the_recipe_file(tmp_path: Path) -> None:
    file = tmp_path / "r.toml"
    file.write_text('epochs = 7\nseed = 3\n[transform]\nname = "rotation"\ndegrees = 10\n')
    assert settings("--recipe", str(file)) == Recipe(epochs=7, seed=3, transform=Part("rotation", {"degrees": 10}))
    changed = settings("--recipe", str(file), "--epochs", "9", "--transform.degrees", "20")
    assert changed == Recipe(epochs=9, seed=3, transform=Part("rotation", {"degrees": 20}))
    assert settings("--recipe", str(file), "--transform", "jitter").transform == Part("jitter")


def test_every_recipe_key_is_an_option(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["train", "--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    keys = [f.name for f in fields(Recipe) if f.name != "views"] + [f"views.{f.name}" for f in fields(Views)]
    for key in keys:
        assert re.search(f"--{key.replace('_', '-')}[ ,]", text), key


def test_the_best_recipe_is_played_if_none_is_named() -> None:
    best = load_recipe(Path("best"))
    assert best != Recipe()
    assert settings() == best
    assert settings("--epochs", "3", "--adversary", "none") == replace(best, epochs=3, adversary=Part("none"))
    assert parse(["sweep", "--set", "strength=0,1"]).settings == best


def test_a_resume_takes_the_runs_own_settings_and_refuses_others(tmp_path: Path) -> None:
    own = Recipe(epochs=7, batch_size=32, data=str(tmp_path))
    run = Run(tmp_path / "run")
    run.claim(own)
    assert parse(["train", "--resume", str(run.path)]).settings == own
    elsewhere = parse(["train", "--resume", str(run.path), "--data-root", "there", "--devices", "2"])
    assert elsewhere.settings == replace(own, data_root="there", devices=2)
    with pytest.raises(InputError, match=r"expected epochs = 7, as the run began, got 70"):
        parse(["train", "--resume", str(run.path), "--epochs", "70"])()


def test_a_folder_called_best_is_not_the_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "best").mkdir()
    monkeypatch.chdir(tmp_path)
    assert settings() == settings("--recipe", "best") == load_recipe(shipped_recipes()["best"])


def test_dotted_settings_are_read_as_toml() -> None:
    words = ["--transform", "colour", "--transform.a-max=0.2"]
    recipe = settings(*words, "--adversary", "search", "--adversary.random-start", "false")
    assert recipe.transform == Part("colour", {"a_max": 0.2})
    assert recipe.adversary == Part("search", {"random_start": False})
    assert settings("--encoder", "timm:resnet10t").encoder == Part("timm", {"model": "resnet10t"})
    chain = settings("--transform", '{name = "chain", parts = ["rotation", "colour"]}').transform
    assert chain == Part("chain", {"parts": ["rotation", "colour"]})


def test_help_needs_no_torch() -> None:
    attempt = "try: main(['--help'])\nexcept SystemExit: print('torch' in sys.modules)"
    code = f"import sys; from sparring.cli import main\n{attempt}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"
    for command in ("train", "sweep", "evaluate", "preview", "report", "list"):
        assert command in done.stdout


BAD = {
    "a run without a name": (["train", "--run", ""], "--run"),
    "neither true nor false": (["train", "--dual-norms=yes"], "expected true or false"),
    "a misspelt option": (["train", "--epoch", "3"], "--epochs"),
    "a misspelt command": (["trian"], "train"),
    "a word for a whole number": (["train", "--epochs", "x"], "error: --epochs: expected a whole number, got 'x'"),
    "a fraction for a whole number": (
        ["train", "--epochs", "2.5"],
        "error: --epochs: expected a whole number, got '2.5'",
    ),
    "an option without its value": (["train", "--epochs"], "error: --epochs: expected a value, got none"),
    "no run": (["evaluate"], "error: expected PATH, got none: The run's folder"),
    "a view's setting out of range": (["train", "--views.flip", "2"], "error: views.flip: expected a number in [0, 1]"),
    "an inline table cut short": (
        ["train", "--transform", '{name = "x"'],
        "error: --transform: expected an inline TOML",
    ),
    "one of several tables cut short": (
        ["evaluate", "runs/mine", "--probe", "knn", '{name = "linear"'],
        'error: --probe: expected an inline TOML table, got {name = "linear"; Unclosed inline table',
    ),
    "a penalty's table cut short": (["train", "--penalties", '{name = "x"'], "--penalties: expected an inline TOML"),
    "a table without a name": (
        ["evaluate", "runs/mine", "--probe", "{ks = [5]}"],
        "error: --probe: expected a name or {name = ",
    ),
    "a folder without its option": (["train", "/"], "did you mean --data /?"),
    "a word of an option": (["train", "--size", "9"], "did you mean '--batch-size' or '--image-size'?"),
    "the beginning of an option": (["train", "--ep", "3"], "did you mean '--epochs'?"),
    "a word of one option": (["train", "--k", "20"], "did you mean '--knn-k'?"),
    "an option like no other": (["train", "--gpu"], "none of the"),
    "an encoder without its model": (["train", "--encoder", "timm"], "try --encoder.model VALUE"),
    "a word for a number": (["train", "--learning-rate", "x"], "error: --learning-rate: expected a number, got 'x'"),
    "one of a pair": (["train", "--pairs", "first"], "error: --pairs: expected what the help shows, got 'first'"),
    "no such choice": (["train", "--precision", "64"], "--precision: expected one of 'auto', '32', 'bf16', got '64'"),
    "no epochs": (["train", "--epochs", "0"], "at least 1"),
    "an unknown transform": (["train", "--transform", "colr"], "colour"),
    "an unknown setting": (["train", "--transform.amax", "0.3"], "a_max"),
    "a setting out of range": (["train", "--transform.a-max", "3"], "[0, 1]"),
    "a setting of a part that has none": (["train", "--adversary", "none", "--adversary.steps", "3"], "no settings"),
    "a setting without a value": (["train", "--transform.a-max"], "expected a value"),
    "a folder that is not there": (["train", "--data", "nowhere/"], "nowhere"),
    "a misspelt data set": (["train", "--data", "smaple"], "sample"),
    "a recipe that is not there": (["train", "--recipe", "nowhere.toml"], "nowhere.toml"),
    "a run that is not there": (["train", "--resume", "nowhere"], "nowhere"),
    "trials of nothing": (["sweep", "--trials", "3"], "--search"),
    "neighbours of another probe": (["evaluate", "nowhere", "--probe", "linear", "--knn-k", "5"], "--probe knn"),
    "a ramp that never ends": (["train", "--ramp", "100"], "ramp: expected at most the 40 epochs"),
    "doubled norms for hard views alone": (
        ["train", "--dual-norms", "--pairs", "first*", "second*"],
        "dual_norms: expected a clean view",
    ),
    "a batch larger than the data": (["train", "--batch-size", "9999"], "3068"),
    "a folder that cannot be made": (["train", "--run", "/proc/x"], "/proc/x"),
    "a picture of no kind": (["preview", "--out", "p.xyz"], ".png"),
    "no such timm model": (["train", "--encoder", "timm:qqqqqq"], "none of the"),
    "no temperature": (["train", "--knn-t", "nan"], "knn_t"),
    "no number": (["train", "--learning-rate", "nan"], "learning_rate"),
    "a batch of one": (["train", "--batch-size", "1"], "at least 2"),
    "a probability above 1": (["train", "--views.flip", "3"], "views.flip"),
    "an empty crop": (["train", "--views.crop-scale", "0", "0"], "views.crop_scale"),
    "no neighbours": (["train", "--knn-k", "0"], "knn_k"),
    "an accelerator that is not there": (["train", "--accelerator", "cudaa"], "cudaa"),
    "an accelerator without its library": (["train", "--accelerator", "tpu"], "'tpu' cannot be used"),
    "nodes without a launcher": (["train", "--nodes", "2"], "torchrun"),
    "a resume that overwrites": (["train", "--resume", "nowhere", "--overwrite"], "--overwrite out"),
    "the initials of an option": (["train", "--lr", "0.1"], "--learning-rate"),
    "a seed below 0": (["train", "--seed", "-1"], "seed"),
    "a warm-up longer than training": (["train", "--warmup", "3", "--epochs", "2"], "at most the 2 epochs"),
    "an adversary without a view": (["train", "--pairs", "first", "second"], "--adversary none"),
    "a folder as a recipe": (["train", "--recipe", "/"], "got a folder"),
    "images too small for the encoder": (["train", "--image-size", "8"], "16x16"),
    "no filters": (["train", "--encoder.width", "0"], "0.25"),
    "an unknown view": (["train", "--pairs", "first", "third"], "first"),
    "a recipe for a command without one": (["bench", "--recipe", "clae"], "--recipes"),
    "a recipe without its option": (["train", "clae"], "did you mean --recipe clae?"),
    "a table that does not end": (["train", "--transform", '{name = "chain"'], "expected an inline TOML table"),
    "a page of no run": (["report", "nowhere"], "nowhere"),
    "an encoder of no run": (["evaluate", "nowhere"], "nowhere"),
    "an option of another command": (["list", "--epochs", "3"], "--epochs"),
    "a kind of which there is none": (["list", "adversaries"], "did you mean 'adversary'?"),
}


@pytest.mark.parametrize(("words", "remedy"), BAD.values(), ids=BAD)
def test_bad_input_is_one_line_and_exit_code_2(
    words: list[str], remedy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert remedy in refused(words, capsys)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("C10 Out of Memory.")])
def test_too_little_memory_is_one_line(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def train(asked: object) -> None:
        raise error

    monkeypatch.setattr("sparring.commands.train", train)
    assert "expected enough memory" in refused(["train"], capsys)


def test_an_error_of_another_kind_is_not_called_too_little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    def train(asked: object) -> None:
        raise RuntimeError("shapes differ")

    monkeypatch.setattr("sparring.commands.train", train)
    with pytest.raises(RuntimeError, match="shapes differ"):
        main(["train"])


def test_bad_keys_in_a_recipe_name_the_nearest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for text, near in (("epoch = 3", "epochs"), ("[views]\nflips = 1.0", "flip"), ('epochs = "3"', "whole number")):
        (tmp_path / "r.toml").write_text(text)
        assert near in refused(["train", "--recipe", str(tmp_path / "r.toml")], capsys)


def test_a_run_s_folder_as_a_recipe_names_the_file_in_it(tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text("epochs = 1")
    with pytest.raises(InputError, match=r"did you mean its recipe\.toml"):
        load_recipe(tmp_path)


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--version"])
    assert capsys.readouterr().out == f"sparring {version('sparring')}\n"


def test_list_names_every_part_with_its_settings(capsys: pytest.CaptureFixture[str]) -> None:
    main(["list", "--json"])
    rows = json.loads(capsys.readouterr().out)
    by_name = {(row["kind"], row["name"]): row for row in rows}
    assert by_name["transform", "colour"]["settings"]["a_max"] == 0.4
    assert by_name["adversary", "search"]["settings"] == {
        "steps": 5,
        "step_size": 0.5,
        "random_start": True,
        "batch_norm": "batch",
    }
    assert all(row["about"] and "\n" not in row["about"] for row in rows)
    main(["list"])
    assert "doubly" not in (shown := capsys.readouterr().out)
    assert "rotation" in shown


def test_list_may_be_asked_for_some_kinds(capsys: pytest.CaptureFixture[str]) -> None:
    main(["list", "penalty", "recipe", "--json"])
    assert {row["kind"] for row in json.loads(capsys.readouterr().out)} == {"penalty", "recipe"}
    main(["list", "recipe"])
    shown = capsys.readouterr().out
    assert "clae" in shown
    assert "settings" not in shown, "recipes have none to show"


def test_preview_shows_images_in_their_own_places(tmp_path: Path) -> None:
    """`free` remembers each image's parameters: those of 54 images, though 64 are played."""
    rng = np.random.default_rng(0)
    for number in range(54):
        pixels = rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)
        (tmp_path / "data").mkdir(exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / "data" / f"{number}.png")
    words = ["--data", str(tmp_path / "data"), "--image-size", "16", "--adversary", "free"]
    main(["preview", "--out", str(tmp_path / "p.png"), *words])
    assert (tmp_path / "p.png").is_file()


@pytest.mark.parametrize(
    ("adversary", "said"),
    [
        ("learned", "learned x colour, untrained"),
        ("random", "random x colour"),
        ('{name = "best_of", opponent = {name = "random", transform = "rotation"}}', "best_of"),
    ],
)
def test_preview_says_who_changes_what_and_that_it_is_untrained(
    adversary: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    titles: list[str] = []
    monkeypatch.setattr(commands, "save_png", lambda rows, out: titles.extend(row.title for row in rows))
    main(["preview", "--out", str(tmp_path / "p.png"), "--adversary", adversary, "--transform", "colour"])
    assert titles == ["image", "base view", said]


def test_preview_draws_a_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["preview", "--out", str(tmp_path / "p.png"), "--adversary", "search", "--transform", "pixels"])
    with Image.open(tmp_path / "p.png") as picture:
        assert len(picture.getcolors(picture.width * picture.height) or []) > 1000
    assert "p.png" in capsys.readouterr().out


def test_train_evaluate_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The main line in its own words, on the shipped photographs."""
    recipe = Recipe(epochs=1, image_size=16, encoder=Part("resnet12", {"width": 0.0625}), evaluate_every=1)
    (tmp_path / "r.toml").write_text(dump_recipe(recipe))
    run = str(tmp_path / "run")
    main(["train", "--recipe", str(tmp_path / "r.toml"), "--run", run])
    said = capsys.readouterr().out
    assert "kNN accuracy" in said
    assert "report.html" in said
    assert said.count("sparring train") + said.count("sparring report") == 2
    last = json.loads((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()[-1])
    main(["evaluate", run, "--json", "--knn-k", "200", "20"])
    figures = json.loads(capsys.readouterr().out)
    assert figures["rankme"] == pytest.approx(last["rankme"], rel=0.02)  # training reads features in bf16 where it can
    assert abs(figures["knn"] - last["knn"]) < 2
    assert figures["knn"] == figures["knn/k=200,t=0.1"]
    main(["report", run, run, "--out", str(tmp_path / "both.html")])
    assert (tmp_path / "both.html").stat().st_size > 10_000


def test_evaluate_refuses_what_no_knn_can_use_before_it_measures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = Recipe(epochs=1, image_size=16, encoder=Part("resnet12", {"width": 0.0625}))
    (tmp_path / "r.toml").write_text(dump_recipe(recipe))
    run = str(tmp_path / "run")
    main(["train", "--recipe", str(tmp_path / "r.toml"), "--run", run])
    for words, name in (
        (["--knn-k", "0"], "knn_k"),
        (["--knn-t", "nan"], "ts: expected a list, each a number, got (nan,)"),
        (["--knn-t", "0"], "knn_t"),
    ):
        assert name in refused(["evaluate", run, *words], capsys)
    main(["evaluate", run, "--knn-k", "100000"])
    assert "k = 100000 is clipped to the 3068 training images" in capsys.readouterr().err

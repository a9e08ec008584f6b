"""A sweep trains what is not trained yet, survives cells that fail, and stops so that it can go on."""

import json
import os
import signal
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from runs import refused
from safetensors.torch import load_file

import sparring
from sparring import jobs
from sparring.cli import main
from sparring.datasets import DATASETS, load_dataset
from sparring.errors import InputError
from sparring.grid import Cell, make_cells
from sparring.monitor import Monitor
from sparring.recipe import Part, Recipe
from sparring.reports.compare import in_words
from sparring.run import Run
from sparring.sweeps import summarise
from sparring.transforms import TRANSFORMS, Jitter

TINY = Recipe(
    image_size=16,
    encoder=Part("resnet12", {"width": 0.0625}),
    method=Part("simsiam", {"projection": 32, "bottleneck": 16}),
    batch_size=512,
    epochs=2,
    evaluate_every=1,
)
WORDS = ["--image-size", "16", "--encoder.width", "0.0625", "--epochs", "2"]
PLAYED = """
import json, os, pathlib, signal, sys, time
folder, luck = pathlib.Path(sys.argv[1]), sys.argv[2]
stopped = lambda *_: ((folder / "saved").touch(), sys.exit(130))
signal.signal(signal.SIGTERM, stopped)
print("begun", os.environ.get("OMP_NUM_THREADS"), flush=True)
if luck == "endless":
    (folder / "ready").touch()
    while True: time.sleep(0.01)
if luck == "bad":
    sys.exit("sparring: error: out of luck")
lines = [{"step": 3, "epoch": 2.0, "loss": 0.5, "cost": 6.0}, {"step": 3, "epoch": 2.0, "knn": 40.0, "rankme": 9.0}]
(folder / "metrics.jsonl").write_text("".join(json.dumps(line) + chr(10) for line in lines))
(folder / "encoder.safetensors").touch()
"""


@pytest.fixture
def luck(monkeypatch: pytest.MonkeyPatch) -> dict[int, str]:
    """What becomes of the cells of each seed, instead of training: good, bad or endless."""
    chosen: dict[int, str] = {}

    def command(cell: Cell) -> list[str]:
        return [sys.executable, "-c", PLAYED, str(cell.path), chosen.get(cell.recipe.seed, "good")]

    monkeypatch.setattr(jobs, "_command", command)
    monkeypatch.setattr(jobs, "POLL_SECONDS", 0.02)
    return chosen


def begun(cell: Path) -> int:
    return (cell / jobs.LOG).read_text().count("begun")


@pytest.mark.parametrize(
    ("shown", "recipe", "expected"),
    [
        ("2,5,7", TINY, ["2", "5", "7", "2"]),
        (None, TINY, ["0", "1", "0", "1"]),
        ("2", TINY, [None] * 4),
        ("", TINY, [None] * 4),
        ("2,5", replace(TINY, devices=2), [None] * 4),
        ("2,5", replace(TINY, accelerator="cpu"), [None] * 4),
    ],
)
def test_jobs_of_one_device_are_shared_out_over_the_gpus(
    shown: str | None, recipe: Recipe, expected: list[str | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if shown is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", shown)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    cell = Cell(Path("cell"), {}, recipe)
    assert [jobs.gpu_of(cell, slot).get("CUDA_VISIBLE_DEVICES") for slot in range(4)] == expected


def test_a_cell_that_fails_stops_no_other_and_is_told(
    luck: dict[int, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    luck[1] = "bad"
    command = ["sweep", "--set", "adversary=none,random", "--seeds", "2", "--jobs", "3", "--out", str(tmp_path), *WORDS]
    with pytest.raises(SystemExit) as stop:
        main(command)
    assert stop.value.code == 1
    told = [line for line in capsys.readouterr().err.splitlines() if line.startswith("sparring: failed: ")]
    assert told == [f"sparring: failed: {tmp_path}/adversary={name},seed=1: out of luck" for name in ("none", "random")]
    kept = json.loads((tmp_path / "sweep.json").read_text())
    rows, ended = kept["cells"], ("adversary=random", "adversary=none")
    assert kept["groups"] == [{"name": name, "mean": 40.0, "deviation": None, "seeds": 1} for name in reversed(ended)]
    assert kept["differences"] == [{"of": ended[0], "against": ended[1], "mean": 0, "interval": None, "seeds": 1}]
    assert [(row["name"], row["finished"], row["failure"]) for row in rows] == [
        (f"adversary={name},seed={seed}", seed == 0, "out of luck" if seed else "")
        for name in ("none", "random")
        for seed in (0, 1)
    ]
    # three steps of 6 passes for each of 128 images
    assert {key: rows[0][key] for key in ("settings", "seed", "epoch", "knn", "loss", "cost")} == {
        "settings": {"adversary": "none"}, "seed": 0, "epoch": 2.0, "knn": 40.0, "loss": 0.5, "cost": 3 * 6 * 128,
    }  # fmt: skip
    assert (tmp_path / "report.html").exists()


def test_a_part_that_only_this_process_has_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Own(Jitter):
        pass

    monkeypatch.setitem(TRANSFORMS, "own", Own)
    with pytest.raises(InputError, match=r"transform own: expected a part of a file .* parts=\('mine.py',\)"):
        sparring.sweep(replace(TINY, transform=Part("own")), out=tmp_path)
    monkeypatch.setitem(DATASETS, "own", lambda size, root: load_dataset("sample", image_size=size))
    with pytest.raises(InputError, match="data own: expected a part of a file"):
        sparring.sweep(replace(TINY, data="own"), out=tmp_path)


def test_without_labels_groups_are_compared_by_rankme(tmp_path: Path) -> None:
    cells = make_cells(TINY, {"adversary": [Part("none"), Part("random")]}, tmp_path, seeds=2)
    for place, cell in enumerate(cells):
        run = Run(cell.path)
        run.claim(cell.recipe)
        line = {"step": 3, "epoch": 2.0, "rankme": 9.0 + place**2}
        (cell.path / "metrics.jsonl").write_text(json.dumps(line) + "\n")
        (cell.path / "encoder.safetensors").touch()
    summarise(cells, tmp_path)
    kept = json.loads((tmp_path / "sweep.json").read_text())
    assert (kept["measure"], [group["mean"] for group in kept["groups"]]) == ("rankme", [9.5, 15.5])
    assert [group["deviation"] for group in kept["groups"]] == pytest.approx([0.5**0.5, 12.5**0.5])
    assert [(each["mean"], each["seeds"]) for each in kept["differences"]] == [(6.0, 2)]


def test_only_figures_of_as_many_neighbours_are_subtracted(luck: dict[int, str], tmp_path: Path) -> None:
    sparring.sweep(TINY, {"adversary": ["none", "random"], "knn_k": [(20,), (5,)]}, out=tmp_path, seeds=1)
    differences = json.loads((tmp_path / "sweep.json").read_text())["differences"]
    assert {(each["of"], each["against"]) for each in differences} == {
        (f"adversary=random,knn_k={k}", f"adversary=none,knn_k={k}") for k in (20, 5)
    }


def test_the_same_command_trains_what_is_missing_and_leaves_the_rest(luck: dict[int, str], tmp_path: Path) -> None:
    luck[1] = "bad"
    first = sparring.sweep(TINY, out=tmp_path, seeds=2)
    finished = first[0].path / "encoder.safetensors"
    before = finished.stat().st_mtime_ns
    luck[1] = "good"
    second = sparring.sweep(TINY, {}, out=tmp_path, seeds=3)
    assert [cell.failure for cell in first] == ["", "out of luck"]
    assert [cell.failure for cell in second] == ["", "", ""]
    assert finished.stat().st_mtime_ns == before
    assert [begun(cell.path) for cell in second] == [1, 2, 1]


def test_a_cell_that_goes_on_looks_for_its_data_where_it_is_now(luck: dict[int, str], tmp_path: Path) -> None:
    luck[0] = "bad"
    (cell,) = sparring.sweep(replace(TINY, data_root="/old"), out=tmp_path, seeds=1)
    luck[0] = "good"
    sparring.sweep(replace(TINY, data_root="/new"), out=tmp_path, seeds=1)
    assert Run(cell.path).recipe().data_root == "/new"


def test_every_arm_of_a_seed_is_trained_before_the_next_seed(luck: dict[int, str], tmp_path: Path) -> None:
    cells = sparring.sweep(TINY, {"adversary": ["none", "random"]}, out=tmp_path, seeds=2)
    assert [(cell.settings["adversary"], cell.recipe.seed) for cell in cells] == [
        ("none", 0), ("none", 1), ("random", 0), ("random", 1),
    ]  # fmt: skip
    ended = sorted(cells, key=lambda cell: (cell.path / "encoder.safetensors").stat().st_mtime_ns)
    assert [cell.recipe.seed for cell in ended] == [0, 0, 1, 1]


@pytest.mark.parametrize("request_", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_asked_to_stop_running_cells_save_and_no_more_start(
    request_: signal.Signals, luck: dict[int, str], tmp_path: Path
) -> None:
    """By Ctrl-C, by a scheduler, by a terminal that closes."""
    luck |= dict.fromkeys(range(3), "endless")
    cells = [tmp_path / f"seed={seed}" for seed in range(3)]

    def interrupt() -> None:
        while not all((cell / "ready").exists() for cell in cells[:2]):
            threading.Event().wait(0.02)
        os.kill(os.getpid(), request_)

    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(KeyboardInterrupt, match=r"saved; 3 cells are not finished, the same command goes on"):
        sparring.sweep(TINY, out=tmp_path, seeds=3, jobs=2)
    assert [(cell / "saved").exists() for cell in cells[:2]] == [True, True]
    assert not cells[2].exists()


def test_cores_are_shared_among_the_jobs(luck: dict[int, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "core_count", lambda: 8)
    monkeypatch.delenv("OMP_NUM_THREADS")

    def threads(recipe: Recipe, out: Path, count: int) -> list[str]:
        cells = sparring.sweep(recipe, out=out, seeds=count, jobs=count)
        return [(cell.path / jobs.LOG).read_text().split()[1] for cell in cells]

    assert threads(TINY, tmp_path / "jobs", 3) == ["2"] * 3
    assert threads(replace(TINY, devices=4), tmp_path / "processes", 1) == ["2"], "for each of the four processes"


def test_a_real_sweep_resumes_a_cell_from_its_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = sparring.train(TINY, run=tmp_path / "whole")
    evaluate, calls = Monitor.evaluate, []

    def killed_at_the_end(self: Monitor, step: int) -> None:
        calls.append(step)
        if self.epoch(step) == TINY.epochs:
            raise RuntimeError("killed")
        evaluate(self, step)

    monkeypatch.setattr(Monitor, "evaluate", killed_at_the_end)
    with pytest.raises(RuntimeError, match="killed"):
        sparring.train(TINY, run=tmp_path / "out" / "seed=0")
    interrupted = Run.open(tmp_path / "out" / "seed=0")
    half = interrupted.load_checkpoint(interrupted.recipe())
    assert half is not None
    assert half["step"] == calls[-1] // 2
    (cell,) = sparring.sweep(TINY, out=tmp_path / "out", seeds=1)
    assert cell.failure == ""
    resumed, expected = (load_file(path / "encoder.safetensors") for path in (cell.path, whole))
    assert all(resumed[name].equal(expected[name]) for name in expected)
    assert "epoch 1/2" not in (cell.path / jobs.LOG).read_text()  # it did not begin anew


def begin(folder: Path, recipe: Recipe) -> None:
    run = Run(folder)
    run.claim(recipe)
    run.append({"step": 0, "epoch": 0.0, "knn": 10.0})


REFUSED = {
    "another recipe": (lambda f: begin(f, Recipe(epochs=9, seed=1)), "with epochs = 2, got one with 9"),
    "other files": (lambda f: (f.mkdir(parents=True), (f / "thesis.tex").touch()), "other files"),
    "a file": (lambda f: (f.parent.mkdir(), f.touch()), "other files"),
}


@pytest.mark.parametrize(("fill", "remedy"), REFUSED.values(), ids=REFUSED)
def test_a_folder_that_holds_anything_else_is_refused_before_anything_runs(
    fill: Any, remedy: str, luck: dict[int, str], tmp_path: Path
) -> None:
    fill(tmp_path / "out" / "seed=1")
    with pytest.raises(InputError, match=remedy) as refused:
        sparring.sweep(Recipe(epochs=2), out=tmp_path / "out", seeds=2)
    assert "--out" in str(refused.value)
    assert not (tmp_path / "out" / "seed=0").exists()


def test_a_cell_that_never_began_may_be_begun_otherwise(luck: dict[int, str], tmp_path: Path) -> None:
    stopped = Run(tmp_path / "out" / "seed=1")  # after it was set up, before it measured anything
    stopped.claim(Recipe(epochs=9, seed=1))
    stopped.describe_environment({})
    stopped.rewind(-1)
    assert not stopped.begun
    assert len(sparring.sweep(Recipe(epochs=2), out=tmp_path / "out", seeds=2)) == 2
    assert Run(tmp_path / "out" / "seed=1").recipe().epochs == 2


def test_a_folder_that_another_process_trains_in_is_refused(luck: dict[int, str], tmp_path: Path) -> None:
    cell = tmp_path / "seed=0"
    cell.mkdir()
    with (cell / jobs.LOG).open("a") as log:
        jobs.take_lock(log, cell)
        with pytest.raises(InputError, match="another process is training it"):
            sparring.sweep(TINY, out=tmp_path, seeds=1)
        Run(cell).describe_environment({})
        with pytest.raises(InputError, match="another process is training it"):
            jobs.Job(Cell(cell, {}, TINY), 1)
        assert (cell / "environment.json").exists(), "what the other process wrote"


BAD = {
    "an unknown key": (["--set", "epoch=3"], "'epochs'"),
    "an unknown setting of a part": (["--set", "transform.amax=0.2"], "'a_max'"),
    "a part that is not there": (["--set", "adversary=none,lerned"], "'learned'"),
    "a setting out of range": (["--set", "transform.a_max=0.2,3"], "[0, 1]"),
    "a setting of some cells only": (["--set", "transform=colour,rotation", "--set", "transform.a_max=0.2"], "a_max"),
    "no seeds": (["--seeds", "0"], "at least 1"),
    "arms where there are none": (["--arms", "vanilla"], "[[arms]]"),
    "arms of a search": (["--arms", "vanilla", "--search", "epochs=1,2"], "--search"),
    "no jobs": (["--jobs", "0"], "at least 1"),
    "a grid that is not there": (["nowhere.toml"], "nowhere.toml"),
    "an option that is not there": (["--job", "3"], "--jobs"),
}


@pytest.mark.parametrize(("words", "remedy"), BAD.values(), ids=BAD)
def test_bad_input_is_one_line_before_anything_is_trained(
    words: list[str], remedy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert remedy in refused(["sweep", *words], capsys)
    assert list(tmp_path.iterdir()) == []


def test_options_of_the_command_line_override_the_file(
    luck: dict[int, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "g.toml").write_text(
        'epochs = 7\nseeds = 2\nimage_size = 16\n[encoder]\nname = "resnet12"\nwidth = 0.0625\n'
        '[[arms]]\narm = "a"\nadversary = "none"\n[[arms]]\narm = "b"\nstrength = 0.5\n'
    )
    main(["sweep", str(tmp_path / "g.toml"), "--epochs", "2", "--out", str(tmp_path / "out"), "--jobs", "4"])
    recipes = {path.parent.name: Run.open(path.parent).recipe() for path in tmp_path.glob("out/*/recipe.toml")}
    assert set(recipes) == {"a,seed=0", "a,seed=1", "b,seed=0", "b,seed=1"}
    assert {recipe.epochs for recipe in recipes.values()} == {2}
    assert recipes["b,seed=1"].strength == 0.5
    told = capsys.readouterr().out
    assert str(tmp_path / "out" / "sweep.json") in told
    held = json.loads((tmp_path / "out" / "sweep.json").read_text())
    a, b = (group["mean"] for group in held["groups"])
    assert f"a: kNN, % {a:.1f} ± {held['groups'][0]['deviation']:.1f}, seeds: 2" in told
    assert f"b over a: {b - a:+.1f}, not settled" in told


def test_arms_can_be_played_apart(luck: dict[int, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    grid, out = tmp_path / "g.toml", tmp_path / "out"
    arms = [f'[[arms]]\narm = "{arm}"\nstrength = 0.{number}\n' for number, arm in enumerate(("late", "mid", "one"), 1)]
    grid.write_text("image_size = 16\nseeds = 1\n" + "".join(arms))
    assert "did you mean 'mid'" in refused(["sweep", str(grid), "--arms", "one", "midd", "--out", str(out)], capsys)
    assert not out.exists()
    main(["sweep", str(grid), "--arms", "one", "late", "--out", str(out)])
    assert {path.name for path in out.glob("*,seed=*")} == {"late,seed=0", "one,seed=0"}
    main(["sweep", str(grid), "--out", str(out)])
    assert len(json.loads((out / "sweep.json").read_text())["groups"]) == 3


def test_parts_inside_parts_are_written_down(luck: dict[int, str], tmp_path: Path) -> None:
    opponent = {"name": "replay", "opponent": Part("policy")}
    sparring.sweep(TINY, {"adversary": [opponent], "transform": ["rotation"]}, out=tmp_path / "out", seeds=1)
    (cell,) = json.loads((tmp_path / "out" / "sweep.json").read_text())["cells"]
    assert cell["settings"]["adversary"] == {"name": "replay", "opponent": {"name": "policy"}}


def test_a_difference_is_settled_where_its_interval_leaves_out_0() -> None:
    groups = [{"name": name, "mean": 50.0, "deviation": None, "seeds": 1} for name in ("a", "b")]
    pair = {"of": "b", "against": "a", "mean": 1.0, "seeds": 3}
    lines = {
        ends: in_words({"measure": "knn", "groups": groups, "differences": [{**pair, "interval": ends}]})[2]
        for ends in ((0.5, 1.5), (-0.5, 2.5), (-1.5, -0.5))
    }
    assert [line.endswith("not settled") for line in lines.values()] == [False, True, False]
    assert lines[0.5, 1.5] == "b over a: +1.0 [+0.5, +1.5]"
    unlabelled = {"measure": "rankme", "groups": groups, "differences": []}
    assert in_words(unlabelled)[-1].startswith("Without labels groups are compared by RankMe")


def test_a_runs_own_folder_is_no_place_for_a_sweep(tmp_path: Path) -> None:
    Run(tmp_path).claim(TINY)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(InputError, match="expected a folder for several runs, got a run's own; choose another --out"):
        sparring.sweep(TINY, out=tmp_path)
    assert sorted(tmp_path.iterdir()) == before


def test_somebody_elses_folder_is_no_place_for_a_sweep(luck: dict[int, str], tmp_path: Path) -> None:
    """The images', say; one that holds other runs is."""
    (tmp_path / "image.jpg").touch()
    with pytest.raises(InputError, match="expected a folder for several runs, got one with other files; choose"):
        sparring.sweep(TINY, out=tmp_path, seeds=1)
    assert [path.name for path in tmp_path.iterdir()] == ["image.jpg"]
    Run(tmp_path / "earlier").claim(TINY)
    assert len(sparring.sweep(TINY, out=tmp_path, seeds=1)) == 1

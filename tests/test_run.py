"""A run's folder: never lost, never half written."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from sparring.environment import environment
from sparring.errors import InputError
from sparring.files import check_writable, replace_file
from sparring.recipe import Recipe
from sparring.run import Run


def test_a_claimed_folder_holds_the_recipe_and_is_then_refused(tmp_path: Path) -> None:
    run = Run(tmp_path / "a")
    run.check_free(overwrite=False)
    run.claim(Recipe(epochs=7))
    assert Run.open(run.path).recipe() == Recipe(epochs=7)
    with pytest.raises(InputError, match=r"unfinished run.*--resume"):
        run.check_free(overwrite=False)
    (run.path / "encoder.safetensors").touch()
    with pytest.raises(InputError, match=r"a finished run.*--overwrite"):
        run.check_free(overwrite=False)


def test_a_folder_of_runs_is_told_from_a_run(tmp_path: Path) -> None:
    Run(tmp_path / "runs" / "a").claim(Recipe())
    with pytest.raises(InputError, match=r"got a folder of runs; name one: .*runs/a$"):
        Run.open(tmp_path / "runs")
    with pytest.raises(InputError, match="found none"):
        Run.open(tmp_path)


def test_overwriting_clears_a_runs_own_files_and_leaves_foreign_ones(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.claim(Recipe())
    run.append({"step": 0, "epoch": 0.0, "loss": 1.0})
    (tmp_path / "thesis.tex").write_text("years of work")
    run.check_free(overwrite=True)
    run.claim(Recipe(seed=1))
    assert run.metrics() == []
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_overwriting_a_folder_without_a_run_leaves_all_of_it(tmp_path: Path) -> None:
    (tmp_path / "figures" / "old").mkdir(parents=True)
    mine = [tmp_path / "figures" / "thesis.png", tmp_path / "report.html"]
    for file in mine:
        file.write_text("mine")
    Run(tmp_path).claim(Recipe())
    assert [file.read_text() for file in mine] == ["mine"] * 2
    Run(tmp_path).claim(Recipe(seed=1))  # where a folder among a run's pictures is no file to delete
    assert Run(tmp_path).recipe().seed == 1


def test_a_run_is_known_until_all_else_of_it_is_cleared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut off in the middle of clearing, the next --overwrite must still see a run."""
    run, gone = Run(tmp_path), list[str]()
    run.claim(Recipe())
    run.append({"step": 0, "epoch": 0.0, "loss": 1.0})
    unlink = Path.unlink
    monkeypatch.setattr(Path, "unlink", lambda path, **kind: (gone.append(path.name), unlink(path, **kind)))
    run.claim(Recipe(seed=1))
    assert gone[-1] == "recipe.toml"
    assert "metrics.jsonl" in gone


def test_a_foreign_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(InputError, match="other files"):
        Run(tmp_path).check_free(overwrite=False)
    with pytest.raises(InputError, match="expected a run's folder"):
        Run.open(tmp_path)


def test_rewinding_forgets_what_came_later_and_a_cut_line(tmp_path: Path) -> None:
    run = Run(tmp_path)
    for step in range(5):
        run.append({"step": step, "epoch": step / 2, "loss": step / 3})
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 5, "epo')
    assert [line["step"] for line in run.metrics()] == [0, 1, 2, 3, 4]
    run.rewind(2)
    assert [line["loss"] for line in run.metrics()] == [0.0, 1 / 3, 2 / 3]


def test_tensorboard_forgets_what_came_later_too(tmp_path: Path) -> None:
    """What is written after a resume replaces what was written at the same steps before."""
    interrupted = Run(tmp_path)
    for step in (10, 20, 30):
        interrupted.append({"step": step, "epoch": step / 10, "loss": 1.0})
    interrupted._events.close()
    resumed = Run(tmp_path)
    resumed.rewind(10)
    for step in (20, 30):
        resumed.append({"step": step, "epoch": step / 10, "loss": 2.0})
    resumed._events.close()
    events = EventAccumulator(str(tmp_path / "events"))
    events.Reload()
    assert [(event.step, event.value) for event in events.Scalars("loss")] == [(10, 1.0), (20, 2.0), (30, 2.0)]


def test_names_in_any_script_are_kept_under_any_locale(tmp_path: Path) -> None:
    """Python writes in the locale's encoding unless told otherwise; readers take UTF-8."""
    data = "/f\u00fcr/\u56fe"
    words = "from pathlib import Path; from sparring.recipe import Recipe; from sparring.run import Run; "
    words += f"Run(Path({str(tmp_path)!r}) / 'a').claim(Recipe(data={data!a}))"
    environment = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    subprocess.run([sys.executable, "-c", words], check=True, env=environment)
    assert Run(tmp_path / "a").recipe().data == data


def test_a_checkpoint_that_fails_to_write_leaves_the_last_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, save = Run(tmp_path), torch.save

    def full_disk(state: object, path: Path) -> None:
        path.write_bytes(b"half")
        raise RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 2783296 vs 2783184")

    monkeypatch.setattr(torch, "save", full_disk)
    with pytest.raises(InputError, match=r"last\.ckpt: .*No space.*; make room") as error:
        run.save_checkpoint({"step": 0}, Recipe())
    assert "is kept" not in str(error.value)
    monkeypatch.setattr(torch, "save", save)
    assert run.load_checkpoint(Recipe()) is None
    run.save_checkpoint({"step": 1, "weights": torch.arange(3)}, Recipe())
    monkeypatch.setattr(torch, "save", full_disk)
    with pytest.raises(InputError, match=r"last\.ckpt: .*No space.*what was saved before is kept"):
        run.save_checkpoint({"step": 2}, Recipe())
    assert not list(tmp_path.glob("*.tmp"))
    state = run.load_checkpoint(Recipe())
    assert state is not None
    assert state["step"] == 1
    assert torch.equal(state["weights"], torch.arange(3))


def test_the_environment_says_what_a_reader_must_know(tmp_path: Path) -> None:
    Run(tmp_path).describe_environment({"train_images": 12})
    facts = json.loads((tmp_path / "environment.json").read_text())
    assert facts["torch"] == torch.__version__.partition("+")[0]
    assert facts["train_images"] == 12
    assert {"processor", "cores", "python", "commit", "started"} <= facts.keys()


def test_a_run_names_its_images_by_absolute_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Resumed from another folder, it must not find other images of the same name."""
    monkeypatch.chdir(tmp_path)
    run = Run(Path("run"))
    run.claim(Recipe(data="classes", data_root="root"))
    assert run.recipe() == Recipe(data=str(tmp_path / "classes"), data_root=str(tmp_path / "root"))
    run.claim(Recipe(data="cifar10"))
    assert run.recipe() == Recipe(data="cifar10")


def test_a_run_goes_on_as_it_began_or_says_what_was_changed(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.save_checkpoint({"step": 1}, Recipe(epochs=7))
    assert run.load_checkpoint(Recipe(epochs=7, devices=2, data_root="elsewhere")) is not None
    with pytest.raises(InputError, match="expected epochs = 7, as the run began, got 9; change it back"):
        run.load_checkpoint(Recipe(epochs=9))
    run.save_checkpoint({"step": 1}, Recipe(data="/here/images", parts=("/here/mine.py",)))
    assert run.load_checkpoint(Recipe(data="/there/images", parts=("/there/mine.py",))) is not None
    with pytest.raises(InputError, match="expected data = /here/images"):
        run.load_checkpoint(Recipe(data="/here/pictures", parts=("/here/mine.py",)))


def test_a_damaged_checkpoint_is_one_line(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.save_checkpoint({"step": 1, "weights": torch.arange(3000)}, Recipe())
    whole = (tmp_path / "last.ckpt").read_bytes()
    for damaged in (whole[:1000], b"", b"nonsense" * 100):
        (tmp_path / "last.ckpt").write_bytes(damaged)
        with pytest.raises(InputError, match=r"last\.ckpt: expected a checkpoint, got one that cannot be read"):
            run.load_checkpoint(Recipe())
    torch.save({"step": 1}, tmp_path / "last.ckpt")
    with pytest.raises(InputError, match="expected a checkpoint of this version"):
        run.load_checkpoint(Recipe())


def test_a_place_that_cannot_be_written_is_said_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "kept.png").write_bytes(b"kept")
    for name in ("kept.png", "new.png"):
        check_writable(tmp_path / name)
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("kept.png", b"kept")]
    with pytest.raises(InputError, match="expected an existing folder for the file, found none"):
        check_writable(tmp_path / "no folder" / "new.png")
    with pytest.raises(InputError, match="expected a file that can be written"):
        check_writable(tmp_path)


def test_what_is_no_full_disk_is_not_called_one(tmp_path: Path) -> None:
    def broken(path: Path) -> None:
        raise RuntimeError("an illegal memory access")

    with pytest.raises(RuntimeError, match="illegal memory"):
        replace_file(tmp_path / "a.json", broken)
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="expected a file that can be written"):
        replace_file(tmp_path / "file" / "a.json", broken)


@pytest.mark.parametrize(
    ("called", "found", "said"),
    [
        ("/a b/bin/sparring", None, "'/a b/bin/sparring'"),
        ("/bin/sparring", "/bin/sparring", "sparring"),
        ("/my/script.py", None, "sparring"),
    ],
)
def test_commands_to_type_are_found_by_the_shell(
    called: str, found: str | None, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", [called, "train"])
    monkeypatch.setattr("shutil.which", lambda name: found)
    assert Run(Path("runs/mine")).again == f"{said} train --resume runs/mine"


def test_figures_made_otherwise_are_not_kept_under_new_settings(tmp_path: Path) -> None:
    run = Run(tmp_path)

    def save(share: float, epochs: int) -> dict[str, float]:
        settings = {"finetune": {"shares": [share], "epochs": epochs}}
        run.save_evaluation("sample", {"figures": {f"finetune/share={share}": 70.0}, "settings": settings})
        return run.evaluations()["sample"]["figures"]

    assert list(save(0.1, 100)) == ["finetune/share=0.1"]
    assert list(save(1.0, 100)) == ["finetune/share=0.1", "finetune/share=1.0"]
    assert list(save(0.5, 1)) == ["finetune/share=0.5"]


def test_a_fit_that_converges_at_last_is_no_longer_called_unconverged(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.save_evaluation("sample", {"figures": {"knn": 40.0, "linear": 50.0, "linear/unconverged": 1.0}})
    run.save_evaluation("sample", {"figures": {"knn": 41.0}})
    assert run.evaluations()["sample"]["figures"]["linear/unconverged"] == 1.0
    run.save_evaluation("sample", {"figures": {"linear": 52.0}})
    assert run.evaluations()["sample"]["figures"] == {"knn": 41.0, "linear": 52.0}


def test_what_was_found_on_other_images_in_the_same_place_is_forgotten(tmp_path: Path) -> None:
    run = Run(tmp_path)
    old = {"confusion": {"by": "linear", "classes": ["a", "b"]}, "per_class": {"a": 1.0, "b": 2.0}}
    run.save_evaluation("labelled", {"figures": {"linear": 50.0}, **old})
    new = {"confusion": {"by": "knn", "classes": ["x", "y"]}, "per_class": {"x": 3.0, "y": 4.0}}
    run.save_evaluation("labelled", {"figures": {"knn": 41.0}, **new})
    assert run.evaluations() == {"labelled": {"figures": {"knn": 41.0}, **new}}
    run.save_evaluation("more", {"figures": {"rankme": 9.0}})
    run.save_evaluation("more", {"figures": {"knn": 41.0}, **new})
    run.save_evaluation("more", {"figures": {"uniformity": -3.0}})
    assert run.evaluations()["more"] == {"figures": {"rankme": 9.0, "knn": 41.0, "uniformity": -3.0}, **new}


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"sample": 3}', '{"sample": {}}', '{"sample": {"figures": {"knn": "high"}}}']
)
def test_damaged_evaluations_are_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "evaluation.json").write_text(text)
    with pytest.raises(InputError, match=r"evaluation\.json: expected what `sparring evaluate` writes.*delete it"):
        Run(tmp_path).evaluations()


def test_one_process_trains_a_run(tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    with run.held() as first, run.held() as second:
        assert (first, second) == (True, False)
    assert not run.path.exists(), "nothing came of it"
    with run.held() as free:
        assert free


def test_files_are_for_whoever_may_read_the_folder(tmp_path: Path) -> None:
    run, mask = Run(tmp_path), os.umask(0o027)
    try:
        run.save_tensors("encoder.safetensors", {"weight": torch.zeros(2)})
    finally:
        os.umask(mask)
    assert (tmp_path / "encoder.safetensors").stat().st_mode & 0o777 == 0o640


def test_the_commit_is_not_that_of_a_project_around(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a"]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "theirs"], check=True)
    file = tmp_path / "environment.py"
    file.write_text("")
    monkeypatch.setattr("sparring.environment.__file__", str(file))
    assert environment()["commit"] == ""
    subprocess.run([*git, "add", file.name], check=True)
    assert environment()["commit"] != ""


def test_a_resume_elsewhere_is_written_down(tmp_path: Path) -> None:
    run = Run(tmp_path)
    for device in ("cpu", "cuda:0", "cuda:0"):
        run.describe_environment({"device": device, "threads": 2})
    known = json.loads(run.environment_path.read_text())
    assert (known["device"], known["threads"]) == ("cpu", 2)
    assert [known[f"resumed_{time}"]["device"] for time in (1, 2)] == ["cuda:0", "cuda:0"]
    assert "threads" not in known["resumed_1"]
    run.environment_path.write_text("{")
    run.describe_environment({"device": "cpu"})
    assert json.loads(run.environment_path.read_text())["device"] == "cpu"

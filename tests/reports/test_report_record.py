"""A report reads run folders, whole or cut short, and refuses anything else in one line."""

import json
from pathlib import Path

import pytest

from sparring.errors import InputError
from sparring.reports.record import labels, read_runs


def append(run: Path, text: str) -> None:
    with (run / "metrics.jsonl").open("a") as file:
        file.write(text)


def test_a_cut_last_line_is_ignored(fake_run):
    run = fake_run()
    whole = read_runs([run])[0].lines
    append(run, '{"step": 41, "epoch": 10.25, "knn": 77')
    assert read_runs([run])[0].lines == whole


def test_a_last_line_cut_inside_a_character_is_ignored(fake_run):
    run = fake_run()
    whole = read_runs([run])[0].lines
    with (run / "metrics.jsonl").open("ab") as file:
        file.write('{"step": 41, "note": "é'.encode()[:-1])
    assert read_runs([run])[0].lines == whole


def test_a_broken_line_elsewhere_is_named(fake_run):
    run = fake_run()
    append(run, "nonsense\n" + json.dumps({"step": 41, "epoch": 10.25}) + "\n")
    with pytest.raises(InputError, match=r"line 45 of .*metrics\.jsonl"):
        read_runs([run])


def test_a_series_prefers_evaluations_and_leaves_out_what_is_not_finite(fake_run):
    run = fake_run(spread=0.8)
    append(run, '{"step": 44, "epoch": 11, "knn": NaN, "loss": null}\n')
    record = read_runs([run])[0]
    assert record.series("feature_spread").values == [0.8] * 4  # the training lines say 0.77
    assert record.last("knn") == 47.375
    assert not record.series("knn/k=5")


def test_labels_take_as_many_parents_as_they_need():
    paths = [Path("/a/x/run"), Path("/b/x/run"), Path("/b/y/run"), Path("/b/other")]
    assert labels(paths) == ["a/x/run", "b/x/run", "y/run", "other"]
    assert labels([Path("images"), Path("images/"), Path("/a/other")]) == ["images", "images", "other"]


def test_a_run_given_twice_is_read_once(fake_run):
    run = fake_run()
    assert len(read_runs([run, run / ".." / run.name])) == 1


@pytest.mark.parametrize("missing", ["recipe.toml", "metrics.jsonl"])
def test_a_folder_that_is_no_run_names_what_lacks_and_the_nearest_run(fake_run, missing):
    fake_run("vanilla")
    fake_run("colour-0.4")
    broken = fake_run("colour-0.2")
    (broken / missing).unlink()
    with pytest.raises(InputError, match=rf"colour-0\.2 without {missing}; did you mean .*colour-0\.4\?") as error:
        read_runs([broken])
    assert "\n" not in str(error.value)


def test_a_folder_of_runs_names_one_of_them(fake_run):
    run = fake_run("runs/first")
    with pytest.raises(InputError, match=r"it holds runs: did you mean .*runs/first\?"):
        read_runs([run.parent])


def test_a_missing_path_and_none_at_all_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"which is no folder; `sparring train` writes one"):
        read_runs([tmp_path / "nowhere" / "run"])
    with pytest.raises(InputError, match="got none"):
        read_runs([])


@pytest.mark.parametrize(("name", "text"), [("recipe.toml", "epochs = "), ("environment.json", "[1]")])
def test_a_damaged_file_is_named_in_one_line(fake_run, name, text):
    run = fake_run()
    (run / name).write_text(text)
    with pytest.raises(InputError, match=f"{name} as `sparring train` writes it") as error:
        read_runs([run])
    assert "\n" not in str(error.value)

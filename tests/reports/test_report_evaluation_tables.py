"""What was measured after training, and the tables of nearest negatives, on the page."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from sparring.errors import InputError
from sparring.reports import nearest, write_report
from sparring.reports.evaluation_plots import save_confusion
from sparring.reports.evaluation_tables import suffix_of

FIGURES = {
    "knn": 47.375,
    "linear": 55.0,
    "linear/c": 0.1,
    "low_label/share=0.01": 30.0,
    "low_label/share=0.01/std": 1.25,
}


def evaluate(run: Path, figures: dict[str, float], data: str = "sample") -> None:
    (run / "evaluation.json").write_text(json.dumps({data: {"figures": figures}}))


def rows(page: Path) -> dict[str, list[str]]:
    """The cells of the section's table by their heading."""
    section = page.read_text().partition("<h2>Measured afterwards</h2>")[2].partition("</section>")[0]
    cells = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in re.findall(r"<tr>.*?</tr>", section)]
    return {first: rest for first, *rest in cells}


def table(folder: Path, shares: list[list[float]], stage: str = "after") -> None:
    (folder / "nearest").mkdir(exist_ok=True)
    found = {"classes": ["cat", "dog"], "views": [3, 1], "shares": shares, "chance": [0.5, 0.25]}
    (folder / "nearest" / f"{stage}.json").write_text(json.dumps(found))


def test_figures_stand_with_names_units_and_margins(fake_run):
    run = fake_run()
    evaluate(run, FIGURES)
    assert rows(write_report([run])) == {
        "Measure": ["first"],
        "kNN accuracy, %": ["47.4"],
        "Linear probe, %": ["55.0"],
        "Linear probe: C": ["0.1"],
        "Linear probe, 1 % of the labels, %": ["30.0 ± 1.2"],
    }


def test_runs_stand_beside_each_other_and_seeds_together(fake_run, tmp_path):
    runs = [fake_run(f"learned-{seed}", seed=seed) for seed in range(2)] + [fake_run("vanilla", adversary="none")]
    for run, knn in zip(runs, (50.0, 52.0, 48.0), strict=True):
        evaluate(run, {"knn": knn})
    assert rows(write_report(runs, tmp_path / "page.html"))["kNN accuracy, %"] == ["51.0 ± 1.4", "48.0"]


def test_columns_over_seeds_bear_a_sweeps_name(fake_run, tmp_path):
    runs = [fake_run(f"grey,seed={seed}", seed=seed) for seed in range(2)]
    for run in runs:
        evaluate(run, {"knn": 50.0})
    assert rows(write_report(runs, tmp_path / "page.html"))["Measure"] == ["grey: method simsiam (2 runs)"]


def test_figures_of_other_settings_are_not_averaged(fake_run, tmp_path):
    runs = [fake_run(f"learned-{seed}", seed=seed) for seed in range(3)]
    for run, k in zip(runs, (1, 200, 200), strict=True):
        own = {"figures": {"knn": 50.0 + k / 100}, "settings": {"knn": {"ks": [k], "ts": [0.1]}}}
        (run / "evaluation.json").write_text(json.dumps({"sample": own}))
    shown = rows(write_report(runs, tmp_path / "page.html"))
    assert shown["kNN accuracy, k = 1, t = 0.1, %"] == ["50.0", "—"]
    assert shown["kNN accuracy, k = 200, t = 0.1, %"] == ["—", "52.0 ± 0.0"]
    assert rows(tmp_path / "page.html")["Measure"] == [
        "learned-0 (knn ks = [1])",
        "method simsiam (2 runs) (knn ks = [200])",
    ]
    assert rows(write_report(runs[1:], tmp_path / "page.html"))["kNN accuracy, k = 200, %"] == ["52.0 ± 0.0"]


def test_a_k_that_was_clipped_is_told_of_the_run_it_was_clipped_in(fake_run, tmp_path):
    runs = [fake_run("few"), fake_run("many", adversary="none")]
    for run, images in zip(runs, (162, 200), strict=True):
        own = {"figures": {"knn": 50.0}, "settings": {"knn": {"ks": [200], "ts": [0.1]}}}
        (run / "evaluation.json").write_text(json.dumps({"sample": own}))
        (run / "environment.json").write_text(json.dumps({"train_images": images, "knn_note": f"of {images}"}))
    text = write_report(runs, tmp_path / "page.html").read_text()
    assert "few: k = 200 is clipped to the 162 training images." in text
    assert "many: k = 200" not in text
    assert "k is clipped" not in text
    assert " few: of 162. many: of 200." in text  # beside the curves
    alone = write_report(runs[:1]).read_text()
    assert ". k = 200 is clipped to the 162 training images." in alone
    (runs[0] / "evaluation.json").write_text(json.dumps({"/elsewhere": own}))
    assert "On other images than a run&#x27;s own, k is clipped" in write_report(runs[:1]).read_text()


def test_accuracies_of_one_k_share_a_row_whichever_k_was_first(fake_run, tmp_path):
    runs = [fake_run("a"), fake_run("b", adversary="none")]
    both = {"knn": 51.0, "rankme": 9.0, "knn/k=5,t=0.1": 51.0, "knn/k=200,t=0.1": 52.0}
    for run, ks, figures in zip(runs, ([200], [5, 200]), ({"knn": 50.0, "rankme": 8.0}, both), strict=True):
        own = {"figures": figures, "settings": {"knn": {"ks": ks, "ts": [0.1]}}}
        (run / "evaluation.json").write_text(json.dumps({"sample": own}))
    assert list(rows(write_report(runs, tmp_path / "page.html")).items())[1:] == [
        ("kNN accuracy, k = 200, t = 0.1, %", ["50.0", "52.0"]),
        ("kNN accuracy, k = 5, t = 0.1, %", ["—", "51.0"]),
        ("RankMe (effective rank)", ["8.00", "9.00"]),
    ]


def test_pictures_of_folders_of_one_name_are_told_apart():
    assert suffix_of("/here/labelled", "/here/labelled") == ""
    assert suffix_of("/here/labelled", "/mine") != suffix_of("/there/labelled", "/mine")


def test_a_figure_of_ones_own_has_a_name(fake_run):
    run = fake_run()
    evaluate(run, {"mine/share=0.5": 3.0})
    assert rows(write_report([run]))["mine, 50 % of the labels"] == ["3.00"]


def test_a_run_that_was_not_evaluated_shows_nothing(fake_run):
    page = write_report([fake_run()]).read_text()
    assert "Measured afterwards" not in page
    assert "nearest negatives are of" not in page


def test_a_damaged_evaluation_is_one_clear_line_and_no_page(fake_run):
    run = fake_run()
    (run / "evaluation.json").write_text("{")
    with pytest.raises(InputError, match=r"evaluation\.json: expected what `sparring evaluate` writes.*delete it"):
        write_report([run])
    assert not (run / "report.html").exists()


def test_the_confusion_matrix_lies_inside_the_page(fake_run):
    run = fake_run()
    evaluate(run, FIGURES)
    (run / "figures").mkdir()
    save_confusion(np.eye(2, dtype=int), ["cat", "dog"], run / "figures" / "confusion.png", "Confusion")
    assert 'alt="Confusion matrix' in write_report([run]).read_text()


def test_the_diagonal_is_said_beside_chance(fake_run):
    run = fake_run()
    table(run, [[0.25, 0.75], [0.5, 0.5]])
    assert nearest.sentence(nearest.tables(run)).replace("\u00a0", " ") == (
        "Mean of the diagonal: 37.5 % after training, against 37.5 % by chance."
    )
    page = write_report([run])
    assert "Which class the nearest negatives are of" in page.read_text()
    assert (run / "figures" / "nearest-after.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("shares", [[[0.5, 0.5]], "none"])
def test_a_damaged_table_is_one_clear_line(fake_run, shares):
    run = fake_run()
    table(run, shares)
    with pytest.raises(InputError, match=r"after\.json as `sparring train` writes it.*delete it"):
        write_report([run])

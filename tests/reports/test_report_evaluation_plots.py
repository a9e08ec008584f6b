"""Pictures of an evaluation show what they were given, whatever the classes are called and however many there are."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sparring.reports import evaluation_plots
from sparring.reports.charts import _draw
from sparring.reports.panels import Panel

NAMES = ("_hidden", "$x$", "<b>&", "実験")


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is written into axes, in order."""
    words: list[str] = []
    for name, place in (("text", 2), ("annotate", 0)):
        original = getattr(Axes, name)

        def noted(axes, *given, original=original, place=place, **settings):
            words.append(given[place])
            return original(axes, *given, **settings)

        monkeypatch.setattr(Axes, name, noted)
    return words


def test_a_confusion_matrix_is_written_in_percent_of_its_rows(tmp_path: Path, written: list[str]) -> None:
    counts = np.array([[3, 1, 0, 0], [0, 5, 0, 0], [0, 0, 0, 0], [1, 1, 1, 1]])
    evaluation_plots.save_confusion(counts, NAMES, tmp_path / "c.png", "Confusion")
    assert " ".join(written) == "75 25 0 0 0 100 0 0 0 0 0 0 25 25 25 25"
    evaluation_plots.save_confusion(
        np.eye(100, dtype=int), [str(c) for c in range(100)], tmp_path / "many.png", "Confusion"
    )
    assert len(written) == 16
    assert (tmp_path / "many.png").stat().st_size > 1000


@pytest.mark.parametrize("projection", evaluation_plots.LAYOUTS)
@pytest.mark.filterwarnings("ignore:Tensorflow not installed:ImportWarning")
def test_the_ten_largest_classes_are_named_on_the_map(projection: str, tmp_path: Path, written: list[str]) -> None:
    draw = np.random.default_rng(0)
    labels = np.concatenate([np.repeat(np.arange(10), 5), np.arange(10, 14)])
    classes = [*NAMES, *(f"class{c}" for c in range(4, 14))]
    features = draw.normal(size=(54, 4)).astype(np.float32)
    threads, odd = torch.get_num_threads(), 1 + (os.cpu_count() or 1)
    torch.set_num_threads(odd)
    evaluation_plots.save_scatter(features, labels, classes, tmp_path / "s.png", projection)
    assert torch.get_num_threads() == odd  # numba would give the process all cores: other sums, other runs
    torch.set_num_threads(threads)
    assert sorted(written) == sorted(classes[:10])
    evaluation_plots.save_scatter(features, None, (), tmp_path / "grey.png", projection)
    assert sorted(written) == sorted(classes[:10])


def test_a_name_that_was_moved_has_a_line_to_its_median() -> None:
    axes = Figure().subplots()
    evaluation_plots._name_medians(axes, [np.array([0.2, 0.5]), np.array([0.3, 0.51])], ["a", "b"])
    lower, upper = axes.texts
    assert (lower.xy, upper.xy) == ((0.2, 0.5), (0.3, 0.51))  # type: ignore[attr-defined]
    assert lower.get_position()[1] < 0.5 < 0.51 < upper.get_position()[1]
    assert all(name.arrow_patch for name in axes.texts)  # type: ignore[attr-defined]


def test_components_are_those_of_largest_variance() -> None:
    draw = np.random.default_rng(0)
    features = (draw.normal(size=(400, 5)) * np.array([1, 9, 0.1, 4, 0.2]) + 7).astype(np.float32)
    places, words = evaluation_plots.principal(features, np.arange(0, 400, 2))
    centred = features - features.mean(axis=0)
    for column, feature in ((0, 1), (1, 3)):
        assert abs(np.corrcoef(places[:, column], centred[::2, feature])[0, 1]) > 0.99
    assert "99 %" in words


def test_corruptions_say_what_is_measured_and_name_the_clean_level_where_no_value_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    panels: list[Panel] = []
    monkeypatch.setattr(evaluation_plots, "save_png", lambda drawn, path: panels.extend(drawn))
    figures = {f"corruptions/shot_noise/{severity}": 50.0 for severity in range(1, 6)}
    evaluation_plots.save_corruptions({"corruptions/clean": 61.0, **figures}, tmp_path / "k.png")
    (axes,) = _draw(panels).axes
    assert axes.get_title(loc="left") == "shot noise\nlinear probe's accuracy, %"
    assert {word.get_text(): word.xy[0] for word in axes.texts} == {"clean": 0, "50": 5}  # type: ignore[attr-defined]


def test_corruptions_end_in_their_accuracy_at_the_worst_severity(tmp_path: Path, written: list[str]) -> None:
    figures = {f"corruptions/{name}/{s}": 60.0 - s - 10 * n for n, name in enumerate(("a", "b")) for s in range(1, 6)}
    evaluation_plots.save_corruptions({"corruptions/clean": 61.0, "corruptions": 1.0, **figures}, tmp_path / "k.png")
    assert written == ["clean", "55", "clean", "45"]

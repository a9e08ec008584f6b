"""Charts show every curve, in the page's colours, and stay small."""

import re
import warnings
from itertools import pairwise

import pytest

from sparring.reports import charts, curves
from sparring.reports.panels import MOST_POINTS, Curve, Panel, thinned
from sparring.reports.record import read_runs


def drawn(panel: Panel) -> str:
    return charts.svg(panel, "name")


def test_several_runs_share_one_axis_with_a_curve_each(fake_run):
    runs = read_runs([fake_run("a"), fake_run("b", seed=1), fake_run("c", until=8)])
    (panel,) = curves.knn(runs)
    assert [curve.label for curve in panel.curves] == ["a", "b", "c"]
    assert [curve.values[-1] for curve in panel.curves] == [47.375, 47.375, 58.25]
    assert re.findall(r'id="name-curve-(\d)"', drawn(panel)) == ["0", "1", "2"]


def test_a_colour_matrix_is_three_panels_of_three_channels(fake_run):
    panels = curves.parameters(read_runs([fake_run()]))
    assert [len(panel.curves) for panel in panels] == [3, 3, 3, 1, 1]
    assert [curve.end for curve in panels[0].curves] == ["R", "G", "B"]
    assert [curve.values[-1] for curve in panels[2].curves] == pytest.approx([0.2, 0.2, 0.8])
    assert [panel.title for panel in panels[3:]] == ["colour: mix", "rotation: degrees"]
    assert panels[4].curves[0].end == "\u221210"


def test_a_drawing_takes_its_colours_from_the_page(fake_run):
    for panel in curves.parameters(read_runs([fake_run()])):
        source = drawn(panel)
        assert "var(--muted)" in source
        assert "http" not in source
        assert not re.search(r"(fill|stroke): #", source)


def test_identifiers_are_apart_between_drawings():
    panel = Panel("title", [Curve("a", [0, 1], [0, 1])])
    first, second = (set(re.findall(r'id="([^"]*)"', charts.svg(panel, name))) for name in ("x", "y"))
    assert first
    assert not first & second
    source = charts.svg(panel, "x")
    assert set(re.findall(r"(?:href=\"|url\()#([^\")]*)", source)) <= first


@pytest.mark.parametrize("label", ["_hidden", "$x$", "<b>&", "実験"])
def test_any_label_is_shown_as_it_is(label, tmp_path):
    panel = Panel("title", [Curve(label, [0, 1], [0, 1]), Curve("b", [0, 1], [1, 0])], legend=True)
    assert label.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;") in drawn(panel)
    charts.save_png([panel], tmp_path / "figure.png")
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("epochs", [[1.0], [1.68, 2.0], [0.0], [0.2, 0.4], [3.0, 16.0]])
def test_epochs_begin_at_0_end_at_the_last_and_are_whole(epochs):
    (axes,) = charts._draw([Panel("title", [Curve("a", epochs, epochs)])]).axes
    low, high = axes.get_xlim()
    assert (low, high) == (0, max(1.0, epochs[-1]))
    shown = [tick for tick in axes.get_xticks() if low <= tick <= high]
    assert len(shown) > 1
    assert all(tick == int(tick) for tick in shown)


def test_no_word_at_an_end_lies_above_the_frame():
    curves = [Curve(str(i), [0, 1], [0, 1 + i / 100], end=str(i)) for i in range(5)]
    (axes,) = charts._draw([Panel("title", curves, legend=True)]).axes
    heights = [word.xy[1] for word in axes.texts]
    assert max(heights) <= axes.get_ylim()[1]
    assert heights == sorted(heights)


@pytest.mark.parametrize(("across", "count", "shown"), [(1, 12, 12), (1, 13, 0), (2, 16, 0), (3, 8, 8), (3, 40, 0)])
def test_as_many_ends_are_told_as_there_is_room_for(across, count, shown, tmp_path):
    """And the frame keeps its size below a legend of many."""
    curves = [Curve(f"run {i}", [0, 1], [0, 1 + i / 100], end=f"{i}.0") for i in range(count)]
    panel = Panel("title", curves, legend=True, across=across)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # of matplotlib, that there is no room for the frame
        charts.save_png([panel] * across, tmp_path / "figure.png")
    (axes,) = charts._draw([panel]).axes
    assert len(axes.texts) == shown


@pytest.mark.parametrize("across", [1, 2])
@pytest.mark.parametrize(("name", "count"), [("adversary=random", 16), ("a-name-of-ninety-letters--" * 4, 3)])
def test_a_legend_takes_less_room_than_the_curves(name, count, across):
    curves = [Curve(f"{name},seed={i}", [0, 1], [0, 1 + i / 100]) for i in range(count)]
    figure = charts._draw([Panel("title", curves, legend=True, across=across)] * across)
    figure.draw_without_rendering()
    for axes in figure.axes:
        frame, legend = axes.get_window_extent(), axes.get_legend().get_window_extent()
        assert legend.height < frame.height
        assert frame.x0 - 1 <= legend.x0 < legend.x1 <= frame.x1 + 1
        assert legend.y0 >= frame.y1 - 1


def test_a_legends_samples_show_the_gap_between_two_dashes():
    curves = [Curve("a", [0, 1], [0, 1]), Curve("b", [0, 1], [1, 0], dash="--")]
    (axes,) = charts._draw([Panel("title", curves, legend=True)]).axes
    legend = axes.get_legend()
    samples = legend.get_lines()
    assert [sample.get_linestyle() for sample in samples] == ["-", "--"]
    assert [sample.get_marker() for sample in samples] == ["", ""]
    _, (on, off) = samples[1]._dash_pattern  # points
    assert legend.handlelength * charts.SMALL_LETTERS > on + off + 1
    assert axes.lines[1].get_marker() == "o"  # of few points the curve itself keeps its dots


def test_words_at_the_ends_do_not_overlap_and_lone_ones_stay():
    placed = charts.spread([0.0, 5.0, 5.0, 5.1, 9.0], gap=1.0)
    assert all(high - low >= 0.999 for low, high in pairwise(placed))
    assert (placed[0], placed[-1]) == (0.0, 9.0)
    assert sum(placed) == pytest.approx(24.1)


def test_long_logs_are_thinned_to_means():
    values = [float(i) for i in range(100 * MOST_POINTS)]
    assert thinned(values) == [100 * i + 49.5 for i in range(MOST_POINTS)]
    assert thinned([1, 2]) == [1, 2]


def test_a_panel_is_described_in_words():
    panel = Panel("Loss", [Curve("first", [0, 3], [1, 0.25])])
    assert panel.describe() == "Loss by epoch: first ends at 0.25 (epoch 3)."


def test_seeds_share_a_colour_and_many_runs_leave_room_for_the_curves(fake_run, tmp_path):
    names = ("none", "random", "learned")
    paths = [fake_run(f"adversary={name},seed={i}", adversary=name, seed=i) for i in range(3) for name in names]
    runs = read_runs(paths)
    styles = curves.styles(runs)
    assert len(set(styles)) == 9
    assert [colour for colour, _ in styles] == 3 * [colour for colour, _ in styles[:3]]
    assert len({colour for colour, _ in styles[:3]}) == 3
    charts.save_png(curves.collapse(runs), tmp_path / "figure.png")  # matplotlib warns where axes have no room

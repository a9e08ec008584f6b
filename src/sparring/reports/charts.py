"""Line charts: panels drawn once and saved as PNG on white, or as SVG that takes the page's colours."""

import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from html import escape
from io import StringIO
from itertools import groupby
from pathlib import Path
from textwrap import fill
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from sparring.reports.panels import INK, MUTED, RULE, VARIABLES, Curve, Panel, thinned

SIZES = {1: (7.2, 2.5), 2: (3.6, 2.1), 3: (2.4, 1.75)}
"""Inches, by how many lie beside each other: a page is as wide as either, so that their letters are alike."""
ROUNDS = 100
"""Of pushing labels apart: enough for a dozen."""
LETTERS, SMALL_LETTERS, TITLE_ROW = 7.5, 5.5, 10  # points
END_ROW = 0.2  # inches
WIDEST = 96
"""Letters of a title over the whole width."""
LEGEND_WIDTH, LEGEND_ROW = 810, 1.5
"""Letters over the whole width times their size; the distance of rows as a multiple of it."""
SAMPLE = 6
"""Letters that a curve's sample and the gap behind a label take."""
MOST_ROWS = 3
"""Of a legend in letters of full size: a higher one is in small letters."""
STYLE: dict[Any, Any] = {
    "font.family": ["DejaVu Sans"],  # comes with matplotlib: the same drawing on every machine
    "font.size": LETTERS,
    "text.parse_math": False,  # a folder's name may hold dollar signs
    "text.color": INK,
    "axes.edgecolor": RULE,
    "axes.labelcolor": MUTED,
    "axes.titlesize": 8,
    "axes.unicode_minus": True,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "grid.color": RULE,
    "svg.fonttype": "none",
    "svg.hashsalt": "sparring",
}


def save_png(panels: Sequence[Panel], path: Path) -> None:
    """All panels on one white sheet."""
    with style():
        _draw(panels).savefig(path, dpi=200, facecolor="white")


def svg(panel: Panel, name: str) -> str:
    """One panel as an SVG element for a page; `name` keeps its identifiers apart from other drawings'."""
    sheet = StringIO()
    with style():
        _draw([panel], titled=False).savefig(sheet, format="svg", transparent=True)
    return _for_page(sheet.getvalue(), name, panel.describe())


@contextmanager
def style() -> Iterator[None]:
    """Draw as all charts are drawn, whatever script a name is in."""
    with matplotlib.rc_context(STYLE), warnings.catch_warnings():
        # A run may be named in any script; the page's own letters show what DejaVu cannot.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


def _draw(panels: Sequence[Panel], *, titled: bool = True) -> Figure:
    columns = min(panels[0].across, len(panels))
    rows = -(-len(panels) // columns)
    width, height = SIZES[panels[0].across]
    above = max(map(_legend_height, panels)) - 2 * LEGEND_ROW * LETTERS  # two rows have their place
    extra = (above + TITLE_ROW * max(_title(panel).count("\n") for panel in panels)) / 72
    figure = Figure(figsize=(width * columns, (height + max(0.0, extra)) * rows), layout="constrained")
    places = list(figure.subplots(rows, columns, squeeze=False).flat)
    for number, (axes, panel) in enumerate(zip(places, panels, strict=False)):
        beside = panels[number - number % columns :][:columns]
        _draw_panel(axes, panel, titled, max(map(_legend_height, beside)))
    for axes in places[len(panels) :]:
        axes.remove()
    return figure


def _title(panel: Panel) -> str:
    """The run's name above the panel's, in lines that leave its neighbours alone."""
    return "\n".join(filter(None, (fill(panel.group, WIDEST // panel.across), panel.title)))


def _draw_panel(axes: Axes, panel: Panel, titled: bool, above: float) -> None:
    """Legends that are `above` points high lie between the frame and its title."""
    for number, curve in enumerate(panel.curves):
        _draw_curve(axes, curve, number)
    _draw_frame(axes, panel)
    if panel.reference:
        _draw_reference(axes, *panel.reference, panel)
    _draw_ends(axes, panel)
    if panel.legend:
        _draw_legend(axes, panel)
    if titled:
        axes.set_title(_title(panel), loc="left", color=INK, weight="bold", pad=6 + above)


def _draw_curve(axes: Axes, curve: Curve, number: int) -> None:
    epochs, values = curve.drawn
    # A curve of one point, or of few, would not be seen without dots.
    marker = "o" if len(values) <= 40 else ""
    look: dict[str, Any] = {"marker": marker, "markersize": 2.6, "linewidth": 1.5, "clip_on": False}  # whole dots
    (line,) = axes.plot(epochs, values, curve.dash, color=curve.colour, **look)
    line.set_gid(f"curve-{number}")
    if curve.spread:
        middle, width = np.array(values), np.array(thinned(curve.spread))
        axes.fill_between(epochs, middle - width, middle + width, color=curve.colour, alpha=0.12, linewidth=0)


def _draw_frame(axes: Axes, panel: Panel) -> None:
    axes.set_xlabel(panel.over, loc="right")
    axes.tick_params(length=0)
    axes.grid(axis="y", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["left", "right", "top"]].set_visible(False)
    axes.locator_params("y", nbins=5)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True, min_n_ticks=1))
    if panel.over == "epoch":
        axes.set_xlim(0, max([1.0, *(epoch for curve in panel.curves for epoch in curve.epochs)]))
    if panel.limits:
        axes.set_ylim(*panel.limits)


def _draw_reference(axes: Axes, level: float, name: str, panel: Panel) -> None:
    axes.axhline(level, color=MUTED, linewidth=0.9, linestyle=(0, (2, 2)), zorder=1)
    left = panel.named_at == "left"
    below = left and panel.curves[0].values[0] >= level  # where the curve is not
    place: dict[str, Any] = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points"}
    place |= {"ha": panel.named_at, "va": "top" if below else "baseline"}
    axes.annotate(name, (not left, level), (0, -2 if below else 2), color=MUTED, fontsize=6.5, **place)


def _draw_ends(axes: Axes, panel: Panel) -> None:
    """What each curve ends at, beside it; nothing where so many end that their words would leave the frame."""
    low, high = axes.get_ylim()
    room = SIZES[panel.across][1] / END_ROW
    gap = (high - low) / room
    place: dict[str, Any] = {"textcoords": "offset points", "va": "center", "annotation_clip": False}
    ends = sorted((curve.drawn[0][-1], curve.drawn[1][-1], curve.colour, curve.end) for curve in panel.curves)
    for epoch, group in groupby(ends, lambda end: end[0]):
        _, heights, colours, words = zip(*group, strict=True)
        if len(words) > room:
            continue
        placed = spread(heights, gap)
        move = max(0.0, low - placed[0]) or min(0.0, high - placed[-1])  # no word lies on the ticks or the legend
        for height, colour, word in zip((each + move for each in placed), colours, words, strict=True):
            axes.annotate(word, (epoch, height), (5, 0), color=colour, weight="bold", **place)


def spread(heights: Sequence[float], gap: float) -> list[float]:
    """Ascending heights, with neighbours that are closer than `gap` pushed apart."""
    placed = list(heights)
    for _ in range(ROUNDS):
        for i in range(1, len(placed)):
            push = max(0.0, gap - (placed[i] - placed[i - 1])) / 2
            placed[i - 1 : i + 1] = placed[i - 1] - push, placed[i] + push
    return placed


def _legend(panel: Panel, letters: float = LETTERS) -> tuple[float, int, int, list[str]]:
    """Size of its letters, columns, rows, and labels in lines that fit: small letters where it would be high."""
    room = int(LEGEND_WIDTH / letters / panel.across)
    labels = [fill(curve.label, room - SAMPLE) for curve in panel.curves]
    widest = max(len(line) for label in labels for line in label.split("\n")) + SAMPLE
    columns = room // widest
    rows = -(-len(labels) // columns) * max(label.count("\n") + 1 for label in labels)
    return (letters, columns, rows, labels) if rows <= MOST_ROWS or letters < LETTERS else _legend(panel, SMALL_LETTERS)


def _legend_height(panel: Panel) -> float:
    letters, _, rows, _ = _legend(panel)
    return LEGEND_ROW * letters * rows if panel.legend else 0.0


def _draw_legend(axes: Axes, panel: Panel) -> None:
    """Draw it above the frame."""
    letters, columns, _, labels = _legend(panel)
    place: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (0, 1), "borderaxespad": 0.2, "frameon": False}
    place |= {"fontsize": letters, "ncols": columns}
    # matplotlib before 3.10 would leave out a label that begins with an underscore
    legend = axes.legend(axes.lines[: len(labels)], labels, **place)
    for sample in legend.get_lines():
        sample.set_marker("")  # a dot would fill the gap between two dashes


def _for_page(source: str, name: str, words: str) -> str:
    box = re.findall(r'viewBox="[^"]*"', source)[0]
    inside = source[source.index(">", source.index("<svg")) + 1 :]
    # Its style would hold for the whole page.
    inside = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", inside, flags=re.DOTALL)
    inside = re.sub(r"(fill|stroke): (#[0-9a-f]{6})", lambda m: f"{m[1]}: {VARIABLES.get(m[2], m[2])}", inside)
    inside = re.sub(r'( id="|href="#|url\(#)', rf"\1{name}-", inside)
    return f'<svg {box} role="img" aria-label="{escape(words)}">{inside}'

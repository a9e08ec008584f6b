"""What `sparring evaluate` draws: which class is taken for which, how features lie, accuracy under corruptions."""

import re
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sparring.errors import InputError
from sparring.reports.charts import save_png, spread, style
from sparring.reports.panels import INK, MUTED, RULE, Curve, Panel
from sparring.tensors import evenly

POINTS = 2000
COLOURED = 10
"""Classes that colours can tell apart; the others are grey."""
LABEL_GAP = 0.035
"""Least distance of two names' heights, as a share of the axis."""
WRITTEN = 20
"""Classes up to which numbers are written into the matrix."""
DARK = 0.55
"""Of the darkest shade: above it numbers are white."""
NAMED = 40
"""Classes up to which the axes name them."""
FEWEST = 3
"""Features of which no more than their principal components can be drawn."""
SEVERITIES = range(1, 6)

Layout = Callable[[Float[np.ndarray, "n d"], Int[np.ndarray, " m"]], tuple[Float[np.ndarray, "m 2"], str]]
"""All features and the places of those to draw, to their coordinates and what these are."""


def save_confusion(counts: Int[np.ndarray, "c c"], classes: Sequence[str], path: Path, title: str) -> None:
    """Rows are true classes, columns what they were taken for; shades and numbers are percent of the row."""
    shares = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    save_matrix(shares, classes, path, f"{title}\n(% of each class)", axes=("taken for", "true class"))


def save_matrix(
    shares: Float[np.ndarray, "c c"],
    classes: Sequence[str],
    file: Path | BytesIO,
    title: str,
    *,
    axes: tuple[str, str],
    most: float = 100.0,
) -> None:
    """Percentages as shades and numbers; `most` has the darkest shade, `axes` are the names of columns and rows."""
    columns, rows = axes
    side = float(np.clip(1.6 + 0.36 * len(classes), 3.2, 9))
    with style():
        figure = Figure(figsize=(side, side), layout="constrained")
        place = figure.subplots()
        place.imshow(shares, cmap="Blues", vmin=0, vmax=most)
        if len(classes) <= WRITTEN:
            _write_shares(place, shares, most)
        _name_classes(place, classes if len(classes) <= NAMED else [])
        place.set_xlabel(columns)
        place.set_ylabel(rows)
        place.set_title(title, loc="left", color=INK, weight="bold")
        figure.savefig(file, format="png", dpi=200, facecolor="white")


def _write_shares(axes: Axes, shares: Float[np.ndarray, "c c"], most: float) -> None:
    for (row, column), share in np.ndenumerate(shares):
        colour = "white" if share > DARK * most else INK
        axes.text(column, row, f"{share:.0f}", ha="center", va="center", fontsize=6.5, color=colour)


def _name_classes(axes: Axes, classes: Sequence[str]) -> None:
    axes.set_xticks(range(len(classes)), classes, rotation=90)
    axes.set_yticks(range(len(classes)), classes)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def principal(features: Float[np.ndarray, "n d"], drawn: Int[np.ndarray, " m"]) -> tuple[Float[np.ndarray, "m 2"], str]:
    """The first two principal components, those of all features."""
    centred = (features - features.mean(axis=0)).astype(np.float64)
    variances, directions = np.linalg.eigh(centred.T @ centred)
    share = variances[-2:].sum() / max(variances.sum(), 1e-12)
    words = f"first two principal components ({100 * share:.0f} % of variance)"
    return centred[drawn] @ directions[:, [-1, -2]], words


def tsne(features: Float[np.ndarray, "n d"], drawn: Int[np.ndarray, " m"]) -> tuple[Float[np.ndarray, "m 2"], str]:
    """t-SNE (van der Maaten and Hinton 2008), scikit-learn's."""
    from sklearn.manifold import TSNE

    perplexity = min(30.0, (len(drawn) - 1) / 3)
    return TSNE(perplexity=perplexity, init="pca", random_state=0).fit_transform(features[drawn]), "t-SNE"


def umap(features: Float[np.ndarray, "n d"], drawn: Int[np.ndarray, " m"]) -> tuple[Float[np.ndarray, "m 2"], str]:
    """UMAP (McInnes et al. 2018), umap-learn's."""
    from umap import UMAP

    neighbours, threads = min(15, len(drawn) - 1), torch.get_num_threads()
    start = principal(features, drawn)[0]  # its spectral start fails on few points
    try:
        places = UMAP(n_neighbors=neighbours, init=start, random_state=0, n_jobs=1).fit_transform(features[drawn])
    finally:
        torch.set_num_threads(threads)  # numba gives the whole process as many as there are cores
    return places, "UMAP"


LAYOUTS: dict[str, Layout] = {"pca": principal, "tsne": tsne, "umap": umap}


def check_layout(name: str) -> None:
    """Refuse a layout whose library is not installed."""
    if name == "umap" and find_spec("umap") is None:
        raise InputError("--projection umap: expected umap-learn, found none; pip install 'sparring[umap]'")


def save_scatter(
    features: Float[np.ndarray, "n d"],
    labels: Int[np.ndarray, " n"] | None,
    classes: Sequence[str],
    path: Path,
    projection: str = "pca",
    images: str = "test images",
) -> None:
    """At most 2,000 features of `images` in two dimensions, coloured by class; names lie at the classes' medians."""
    chosen = evenly(POINTS, len(features)).numpy()
    places, words = LAYOUTS[projection if len(chosen) > FEWEST else "pca"](features, chosen)
    with style():
        figure = Figure(figsize=(7.2, 5.6), layout="constrained")
        axes = figure.subplots()
        if labels is None:
            axes.scatter(places[:, 0], places[:, 1], s=7, alpha=0.6, linewidths=0, color=MUTED)
        else:
            _scatter_classes(axes, places, labels[chosen], classes)
        boxes = "" if labels is None else "\nboxes mark class medians; a line leads there from those that were moved"
        title = f"Features of {len(chosen):,} {images}, {words}{boxes}"
        axes.set_title(title, loc="left", color=INK, weight="bold")
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[:].set_color(RULE)
        figure.savefig(path, dpi=200, facecolor="white")


def _scatter_classes(
    axes: Axes, places: Float[np.ndarray, "n 2"], labels: Int[np.ndarray, " n"], classes: Sequence[str]
) -> None:
    found, sizes = np.unique(labels, return_counts=True)
    coloured = np.sort(found[np.argsort(-sizes, kind="stable")[:COLOURED]])
    rest = places[~np.isin(labels, coloured)]
    names = [classes[label] if label < len(classes) else str(label) for label in coloured]
    drawn = [
        axes.scatter(own[:, 0], own[:, 1], s=7, alpha=0.6, linewidths=0, color=colormaps["tab10"](number))
        for number, own in enumerate(places[labels == label] for label in coloured)
    ]
    if len(rest):
        drawn.append(axes.scatter(rest[:, 0], rest[:, 1], s=5, alpha=0.6, linewidths=0, color=RULE, zorder=0))
    _name_medians(axes, [np.median(places[labels == label], axis=0) for label in coloured], names)
    shown = [*names, "other classes"][: len(drawn)]
    axes.legend(drawn, shown, loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, markerscale=2)


def _name_medians(axes: Axes, medians: Sequence[Float[np.ndarray, " 2"]], names: Sequence[str]) -> None:
    """Write each class's name at its median, pushed up or down where names would overlap, on a line."""
    low, high = axes.get_ylim()
    order = sorted(range(len(names)), key=lambda number: float(medians[number][1]))
    heights = spread([float(medians[number][1]) for number in order], LABEL_GAP * (high - low))
    for number, height in zip(order, heights, strict=True):
        edge = colormaps["tab10"](number)
        box = {"facecolor": "white", "edgecolor": edge, "boxstyle": "round,pad=0.2", "alpha": 0.85}
        place: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 7, "color": INK, "bbox": box}
        across, median = map(float, medians[number])
        line = {"arrowstyle": "-", "color": edge, "linewidth": 0.8, "shrinkA": 0, "shrinkB": 0}
        axes.annotate(names[number], (across, median), (across, height), arrowprops=line, **place)


def save_corruptions(figures: Mapping[str, float], path: Path) -> None:
    """Accuracy over severities 1 to 5, a panel for each corruption of `corruptions/NAME/SEVERITY`, beside the clean."""
    names = dict.fromkeys(key.split("/")[1] for key in figures if re.fullmatch(r"corruptions/\w+/\d", key))
    look: dict[str, Any] = {"limits": (0, 100), "across": 3, "over": "severity", "named_at": "left"}
    look["reference"] = figures["corruptions/clean"], "clean"
    panels = []
    for name in names:
        values = [figures[f"corruptions/{name}/{severity}"] for severity in SEVERITIES]
        curve = Curve("", SEVERITIES, values, end=f"{values[-1]:.0f}")
        panels.append(Panel("linear probe's accuracy, %", [curve], name.replace("_", " "), **look))
    save_png(panels, path)

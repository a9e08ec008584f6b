"""Collect the runs of all recipes into results.json and draw figure.png: python collect.py [FOLDER_OF_RUNS]"""

import json
import sys
from pathlib import Path

from matplotlib.figure import Figure

from sparring.recipe_files import load_recipe
from sparring.reports.record import Record, read_runs

HERE = Path(__file__).parent
ACCENT, MUTED = "#2a78d6", "#6b7280"
UNTRAINED = json.loads((HERE.parent / "fast" / "trials.json").read_text())[0]["knn"]["0.0"]
"""kNN accuracy of the same encoder at the same seed before training."""


def row(run: Record) -> dict[str, object]:
    """Last figures of a finished run."""
    figures = {name: round(run.require(name), 2) for name in ("knn", "rankme", "feature_spread")}
    units, commit = run.require("cost"), run.environment["commit"]
    return {"recipe": run.path.name, "epoch": run.reached, **figures, "units": units, "commit": commit}


def draw(rows: list[dict[str, object]], path: Path) -> None:
    """A dot for each recipe, by method; a stroke at the method alone, a line at the untrained encoder."""
    methods = {str(each["recipe"]): load_recipe(str(each["recipe"])).method.name for each in rows}
    accuracies = {str(each["recipe"]): each["knn"] for each in rows}
    ordered = sorted(rows, key=lambda each: (methods[each["recipe"]], each["recipe"] != methods[each["recipe"]]))[::-1]
    figure = Figure(figsize=(7, 0.24 * len(rows) + 0.8), layout="constrained")
    axes = figure.subplots()
    axes.axvline(UNTRAINED, color=MUTED, lw=1)
    axes.annotate("untrained", (UNTRAINED, len(rows) - 0.4), (3, 0), textcoords="offset points", size=7, color=MUTED)
    for place, each in enumerate(ordered):
        plain = accuracies.get(methods[each["recipe"]])
        if plain is not None:
            axes.plot([plain] * 2, [place - 0.4, place + 0.4], color=MUTED, lw=1.5)
        axes.plot(each["knn"], place, "o", color=ACCENT, ms=5)
        words = f"{each['knn']:.1f}"
        axes.annotate(words, (each["knn"], place), (6, 0), textcoords="offset points", va="center", size=7)
    names = [f"{methods[each['recipe']]}: {each['recipe']} ({each['units']:g})" for each in ordered]
    axes.set_yticks(range(len(rows)), names)
    axes.set_ylim(-0.6, len(rows) + 0.2)
    axes.margins(x=0.08)
    words = (
        "kNN accuracy after 5 epochs, %: one seed, no ranking (units per step in brackets; a stroke: without adversary)"
    )
    figure.supxlabel(words, fontsize=8)
    axes.tick_params(labelsize=7, length=0)
    axes.grid(axis="x", alpha=0.25)
    axes.spines[["top", "right", "left"]].set_visible(False)
    figure.savefig(path, dpi=160)


def main(folder: Path | None) -> None:
    results = HERE / "results.json"
    if folder:
        rows = [row(run) for run in read_runs([path.parent for path in sorted(folder.glob("*/encoder.safetensors"))])]
        results.write_text(json.dumps(rows, indent=1) + "\n")
    draw(json.loads(results.read_text()), HERE / "figure.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)

"""Collect the runs of all recipes into results.json and figure.png: python collect.py FOLDER_OF_RUNS"""

import json
import sys
from pathlib import Path

from matplotlib.figure import Figure

from sparring.reports.record import Record, read_runs

HERE = Path(__file__).parent


def row(run: Record) -> dict[str, object]:
    """Last figures of a finished run."""
    figures = {name: round(run.require(name), 2) for name in ("knn", "rankme", "feature_spread")}
    units, commit = run.require("cost"), run.environment["commit"]
    return {"recipe": run.path.name, "epoch": run.reached, **figures, "units": units, "commit": commit}


def draw(rows: list[dict[str, object]], path: Path) -> None:
    """One bar a recipe, with its units."""
    figure = Figure(figsize=(7, 0.24 * len(rows) + 0.7), layout="constrained")
    axes = figure.subplots()
    ordered = sorted(rows, key=lambda each: each["knn"])
    axes.barh([f"{each['recipe']}  ({each['units']:g})" for each in ordered], [each["knn"] for each in ordered])
    for place, each in enumerate(ordered):
        axes.annotate(
            f"{each['knn']:.1f}", (each["knn"], place), (3, 0), textcoords="offset points", va="center", size=7
        )
    axes.set_xlabel("kNN accuracy after 5 epochs, % (one seed; units per step in brackets)", size=8)
    axes.tick_params(labelsize=7, length=0)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=160)


def main(folder: Path) -> None:
    rows = [row(run) for run in read_runs([path.parent for path in sorted(folder.glob("*/encoder.safetensors"))])]
    (HERE / "results.json").write_text(json.dumps(rows, indent=1) + "\n")
    draw(rows, HERE / "figure.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""Collect the runs of all recipes into results.json and figure.png: python collect.py FOLDER_OF_RUNS"""

import json
import sys
from pathlib import Path

from matplotlib.figure import Figure

HERE = Path(__file__).parent


def row(run: Path) -> dict[str, object]:
    """Last figures of a finished run."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    last = [line for line in lines if "knn" in line][-1]
    about = json.loads((run / "environment.json").read_text())
    figures = {name: round(last[name], 2) for name in ("epoch", "knn", "rankme", "feature_spread")}
    return {"recipe": run.name, **figures, "units": [line["cost"] for line in lines if "cost" in line][-1],
            "commit": about["commit"]}  # fmt: skip


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
    rows = [row(run) for run in sorted(folder.iterdir()) if (run / "encoder.safetensors").is_file()]
    (HERE / "results.json").write_text(json.dumps(rows, indent=1) + "\n")
    draw(rows, HERE / "figure.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

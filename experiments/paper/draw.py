"""Gather the pair as far as it is trained into results.json and figure.png: python draw.py FOLDER_OF_THE_STUDY."""

import json
import sys
from pathlib import Path

from matplotlib.figure import Figure

from sparring.reports.record import read_runs

HERE = Path(__file__).parent
COLOURS = {"simsiam": "#6b7280", "learned-softmax": "#2a78d6"}
MEASURED = ("knn", "rankme", "feature_spread", "parameters/by_image")


def main(folder: Path) -> None:
    """What each evaluation measured, by epoch, and kNN accuracy as a curve for each arm."""
    runs = read_runs([folder / "runs" / f"{arm},seed=0" for arm in COLOURS])
    arms = {
        arm: {
            "seed": run.recipe["seed"],
            "epochs": run.recipe["epochs"],
            "reached": round(run.reached, 2),
            "commit": run.environment["commit"],
            "curves": {key: dict(run.series(key).points()) for key in MEASURED if run.series(key)},
        }
        for arm, run in zip(COLOURS, runs, strict=True)
    }
    (HERE / "results.json").write_text(json.dumps(arms, indent=1) + "\n")
    figure = Figure(figsize=(6, 3), layout="constrained")
    axes = figure.subplots()
    for arm, own in arms.items():
        axes.plot(
            list(own["curves"]["knn"]), list(own["curves"]["knn"].values()), "o-", ms=3, color=COLOURS[arm], label=arm
        )
    axes.set_xlabel("epoch of 150", fontsize=8)
    axes.set_ylabel("kNN accuracy, % (k = 200)", fontsize=8)
    axes.legend(frameon=False, fontsize=8)
    axes.tick_params(labelsize=8, length=0)
    axes.grid(axis="y", alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(HERE / "figure.png", dpi=150)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

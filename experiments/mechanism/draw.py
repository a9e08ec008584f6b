"""Draw each arm's seed 0 into figure.png, of a sweep's folder and into results.json, or of what that holds.

python draw.py [FOLDER_OF_THE_SWEEP]
"""

import json
import sys
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sparring.reports.record import read_runs

HERE = Path(__file__).parent
COLOURS = {
    "simclr": "#2a78d6",
    "simclr-fgsm": "#d6452a",
    "simclr-random-start": "#e0a030",
    "simsiam": "#2a78d6",
    "simsiam-colour": "#3a9a5b",
    "simsiam-pixels": "#d6452a",
}
Lines = list[dict[str, float]]


def plot(axes: Axes, runs: dict[str, Lines], key: str, style: str = "-", suffix: str = "") -> None:
    for arm, lines in runs.items():
        shown = [line for line in lines if key in line]
        if shown:
            epochs, values = [line["epoch"] for line in shown], [line[key] for line in shown]
            axes.plot(epochs, values, style, color=COLOURS[arm], lw=1.4, label=arm + suffix)


def dress(axes: Axes, title: str) -> None:
    axes.set_title(title, size=8, loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=7)
    axes.grid(axis="y", alpha=0.25)
    axes.legend(fontsize=6, frameon=False)


def draw(runs: dict[str, Lines], path: Path) -> None:
    """Above SimCLR and its negatives, below SimSiam, which has none."""
    contrastive = {arm: lines for arm, lines in runs.items() if arm.startswith("simclr")}
    others = {arm: lines for arm, lines in runs.items() if arm.startswith("simsiam")}
    attacked = {arm: lines for arm, lines in contrastive.items() if arm != "simclr"}
    figure = Figure(figsize=(10.5, 5.6), layout="constrained")
    (knn, weight, sizes), (knn_2, hard, spread) = figure.subplots(2, 3)
    plot(knn, contrastive, "knn")
    dress(knn, "SimCLR: kNN accuracy, %")
    plot(weight, contrastive, "negatives/clean/false_weight", "--", ", clean view")
    plot(weight, attacked, "negatives/adversary/false_weight", "-", ", hard view")
    dress(weight, "Share of negative weight on false negatives")
    for part, style in (("pull", "-"), ("push", ":")):
        plot(sizes, attacked, f"negatives/adversary/{part}", style, f", {part}")
    dress(sizes, "Gradient on the hard view's projection, by part")
    plot(knn_2, others, "knn")
    dress(knn_2, "SimSiam: kNN accuracy, %")
    for who, style in (("adversary", "-"), ("random", ":"), ("clean", "--")):
        plot(
            hard,
            {arm: lines for arm, lines in others.items() if arm != "simsiam"},
            f"hardness/{who}",
            style,
            f", {who}",
        )
    dress(hard, "Loss under the adversary, chance, and untouched")
    plot(spread, others, "feature_spread")
    dress(spread, "SimSiam: feature spread (1 is uniform)")
    for axes in (knn_2, hard, spread):
        axes.set_xlabel("epoch", size=7)
    figure.savefig(path, dpi=150)


def gather(folder: Path) -> None:
    """Write results.json."""
    runs = {run.label.partition(",")[0]: run for run in read_runs([folder / f"{arm},seed=0" for arm in COLOURS])}
    done = {arm: [line for line in run.lines if "knn" in line] for arm, run in runs.items()}
    commits = {arm: run.environment["commit"] for arm, run in runs.items()}
    (HERE / "results.json").write_text(json.dumps({"commits": commits, "evaluations": done}, indent=1) + "\n")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        gather(Path(sys.argv[1]))
    draw(json.loads((HERE / "results.json").read_text())["evaluations"], HERE / "figure.png")

"""Gather a sweep's finished cells by arm into results.json and figure.png, and print their table.

python experiments/collect.py FOLDER_OF_THE_SWEEP EXPERIMENT [ARM_TO_COMPARE_WITH [KEY]]

KEY names the accuracy to gather where a run has several: knn, or knn/k=20,t=0.1.
"""

import json
import sys
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from matplotlib.figure import Figure

from sparring.reports.compare import difference
from sparring.reports.cost import total_cost
from sparring.reports.record import Run, read_runs

ACCENT = "#2a78d6"
MEASURED = ("knn/", "rankme", "hardness/", "negatives/")


def gather(folder: Path, key: str) -> dict[str, dict[str, Any]]:
    """By arm: the last epoch's kNN accuracy of each seed, what else its evaluation measured, cost and commits."""
    cells = [path.parent for path in sorted(folder.glob("*,seed=*/encoder.safetensors"))]
    arms: dict[str, list[Run]] = {}
    for cell, run in zip(cells, read_runs(cells), strict=True):
        arms.setdefault(cell.name.rpartition(",seed=")[0], []).append(run)
    return {
        arm: _arm(runs, [cell for cell in cells if cell.name.startswith(f"{arm},")], key) for arm, runs in arms.items()
    }


def _arm(runs: list[Run], cells: list[Path], key: str) -> dict[str, Any]:
    knn = {run.recipe["seed"]: run.last(key) for run in runs}
    environments = [json.loads((cell / "environment.json").read_text()) for cell in cells]
    return {
        "knn": knn,
        "mean": mean(knn.values()),
        "deviation": stdev(knn.values()) if len(knn) > 1 else None,
        "epochs": runs[0].recipe["epochs"],
        "cost": mean(map(total_cost, runs)),
        "commits": sorted({each["commit"] for each in environments}),
        "last": {run.recipe["seed"]: _measured(run) for run in runs},
        "curves": {run.recipe["seed"]: dict(zip(*_curve(run, key), strict=True)) for run in runs},
    }


def _measured(run: Run) -> dict[str, float]:
    return {key: round(value, 5) for beginning in MEASURED for key, value in run.together(beginning).items()}


def _curve(run: Run, key: str) -> tuple[list[float], list[float]]:
    series = run.series(key)
    return list(series.epochs), list(series.values)


def draw(arms: dict[str, dict[str, Any]], path: Path) -> None:
    """A row for each arm, best above: a dot for each seed, a line at the mean."""
    order = sorted(arms, key=lambda arm: arms[arm]["mean"])
    figure = Figure(figsize=(7.2, 0.7 + 0.32 * len(order)), layout="constrained")
    axes = figure.subplots()
    for place, arm in enumerate(order):
        values = list(arms[arm]["knn"].values())
        axes.plot(values, [place] * len(values), "o", color=ACCENT, ms=4, alpha=0.6)
        axes.plot([arms[arm]["mean"]] * 2, [place - 0.3, place + 0.3], color=ACCENT, lw=2)
        axes.annotate(
            f"{arms[arm]['mean']:.1f}", (max(values), place), (7, 0), textcoords="offset points", va="center", size=7
        )
    axes.set_yticks(range(len(order)), order, fontsize=8)
    axes.set_xlabel("kNN accuracy at the last epoch, %: a dot for each seed, a line at the mean", fontsize=8)
    axes.tick_params(labelsize=8, length=0)
    axes.grid(axis="x", alpha=0.25)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.margins(x=0.12)
    figure.savefig(path, dpi=150)


def table(arms: dict[str, dict[str, Any]], rival: str | None) -> str:
    """Markdown, best first; differences are paired by seed, costs are encoder passes as a multiple of the rival's."""
    lines = [f"| arm | seeds | kNN, % | deviation | against {rival or ''} | cost |", "|---|---|---|---|---|---|"]
    for arm in sorted(arms, key=lambda arm: -arms[arm]["mean"]):
        own, words = arms[arm], ""
        if rival in arms and arm != rival and (found := difference(own["knn"], arms[rival]["knn"])):
            words = f"{found.mean:+.2f}"
            words += f" [{found.interval[0]:+.2f}, {found.interval[1]:+.2f}]" if found.interval else ""
        cost = f"{own['cost'] / arms[rival]['cost']:.2f}" if rival in arms else ""
        deviation = "" if own["deviation"] is None else f"{own['deviation']:.2f}"
        lines.append(f"| {arm} | {len(own['knn'])} | {own['mean']:.2f} | {deviation} | {words} | {cost} |")
    return "\n".join(lines)


def main(folder: Path, out: Path, rival: str | None = None, key: str = "knn") -> None:
    arms = gather(folder, key)
    (out / "results.json").write_text(json.dumps(arms, indent=1) + "\n")
    draw(arms, out / "figure.png")
    print(table(arms, rival))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:])

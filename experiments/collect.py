"""Gather a sweep's finished cells by arm into results.json and figure.png, and print their table.

python experiments/collect.py FOLDER_OF_THE_SWEEP EXPERIMENT [ARM_TO_COMPARE_WITH [KEY]]
python experiments/collect.py - EXPERIMENT [ARM_TO_COMPARE_WITH [KEY]]      # of what results.json holds

KEY names the accuracy to gather where a run has several: knn, or knn/k=20,t=0.1. What results.json holds stays, seed by
seed, unless the folder has the same run: a sweep may be run in pieces, on several machines. Differences are paired by
seed, with a 95 % interval by Student's t.
"""

import json
import re
import sys
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from matplotlib.figure import Figure

from sparring.errors import InputError, unknown
from sparring.reports.compare import difference
from sparring.reports.cost import total_cost
from sparring.reports.record import Record, read_runs

ACCENT = "#2a78d6"
GAP = 8
"""Arms more points than this below the next better one are off the figure's scale."""
MEASURED = ("knn/", "rankme", "hardness/", "negatives/", "adversary/", "spread/", "parameters/")
"""Beginnings of what is kept of a run's last evaluation besides the accuracy: also what the adversary chose."""


def gather(folder: Path, key: str) -> dict[str, dict[str, Any]]:
    """By arm: the last epoch's accuracy of each seed, what else its evaluation measured, cost and commits."""
    arms: dict[str, list[Record]] = {}
    for run in read_runs([path.parent for path in sorted(folder.glob("*,seed=*/encoder.safetensors"))]):
        arms.setdefault(run.path.name.rpartition(",seed=")[0], []).append(run)
    return {arm: _arm(runs, key) for arm, runs in arms.items()}


def _arm(runs: list[Record], key: str) -> dict[str, Any]:
    (epochs,) = {run.recipe["epochs"] for run in runs}
    return _summed_up(
        {
            "key": key,
            "knn": {str(run.recipe["seed"]): run.require(key) for run in runs},
            "epochs": epochs,
            "cost": mean(map(total_cost, runs)),
            "commits": sorted({run.environment["commit"] for run in runs}),
            "last": {str(run.recipe["seed"]): _measured(run) for run in runs},
            "curves": {str(run.recipe["seed"]): dict(zip(*_curve(run, key), strict=True)) for run in runs},
        }
    )


def _summed_up(arm: dict[str, Any]) -> dict[str, Any]:
    accuracies = arm["knn"].values()
    return {**arm, "mean": mean(accuracies), "deviation": stdev(accuracies) if len(accuracies) > 1 else None}


def merge(old: dict[str, dict[str, Any]], new: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Both, seed by seed; where both have a run, the new one. Runs of one arm must be comparable."""
    return {**old, **{arm: _joined(arm, old[arm], new[arm]) if arm in old else new[arm] for arm in new}}


def _joined(name: str, old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    old = {"key": "knn", **old}  # what older results are of
    for entry in ("key", "epochs", "cost"):
        if (held := old.get(entry)) != new[entry]:
            raise InputError(
                f"arm {name!r}: expected runs with {entry} {held}, as results.json holds, got {new[entry]}; "
                "gather them into another folder"
            )
    seeds = {entry: {**old.get(entry, {}), **new[entry]} for entry in ("knn", "last", "curves")}
    return _summed_up({**new, **seeds, "commits": sorted({*old["commits"], *new["commits"]})})


def _measured(run: Record) -> dict[str, float]:
    return {key: round(value, 5) for beginning in MEASURED for key, value in run.together(beginning).items()}


def _curve(run: Record, key: str) -> tuple[list[float], list[float]]:
    series = run.series(key)
    return list(series.epochs), list(series.values)


def _far_behind(arms: dict[str, dict[str, Any]], order: list[str]) -> list[str]:
    """Of arms from the worst to the best, those below the last wide gap in the lower half."""
    means = [arms[arm]["mean"] for arm in order]
    gaps = [place for place in range(1, len(order) // 2 + 1) if means[place] - means[place - 1] > GAP]
    return order[: max(gaps, default=0)]


def draw(arms: dict[str, dict[str, Any]], path: Path) -> None:
    """A row for each arm, best above: a dot for each seed, a line at the mean of several; far behind, a triangle."""
    order = sorted(arms, key=lambda arm: arms[arm]["mean"])
    far = _far_behind(arms, order)
    near = [value for arm in order if arm not in far for value in arms[arm]["knn"].values()]
    edge = min(near) - 0.15 * (max(near) - min(near))
    figure = Figure(figsize=(7.2, 0.7 + 0.32 * len(order)), layout="constrained")
    axes = figure.subplots()
    for place, arm in enumerate(order):
        behind = arm in far
        values = [edge] if behind else list(arms[arm]["knn"].values())
        axes.plot(values, [place] * len(values), "<" if behind else "o", color=ACCENT, ms=4, alpha=0.6)
        if len(values) > 1:
            axes.plot([arms[arm]["mean"]] * 2, [place - 0.3, place + 0.3], color=ACCENT, lw=2)
        words = f"{arms[arm]['mean']:.1f}{', off the scale' if behind else ''}"
        axes.annotate(words, (max(values), place), (7, 0), textcoords="offset points", va="center", size=7)
    axes.set_yticks(range(len(order)), order, fontsize=8)
    neighbours = re.search(r"k=\d+", next(iter(arms.values())).get("key", ""))
    measure = f"kNN accuracy{f' ({neighbours[0]})' if neighbours else ''}"
    axes.set_xlabel(f"{measure} at the last epoch, %: a dot for each seed, a line at the mean", fontsize=8)
    axes.tick_params(labelsize=8, length=0)
    axes.grid(axis="x", alpha=0.25)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.margins(x=0.12)
    axes.set_ylim(-0.6, len(order) - 0.4)
    figure.savefig(path, dpi=150)


def table(arms: dict[str, dict[str, Any]], rival: str | None) -> str:
    """Markdown, best first; differences are paired by seed, costs are encoder passes as a multiple of the rival's."""
    if rival is not None and rival not in arms:
        raise unknown("arm to compare with", rival, arms)
    lines = [f"| arm | seeds | kNN, % | deviation | against {rival or ''} | cost |", "|---|---|---|---|---|---|"]
    for arm in sorted(arms, key=lambda arm: -arms[arm]["mean"]):
        own, words, cost = arms[arm], "", ""
        if rival:
            found = difference(own["knn"], arms[rival]["knn"])
            words = str(found) if found and arm != rival else ""
            cost = f"{own['cost'] / arms[rival]['cost']:.2f}"
        deviation = "" if own["deviation"] is None else f"{own['deviation']:.2f}"
        lines.append(f"| {arm} | {len(own['knn'])} | {own['mean']:.2f} | {deviation} | {words} | {cost} |")
    return "\n".join(lines)


def by_key(arms: dict[str, dict[str, Any]], key: str | None) -> dict[str, dict[str, Any]]:
    """The arms that have this accuracy at their last evaluation, with it in place of the gathered one."""
    if key is None:
        return arms
    figures = {arm: {seed: last[key] for seed, last in own["last"].items() if key in last} for arm, own in arms.items()}
    return {arm: _summed_up({**arms[arm], "knn": own}) for arm, own in figures.items() if own}


def main(folder: str, out: Path, rival: str | None = None, key: str | None = None) -> None:
    results = out / "results.json"
    arms = json.loads(results.read_text()) if results.exists() else {}
    if folder == "-":
        print(table(by_key(arms, key), rival))
    else:
        arms = merge(arms, gather(Path(folder), key or "knn"))
        print(table(arms, rival))
        results.write_text(json.dumps(arms, indent=1) + "\n")
    draw(arms, out / "figure.png")


if __name__ == "__main__":
    try:
        main(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:])
    except InputError as error:
        sys.exit(f"collect.py: error: {error}")

"""Gather a sweep's finished cells by arm into results.json and figure.png, and print their table.

python experiments/collect.py FOLDER_OF_THE_SWEEP EXPERIMENT ARM_TO_COMPARE_WITH [KEY]
python experiments/collect.py - EXPERIMENT ARM_TO_COMPARE_WITH [KEY]      # prints what results.json holds

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

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sparring.errors import InputError, unknown
from sparring.reports.compare import Difference, difference, paired
from sparring.reports.record import Record, read_runs
from sparring.reports.spending import total_cost

ACCENT, MUTED = "#2a78d6", "#6b7280"
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


def _far_behind(means: list[float]) -> int:
    """Of means from the worst to the best, how many are below the last wide gap in the lower half."""
    gaps = [place for place in range(1, len(means) // 2 + 1) if means[place] - means[place - 1] > GAP]
    return max(gaps, default=0)


def draw(arms: dict[str, dict[str, Any]], rival: str, path: Path) -> None:
    """A row for each arm, best above, by points over the rival at the same seed; single seeds are hollow.

    A dot for each seed, a line over the 95 % interval with its middle marked; far behind, a triangle at the edge.
    """
    found = {arm: difference(own["knn"], arms[rival]["knn"]) for arm, own in arms.items()}
    means = {arm: each.mean for arm, each in found.items() if each}
    order = sorted(means, key=lambda arm: (means[arm], arms[arm]["mean"]))
    far = order[: _far_behind(sorted(means.values()))]
    figure = Figure(figsize=(7.2, 0.8 + 0.3 * len(order)), layout="constrained")
    axes = figure.subplots()
    axes.axvline(0, color=MUTED, lw=1, zorder=0)
    for place, arm in enumerate(order):
        if arm in far:
            continue
        if arm != rival:
            mark(axes, place, paired(arms[arm]["knn"], arms[rival]["knn"]), found[arm], ACCENT)
    axes.margins(x=0.06)
    edge = axes.get_xlim()[0]
    for arm in far:
        where = {"xy": (edge, order.index(arm)), "xytext": (3, 0), "textcoords": "offset points", "va": "center"}
        axes.annotate(f"\N{BLACK LEFT-POINTING TRIANGLE} {means[arm]:+.1f}", **where, size=7, color=ACCENT)
    axes.set_xlim(edge)
    for place, arm in enumerate(order):
        axes.annotate(
            f"{arms[arm]['mean']:.1f}", (1.02, place), xycoords=("axes fraction", "data"), va="center", size=8
        )
    axes.annotate("mean, %", (1.02, len(order) - 0.3), xycoords=("axes fraction", "data"), size=7, color=MUTED)
    axes.set_yticks(range(len(order)), [_named(arm, arms[arm]) for arm in order], fontsize=8)
    neighbours = re.search(r"k=(\d+)", arms[rival].get("key", ""))
    measure = f"kNN accuracy (k = {neighbours[1] if neighbours else 200}) at the last epoch"
    words = f"{measure}, points over {rival}: a dot for each seed, a line for the 95 % interval"
    figure.supxlabel(words, fontsize=8)
    dress(axes)
    axes.set_ylim(-0.6, len(order) - 0.4)
    figure.savefig(path, dpi=150)


def mark(axes: Axes, place: float, points: list[float], found: Difference, colour: str) -> None:
    """One row: a dot for each seed, hollow where there is one, a line over the interval with its middle marked."""
    fill = colour if len(points) > 1 else "none"
    axes.plot(points, [place] * len(points), "o", mec=colour, mfc=fill, ms=4, alpha=0.7)
    if found.interval:
        axes.plot(found.interval, [place] * 2, color=colour, lw=1.2)
        axes.plot([found.mean] * 2, [place - 0.25, place + 0.25], color=colour, lw=2)


def dress(axes: Axes) -> None:
    """Small figures, light lines upright, no frame but below."""
    axes.tick_params(labelsize=8, length=0)
    axes.grid(axis="x", alpha=0.25)
    axes.spines[["top", "right", "left"]].set_visible(False)


def _named(arm: str, own: dict[str, Any]) -> str:
    return f"{arm} (1 seed)" if len(own["knn"]) == 1 else arm


def table(arms: dict[str, dict[str, Any]], rival: str) -> str:
    """Markdown, best first; differences are paired by seed, costs are encoder passes as a multiple of the rival's."""
    lines = [f"| arm | seeds | kNN, % | deviation | against {rival} | cost |", "|---|---|---|---|---|---|"]
    for arm in sorted(arms, key=lambda arm: -arms[arm]["mean"]):
        own, found = arms[arm], difference(arms[arm]["knn"], arms[rival]["knn"])
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


def main(folder: str, out: Path, rival: str, key: str | None = None) -> None:
    results = out / "results.json"
    arms = json.loads(results.read_text()) if results.exists() else {}
    if folder != "-":
        arms = merge(arms, gather(Path(folder), key or "knn"))
        results.write_text(json.dumps(arms, indent=1) + "\n")  # before it is shown: a piece may be without the rival
    shown = by_key(arms, key) if folder == "-" else arms
    if rival not in shown:
        raise unknown("arm to compare with", rival, shown)
    print(table(shown, rival))
    if folder != "-":
        draw(arms, rival, out / "figure.png")


if __name__ == "__main__":
    if len(sys.argv) not in (4, 5):
        sys.exit(__doc__)
    try:
        main(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:])
    except InputError as error:
        sys.exit(f"collect.py: error: {error}")

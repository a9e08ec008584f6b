"""Draw across.png: weight on false negatives in SimCLR's other experiments, and what the adversary does to it.

python across.py
"""

import json
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

HERE = Path(__file__).parent
SOURCES = {
    "fast": (
        *("vanilla", "random-softmax", "random-grey", "learned-softmax", "learned-entropy-band", "learned-mix-0.8"),
        *("learned-kl-identity", "learned-mix", "learned-doubly-stochastic"),
    ),
    "no-prior": ("random-chain", "random-grey-chain", "learned-chain", "learned-chain-blind", "learned-chain-noise"),
}
"""By experiment: the arms; `hand-made` of no-prior is vanilla of fast."""
LOOKS = {
    "vanilla": {"color": "#5b6672"},
    "random": {"color": "#0072b2", "mfc": "none"},
    "learned": {"color": "#d55e00"},
}
"""By the first word of an arm's name."""
WEIGHT = "negatives/{}/false_weight"


def read() -> dict[str, list[tuple[float, float, float]]]:
    """By arm, for each seed: kNN accuracy, weight on false negatives of the clean view and of the hard one."""
    found = {}
    for name, arms in SOURCES.items():
        results = json.loads((HERE.parent / name / "results.json").read_text())
        for arm in arms:
            own = results[arm]
            found[arm] = [
                (own["knn"][seed], last[WEIGHT.format("clean")], last[WEIGHT.format("adversary")])
                for seed, last in own["last"].items()
            ]
    return found


def draw(arms: dict[str, list[tuple[float, float, float]]], path: Path) -> None:
    """Left: accuracy over weight; right, of arms with an adversary: weight on the hard view less on the clean one."""
    figure = Figure(figsize=(9.4, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    hardened = [arm for arm in arms if arm != "vanilla"]
    for arm, points in arms.items():
        look = {"marker": "o", "ls": "", "ms": 5, **LOOKS[arm.partition("-")[0]]}
        accuracies, clean, hard = zip(*points, strict=True)
        left.plot(clean, accuracies, **look)
        if arm in hardened:
            places = [-hardened.index(arm)] * len(points)
            right.plot([b - a for a, b in zip(clean, hard, strict=True)], places, **look)
    for label, look in LOOKS.items():
        left.plot([], [], "o", label=label, **look)
    left.legend(frameon=False, fontsize=7, loc="lower right")
    left.set_xlabel("share of the negatives' weight on false ones, clean view", size=8)
    left.set_ylabel("kNN accuracy, %", size=8)
    right.axvline(0, color="0.6", lw=1)
    right.set_yticks([-place for place in range(len(hardened))], hardened)
    right.set_xlabel("what the adversary adds to it: hard view less clean view", size=8)
    for axes in (left, right):
        dress(axes)
    figure.savefig(path, dpi=150)


def dress(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=7)
    axes.grid(alpha=0.25)


if __name__ == "__main__":
    arms = read()
    draw(arms, HERE / "across.png")
    for arm, points in arms.items():
        changes = ", ".join(f"{hard - clean:+.3f}" for _, clean, hard in points)
        print(f"{arm:20s} clean {', '.join(f'{clean:.3f}' for _, clean, _ in points)}; adversary adds {changes}")

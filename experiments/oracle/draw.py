"""Draw figure.png and print by how much more the attack costs where the loss knows the labels: python draw.py."""

import json
from pathlib import Path

from matplotlib.figure import Figure

from sparring.reports.compare import difference

HERE = Path(__file__).parent
ACCENT, MUTED = "#2a78d6", "#6b7280"
LOSSES = {"simclr": "SimCLR", "oracle": "told the labels: no false negatives"}
ARMS = {"": "alone", "-noise": "third view:\nrandom noise", "-fgsm": "third view:\nattacked"}


def main() -> None:
    """A panel for each loss, a thin line for each seed, a thick one for the mean; the attack's cost beside it."""
    arms = {name: arm["knn"] for name, arm in json.loads((HERE / "results.json").read_text()).items()}
    costs = {
        loss: {seed: arms[f"{loss}-fgsm"][seed] - arms[f"{loss}-noise"][seed] for seed in arms[loss]} for loss in LOSSES
    }
    figure = Figure(figsize=(7.2, 3.2), layout="constrained")
    for axes, (loss, title) in zip(figure.subplots(1, 2, sharey=True), LOSSES.items(), strict=True):
        rows = [[arms[loss + end][seed] for end in ARMS] for seed in arms[loss]]
        for row in rows:
            axes.plot(row, "o-", color=ACCENT, lw=0.8, ms=3, alpha=0.5)
        means = [sum(column) / len(rows) for column in zip(*rows, strict=True)]
        axes.plot(means, "o-", color=ACCENT, lw=2.2, ms=5)
        for place, mean in enumerate(means):
            above = 9 if place < 2 else -16
            axes.annotate(f"{mean:.1f}", (place, mean), (0, above), textcoords="offset points", ha="center", size=8)
        found = difference(costs[loss], dict.fromkeys(costs[loss], 0.0))
        axes.annotate(f"{found}", (1.55, (means[1] + means[2]) / 2 + 0.6), size=8, color=ACCENT)
        axes.set_title(title, loc="left", fontsize=9)
        axes.set_xticks(range(len(ARMS)), list(ARMS.values()), fontsize=8)
        axes.set_xlim(-0.3, 2.6)
        axes.margins(y=0.12)
        axes.tick_params(labelsize=8, length=0)
        axes.grid(axis="y", alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    figure.supylabel("kNN accuracy after 8 epochs, % (k = 200)", fontsize=8)
    figure.savefig(HERE / "figure.png", dpi=150)
    print("the attack against as much noise, told the labels less not:", difference(costs["oracle"], costs["simclr"]))


if __name__ == "__main__":
    main()

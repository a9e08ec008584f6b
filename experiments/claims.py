"""Draw docs/pictures/claims.png, the main comparisons of docs/study.md: python experiments/claims.py.

All points are of the experiments' results.json, paired by seed.
"""

import json
from pathlib import Path

from collect import MUTED, dress, mark
from matplotlib.figure import Figure

from sparring.reports.compare import Difference, difference, paired

HERE = Path(__file__).parent
GAIN, LOSS = "#2a78d6", "#c2410c"
CLAIMS = {
    "1  Negatives: attacked views against SimCLR": [
        ("signed step of 0.03 over SimCLR alone", "oracle", "simclr-fgsm", "simclr"),
        ("the same, over noise within that bound", "oracle", "simclr-fgsm", "simclr-noise"),
        ("the same, told which negatives are false", "oracle", "oracle-fgsm", "oracle-noise"),
        ("CLAE over SimCLR alone", "oracle", "simclr-clae", "simclr"),
        ("CLAE over noise within its bound", "oracle", "simclr-clae", "simclr-clae-noise"),
    ],
    "2  SimSiam and pixels": [
        ("random pixels over vanilla", "simsiam", "random-pixels", "vanilla"),
        ("random pixels as large as the step, over vanilla", "simsiam", "random-pixels-double", "vanilla"),
        ("signed step of 8/255 over vanilla", "simsiam", "fgsm-pixels", "vanilla"),
        ("five smaller steps within 8/255 over vanilla", "simsiam", "pgd-pixels", "vanilla"),
    ],
    "3, 4  A learned colour": [
        ("over vanilla, SimSiam, 10 epochs", "screening", "learned-softmax", "vanilla"),
        ("over vanilla, SimCLR, 8 epochs", "fast", "learned-softmax", "vanilla"),
        ("over vanilla, SimCLR, 40 epochs", "finals", "learned-softmax", "vanilla"),
        ("over the same at random, 40 epochs", "finals", "learned-softmax", "random-softmax"),
        ("over random greys, 40 epochs", "finals", "learned-softmax", "random-grey"),
        ("clothes (k = 20): over the hand-made policy", "clothing", "hand-made-softmax", "hand-made"),
        ("clothes (k = 20): over random greys", "clothing", "hand-made-softmax", "hand-made-random-grey"),
    ],
    "5  Other structure, SimSiam": [
        ("learned rotation over vanilla", "simsiam", "learned-rotation", "vanilla"),
        ("random rotation over vanilla", "simsiam", "random-rotation", "vanilla"),
        ("learned over random rotation", "simsiam", "learned-rotation", "random-rotation"),
        ("learned jitter over vanilla", "simsiam", "learned-jitter", "vanilla"),
        ("random jitter over vanilla", "simsiam", "random-jitter", "vanilla"),
        ("learned over random jitter", "simsiam", "learned-jitter", "random-jitter"),
        ("learned translation over vanilla", "simsiam", "learned-translation", "vanilla"),
        ("random translation over vanilla", "simsiam", "random-translation", "vanilla"),
        ("learned over random translation", "simsiam", "learned-translation", "random-translation"),
    ],
    "6  Constraint: over vanilla, SimCLR, 8 epochs": [
        ("none", "fast", "learned-softmax", "vanilla"),
        ("entropy within a band", "fast", "learned-entropy-band", "vanilla"),
        ("mix, at most 0.8", "fast", "learned-mix-0.8", "vanilla"),
        ("divergence from the identity", "fast", "learned-kl-identity", "vanilla"),
        ("mix, at most 0.4", "fast", "learned-mix", "vanilla"),
        ("doubly stochastic", "fast", "learned-doubly-stochastic", "vanilla"),
    ],
    "In place of the hand-made policy, over it": [
        ("CIFAR-10, 40 epochs: learned colour, random jitter", "finals", "learned-colour-chance-jitter", "vanilla"),
        ("the same: both learned", "finals", "learned-chain-blind", "vanilla"),
        ("the same: both at random", "finals", "random-chain", "vanilla"),
        ("learned colour, random jitter, over both random", "finals", "learned-colour-chance-jitter", "random-chain"),
        ("clothes (k = 20), 40 epochs: learned colour", "clothing", "learned-colour-chance-jitter", "hand-made"),
        ("the same: both at random", "clothing", "random-chain", "hand-made"),
        ("EuroSAT, 40 epochs: learned masks", "eurosat-40", "learned-mask", "hand-made"),
        ("the same: at random", "eurosat-40", "random-mask", "hand-made"),
    ],
}


def main() -> None:
    """A row for each pair of arms, blue or red where the 95 % interval is above or below 0, else grey."""
    arms = {path.parent.name: json.loads(path.read_text()) for path in HERE.glob("*/results.json")}
    figure = Figure(figsize=(7.2, 9.4), layout="constrained")
    axes = figure.subplots()
    axes.axvline(0, color=MUTED, lw=1, zorder=0)
    ticks, place = {}, 0.0
    for claim, rows in CLAIMS.items():
        ticks[place] = claim
        for words, experiment, arm, rival in rows:
            place += 1
            ours, theirs = (arms[experiment][each]["knn"] for each in (arm, rival))
            found = difference(ours, theirs)
            assert found
            mark(axes, place, paired(ours, theirs), found, _colour(found))
            ticks[place] = words
            axes.annotate(_figure(found), (1.02, place), xycoords=("axes fraction", "data"), va="center", size=7.5)
        place += 1.6
    axes.set_yticks(list(ticks), list(ticks.values()), fontsize=8)
    for label in axes.get_yticklabels():
        label.set_weight("bold" if label.get_text() in CLAIMS else "normal")
    axes.set_ylim(place - 1, -0.8)
    axes.set_xlabel(
        "kNN accuracy at the last epoch, points: a dot for a seed, a line for the 95 % interval", fontsize=8
    )
    dress(axes)
    figure.savefig(HERE.parent / "docs" / "pictures" / "claims.png", dpi=150)


def _colour(found: Difference) -> str:
    if not found.interval:
        return MUTED
    low, high = found.interval
    return GAIN if low > 0 else LOSS if high < 0 else MUTED


def _figure(found: Difference) -> str:
    return f"{found.mean:+.1f}" + (f" ({found.seeds} seed{'s' * (found.seeds > 1)})" if found.seeds != 3 else "")


if __name__ == "__main__":
    main()

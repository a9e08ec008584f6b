"""Draw what the constrained adversaries chose into constants.png: python draw.py FOLDER_OF_THE_SWEEP [SEED]"""

import sys
from dataclasses import replace
from pathlib import Path

from sparring.reports import charts, curves
from sparring.reports.record import read_runs

HERE = Path(__file__).parent
ARMS = ("mix", "mix-0.8", "doubly-stochastic", "kl-identity", "entropy-band")


def main(folder: Path, seed: int = 2) -> None:
    runs = read_runs([folder / f"learned-{arm},seed={seed}" for arm in ARMS])
    named = [replace(run, label=arm) for run, arm in zip(runs, ARMS, strict=True)]
    shown = [panel for panel in curves.parameters(named) if panel.curves[0].end in "RGB"]
    charts.save_png(shown, HERE / "constants.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))

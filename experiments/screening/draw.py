"""Draw what two learned arms chose into constants.png and print where they ended: python draw.py FOLDER_OF_THE_SWEEP"""

import sys
from dataclasses import replace
from pathlib import Path

from sparring.reports import charts, curves
from sparring.reports.record import read_runs

HERE = Path(__file__).parent
ARMS = ("learned-softmax", "learned-mix")
SHOWN = (*(f"adversary/colour/r_from_{channel}" for channel in "rgb"), "spread/colour/r_from_b", "parameters/by_image")


def main(folder: Path) -> None:
    first = read_runs([folder / f"{arm},seed=0" for arm in ARMS])
    short = [replace(run, label=arm.removeprefix("learned-")) for run, arm in zip(first, ARMS, strict=True)]
    charts.save_png(curves.parameters(short), HERE / "constants.png")
    for run in read_runs(sorted(path for arm in ARMS for path in folder.glob(f"{arm},seed=*"))):
        ends = {key: run.last(key) for key in SHOWN}
        print(run.label, {key: round(value, 2) for key, value in ends.items() if value is not None})


if __name__ == "__main__":
    main(Path(sys.argv[1]))

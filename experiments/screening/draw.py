"""Draw what learned arms chose and print where they ended: python draw.py FOLDER_OF_THE_SWEEP

Colours go into constants.png (seed 0), affine and mask into geometry.png (seed 2), if the folder has them.
"""

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from sparring.reports import charts, curves
from sparring.reports.record import Record, read_runs

HERE = Path(__file__).parent
COLOURS, GEOMETRY = ("learned-softmax", "learned-mix"), ("learned-affine", "learned-mask")
COLOUR = (*(f"adversary/colour/r_from_{channel}" for channel in "rgb"), "spread/colour/r_from_b")
SHOWN = ("adversary/", "spread/", "parameters/by_image", "hardness/")


def runs_of(folder: Path, arms: Sequence[str], seed: int | str) -> list[Record]:
    """Those that are there."""
    paths = sorted(path for arm in arms for path in folder.glob(f"{arm},seed={seed}"))
    return read_runs(paths) if paths else []


def main(folder: Path) -> None:
    if colours := runs_of(folder, COLOURS, 0):
        short = [replace(run, label=run.label.removeprefix("learned-").removesuffix(",seed=0")) for run in colours]
        charts.save_png(curves.parameters(short), HERE / "constants.png")
    if geometry := runs_of(folder, GEOMETRY, 2):
        charts.save_png([panel for run in geometry for panel in curves.parameters([run])], HERE / "geometry.png")
    for run in runs_of(folder, [*COLOURS, *GEOMETRY], "*"):
        keys = [key for shown in SHOWN for key in run.keys(shown) if "/colour/" not in key or key in COLOUR]
        print(run.label, {key: round(value, 2) for key in keys if (value := run.last(key)) is not None})


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""Draw claim 2 into pixels.png and claim 5 into structure.png: python draw.py [FOLDER_OF_THE_SWEEP]

With the sweep's folder, also what the learned ones of claim 5 chose, seed 0, into constants.png.
"""

import json
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent))

from collect import draw  # noqa: E402

from sparring.reports import charts, curves  # noqa: E402
from sparring.reports.record import read_runs  # noqa: E402

LEARNED = ("learned-rotation", "learned-translation", "learned-jitter")
RIVAL = "vanilla"


def main() -> None:
    arms = json.loads((HERE / "results.json").read_text())
    pixels = {arm: own for arm, own in arms.items() if "pixels" in arm or arm == RIVAL}
    draw(pixels, RIVAL, HERE / "pixels.png")
    draw({arm: own for arm, own in arms.items() if arm not in pixels or arm == RIVAL}, RIVAL, HERE / "structure.png")
    if len(sys.argv) > 1:
        runs = read_runs([Path(sys.argv[1]) / f"{arm},seed=0" for arm in LEARNED])
        charts.save_png([panel for run in runs for panel in curves.parameters([run])], HERE / "constants.png")


if __name__ == "__main__":
    main()

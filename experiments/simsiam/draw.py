"""Draw the arms of claim 2 into pixels.png and those of claim 5 into structure.png: python draw.py."""

import json
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent))

from collect import draw  # noqa: E402

RIVAL = "vanilla"


def main() -> None:
    arms = json.loads((HERE / "results.json").read_text())
    pixels = {arm: own for arm, own in arms.items() if "pixels" in arm or arm == RIVAL}
    draw(pixels, RIVAL, HERE / "pixels.png")
    draw({arm: own for arm, own in arms.items() if arm not in pixels or arm == RIVAL}, RIVAL, HERE / "structure.png")


if __name__ == "__main__":
    main()

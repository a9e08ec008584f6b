"""Seconds to the first step of CIFAR-10 besides imports, for a first and a second start, and of `sparring --help`.

    python benchmarks/start.py --data-root FOLDER [--images FOLDER_OF_IMAGES] [--repetitions 5] [--out FILE.json]

Every start is a process of its own; the first one of a repetition finds an empty cache. Nothing else may run beside.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import tyro

from sparring.environment import environment

START = """
import sys, time
from pathlib import Path
import torchvision, lightning_fabric
from sparring.fit import Fit
from sparring.recipe import Part, Recipe
from sparring.run import Run
from sparring.training import launch, load_data
began = time.perf_counter()
recipe = Recipe(data=sys.argv[1], data_root=sys.argv[2] or None, image_size=32, adversary=Part("none"))
Fit(recipe, load_data(recipe), launch(recipe), Run(Path("unused"))).round()
print(time.perf_counter() - began)
"""


@dataclass
class Options:
    data_root: Path
    """Where CIFAR-10 lies."""
    images: Path | None = None
    """A folder of image files to start from as well."""
    repetitions: int = 5
    out: Path | None = None
    """JSON file to write."""


def start(data: str, root: str, cache: str) -> float:
    """Seconds from the recipe to the end of the first step."""
    environ = {**os.environ, "SPARRING_CACHE": cache}
    done = subprocess.run(
        [sys.executable, "-c", START, data, root], check=True, stdout=subprocess.PIPE, text=True, env=environ
    )
    return float(done.stdout.split()[-1])


def main(options: Options) -> None:
    seconds: dict[str, list[float]] = defaultdict(list)
    sources = {"cifar10": ("cifar10", str(options.data_root))}
    sources |= {"folder": (str(options.images), "")} if options.images else {}
    for _ in range(options.repetitions):
        for name, (data, root) in sources.items():
            with tempfile.TemporaryDirectory() as cache:
                seconds[f"{name}, first start"].append(start(data, root, cache))
                seconds[f"{name}, second start"].append(start(data, root, cache))
        began = time.perf_counter()
        subprocess.run([sys.executable, "-m", "sparring", "--help"], check=True, capture_output=True)
        seconds["sparring --help"].append(time.perf_counter() - began)
    for name, values in seconds.items():
        print(f"{name:24s} {median(values):6.2f} s ({min(values):.2f} to {max(values):.2f})")
    if options.out:
        options.out.write_text(json.dumps({"environment": environment(), "seconds": seconds}, indent=2) + "\n")


if __name__ == "__main__":
    main(tyro.cli(Options))

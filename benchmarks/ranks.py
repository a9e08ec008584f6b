"""Two gloo processes against one process with all threads, on the same cores: images per second of vanilla SimSiam.

    python benchmarks/ranks.py [--batch-size 512] [--width 0.25] [--repetitions 5] [--out FILE.json]

Both are `sparring train` on the shipped photographs, in turns; speeds are those of its log, of all devices together,
without evaluations and without the first line, which warms up. Nothing else may run beside.
"""

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import tyro

from sparring.environment import environment
from sparring.run import Run

CONTESTANTS = {"one process": "1", "two processes": "2"}


@dataclass
class Options:
    batch_size: int = 512
    """Images of a step, over all processes."""
    width: float = 0.25
    """Of ResNet-12."""
    epochs: int = 6
    """Of a turn, at least 2, since the first warms up; five steps each at a batch of 512."""
    repetitions: int = 5
    out: Path | None = None
    """JSON file to write."""


def speed(devices: str, options: Options) -> float:
    """Images per second, the median over a run's log lines."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        size = ["--batch-size", str(options.batch_size), "--encoder.width", str(options.width)]
        length = ["--epochs", str(options.epochs), "--evaluate-every", str(options.epochs), "--log-every", "5"]
        command = [sys.executable, "-m", "sparring", "train", "--data", "sample", "--accelerator", "cpu"]
        command += ["--adversary", "none", "--devices", devices, *size, *length, "--run", str(run)]
        unset = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=unset)
        speeds = [line["images_per_second"] for line in Run.open(run).metrics() if "loss" in line]
        return median(speeds[1:])


def main(options: Options) -> None:
    speeds: dict[str, list[float]] = {name: [] for name in CONTESTANTS}
    for repetition in range(options.repetitions):
        for name, devices in CONTESTANTS.items():
            speeds[name].append(speed(devices, options))
            print(f"turn {repetition + 1} of {options.repetitions}: {name} {speeds[name][-1]:,.0f} images/s")
    ratio = median(speeds["two processes"]) / median(speeds["one process"])
    print(f"two processes over one: {ratio:.2f}")
    result = {"environment": environment(), "batch_size": options.batch_size, "width": options.width}
    result |= {"images_per_second": speeds, "two_over_one": ratio}
    if options.out:
        options.out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main(tyro.cli(Options))

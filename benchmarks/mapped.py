"""Training on images that are memory-mapped, against the same images in memory: speed in turns, and peak memory.

    python benchmarks/mapped.py FOLDER [--images 400000] [--side 64] [--out FILE.json]

FOLDER receives images of noise as one file (12 KB each at 64x64; 4.9 GB by default) and is not cleared. Every
contestant has a process of its own; "few" trains on two batches: the model, its activations and the libraries.
Batches are shuffled over the whole file, which is read once before, so that the system's cache is warm.
"""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro

from sparring.bench.clock import Turn, take_turns
from sparring.bench.contestants import Arena, steps_of
from sparring.bench.elsewhere import elsewhere
from sparring.datasets import DataSet, Images
from sparring.datasets.cache import map_pixels, write_pixels
from sparring.environment import environment
from sparring.recipe import Part, Recipe

BLOCK = 4000


@dataclass
class Options:
    folder: Annotated[Path, tyro.conf.Positional]
    """Where the file of images lies or is written to."""
    images: int = 400_000
    side: int = 64
    """Pixels."""
    batch_size: int = 128
    width: float = 0.25
    """Of ResNet-12."""
    steps: int = 5
    """Of a turn."""
    repetitions: int = 5
    out: Path | None = None
    """JSON file to write."""


def noise(options: Options) -> Iterator[np.ndarray]:
    random = np.random.default_rng(0)
    for start in range(0, options.images, BLOCK):
        count = min(BLOCK, options.images - start)
        yield random.integers(0, 256, (count, 3, options.side, options.side), dtype=np.uint8)


def contestant(name: str, path: Path, options: Options) -> Turn:
    """Vanilla SimSiam on the mapped images, on a copy in memory, or on few."""
    mapped = map_pixels(path)
    copy = {"mapped": lambda: mapped, "in memory": mapped.clone, "few": mapped[: 2 * options.batch_size].clone}
    pixels = copy[name]()
    size = Recipe(batch_size=options.batch_size, encoder=Part("resnet12", {"width": options.width}))
    return steps_of(Arena(DataSet(name, Images(pixels, None, ()), None), size).vanilla())


def warm(path: Path) -> None:
    """Read the file once, so that it is in the system's cache."""
    with path.open("rb") as file:
        while file.read(2**24):
            pass


def main(options: Options) -> None:
    path = options.folder / f"noise-{options.images}-{options.side}.npy"
    if not path.exists():
        options.folder.mkdir(parents=True, exist_ok=True)
        write_pixels(path, noise(options), options.side)
    warm(path)
    with ExitStack() as stack:
        turns = {
            name: stack.enter_context(elsewhere(contestant, name, path, options))
            for name in ("mapped", "in memory", "few")
        }
        times = take_turns(turns, repetitions=options.repetitions, steps=options.steps, say=print)
        peaks = {name: play(0) for name, play in turns.items()}
    rates = {name: own.rates(options.batch_size) for name, own in times.items()}
    result = {
        "environment": environment(),
        "images": options.images,
        "side": options.side,
        "batch_size": options.batch_size,
        "images_per_second": rates,
        "mapped_over_in_memory": rates["mapped"][0] / rates["in memory"][0],
        "peak_mib": peaks,
        "mapped_beyond_few_mib": peaks["mapped"] - peaks["few"],
    }
    text = json.dumps(result, indent=2)
    print(text)
    if options.out:
        options.out.write_text(text + "\n")


if __name__ == "__main__":
    main(tyro.cli(Options))

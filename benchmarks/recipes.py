"""Step time of every shipped recipe over vanilla SimSiam's, in turns within one run, at one size for all.

    python benchmarks/recipes.py --data-root FOLDER_WITH_CIFAR10 [--batch-size 128] [--repetitions 5] [--out FILE.json]

All train ResNet-12 at 1/4 on CIFAR-10 with their own method, views and adversary; the median and the spread over the
repetitions count. A ratio to read beside the units of docs/recipes.md: what a step costs beyond encoder passes.
"""

import json
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import tyro

from sparring.datasets import DataSet, load_dataset
from sparring.fit import Fit
from sparring.recipe import Part
from sparring.recipe_files import load_recipe, shipped_recipes
from sparring.run import Run, environment
from sparring.training import launch

BASELINE = "simsiam"


@dataclass
class Options:
    data_root: Path
    """Where CIFAR-10 lies."""
    batch_size: int = 128
    """Images per step."""
    steps: int = 3
    """Steps per repetition."""
    repetitions: int = 5
    """Turns of each recipe."""
    out: Path | None = None
    """JSON file to write."""


def steps_of(name: str, data: DataSet, options: Options) -> Callable[[int], None]:
    """Whole steps of the project's own loop: batch, views, adversary, forward, backward, optimisers."""
    encoder = Part("resnet12", {"width": 0.25})
    recipe = replace(load_recipe(Path(name)), data="cifar10", batch_size=options.batch_size, encoder=encoder)
    fit = Fit(recipe, data, launch(recipe), Run(Path("unused")))

    def run(steps: int) -> None:
        for _ in range(steps):
            fit._round()
        fit.losses.clear()

    return run


def main(options: Options) -> None:
    data = load_dataset("cifar10", root=options.data_root)
    contestants = {name: steps_of(name, data, options) for name in shipped_recipes()}
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for repetition in range(options.repetitions + 1):  # the first warms up
        for name, run in contestants.items():
            began = time.perf_counter()
            run(options.steps)
            if repetition:
                seconds[name].append((time.perf_counter() - began) / options.steps)
    base = statistics.median(seconds[BASELINE])
    for name, values in seconds.items():
        ratios = sorted(value / base for value in values)
        print(f"{name:26s} {statistics.median(ratios):5.2f} of {BASELINE}'s step ({ratios[0]:.2f} to {ratios[-1]:.2f})")
    if options.out:
        result = {"environment": environment(), "batch_size": options.batch_size, "seconds_per_step": seconds}
        options.out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main(tyro.cli(Options))

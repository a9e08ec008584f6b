"""Images per second of whole training steps (two views each): sparring with each adversary, and lightly as a peer.

    python benchmarks/throughput.py --data-root FOLDER_WITH_CIFAR10 [--batch-size 512] [--repetitions 5] [--out FILE.json]

All contestants train the same encoder (ResNet-12 at 1/4) and heads with SimSiam on CIFAR-10, in turns within one run, so
that a slower minute of the machine meets all of them; the median and the spread over the repetitions count. lightly is
used as its documentation shows it: its SimSiam transform on PIL images in a DataLoader with one worker per core, its
heads and its loss, in float32.
"""

import json
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
import tyro
from lightly.loss import NegativeCosineSimilarity
from lightly.models.modules import SimSiamPredictionHead, SimSiamProjectionHead
from lightly.transforms import SimSiamTransform
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from sparring.datasets import DataSet, load_dataset
from sparring.encoders import resnet12
from sparring.fit import Fit
from sparring.recipe import Part, Recipe
from sparring.run import Run, environment
from sparring.training import launch

CONTESTANTS = {
    "vanilla": Recipe(adversary=Part("none")),
    "random colour": Recipe(adversary=Part("random")),
    "learned colour": Recipe(),
    "FGSM pixels": Recipe(adversary=Part("search", {"steps": 1}), transform=Part("pixels")),
}


@dataclass
class Options:
    data_root: Path
    """Where CIFAR-10 lies."""
    batch_size: int = 512
    """Images per step."""
    steps: int = 20
    """Steps per repetition."""
    repetitions: int = 5
    """Turns of each contestant."""
    out: Path | None = None
    """JSON file to write."""


def sparring_steps(recipe: Recipe, data: DataSet, options: Options) -> Callable[[int], None]:
    """Whole steps of the project's own loop: batch, views, adversary, forward, backward, optimisers."""
    from dataclasses import replace

    fit = Fit(replace(recipe, batch_size=options.batch_size, epochs=10_000), data, launch(recipe), Run(Path("unused")))

    def run(steps: int) -> None:
        for _ in range(steps):
            fit._round()
        fit.losses.clear()

    return run


class Pictures(Dataset):
    """PIL images, as a torchvision data set gives them."""

    def __init__(self, pixels: Tensor) -> None:
        self.pixels, self.transform = pixels.permute(0, 2, 3, 1).numpy(), SimSiamTransform(input_size=32, gaussian_blur=0.0)

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, index: int) -> list[Tensor]:
        return self.transform(Image.fromarray(self.pixels[index]))


def lightly_steps(data: DataSet, options: Options) -> Callable[[int], None]:
    """The loop of lightly's SimSiam example."""
    heads = SimSiamProjectionHead(128, 2048, 2048), SimSiamPredictionHead(2048, 512, 2048)
    model, criterion = nn.ModuleList([resnet12(width=0.25), *heads]), NegativeCosineSimilarity()
    optimiser = torch.optim.SGD(model.parameters(), lr=0.06, momentum=0.9, weight_decay=5e-4)
    workers = torch.get_num_threads()
    loader = DataLoader(
        Pictures(data.train.pixels), options.batch_size, shuffle=True, drop_last=True, num_workers=workers,
        persistent_workers=True,
    )  # fmt: skip

    def endless() -> Iterator[list[Tensor]]:
        while True:
            yield from loader

    batches = endless()

    def run(steps: int) -> None:
        for _ in range(steps):
            views = next(batches)
            features = [model[0](view) for view in views]
            projections = [model[1](feature) for feature in features]
            predictions = [model[2](projection) for projection in projections]
            pairs = [(predictions[0], projections[1].detach()), (predictions[1], projections[0].detach())]
            loss = sum(criterion(*pair) for pair in pairs) / 2
            loss.backward()
            optimiser.step()
            optimiser.zero_grad()

    return run


def main(options: Options) -> None:
    data = load_dataset("cifar10", root=options.data_root)
    contestants = {name: sparring_steps(recipe, data, options) for name, recipe in CONTESTANTS.items()}
    contestants["lightly"] = lightly_steps(data, options)
    speeds: dict[str, list[float]] = {name: [] for name in contestants}
    for repetition in range(options.repetitions + 1):  # the first warms up
        for name, run in contestants.items():
            began = time.perf_counter()
            run(options.steps)
            if repetition:
                speeds[name].append(options.steps * options.batch_size / (time.perf_counter() - began))
    medians = {name: statistics.median(values) for name, values in speeds.items()}
    for name, values in speeds.items():
        print(
            f"{name:16s} {medians[name]:7.0f} images/s ({min(values):.0f} to {max(values):.0f})"
            f"  step time over vanilla {medians['vanilla'] / medians[name]:.2f}"
            f"  over lightly {medians[name] / medians['lightly']:.2f}x"
        )
    if options.out:
        result = {"environment": environment(), "batch_size": options.batch_size, "images_per_second": speeds}
        options.out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main(tyro.cli(Options))

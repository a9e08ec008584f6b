"""Minutes of training to a kNN accuracy on CIFAR-10: a recipe of ours, and lightly's SimCLR and SimSiam.

    python benchmarks/time_to_accuracy.py --data-root FOLDER --out FILE.json [--recipe fast] [--target 60] [--seeds 3]

Ours trains to its last epoch, once a seed; its minutes are those of all its steps, without evaluations, and it counts
only if its last epoch reaches the target. lightly's recipes are those of its CIFAR-10 benchmark (batch 128, SGD at
0.06, momentum 0.9, weight decay 5e-4, cosine to 0 over `--peer-epochs`, two-layer heads) on our encoder, with its own
transforms on PIL images, DataLoader and losses, in float32. They train for the first `--peer-trained` epochs of that
schedule: their kNN there is measured, and minutes per epoch times the epochs of the whole schedule extrapolated.
Nothing else may run beside.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from statistics import mean
from typing import Any

import torch
import tyro
from torch.optim.lr_scheduler import CosineAnnealingLR

from sparring.assembly import context_of
from sparring.bench.peer import Peer
from sparring.datasets import DataSet, load_dataset
from sparring.environment import environment
from sparring.evaluations import Knn, extract, features_of
from sparring.parts import build
from sparring.recipe import Part
from sparring.recipe_files import load_recipe
from sparring.run import Run

BATCH = 128


@dataclass
class Options:
    data_root: Path
    """Where CIFAR-10 lies."""
    recipe: str = "fast"
    target: float = 60.0
    """kNN accuracy in percent."""
    seeds: int = 3
    runs: Path = Path("runs/time-to-accuracy")
    """Where ours are kept; a finished one is not trained again."""
    peer_epochs: dict[str, int] = field(default_factory=dict)
    """Epochs after which each of lightly's recipes reaches the target, as in `simclr 18 simsiam 40`; none: no peer."""
    peer_trained: int = 2
    """Epochs for which they are trained here."""
    width: float = 0.25
    """Of the peer's ResNet-12."""
    out: Path | None = None
    """JSON file to write."""


def ours(options: Options, seed: int) -> dict[str, Any]:
    """Train the recipe and read what it took; a finished run of the same recipe is only read."""
    run = options.runs / f"{options.recipe}-{seed}"
    asked = replace(load_recipe(Path(options.recipe)), data="cifar10", seed=seed)
    same = Run(run).finished and replace(Run(run).recipe(), data_root=None) == asked
    if not same:
        place = ["--data", "cifar10", "--data-root", str(options.data_root), "--seed", str(seed), "--run", str(run)]
        command = [sys.executable, "-m", "sparring", "train", "--recipe", options.recipe, *place, "--overwrite"]
        subprocess.run(command, check=True)
    recipe, lines = Run(run).recipe(), Run.open(run).metrics()
    accuracies = {line["epoch"]: line["knn"] for line in lines if "knn" in line}
    return {
        "seed": seed,
        "commit": json.loads(Run(run).environment_path.read_text())["commit"],
        "knn": accuracies,
        "reached": accuracies[max(accuracies)] >= options.target,
        "minutes": seconds_of_training(lines, recipe.batch_size) / 60,
        "epochs": recipe.epochs,
    }


def seconds_of_training(lines: list[dict[str, float]], batch_size: int) -> float:
    """Of all steps, from the speeds that were logged; evaluations lie between them."""
    logged, seconds, step = [line for line in lines if "images_per_second" in line], 0.0, 0
    for line in logged:
        seconds += (line["step"] - step) * batch_size / line["images_per_second"]
        step = int(line["step"])
    return seconds


def peers(options: Options, data: DataSet) -> Iterator[dict[str, Any]]:
    """Train each of lightly's recipes for the first epochs of its schedule."""
    for name, epochs in options.peer_epochs.items():
        torch.manual_seed(0)
        encoder = build("encoder", Part("resnet12", {"width": options.width}), context_of(data))
        peer, knn, seconds = Peer(name, encoder, data.train.pixels.shape[-1]), {}, []
        loader, schedule = peer.loader(data.train.pixels, BATCH), CosineAnnealingLR(peer.optimiser, epochs)
        for epoch in range(min(options.peer_trained, epochs)):
            for step, views in enumerate(loader):
                if step == 1:  # the first waits for the workers to start
                    began = time.perf_counter()
                peer.step(views)
            schedule.step()
            seconds.append((time.perf_counter() - began) * len(loader) / (len(loader) - 1))
            knn[epoch + 1] = Knn()(features_of(data, partial(extract, encoder)))["knn"]
            print(f"lightly {name}: epoch {epoch + 1} of {epochs}, {seconds[-1]:.0f} s, kNN {knn[epoch + 1]:.2f} %")
        minutes = mean(seconds) * epochs / 60
        yield {"name": name, "knn": knn, "seconds_per_epoch": seconds, "epochs": epochs, "minutes": minutes}


def main(options: Options) -> None:
    data = load_dataset("cifar10", root=options.data_root)
    played = [ours(options, seed) for seed in range(options.seeds)]
    for each in played:
        last, missed = each["knn"][max(each["knn"])], "" if each["reached"] else f", short of {options.target:g} %"
        print(f"{options.recipe}, seed {each['seed']}: {last:.2f} % in {each['minutes']:.2f} minutes{missed}")
    minutes = mean(each["minutes"] for each in played) if all(each["reached"] for each in played) else None
    rivals = list(peers(options, data))
    for rival in rivals:
        rival["over_ours"] = minutes and rival["minutes"] / minutes
        lead = f", {rival['over_ours']:.1f}x ours" if minutes else ""
        print(f"lightly {rival['name']}: {rival['minutes']:.0f} minutes by extrapolation{lead}")
    result = {"environment": {**environment("lightly"), "threads": torch.get_num_threads()}, "target": options.target}
    result |= {"recipe": options.recipe, "minutes": minutes, "ours": played, "lightly": rivals}
    if options.out:
        options.out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main(tyro.cli(Options))

"""Choices of the training loop beside what it could do instead, SimSiam and ResNet-12, in turns: docs/decisions/0005.

python benchmarks/choices.py [--width 0.25] [--out FILE.json]
"""

import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from pathlib import Path

import torch
import torch.nn.functional as F
import tyro
from torch import Tensor, nn
from torch.optim import SGD

from sparring.batches import Batches
from sparring.bench.clock import Turn, take_turns
from sparring.bench.contestants import Arena, steps_of
from sparring.bench.limit import limit
from sparring.contracts import Embedding
from sparring.environment import environment
from sparring.fit import Fit
from sparring.memory import keep_freed
from sparring.options import Bench
from sparring.training import load_data


class Ahead:
    """Batches, the next of which is made in a thread while a step plays."""

    def __init__(self, batches: Batches) -> None:
        self.batches, self.pool = batches, ThreadPoolExecutor(1)
        self.steps_per_epoch, self.next = batches.steps_per_epoch, self.pool.submit(batches.training, 0)

    def training(self, step: int) -> object:
        batch, self.next = self.next.result(), self.pool.submit(self.batches.training, step + 1)
        return batch


def networks(fit: Fit) -> dict[str, Turn]:
    """Forward and backward on two ready views: as the loop does, both views in one pass, weights kept in bf16."""
    method = fit.learner.method
    views = [fit.batches.training(0).views[name] for name in ("first", "second")]
    views = [view.bfloat16().contiguous(memory_format=torch.channels_last) for view in views]
    both = torch.cat(views).contiguous(memory_format=torch.channels_last)
    rounded = deepcopy(method).bfloat16()

    def one_pass() -> None:
        with fit.autocast():
            together = method.encode(both).at_least_float32()
        every = (together.features, together.projection, together.prediction)
        halves = zip(*(each.chunk(2) for each in every), strict=True)
        method.compare(*(Embedding(*half) for half in halves)).mean().backward()

    def two_passes(own: nn.Module, *, autocast: bool) -> None:
        with torch.autocast(fit.fabric.device.type, torch.bfloat16, enabled=autocast):
            first, second = (own.encode(view) for view in views)
        own.compare(first.at_least_float32(), second.at_least_float32()).mean().backward()

    return {
        "network, a pass for each view": times(lambda: two_passes(method, autocast=True)),
        "network, both views in one pass": times(one_pass),
        "network, weights in bf16 for good": times(lambda: two_passes(rounded, autocast=False)),
    }


def parts(fit: Fit) -> dict[str, Turn]:
    """What is small: optimisers, casts, sampling, pooling."""
    weights = [weight.detach().clone().requires_grad_() for weight in fit.learner.method.parameters()]
    for weight in weights:
        weight.grad = torch.zeros_like(weight)
    ways: Mapping[str, dict[str, bool]] = {
        "fused": {"fused": True},
        "foreach": {"foreach": True},
        "plain": {"foreach": False},
    }
    size = fit.recipe.batch_size
    images, grid = torch.rand(size, 3, 32, 32), 2 * torch.rand(size, 32, 32, 2) - 1
    maps = torch.rand(size, 16, 32, 32).bfloat16()
    last = maps.contiguous(memory_format=torch.channels_last)
    return {
        **{f"SGD, {name}": times(SGD(weights, lr=0.1, momentum=0.9, **way).step) for name, way in ways.items()},
        "casting all weights to bf16": times(lambda: [weight.bfloat16() for weight in weights]),
        "grid sample, float32": times(lambda: sample(images, grid)),
        "grid sample, bf16": times(lambda: sample(images.bfloat16(), grid.bfloat16())),
        "max-pooling, channels last": times(lambda: pool(last)),
        "max-pooling, contiguous": times(lambda: pool(maps)),
    }


def sample(images: Tensor, grid: Tensor) -> Tensor:
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)


def pool(maps: Tensor) -> None:
    """Forward and backward."""
    F.max_pool2d(maps.detach().requires_grad_(), 2).sum().backward()


def times(play: Callable[[], object]) -> Turn:
    """So many times the same."""
    return lambda steps: [play() for _ in range(steps)]


def main(data_root: Path | None = None, width: float = 0.25, repetitions: int = 5, out: Path | None = None) -> None:
    keep_freed()
    size = Bench(data="cifar10", data_root=str(data_root) if data_root else None, width=width).size()
    arena = Arena(load_data(size), size)
    loop, ahead = arena.vanilla(), arena.vanilla()
    ahead.batches = Ahead(ahead.batches)  # type: ignore[assignment]
    large = {"step": steps_of(loop), "step, next batch in a thread": steps_of(ahead), "limit": limit(arena.vanilla())}
    found = take_turns(large | networks(arena.vanilla()), repetitions=repetitions, steps=2, say=print)
    found |= take_turns(parts(loop), repetitions=repetitions, steps=20, say=print)
    result = {
        "environment": {**environment(), "threads": torch.get_num_threads()},
        "milliseconds": {name: 1000 * own.median for name, own in found.items()},
        "least_and_most": {name: (1000 * min(own.seconds), 1000 * max(own.seconds)) for name, own in found.items()},
    }
    text = json.dumps(result, indent=2)
    print(text)
    if out:
        out.write_text(text + "\n")


if __name__ == "__main__":
    tyro.cli(main)

"""Runs that take seconds, and what they are compared by."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file

from sparring.recipe import Part, Recipe
from sparring.run import Run

CLASSES, PER_CLASS = 3, 20
TIMES = {"images_per_second"}


def write_images(root: Path) -> None:
    """Labelled images that differ by class in colour and by image in noise."""
    draw = np.random.default_rng(0)
    for split, count in (("train", PER_CLASS), ("test", 4)):
        for c in range(CLASSES):
            (root / split / f"class{c}").mkdir(parents=True)
            for i in range(count):
                pixels = draw.integers(0, 160, (16, 16, 3)) + 90 * np.eye(3, dtype=int)[c]
                Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(root / split / f"class{c}" / f"{i}.png")


def small(data: Path, **changes: Any) -> Recipe:
    """A recipe that runs in seconds."""
    settings: dict[str, Any] = {
        "data": str(data),
        "image_size": 16,
        "encoder": Part("resnet12", {"width": 0.0625}),
        "method": Part("simsiam", {"projection": 32, "bottleneck": 16}),
        "epochs": 3,
        "batch_size": 12,
        "evaluate_every": 1,
        "log_every": 2,
        "accelerator": "cpu",
    }
    return Recipe(**{**settings, **changes})


def measured(run: Path) -> list[dict[str, float]]:
    """All that a run measured, but for its speed."""
    return [{k: v for k, v in line.items() if k not in TIMES} for line in Run.open(run).metrics()]


def same_weights(a: Path, b: Path) -> bool:
    first, second = load_file(a / "encoder.safetensors"), load_file(b / "encoder.safetensors")
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)

"""Runs that take seconds, what they are compared by, and commands that are refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from sparring.cli import main
from sparring.recipe import Part, Recipe
from sparring.run import Run

CLASSES, PER_CLASS = 3, 20
TIMES = {"images_per_second"}


def write_images(root: Path, *, test: int = 4) -> None:
    """Labelled images that differ by class in colour and by image in noise."""
    draw = np.random.default_rng(0)
    for split, count in (("train", PER_CLASS), ("test", test)):
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


def refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The one line in which the command line refuses these words, with exit code 2 and nothing printed besides."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as stop:
        main(words)
    said = capsys.readouterr()
    assert (stop.value.code, said.out) == (2, "")
    lines = said.err.strip().splitlines()
    assert len(lines) == 1, said.err
    assert lines[0].startswith("sparring: error: ")
    return lines[0]

"""How far a YIQ rotation is from torchvision's HSV shift: the figures of docs/views.md.

python benchmarks/hue.py [--data-root FOLDER_WITH_CIFAR10]
"""

from pathlib import Path

import torch
import tyro
from torchvision.transforms.functional import adjust_hue

from sparring import colours
from sparring.datasets import load_dataset


def main(data_root: Path | None = None) -> None:
    """Print mean differences over 500 test images of CIFAR-10 and every sixth shipped training photograph."""
    cifar = load_dataset("cifar10", root=data_root).test
    assert cifar is not None
    sets = {"cifar10": cifar.pixels[::20], "sample": load_dataset("sample").train.pixels[::6]}
    for name, pixels in sets.items():
        images = pixels.double() / 255
        for turns in (0.02, 0.05, 0.1):
            ours = colours.apply_colour(images, colours.hue(torch.full((len(images),), turns).double()))
            theirs = adjust_hue(images, turns)
            differ, change = ((ours - theirs).abs().mean(), (theirs - images).abs().mean())
            print(f"{name:8s} {turns:.2f} turns: mean difference {differ:.4f}, torchvision's own change {change:.4f}")


if __name__ == "__main__":
    tyro.cli(main)

"""What parts are built and tried with, and which transforms an adversary can drive, where it is not all."""

from typing import Any

import torch
from torch import Tensor

from sparring.encoders import HALF
from sparring.recipe import Part
from sparring.transforms import TRANSFORMS

CONTEXT: dict[str, Any] = {"image_shape": (3, 32, 32), "image_count": 12, "labels": None, "statistics": HALF}
"""What is known of a dozen images without labels: as many as the photographs of the tests."""
PICTURES = {"mask", "pixels"}
"""Transforms whose parameters form a picture."""
PAINTERS = {"generator": PICTURES, "unet": PICTURES}
REQUIRES = {
    "autoaugment": Part("operations"),
    "randaugment": Part("operations"),
    "trivialaugment": Part("operations", {"ranges": "wide"}),
}
"""Adversaries that know their operations by name."""


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def fits(adversary: str, transform: str) -> bool:
    required = {REQUIRES[adversary].name} if adversary in REQUIRES else TRANSFORMS.keys()
    return transform in PAINTERS.get(adversary, required)


def arena(adversary: Part, usual: Part | str) -> Part:
    """The usual transform of a law, or one that the adversary can drive."""
    part = REQUIRES.get(adversary.name, Part.of(usual))
    return part if fits(adversary.name, part.name) else Part("pixels")

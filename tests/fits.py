"""Which transforms an adversary can drive, where it is not all: the laws cross the others, and refusals are tested."""

from sparring.recipe import Part
from sparring.transforms import TRANSFORMS

PICTURES = {"mask", "pixels"}
"""Transforms whose parameters form a picture."""
PAINTERS = {"generator": PICTURES, "unet": PICTURES}
REQUIRES = {
    "autoaugment": Part("operations"),
    "randaugment": Part("operations"),
    "trivialaugment": Part("operations", {"ranges": "wide"}),
}
"""Adversaries that know their operations by name."""


def fits(adversary: str, transform: str) -> bool:
    required = {REQUIRES[adversary].name} if adversary in REQUIRES else TRANSFORMS.keys()
    return transform in PAINTERS.get(adversary, required)


def arena(adversary: Part, usual: Part | str) -> Part:
    """The usual transform of a law, or one that the adversary can drive."""
    part = REQUIRES.get(adversary.name, Part.of(usual))
    return part if fits(adversary.name, part.name) else Part("pixels")

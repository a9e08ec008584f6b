"""Which transforms an adversary can drive, where it is not all: the laws cross the others, and refusals are tested."""

from sparring.recipe import Part
from sparring.transforms import TRANSFORMS

PICTURES = {"mask", "pixels"}
"""Transforms whose parameters form a picture."""
FITS = {"generator": PICTURES, "unet": PICTURES}


def fits(adversary: str, transform: str) -> bool:
    return transform in FITS.get(adversary, TRANSFORMS)


def arena(adversary: Part, usual: str) -> str:
    """The usual transform of a law, or one that the adversary can drive."""
    return usual if fits(adversary.name, usual) else "pixels"

"""sparring: self-supervised image encoders trained against an adversary that learns how to augment.

Names are imported when they are first used, so that `sparring --help` needs no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sparring.adversaries import (
        Absent,
        AutoAugment,
        BestOf,
        Blend,
        Free,
        Generator,
        Learned,
        Policy,
        Power,
        RandAugment,
        Random,
        Replay,
        Search,
        TrivialAugment,
        UNet,
    )
    from sparring.errors import InputError
    from sparring.learner import Learner
    from sparring.recipe import Part, Recipe, Views
    from sparring.recipe_files import load_recipe
    from sparring.saved import load_encoder
    from sparring.sweeps import sweep
    from sparring.training import train
    from sparring.transforms import (
        Affine,
        Blur,
        Chain,
        Colour,
        Crop,
        Frequency,
        Gain,
        Hsv,
        Jitter,
        Mask,
        Operations,
        Perspective,
        Pixels,
        Rotation,
        ThinPlate,
        Tone,
        Translation,
    )

_HOMES = {
    "sparring.adversaries": (
        "Absent",
        "AutoAugment",
        "BestOf",
        "Blend",
        "Free",
        "Generator",
        "Learned",
        "Policy",
        "Power",
        "RandAugment",
        "Random",
        "Replay",
        "Search",
        "TrivialAugment",
        "UNet",
    ),
    "sparring.errors": ("InputError",),
    "sparring.learner": ("Learner",),
    "sparring.recipe": ("Part", "Recipe", "Views"),
    "sparring.recipe_files": ("load_recipe",),
    "sparring.saved": ("load_encoder",),
    "sparring.sweeps": ("sweep",),
    "sparring.training": ("train",),
    "sparring.transforms": (
        "Affine",
        "Blur",
        "Chain",
        "Colour",
        "Crop",
        "Frequency",
        "Gain",
        "Hsv",
        "Jitter",
        "Mask",
        "Operations",
        "Perspective",
        "Pixels",
        "Rotation",
        "ThinPlate",
        "Tone",
        "Translation",
    ),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Absent",
    "Affine",
    "AutoAugment",
    "BestOf",
    "Blend",
    "Blur",
    "Chain",
    "Colour",
    "Crop",
    "Free",
    "Frequency",
    "Gain",
    "Generator",
    "Hsv",
    "InputError",
    "Jitter",
    "Learned",
    "Learner",
    "Mask",
    "Operations",
    "Part",
    "Perspective",
    "Pixels",
    "Policy",
    "Power",
    "RandAugment",
    "Random",
    "Recipe",
    "Replay",
    "Rotation",
    "Search",
    "ThinPlate",
    "Tone",
    "Translation",
    "TrivialAugment",
    "UNet",
    "Views",
    "load_encoder",
    "load_recipe",
    "sweep",
    "train",
]


def __getattr__(name: str) -> object:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'sparring' has no attribute {name!r}")
    return getattr(import_module(_HOME_OF[name]), name)

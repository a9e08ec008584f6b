"""Who chooses. A new adversary is one file and one row."""

from sparring.adversaries.absent import Absent
from sparring.adversaries.best_of import BestOf
from sparring.adversaries.blend import Blend
from sparring.adversaries.free import Free
from sparring.adversaries.generator import Generator
from sparring.adversaries.learned import Learned
from sparring.adversaries.power import Power
from sparring.adversaries.random import Random
from sparring.adversaries.search import Search
from sparring.adversaries.unet import UNet
from sparring.contracts import Adversary

ADVERSARIES: dict[str, type[Adversary]] = {
    "best_of": BestOf,
    "blend": Blend,
    "free": Free,
    "generator": Generator,
    "learned": Learned,
    "none": Absent,
    "power": Power,
    "random": Random,
    "search": Search,
    "unet": UNet,
}

__all__ = [
    "ADVERSARIES", "Absent", "BestOf", "Blend", "Free", "Generator", "Learned", "Power", "Random", "Search", "UNet",
]  # fmt: skip

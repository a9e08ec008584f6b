"""Who chooses. A new adversary is one file and one row."""

from sparring.adversaries.absent import Absent
from sparring.adversaries.best_of import BestOf
from sparring.adversaries.blend import Blend
from sparring.adversaries.free import Free
from sparring.adversaries.generator import Generator
from sparring.adversaries.learned import Learned
from sparring.adversaries.policy import Policy
from sparring.adversaries.power import Power
from sparring.adversaries.random import Random
from sparring.adversaries.random_policies import AutoAugment, RandAugment, TrivialAugment
from sparring.adversaries.replay import Replay
from sparring.adversaries.search import Search
from sparring.adversaries.unet import UNet
from sparring.contracts import Adversary

ADVERSARIES: dict[str, type[Adversary]] = {
    "autoaugment": AutoAugment,
    "best_of": BestOf,
    "blend": Blend,
    "free": Free,
    "generator": Generator,
    "learned": Learned,
    "none": Absent,
    "policy": Policy,
    "power": Power,
    "randaugment": RandAugment,
    "random": Random,
    "replay": Replay,
    "search": Search,
    "trivialaugment": TrivialAugment,
    "unet": UNet,
}

__all__ = [
    "ADVERSARIES",
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
]

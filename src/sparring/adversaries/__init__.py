"""Who chooses. A new adversary is one file and one row."""

from sparring.adversaries.best_of import BestOf as BestOf
from sparring.adversaries.blend import Blend as Blend
from sparring.adversaries.chance import Absent as Absent, Random as Random
from sparring.adversaries.free import Free as Free
from sparring.adversaries.generator import Generator as Generator
from sparring.adversaries.learned import Learned as Learned
from sparring.adversaries.policy import Policy as Policy
from sparring.adversaries.power import Power as Power
from sparring.adversaries.random_policies import (
    AutoAugment as AutoAugment,
    RandAugment as RandAugment,
    TrivialAugment as TrivialAugment,
)
from sparring.adversaries.replay import Replay as Replay
from sparring.adversaries.search import Search as Search
from sparring.adversaries.unet import UNet as UNet
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

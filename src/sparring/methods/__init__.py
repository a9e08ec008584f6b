"""How two views are compared. A new method is one file and one row."""

from collections.abc import Callable

from sparring.contracts import Method
from sparring.methods.barlow import BarlowTwins
from sparring.methods.byol import BYOL
from sparring.methods.conditional import conditional
from sparring.methods.contrastive import Contrastive
from sparring.methods.dcl import dcl
from sparring.methods.debiased import debiased
from sparring.methods.hcl import hcl
from sparring.methods.mochi import mochi
from sparring.methods.moco import moco
from sparring.methods.oracle import oracle
from sparring.methods.pcl import PCL
from sparring.methods.queued import MomentumContrast
from sparring.methods.simclr import simclr
from sparring.methods.simsiam import SimSiam
from sparring.methods.supcon import supcon
from sparring.methods.vicreg import VICReg

METHODS: dict[str, Callable[..., Method]] = {
    "barlow": BarlowTwins,
    "byol": BYOL,
    "conditional": conditional,
    "dcl": dcl,
    "debiased": debiased,
    "hcl": hcl,
    "mochi": mochi,
    "moco": moco,
    "oracle": oracle,
    "pcl": PCL,
    "simclr": simclr,
    "simsiam": SimSiam,
    "supcon": supcon,
    "vicreg": VICReg,
}

__all__ = [
    "BYOL",
    "METHODS",
    "PCL",
    "BarlowTwins",
    "Contrastive",
    "MomentumContrast",
    "SimSiam",
    "VICReg",
    "conditional",
    "dcl",
    "debiased",
    "hcl",
    "mochi",
    "moco",
    "oracle",
    "simclr",
    "supcon",
]

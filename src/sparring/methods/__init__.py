"""How two views are compared. A new method is one file and one row."""

from collections.abc import Callable

from sparring.contracts import Method
from sparring.methods.barlow import BarlowTwins as BarlowTwins
from sparring.methods.byol import BYOL as BYOL
from sparring.methods.conditional import conditional as conditional
from sparring.methods.dcl import dcl as dcl
from sparring.methods.hcl import debiased as debiased, hcl as hcl
from sparring.methods.mochi import mochi as mochi
from sparring.methods.moco import MoCo as MoCo
from sparring.methods.oracles import oracle as oracle, supcon as supcon
from sparring.methods.pcl import PCL as PCL
from sparring.methods.simclr import simclr as simclr
from sparring.methods.simsiam import SimSiam as SimSiam
from sparring.methods.vicreg import VICReg as VICReg

METHODS: dict[str, Callable[..., Method]] = {
    "barlow": BarlowTwins,
    "byol": BYOL,
    "conditional": conditional,
    "dcl": dcl,
    "debiased": debiased,
    "hcl": hcl,
    "mochi": mochi,
    "moco": MoCo,
    "oracle": oracle,
    "pcl": PCL,
    "simclr": simclr,
    "simsiam": SimSiam,
    "supcon": supcon,
    "vicreg": VICReg,
}

"""How two views are compared. A new method is one file and one row."""

from sparring.contracts import Method
from sparring.methods.simclr import SimCLR
from sparring.methods.simsiam import SimSiam

METHODS: dict[str, type[Method]] = {
    "simclr": SimCLR,
    "simsiam": SimSiam,
}

__all__ = ["METHODS", "SimCLR", "SimSiam"]

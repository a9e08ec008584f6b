"""Small networks on top of the backbone, and the checks of the numbers that methods share."""

from torch import nn

from sparring.errors import InputError


def two_layers(inputs: int, hidden: int, outputs: int, *, batch_norm: bool = True) -> nn.Sequential:
    """Linear, BatchNorm (or not), ReLU, linear: SimCLR's and BYOL's projector, BYOL's predictor, MoCo v2's head."""
    return nn.Sequential(
        nn.Linear(inputs, hidden, bias=not batch_norm),
        nn.BatchNorm1d(hidden) if batch_norm else nn.Identity(),
        nn.ReLU(inplace=True),
        nn.Linear(hidden, outputs),
    )


def three_layers(inputs: int, width: int) -> nn.Sequential:
    """Three linear layers of one width, BatchNorm and ReLU between them: Barlow Twins' and VICReg's."""
    return nn.Sequential(
        nn.Linear(inputs, width, bias=False),
        nn.BatchNorm1d(width),
        nn.ReLU(inplace=True),
        nn.Linear(width, width, bias=False),
        nn.BatchNorm1d(width),
        nn.ReLU(inplace=True),
        nn.Linear(width, width, bias=False),
    )


def check_positive(method: str, name: str, value: float) -> None:
    """One clear line unless `value` > 0."""
    if not value > 0:
        raise InputError(f"{method}: expected {name} > 0, got {value}")


def check_share(method: str, name: str, value: float) -> None:
    """One clear line unless `value` lies in [0, 1)."""
    if not 0 <= value < 1:
        raise InputError(f"{method}: expected {name} in [0, 1), got {value}")

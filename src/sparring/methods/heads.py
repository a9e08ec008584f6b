"""Small networks on top of the backbone, and the checks of the numbers that methods share."""

from torch import nn

from sparring.schema import check_range

NEARLY_1 = 1 - 1e-6


def two_layers(inputs: int, hidden: int, outputs: int, *, batch_norm: bool = True) -> nn.Sequential:
    """Linear, BatchNorm (or not), ReLU, linear: SimCLR's and BYOL's projector, BYOL's predictor, MoCo v2's head."""
    check_range("hidden", hidden, 1)
    check_range("projection", outputs, 1)
    return nn.Sequential(
        nn.Linear(inputs, hidden, bias=not batch_norm),
        nn.BatchNorm1d(hidden) if batch_norm else nn.Identity(),
        nn.ReLU(inplace=True),
        nn.Linear(hidden, outputs),
    )


def three_layers(inputs: int, width: int) -> nn.Sequential:
    """Three linear layers of one width, BatchNorm and ReLU between them: Barlow Twins' and VICReg's."""
    check_range("projection", width, 1)
    layers: list[nn.Module] = []
    for size in (inputs, width):
        layers += [nn.Linear(size, width, bias=False), nn.BatchNorm1d(width), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, nn.Linear(width, width, bias=False))


def check_below_1(name: str, value: float) -> None:
    """One clear line unless `value` lies in [0, 1)."""
    check_range(name, value, 0, NEARLY_1)

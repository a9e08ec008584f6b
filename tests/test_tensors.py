"""Fixed values are sent to a device once, and what is not real is not kept; places are spread evenly."""

import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from sparring.tensors import constant, evenly


def test_fixed_values_are_made_once_and_never_kept_from_an_export() -> None:
    """torch.export plays with tensors without values; one that stayed would be given to whoever asks next."""
    values, like = (0.125, 0.25, 0.625), torch.zeros(2)
    with FakeTensorMode() as mode:
        assert type(constant(values, mode.from_tensor(like))) is not torch.Tensor
    first = constant(values, like)
    assert type(first) is torch.Tensor
    assert first.tolist() == list(values)
    assert constant(values, like) is first


def test_places_are_spread_from_end_to_end() -> None:
    assert evenly(4, 10).tolist() == [0, 3, 6, 9]
    assert evenly(1, 10).tolist() == [0]
    assert evenly(4, 3).tolist() == [0, 1, 2]
    assert evenly(60_000, 60_001).unique().numel() == 60_000

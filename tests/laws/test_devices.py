"""Every transform keeps to the device of its images: on a fake GPU any tensor left elsewhere is an error."""

import pytest
import torch
from test_adversaries import PICTURE_PARTS, TRANSFORM_PARTS, context, named
from torch import nn
from torch._subclasses import FakeTensorMode

from sparring.parts import build
from sparring.recipe import Part

SPACES = [Part("colour", {"space": space}) for space in ("softmax", "grey", "doubly_stochastic")]


def on_fake_gpu(module: nn.Module, mode: FakeTensorMode) -> None:
    """Move what `module.to("cuda")` would: its buffers."""
    for inner in module.modules():
        for name, buffer in inner.named_buffers(recurse=False):
            inner._buffers[name] = mode.from_tensor(buffer).to("cuda")


@pytest.mark.parametrize("part", [*TRANSFORM_PARTS, *PICTURE_PARTS, *SPACES], ids=named)
def test_a_transform_keeps_to_the_device_of_its_images(part: Part) -> None:
    transform = build("transform", part, context())
    with FakeTensorMode() as mode:
        on_fake_gpu(transform, mode)
        images = torch.rand(4, 3, 16, 16, device="cuda")
        params = transform.sample(images)
        told = transform.describe(params)
        moved = transform.ascend(params, torch.randn_like(params), 0.1)
        assert {each.device.type for each in (params, moved, transform(images, params), *told.values())} == {"cuda"}

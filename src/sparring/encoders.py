"""Encoders: images in [0, 1] to features; the first layer normalises."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Num
from torch import Tensor, nn

from sparring.errors import InputError, first_line, unknown

ImageShape = tuple[int, int, int]
"""Channels, height, width."""

Statistics = tuple[tuple[float, float, float], tuple[float, float, float]]
"""Mean and standard deviation of each channel, in [0, 1]."""

HALF: Statistics = ((0.5, 0.5, 0.5), (0.25, 0.25, 0.25))


class Normalise(nn.Module):
    """Subtract the data's channel means and divide by its channel deviations."""

    def __init__(self, statistics: Statistics) -> None:
        super().__init__()
        mean, std = statistics
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1))

    def forward(self, images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        return (images - self.get_buffer("mean")) / self.get_buffer("std")


class Encoder(nn.Module):
    """A backbone behind its normalisation; `feature_size` is the length of what it gives."""

    def __init__(self, backbone: nn.Module, feature_size: int, statistics: Statistics) -> None:
        super().__init__()
        self.normalise, self.backbone, self.feature_size = Normalise(statistics), backbone, feature_size
        for module in backbone.modules():
            if isinstance(module, nn.Conv2d) and _keeps_one_pixel(module):
                module.register_forward_pre_hook(_with_zeros_beside)

    def forward(self, images: Num[Tensor, "b c h w"]) -> Float[Tensor, "b d"]:
        if not images.is_floating_point():
            raise InputError(f"encoder: expected images in [0, 1], got {images.dtype}; divide by 255")
        return self.backbone(self.normalise(images))


def _keeps_one_pixel(convolution: nn.Conv2d) -> bool:
    """Whether it has strides, makes one pixel of one pixel, and some of its weights then meet padding alone."""
    sizes, padded = convolution.kernel_size, tuple(size // 2 for size in convolution.kernel_size)
    strided = min(convolution.stride) > 1 and max(sizes) > 1 and all(size % 2 for size in sizes)
    around = (convolution.padding, convolution.dilation, convolution.padding_mode)
    return strided and around == (padded, (1, 1), "zeros")


def _with_zeros_beside(convolution: nn.Module, inputs: tuple[Tensor]) -> Tensor | None:
    """A map of one pixel with zeros beside it, which change nothing but the kernel that is chosen.

    On CPUs, torch (2.14 was seen) leaves the weights that meet padding alone without a gradient in bf16: they get what
    is in memory there.
    """
    (maps,) = inputs
    return F.pad(maps, (0, 1, 0, 1)) if maps.shape[2:] == (1, 1) and maps.device.type == "cpu" else None


class Stage(nn.Module):
    """Three 3x3 convolutions with a 1x1 shortcut, ReLU after the sum, 2x2 max-pooling.

    ReLU and maximum commute; after the pooling it has a quarter of the values to read.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        first, second, third = (_convolution(size, outputs, 3) for size in (inputs, outputs, outputs))
        self.body = nn.Sequential(*first, nn.ReLU(inplace=True), *second, nn.ReLU(inplace=True), *third)
        self.shortcut = nn.Sequential(*_convolution(inputs, outputs, 1))

    def forward(self, maps: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k h2 w2"]:
        return F.relu(F.max_pool2d(self.body(maps).add_(self.shortcut(maps)), 2), inplace=True)


def _convolution(inputs: int, outputs: int, size: int) -> tuple[nn.Module, nn.Module]:
    return nn.Conv2d(inputs, outputs, size, padding=size // 2, bias=False), nn.BatchNorm2d(outputs)


def resnet12(statistics: Statistics = HALF, *, width: float = 0.25, image_shape: ImageShape = (3, 32, 32)) -> Encoder:
    """ResNet-12 of few-shot learning with 64-128-256-512 filters times `width`; the study's backbone at 1/2."""
    filters = [round(width * full) for full in (64, 128, 256, 512)]
    if filters[0] < 1:
        raise InputError(f"resnet12: expected a width such as 0.25, 0.5 or 1, got {width}")
    if min(image_shape[1:]) < 16:  # four times halved
        raise InputError(f"resnet12: expected images of at least 16x16 pixels, got {image_shape[1]}x{image_shape[2]}")
    stages = [Stage(inputs, outputs) for inputs, outputs in zip([3, *filters], filters, strict=False)]
    return Encoder(nn.Sequential(*stages, nn.AdaptiveAvgPool2d(1), nn.Flatten()), filters[-1], statistics)


def resnet18(statistics: Statistics = HALF) -> Encoder:
    """torchvision's ResNet-18 with the CIFAR stem: a 3x3 convolution of stride 1 and no max-pooling."""
    from torchvision.models import resnet18 as build

    backbone = build(weights=None)
    backbone.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
    backbone.maxpool, backbone.fc = nn.Identity(), nn.Identity()
    return Encoder(backbone, 512, statistics)


def timm_encoder(
    statistics: Statistics = HALF, *, model: str, image_shape: ImageShape = (3, 32, 32), pretrained: bool = False
) -> Encoder:
    """Any timm model without its classifier: `timm:NAME`, or the setting `model`."""
    import timm

    if not timm.is_model(model):
        raise unknown("timm model", model, timm.list_models())
    make = partial(timm.create_model, model, pretrained=pretrained, num_classes=0)
    try:
        try:
            backbone: Any = make(img_size=image_shape[-1])
        except TypeError:  # convolutional models take any size and know no such setting
            backbone = make()
    except OSError as error:  # what the hub raises without a network
        said = first_line(error)
        raise InputError(f"timm model {model}: expected weights that can be loaded, got an error ({said})") from error
    return Encoder(backbone, backbone.head_hidden_size, statistics)


ENCODERS: dict[str, Callable[..., Encoder]] = {"resnet12": resnet12, "resnet18": resnet18, "timm": timm_encoder}

"""Encoders: sizes, normalisation, and parity with the libraries they come from."""

import pytest
import timm
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sparring.encoders import Encoder, Stage, resnet12, resnet18, timm_encoder
from sparring.errors import InputError
from sparring.randomness import seeded


def resnet12_weights(filters: list[int]) -> int:
    """Per stage: 3x3 convolutions in-out, out-out, out-out, a 1x1 shortcut, and four BatchNorms of 2 weights each."""
    total, inputs = 0, 3
    for outputs in filters:
        total += 9 * outputs * (inputs + 2 * outputs) + inputs * outputs + 4 * 2 * outputs
        inputs = outputs
    return total


@pytest.mark.parametrize(("width", "millions"), [(0.25, 0.5), (0.5, 2.0), (1.0, 8.0)])
def test_resnet12_is_the_studys(width: float, millions: float) -> None:
    encoder = resnet12(width=width)
    weights = sum(weight.numel() for weight in encoder.parameters())
    assert weights == resnet12_weights([round(width * full) for full in (64, 128, 256, 512)])
    assert round(weights / 1e6, 1) == millions
    assert encoder(torch.rand(2, 3, 32, 32)).shape == (2, encoder.feature_size)


def test_the_first_layer_normalises(photographs: Tensor) -> None:
    mean, std = photographs.mean(dim=(0, 2, 3)), photographs.std(dim=(0, 2, 3), correction=0)
    encoder = resnet12((tuple(mean.tolist()), tuple(std.tolist())), width=0.0625).double()  # type: ignore[arg-type]
    seen = encoder.normalise(photographs)
    assert torch.allclose(seen.mean(dim=(0, 2, 3)), torch.zeros(3).double(), atol=1e-6)
    assert torch.allclose(seen.std(dim=(0, 2, 3), correction=0), torch.ones(3).double(), atol=1e-6)


def test_bytes_are_refused() -> None:
    with pytest.raises(InputError, match=r"expected images in \[0, 1\], got torch.uint8; divide by 255"):
        resnet12(width=0.0625)(torch.zeros(2, 3, 32, 32, dtype=torch.uint8))


def test_resnet18_keeps_the_resolution_of_small_images() -> None:
    encoder = resnet18()
    sizes: list[torch.Size] = []
    encoder.backbone.layer1.register_forward_hook(lambda *args: sizes.append(args[2].shape))  # type: ignore[union-attr]
    assert encoder(torch.rand(1, 3, 32, 32)).shape == (1, 512)
    assert sizes[0][2:] == (32, 32)


def test_a_timm_encoder_is_timms_model_on_normalised_images(photographs: Tensor) -> None:
    images, statistics = photographs.float(), ((0.5, 0.4, 0.3), (0.2, 0.3, 0.4))
    with seeded(0):
        ours = timm_encoder(statistics, model="test_resnet").eval()
    with seeded(0):
        theirs = timm.create_model("test_resnet", num_classes=0).eval()
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in statistics)
    assert torch.allclose(ours(images), theirs((images - mean) / std), atol=1e-5)


def test_a_transformer_is_built_for_the_datas_size() -> None:
    encoder = timm_encoder(model="test_vit", image_shape=(3, 32, 32))
    assert encoder(torch.rand(2, 3, 32, 32)).shape == (2, encoder.feature_size)


def test_an_unknown_timm_model_names_the_nearest() -> None:
    with pytest.raises(InputError, match="resnet18"):
        timm_encoder(model="resnet18x")
    with pytest.raises(InputError, match="width"):
        resnet12(width=0.001)


def test_relu_after_the_pooling_gives_the_same_values_and_gradients_as_before_it() -> None:
    """As the definition of ResNet-12 has it, with its stage written out."""
    stage = Stage(3, 8).train().double()
    maps = torch.randn(4, 3, 8, 8, dtype=torch.float64, requires_grad=True)
    defined = F.max_pool2d(F.relu(stage.body(maps) + stage.shortcut(maps)), 2)
    weights = torch.randn_like(defined)
    for mine, other in zip(
        torch.autograd.grad((stage(maps) * weights).sum(), [maps, *stage.parameters()]),
        torch.autograd.grad((defined * weights).sum(), [maps, *stage.parameters()]),
        strict=True,
    ):
        torch.testing.assert_close(mine, other, rtol=1e-12, atol=1e-12)
    assert torch.equal(stage(maps), defined)


@pytest.mark.parametrize("size", [3, 5])
def test_strides_over_a_map_of_one_pixel_leave_no_weight_to_chance(size: int) -> None:
    """In bf16 torch left those that meet padding alone as memory was, in most of a few tries."""
    for seed in range(4):
        junk = torch.full((size * size * 64 * 64,), 1e30)
        del junk
        with seeded(seed):
            convolution = nn.Conv2d(64, 64, size, stride=2, padding=size // 2, bias=False)
            maps = torch.randn(64, 64, 1, 1)
        encoder = Encoder(convolution.to(memory_format=torch.channels_last), 64, ((0.0,) * 3, (1.0,) * 3))
        with torch.autocast("cpu", torch.bfloat16):
            encoder.backbone(maps).sum().backward()
        gradient = convolution.weight.grad
        assert gradient is not None
        middle = gradient[:, :, size // 2, size // 2].clone()
        assert torch.allclose(middle, maps.sum(dim=(0, 2, 3)).expand(64, 64), atol=0.2)
        gradient[:, :, size // 2, size // 2] = 0
        assert not gradient.any()


class Own(nn.Conv2d):
    """As timm's variants with standardised weights."""


@pytest.mark.parametrize("side", [1, 2])
@pytest.mark.parametrize(
    "convolution",
    [
        nn.Conv2d(3, 4, 3, stride=2, padding=1),
        nn.Conv2d(3, 4, (3, 1), stride=2, padding=(1, 0)),
        nn.Conv2d(3, 4, 3, stride=(2, 1), padding=1),
        nn.Conv2d(3, 4, 4, stride=2, padding=2),
        nn.Conv2d(3, 4, 3, stride=2, padding=1, padding_mode="replicate"),
        nn.Conv2d(3, 4, 3, stride=2, padding=2, dilation=2),
        Own(3, 4, 3, stride=2, padding=1),
    ],
    ids=str,
)
def test_a_convolution_in_an_encoder_gives_what_it_gives_alone(convolution: nn.Conv2d, side: int) -> None:
    maps = torch.rand(2, 3, side, side)
    alone = convolution(maps)
    encoder = Encoder(convolution, 4, ((0.0,) * 3, (1.0,) * 3))
    assert torch.allclose(encoder.backbone(maps), alone, atol=1e-6)
    assert encoder.backbone(maps).shape == alone.shape

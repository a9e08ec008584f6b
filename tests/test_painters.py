"""Adversaries that read the image and paint a parameter per pixel: Viewmaker's generator and ADIOS's U-Net."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from sparring.adversaries import Generator, Learned, UNet
from sparring.adversaries.unet import FLOOR
from sparring.contracts import Adversary
from sparring.errors import InputError
from sparring.randomness import generator_for, seeded
from sparring.transforms import Mask, Pixels

BUDGET = 0.05


def sphere() -> Pixels:
    """Viewmaker's: the mean size of the perturbation is its budget."""
    return Pixels(eps=BUDGET * 3 * 32 * 32, norm="l1", sphere=True)


def make(painter: type[Generator] | type[UNet]) -> Generator | UNet:
    with seeded(0):
        return (Generator(sphere()) if painter is Generator else UNet(Mask(form="free"))).double()


def paint(painter: Generator | UNet, images: Tensor, seed: int = 0) -> Tensor:
    draws = generator_for(seed, 0)
    return painter.choose(painter.share_out(images) if isinstance(painter, UNet) else images, draws)


@pytest.mark.parametrize("kind", [Generator, UNet])
def test_an_image_is_painted_whatever_else_is_in_the_batch(
    kind: type[Generator] | type[UNet], photographs: Tensor
) -> None:
    """No statistics over the batch, in training mode as in evaluation mode."""
    painter, others = make(kind), photographs.clone()
    others[1:] = 1 - others[1:].flip(0)
    for mode in (True, False):
        first, second = paint(painter.train(mode), photographs), paint(painter, others)
        assert torch.allclose(first[0], second[0], rtol=0, atol=1e-12)
        assert not torch.allclose(first[1], second[1], atol=1e-6)


def conv(maps: Tensor, weights: dict[str, Tensor], name: str, stride: int = 1, groups: int = 0) -> Tensor:
    """Reflected borders, convolution, each channel (or group) of an image to mean 0 and variance 1, scale and shift."""
    kernel, scale, shift = (weights[f"{name}.{key}"] for key in ("0.weight", "1.weight", "1.bias"))
    out = F.conv2d(F.pad(maps, [kernel.shape[-1] // 2] * 4, mode="reflect"), kernel, stride=stride)
    for image in out:
        for own in torch.arange(len(image)).chunk(groups or len(image)):
            centred = image[own] - image[own].mean()
            normal = centred / (centred.square().mean() + 1e-5).sqrt()
            image[own] = scale[own, None, None] * normal + shift[own, None, None]
    return out


@torch.no_grad()
def test_the_generator_written_out(photographs: Tensor) -> None:
    """Noise beside the image and beside the input of each block, whose channels therefore grow by one each."""
    with seeded(0):
        painter = Generator(sphere(), width=4, blocks=2).double()
    weights, draws, images = painter.state_dict(), generator_for(5, 0), photographs[:2]
    for name, value in weights.items():
        if ".1." in name or name == "last.bias":  # scales and shifts start at 1 and 0, where they would not show
            value.add_(0.3 * torch.rand(value.shape, generator=draws))
    found = painter.choose(images, generator_for(1, 0))
    draws = generator_for(1, 0)

    def noisy(maps: Tensor) -> Tensor:
        noise = torch.rand(2, 1, *maps.shape[2:], generator=draws)
        return torch.cat([maps, noise.double()], dim=1)

    maps = conv(noisy(images), weights, "down.0").relu()
    maps = conv(maps, weights, "down.2", stride=2).relu()
    maps = conv(maps, weights, "down.4", stride=2).relu()
    for block in range(2):
        maps = noisy(maps)
        maps = maps + conv(conv(maps, weights, f"middle.{block}.body.0").relu(), weights, f"middle.{block}.body.2")
    for layer in range(2):
        maps = conv(maps.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3), weights, f"up.{layer}").relu()
    out = F.conv2d(F.pad(maps, [4] * 4, mode="reflect"), weights["last.weight"], weights["last.bias"]).tanh()
    expected = out / out.abs().sum(dim=(1, 2, 3), keepdim=True)
    assert torch.allclose(found, expected, rtol=0, atol=1e-14)


@torch.no_grad()
def test_the_u_net_written_out(photographs: Tensor) -> None:
    """Every other pixel on the way down, three linear layers at the bottom, each depth's maps beside on the way up."""
    with seeded(0):
        painter = UNet(Mask(form="free"), width=8, masks=3).double()
    weights, draws, skips = painter.state_dict(), generator_for(5, 0), list[Tensor]()
    for name, value in weights.items():
        if ".1." in name or "bias" in name:
            value.add_(0.3 * torch.rand(value.shape, generator=draws))
    maps = photographs[:2]
    for layer in range(4):
        skips.append(conv(maps, weights, f"down.{layer}", groups=8).relu())
        maps = skips[-1][:, :, ::2, ::2]
    flat = skips[-1].flatten(1)
    for layer in (0, 2, 4):
        flat = (flat @ weights[f"bottleneck.{layer}.weight"].T + weights[f"bottleneck.{layer}.bias"]).relu()
    maps = flat.view_as(skips[-1])
    for layer, skip in enumerate(reversed(skips)):
        times = skip.shape[-1] // maps.shape[-1]
        maps = maps.repeat_interleave(times, dim=2).repeat_interleave(times, dim=3)
        maps = conv(torch.cat([maps, skip], dim=1), weights, f"up.{layer}", groups=8).relu()
    logits = torch.einsum("nc,bchw->bnhw", weights["head.weight"][:, :, 0, 0], maps)
    expected = (logits + weights["head.bias"][:, None, None]).softmax(dim=1)[:, :, None]
    assert torch.allclose(painter.share_out(photographs[:2]), expected, rtol=0, atol=1e-12)


def test_viewmakers_budget_is_spent_to_the_last_bit_and_on_many_pixels(photographs: Tensor) -> None:
    """In float32, where a parameter is about 1/3072. With all the budget on one pixel the largest would be 153.6."""
    painter = make(Generator).float()
    added = sphere().perturbation(paint(painter, photographs.float()))
    assert torch.allclose(added.abs().mean(dim=(1, 2, 3)), torch.tensor(BUDGET), rtol=1e-5, atol=0)
    assert added.abs().max() < 10 * BUDGET


def test_noise_gives_one_view_many_hard_views(photographs: Tensor) -> None:
    with seeded(0):
        noisy, fixed = Generator(sphere()), Generator(sphere(), noise=0)
    images = photographs[:1].float().expand(5, -1, -1, -1)
    assert paint(noisy, images).flatten(1).unique(dim=0).shape[0] == 5
    assert paint(fixed, images).flatten(1).unique(dim=0).shape[0] == 1
    assert torch.equal(paint(fixed, images, seed=1), paint(fixed, images, seed=2))


def test_masks_share_out_every_pixel_and_each_is_drawn_as_often(photographs: Tensor) -> None:
    with seeded(0):
        painter = UNet(Mask(form="free", area=1.0), masks=3).double()
    masks = painter.share_out(photographs[:1])
    assert torch.allclose(masks.sum(dim=1), torch.ones(1, 1, 32, 32).double(), atol=1e-12)
    n = 3000
    chosen = painter.choose(masks.expand(n, -1, -1, -1, -1), generator_for(0, 0))
    counts = torch.stack([(chosen == mask).flatten(1).all(dim=1).sum() for mask in masks[0]])
    assert counts.sum() == n, "every choice is one of the masks, untouched where the area allows it"
    assert (counts - n / 3).abs().max() < 4 * (n * 2 / 9) ** 0.5


def test_a_grid_gets_the_means_over_its_cells(photographs: Tensor) -> None:
    with seeded(0):
        painter = UNet(Mask(form="grid", cells=4, area=1.0), masks=2).double()
    masks = painter.share_out(photographs)
    chosen = painter.choose(masks, generator_for(0, 0))
    drawn = torch.randint(2, (len(photographs),), generator=generator_for(0, 0))
    for image, cells in enumerate(chosen):
        for y in range(4):
            for x in range(4):
                block = masks[image, drawn[image], 0, 8 * y : 8 * y + 8, 8 * x : 8 * x + 8]
                assert cells[0, y, x].item() == pytest.approx(block.mean().item(), abs=1e-12)


def test_the_penalty_is_adioss_and_does_not_explode() -> None:
    """1 / sin(pi m) per mask; for masks of m = 1/4 that is 4 sqrt(2); empty and full masks cost 1 / FLOOR each."""
    with seeded(0):
        painter = UNet(Mask(form="free"), masks=4, sparsity=0.75).double()
    shares = torch.tensor([[0.25, 0.25, 0.25, 0.25], [0.1, 0.2, 0.3, 0.4], [1.0, 0.0, 0.0, 0.0]]).double()
    masks = shares[:, :, None, None, None].expand(-1, -1, 1, 32, 32)
    even, uneven, one = painter.penalty(masks).tolist()
    assert even == pytest.approx(0.75 * 4 * math.sqrt(2), rel=2 * FLOOR)
    assert uneven == pytest.approx(0.75 * sum(1 / math.sin(math.pi * m) for m in (0.1, 0.2, 0.3, 0.4)), rel=4 * FLOOR)
    assert one == pytest.approx(0.75 * 4 / FLOOR)
    whole = masks[2:].float().requires_grad_()
    painter.penalty(whole).sum().backward()
    assert painter.penalty(whole).item() == pytest.approx(0.75 * 4 / FLOOR), "sin(pi) is below 0 in float32"
    assert whole.grad is not None
    assert whole.grad.isfinite().all()


def test_the_penalty_evens_out_masks_of_which_one_took_all(photographs: Tensor) -> None:
    with seeded(0):
        painter = UNet(Mask(form="free"))
    torch.nn.init.constant_(painter.head.bias[:1], 6.0)
    (ascend,), few = painter.optimisers(0.03), photographs[:4].float()

    def largest() -> float:
        return painter.share_out(few).mean(dim=(0, 2, 3, 4)).max().item()

    assert largest() > 0.9
    for _ in range(40):
        ascend.zero_grad()
        (-painter.penalty(painter.share_out(few)).mean()).backward()
        ascend.step()
    assert largest() < 0.6


@pytest.mark.parametrize("side", [(5, 5), (7, 9), (33, 20), (64, 64)], ids=str)
@pytest.mark.parametrize("transform", [Pixels(), Mask(form="free"), Mask(form="grid")], ids=lambda each: str(each))
def test_sides_need_not_be_powers_of_two(side: tuple[int, int], transform: Pixels | Mask) -> None:
    images = torch.rand(2, 3, *side, generator=torch.Generator().manual_seed(0))
    for kind in (Generator, UNet):
        hard = kind(transform, image_shape=(3, *side))(images, generator=torch.Generator().manual_seed(0))
        assert hard.shape == images.shape
        assert (hard != images).any()


@pytest.mark.parametrize(
    ("kind", "settings", "says"),
    [
        (Generator, {"width": 0}, "generator: width"),
        (Generator, {"blocks": -1}, "generator: blocks"),
        (Generator, {"noise": -1}, "generator: noise"),
        (Generator, {"image_shape": (3, 4, 8)}, "at least 5x5 pixels, got 4x8"),
        (UNet, {"masks": 1}, "unet: masks: expected a number of at least 2, got 1"),
        (UNet, {"sparsity": -0.1}, "unet: sparsity"),
    ],
)
def test_what_cannot_be_is_one_line(kind: type[Adversary], settings: dict[str, object], says: str) -> None:
    with pytest.raises(InputError, match=says) as error:
        kind(Pixels(), **settings)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "player",
    [Generator(Pixels()), UNet(Mask(form="free")), UNet(Mask()), Learned(Pixels(), features=8, reads="nothing")],
    ids=["generator", "unet", "unet on a grid", "learned"],
)
def test_images_of_another_shape_are_one_line(player: Adversary) -> None:
    name = type(player).__name__.lower()
    said = rf"{name}: expected 3x32x32 images, got 3x64x48; give image_shape=\(3, 64, 48\)"
    with pytest.raises(InputError, match=said):
        player(torch.rand(2, 3, 64, 48))
    with pytest.raises(InputError, match=f"{name}: expected 3x32x32 images, got 1x32x32"):
        player(torch.rand(2, 1, 32, 32))

"""The operations of augmentation policies against torchvision's own, on the same 8-bit images."""

import pytest
import torch
from torch import Tensor
from torchvision.transforms import AutoAugment, InterpolationMode, TrivialAugmentWide, functional as F
from torchvision.transforms.autoaugment import _apply_op

from sparring.transforms import Operations, Tone
from sparring.transforms.operations import NAMES, Ranges

BINS = 31
FLOAT32 = 0.01
"""Levels: torchvision samples its grids in float32."""
LEVELS = {
    **dict.fromkeys(("ShearX", "ShearY", "Rotate"), 0.5),  # torchvision rounds the sampled pixel
    **dict.fromkeys(("Brightness", "AutoContrast"), 1.0),  # torchvision cuts the fraction off
    **dict.fromkeys(("Color", "Contrast"), 2.1),  # twice: of the grey image too; and its weight of red is 0.2989
    "Sharpness": 1.5,  # rounds the blurred image, and cuts the fraction off
}
"""Largest differences that 8 bits explain, of 255; all other operations are equal."""


@pytest.fixture
def levels(photographs: Tensor) -> Tensor:
    """As torchvision reads them, and not square: (6, 3, 28, 32)."""
    return (255 * photographs[:6, :, 2:30]).round().to(torch.uint8)


@pytest.mark.parametrize("ranges", ["standard", "wide"])
@pytest.mark.parametrize("name", NAMES)
def test_each_operation_is_torchvisions(name: str, ranges: Ranges, levels: Tensor) -> None:
    transform = Operations(image_shape=(3, 28, 32), ranges=ranges)
    space = AutoAugment()._augmentation_space(BINS, (28, 32))
    magnitudes, signed = ({**space, **TrivialAugmentWide()._augmentation_space(BINS)} if ranges == "wide" else space)[
        name
    ]
    for magnitude in magnitudes.flatten()[[1, 9, 16, -1] if magnitudes.ndim else [0]].tolist():
        for sign in (1, -1) if signed else (1,):
            theirs = [_apply_op(each, name, sign * magnitude, InterpolationMode.BILINEAR, None) for each in levels]
            params = torch.zeros(len(levels), len(NAMES), dtype=torch.float64)
            params[:, NAMES.index(name)] = sign * transform.parameter_of(name, magnitude)
            ours = 255 * transform(levels.double() / 255, params)
            assert (ours - torch.stack(theirs)).abs().max() <= LEVELS.get(name, 0) + FLOAT32, (magnitude, sign)


def test_the_largest_magnitude_of_torchvisions_tables_is_1() -> None:
    for ranges, space in (
        ("standard", AutoAugment()._augmentation_space(BINS, (32, 32))),
        ("wide", TrivialAugmentWide()._augmentation_space(BINS)),
    ):
        transform = Operations(ranges=ranges)  # type: ignore[arg-type]
        for name in set(space) - {"Identity"}:
            largest = transform.parameter_of(name, space[name][0].flatten()[-1].item())
            # 150 / 331 of 32 pixels are 14.5, of which torchvision shifts by 14
            assert largest == pytest.approx(14 / (32 * 150 / 331) if "Tr" in name and ranges == "standard" else 1)


def test_operations_are_applied_in_the_order_of_their_names(levels: Tensor) -> None:
    """All together are each alone, one after another; but the warps are one resampling, compared without the others."""
    transform, images = Operations(image_shape=(3, 28, 32)), 0.4 + 0.2 * levels.double() / 255
    params = torch.full((len(images), len(NAMES)), 0.2, dtype=torch.float64)
    params[:, :5] = 0
    one_by_one = images
    for place in range(len(NAMES)):
        alone = torch.zeros_like(params)
        alone[:, place] = params[:, place]
        one_by_one = transform(one_by_one, alone)
    together = transform(images, params)
    # a pixel that rounding moves over an edge of posterize or of a histogram's bin jumps, so a few may differ
    assert ((together - one_by_one).abs() < 1e-6).double().mean() > 0.99


def test_warps_are_composed_in_the_order_of_their_names() -> None:
    """Following a point through each inverse map, the last operation's first."""
    transform = Operations(image_shape=(3, 20, 30))
    bounds = dict(zip(NAMES, transform.bounds, strict=True))
    params = torch.zeros(1, len(NAMES), dtype=torch.float64)
    params[0, :5] = torch.tensor([0.5, -0.3, 0.2, 0.7, -0.4], dtype=torch.float64)
    size = {name: bounds[name] * params[0, place].item() for place, name in enumerate(NAMES[:5])}
    point = torch.tensor([3.0, -4.0], dtype=torch.float64)
    angle = torch.tensor(size["Rotate"], dtype=torch.float64).deg2rad()
    x = (point[0] * angle.cos() - point[1] * angle.sin()).item() - size["TranslateX"]
    y = (point[0] * angle.sin() + point[1] * angle.cos()).item() - size["TranslateY"]
    y += size["ShearY"] * (x + 15)
    x += size["ShearX"] * (y + 10)
    matrix = transform.matrix(params, 20, 30)[0]
    assert (matrix[:, :2] @ point + matrix[:, 2]).tolist() == pytest.approx([x, y], abs=1e-12)


def test_smaller_views_are_shifted_by_the_same_share() -> None:
    transform = Operations(image_shape=(3, 32, 32))
    params = torch.zeros(1, len(NAMES), dtype=torch.float64)
    params[0, 2:4] = torch.tensor([0.8, -0.5], dtype=torch.float64)
    whole, half = (transform.matrix(params, side, side)[0, :, 2] for side in (32, 16))
    assert torch.allclose(half, whole / 2)
    assert whole.abs().min() > 1


@pytest.mark.parametrize(
    ("operation", "theirs", "tolerance"),
    [
        ("solarize", lambda image: F.solarize(image, 127.5), 0),
        ("posterize", lambda image: F.posterize(image, 4), 0),
        ("equalize", F.equalize, 0),
        ("autocontrast", F.autocontrast, LEVELS["AutoContrast"]),
        ("sharpness", lambda image: F.adjust_sharpness(image, 2.0), LEVELS["Sharpness"]),
        ("invert", F.invert, 0),
    ],
)
def test_a_full_tone_is_torchvisions_and_half_of_it_lies_between(
    operation: str, theirs: object, tolerance: float, levels: Tensor
) -> None:
    transform, images = Tone(operation=operation), levels.double() / 255  # type: ignore[arg-type]
    expected = torch.stack([theirs(image) for image in levels])  # type: ignore[operator]
    full = transform(images, torch.ones(len(images), 1).double())
    assert (255 * full - expected).abs().max() <= tolerance + FLOAT32
    half = transform(images, torch.full((len(images), 1), 0.5).double())
    if operation != "sharpness":  # which clamps beyond the middle
        assert torch.allclose(half, (images + full) / 2, atol=1e-12)
        assert torch.equal(transform(images, torch.full((len(images), 1), -0.5).double()), half)

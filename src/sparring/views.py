"""The base views: random resized crop and flip in one grid sample, colour jitter and grey in one 3x4 matrix per image.

Parameters are drawn with torchvision's distributions (`RandomResizedCrop`, `RandomHorizontalFlip`, `ColorJitter`,
`RandomGrayscale`), each image for itself. Drawing is apart from rendering, so that a view can be repeated.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from sparring import colours
from sparring.recipe import Views
from sparring.tensors import constant

CROP_ATTEMPTS = 10  # as torchvision's RandomResizedCrop, before it falls back to the centre


@dataclass(frozen=True)
class ViewDraw:
    """What chance decided for each image of a batch."""

    boxes: Float[Tensor, "b 4"]
    """Top, left, height, width in pixels (whole numbers)."""
    flips: Bool[Tensor, " b"]
    factors: Float[Tensor, "b 4"]
    """Brightness, contrast, saturation (factors) and hue (turns)."""
    orders: Int[Tensor, "b 4"]
    """In which order the four are applied."""
    jittered: Bool[Tensor, " b"]
    greys: Bool[Tensor, " b"]


def _uniform(n: int, low: float, high: float, generator: torch.Generator, columns: int = 1) -> Tensor:
    draw = torch.rand(n, columns, generator=generator, device=generator.device)
    return low + (high - low) * draw


def _coins(n: int, probability: float, generator: torch.Generator) -> Bool[Tensor, " b"]:
    return torch.rand(n, generator=generator, device=generator.device) < probability


def _fallback_box(height: int, width: int, ratio: tuple[float, float]) -> tuple[int, int, int, int]:
    """The largest centred box whose aspect ratio is allowed."""
    box_width = min(width, round(height * ratio[1]))
    box_height = min(height, round(width / ratio[0]))
    return (height - box_height) // 2, (width - box_width) // 2, box_height, box_width


def draw_boxes(
    n: int, height: int, width: int, scale: tuple[float, float], ratio: tuple[float, float], generator: torch.Generator
) -> Float[Tensor, "n 4"]:
    """Crop boxes (top, left, height, width) distributed as torchvision's `RandomResizedCrop.get_params`."""
    area = height * width * _uniform(n, *scale, generator, CROP_ATTEMPTS)
    aspect = _uniform(n, math.log(ratio[0]), math.log(ratio[1]), generator, CROP_ATTEMPTS).exp()
    widths, heights = (area * aspect).sqrt().round(), (area / aspect).sqrt().round()
    valid = (widths > 0) & (widths <= width) & (heights > 0) & (heights <= height)
    first = valid.to(torch.uint8).argmax(dim=1, keepdim=True)
    box_height, box_width = heights.gather(1, first), widths.gather(1, first)
    top = (_uniform(n, 0, 1, generator) * (height - box_height + 1)).floor()
    left = (_uniform(n, 0, 1, generator) * (width - box_width + 1)).floor()
    boxes = torch.cat([top, left, box_height, box_width], dim=1)
    fallback = constant(_fallback_box(height, width, ratio), boxes)
    return torch.where(valid.any(dim=1, keepdim=True), boxes, fallback)


def draw_view(n: int, height: int, width: int, views: Views, generator: torch.Generator) -> ViewDraw:
    """Draw the parameters of one view for `n` images of `height` x `width` pixels."""
    jitters = (views.brightness, views.contrast, views.saturation)
    factors = [_uniform(n, max(0.0, 1 - jitter), 1 + jitter, generator) for jitter in jitters]
    factors.append(_uniform(n, -views.hue, views.hue, generator))
    return ViewDraw(
        boxes=draw_boxes(n, height, width, views.crop_scale, views.crop_ratio, generator),
        flips=_coins(n, views.flip, generator),
        factors=torch.cat(factors, dim=1),
        orders=_uniform(n, 0, 1, generator, 4).argsort(dim=1),
        jittered=_coins(n, views.jitter, generator),
        greys=_coins(n, views.grey, generator),
    )


def _coordinates(
    start: Float[Tensor, " b"], length: Float[Tensor, " b"], out: int, size: int
) -> Float[Tensor, "b {out}"]:
    """Where each output pixel samples along one axis, in grid_sample's units, held inside the box."""
    steps = (torch.arange(out, device=start.device, dtype=start.dtype) + 0.5) / out
    inside = (length[:, None] * steps - 0.5).clamp(min=0).minimum(length[:, None] - 1)
    return (2 * (start[:, None] + inside) + 1) / size - 1


def crop(
    images: Float[Tensor, "b c h w"], boxes: Float[Tensor, "b 4"], flips: Bool[Tensor, " b"], side: int | None = None
) -> Float[Tensor, "b c h2 w2"]:
    """Cut each image's box, resize it (bilinear) to the full size or to `side`, and mirror it where `flips` says so."""
    b, _, height, width = images.shape
    tall, wide = (side, side) if side else (height, width)
    top, left, box_height, box_width = boxes.to(images.dtype).unbind(dim=1)
    rows = _coordinates(top, box_height, tall, height)
    columns = _coordinates(left, box_width, wide, width)
    columns = torch.where(flips[:, None], columns.flip(1), columns)
    grid = torch.stack([columns[:, None, :].expand(b, tall, wide), rows[:, :, None].expand(b, tall, wide)], dim=-1)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)


def jitter_matrix(
    means: Float[Tensor, "b 3"], factors: Float[Tensor, "b 4"], orders: Int[Tensor, "b 4"]
) -> Float[Tensor, "b 3 4"]:
    """The colour jitter of each image in its own order; `means` are the channel means before it.

    Each of the four acts on an image's means by one 3x3 matrix and on what departs from them by another. Only those of
    contrast differ: the means move towards their grey, the rest shrinks.
    """
    bright, contrast, saturation, turns = factors.unbind(dim=1)
    same = [colours.brightness(bright), colours.saturation(saturation), colours.hue(turns)]
    rest, mean = ([same[0], own, *same[1:]] for own in (colours.brightness(contrast), colours.saturation(contrast)))
    steps = torch.stack([torch.stack(rest), torch.stack(mean)], dim=2)
    both, *later = steps[orders.T, torch.arange(len(means), device=means.device)][..., :3]
    for step in later:
        both = step @ both
    on_rest, on_mean = both.unbind(dim=1)
    return torch.cat([on_rest, (on_mean - on_rest) @ means[:, :, None]], dim=2)


def as_float(images: UInt8[Tensor, "b 3 h w"] | Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 h w"]:
    """The images in [0, 1]."""
    return images if images.is_floating_point() else images.float().div_(255)


def as_bytes(images: Float[Tensor, "b c h w"]) -> UInt8[Tensor, "b c h w"]:
    """The images in 0 to 255, rounded; what lies outside [0, 1] is clamped."""
    return (255 * images.clamp(0, 1)).round().to(torch.uint8)


def render_view(
    images: UInt8[Tensor, "b 3 h w"] | Float[Tensor, "b 3 h w"], draw: ViewDraw, side: int | None = None
) -> Float[Tensor, "b 3 h2 w2"]:
    """Render one view in [0, 1]: crop and flip, then colour; as large as the image, or `side` pixels high and wide."""
    cropped = crop(as_float(images), draw.boxes, draw.flips, side)
    factors = draw.factors.to(cropped.dtype)
    matrix = jitter_matrix(cropped.mean(dim=(2, 3)), factors, draw.orders)
    matrix = torch.where(draw.jittered[:, None, None], matrix, colours.identity(factors[:, 0]))
    matrix = colours.compose(colours.saturation(1 - draw.greys.to(cropped.dtype)), matrix)
    return colours.apply_colour(cropped, matrix)


def base_view(
    images: UInt8[Tensor, "b 3 h w"] | Float[Tensor, "b 3 h w"],
    views: Views,
    generator: torch.Generator,
    side: int | None = None,
) -> Float[Tensor, "b 3 h2 w2"]:
    """Draw and render one random view of each image."""
    return render_view(images, draw_view(len(images), images.shape[-2], images.shape[-1], views, generator), side)


def base_views(
    images: UInt8[Tensor, "b 3 h w"] | Float[Tensor, "b 3 h w"],
    views: Views,
    generators: Mapping[str, torch.Generator],
    side: int | None = None,
) -> dict[str, Float[Tensor, "b 3 _ _"]]:
    """The base views of these names, each from its generator; `image` is the image itself, at its own size."""
    images = as_float(images)
    return {
        name: images if name == "image" else base_view(images, views, generator, side)
        for name, generator in sorted(generators.items())
    }

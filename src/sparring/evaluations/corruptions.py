"""Common corruptions of 32x32 images at five severities, batched, and the linear probe's accuracy under them.

Definitions and constants are those of CIFAR-10-C (Hendrycks and Dietterich 2019, "Benchmarking Neural Network
Robustness to Common Corruptions and Perturbations"; github.com/hendrycks/robustness, make_cifar_c.py): nine of its
corruptions, so their mean is not that of all. Images are rounded to 8 bits where the published files are cut off.
Constants in pixels (blurs) are weaker, relatively, on images larger than 32x32.
"""

import math
from collections.abc import Callable
from io import BytesIO

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import UInt8
from kornia.filters import gaussian_blur2d, get_gaussian_kernel2d
from PIL import Image
from torch import Tensor

from sparring.evaluations.confusion import percent_right
from sparring.evaluations.subject import Inspection, Subject
from sparring.randomness import generator_for
from sparring.schema import check_range
from sparring.views import as_bytes

SEVERITIES = range(1, 6)


def gaussian_noise(images: Tensor, deviation: float, generator: torch.Generator) -> Tensor:
    """Add normal noise."""
    return images + deviation * torch.randn(images.shape, generator=generator)


def shot_noise(images: Tensor, photons: float, generator: torch.Generator) -> Tensor:
    """Count photons: a Poisson draw, where a white pixel expects this many."""
    return torch.poisson(photons * images, generator) / photons


def impulse_noise(images: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Set this share of the entries to 0 or 1."""
    draw = torch.rand(images.shape, generator=generator)
    return torch.where(draw < share, (draw < share / 2).to(images), images)


def defocus_blur(images: Tensor, constants: tuple[float, float], generator: torch.Generator) -> Tensor:
    """Convolve with a disk of a radius in pixels, itself smoothed by a 3x3 Gaussian."""
    radius, alias = constants
    line = torch.arange(-2.0, 3)
    disk = (line[:, None] ** 2 + line**2 <= radius**2).float()
    smooth = get_gaussian_kernel2d((3, 3), (alias, alias))
    kernel = F.conv2d((disk / disk.sum())[None, None], smooth[None], padding=1)
    padded = F.pad(images, (2, 2, 2, 2), mode="reflect")
    return F.conv2d(padded, kernel.expand(images.shape[1], 1, 5, 5), groups=images.shape[1])


def gaussian_blur(images: Tensor, sigma: float, generator: torch.Generator) -> Tensor:
    """Convolve with a Gaussian of this width in pixels, cut off at four times that."""
    size = 2 * int(4 * sigma + 0.5) + 1
    return gaussian_blur2d(images, (size, size), (sigma, sigma), border_type="replicate")


def brightness(images: Tensor, added: float, generator: torch.Generator) -> Tensor:
    """Add to HSV's value, the largest channel; the others keep their ratio to it, and black becomes grey."""
    value = images.amax(dim=1, keepdim=True)
    raised = (value + added).clamp(max=1)
    return torch.where(value > 0, images * raised / value.clamp(min=1e-6), raised)


def contrast(images: Tensor, factor: float, generator: torch.Generator) -> Tensor:
    """Draw every pixel towards its channel's mean."""
    means = images.mean(dim=(2, 3), keepdim=True)
    return means + factor * (images - means)


def pixelate(images: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Shrink to this share of the side and enlarge again, both by Pillow's box filter."""
    height, width = images.shape[2:]
    small, box = (int(width * share), int(height * share)), Image.Resampling.BOX
    return _by_pillow(images, lambda picture: picture.resize(small, box).resize((width, height), box))


def jpeg(images: Tensor, quality: int, generator: torch.Generator) -> Tensor:
    """Compress as JPEG, by Pillow."""

    def compressed(picture: Image.Image) -> Image.Image:
        picture.save(file := BytesIO(), "JPEG", quality=quality)
        return Image.open(file)

    return _by_pillow(images, compressed)


def _by_pillow(images: Tensor, change: Callable[[Image.Image], Image.Image]) -> Tensor:
    pictures = as_bytes(images).permute(0, 2, 3, 1).numpy()
    changed = np.stack([np.asarray(change(Image.fromarray(picture))) for picture in pictures])
    return torch.from_numpy(changed).permute(0, 3, 1, 2).float() / 255


CORRUPTIONS: dict[str, tuple[Callable[..., Tensor], tuple[object, ...]]] = {
    "gaussian_noise": (gaussian_noise, (0.04, 0.06, 0.08, 0.09, 0.10)),
    "shot_noise": (shot_noise, (500, 250, 100, 75, 50)),
    "impulse_noise": (impulse_noise, (0.01, 0.02, 0.03, 0.05, 0.07)),
    "defocus_blur": (defocus_blur, ((0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1, 0.2), (1.5, 0.1))),
    "gaussian_blur": (gaussian_blur, (0.4, 0.6, 0.7, 0.8, 1)),
    "brightness": (brightness, (0.05, 0.1, 0.15, 0.2, 0.3)),
    "contrast": (contrast, (0.75, 0.5, 0.4, 0.3, 0.15)),
    "pixelate": (pixelate, (0.95, 0.9, 0.85, 0.75, 0.65)),
    "jpeg": (jpeg, (80, 65, 58, 50, 40)),
}
"""Each with its constants for severities 1 to 5."""


def corrupt(
    pixels: UInt8[Tensor, "n c h w"], name: str, severity: int, generator: torch.Generator
) -> UInt8[Tensor, "n c h w"]:
    """The images under a corruption of this name, at a severity of 1 to 5."""
    change, constants = CORRUPTIONS[name]
    return as_bytes(change(pixels.float() / 255, constants[severity - 1], generator))


class Corruptions(Inspection):
    """Percent of test images that the linear probe recognises under common corruptions, the mean over all of them.

    Each corruption has its mean over severities, `corruptions/NAME`, and its figures, `corruptions/NAME/SEVERITY`.

    Args:
        images: how many test images, evenly spread.
        seed: decides the noise.

    Source: Hendrycks and Dietterich 2019, nine of the corruptions of CIFAR-10-C with its constants.
    """

    def __init__(self, *, images: int = 1000, seed: int = 0) -> None:
        check_range("corruptions: images", images, 1)
        self.images, self.seed = images, seed

    def __call__(self, subject: Subject) -> dict[str, float]:
        pixels, labels = subject.sample(self.images)
        if labels is None or not subject.labelled:
            return {}

        def accuracy(changed: Tensor) -> float:
            return percent_right(labels, subject.probe.predict(subject.extract(changed)))

        return {"corruptions/clean": accuracy(pixels), **self.figures(pixels, accuracy)}

    def figures(self, pixels: UInt8[Tensor, "n c h w"], accuracy: Callable[[Tensor], float]) -> dict[str, float]:
        """What `accuracy` says of the images under every corruption at every severity, and the means."""
        found: dict[str, float] = {}
        for name in CORRUPTIONS:
            draws = [generator_for(self.seed, severity, 0, f"corruptions/{name}") for severity in SEVERITIES]
            row = [accuracy(corrupt(pixels, name, s, draw)) for s, draw in zip(SEVERITIES, draws, strict=True)]
            found |= {f"corruptions/{name}/{s}": each for s, each in zip(SEVERITIES, row, strict=True)}
            found[f"corruptions/{name}"] = math.fsum(row) / len(row)
        means = [found[f"corruptions/{name}"] for name in CORRUPTIONS]
        return {"corruptions": math.fsum(means) / len(means), **found}

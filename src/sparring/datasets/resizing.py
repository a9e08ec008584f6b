"""Images that are already in memory, at another size: resized once into the cache, and mapped from then on."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from torch import Tensor
from torch.nn.functional import interpolate

from sparring.datasets.cache import cache_folder, map_pixels, once, write_pixels

BATCH = 512


def resized(pixels: UInt8[Tensor, "n 3 h h"], image_size: int, key: str) -> UInt8[Tensor, "n 3 s s"]:
    """`pixels` at `image_size` (bicubic, antialiased); `key` names them and the size in the cache."""
    if pixels.shape[-1] == image_size:
        return pixels
    entry = cache_folder() / "resized" / key
    once(entry, partial(_resize, pixels=pixels, image_size=image_size))
    return map_pixels(entry / "pixels.npy")


def _resize(scratch: Path, *, pixels: Tensor, image_size: int) -> None:
    write_pixels(scratch / "pixels.npy", _blocks(pixels, image_size), image_size)


def _blocks(pixels: Tensor, image_size: int) -> Iterator[UInt8[np.ndarray, "_ 3 s s"]]:
    for batch in pixels.split(BATCH):
        yield interpolate(batch, size=(image_size, image_size), mode="bicubic", antialias=True).numpy()

"""One image file, whatever its mode, to 8-bit RGB of the size that is trained on."""

from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageOps
from PIL.ExifTags import Base
from PIL.Image import Resampling

ALPHA_MODES = {"RGBA", "LA", "PA", "RGBa", "La"}


def read_image(path: str | Path, image_size: int) -> UInt8[np.ndarray, "3 s s"]:
    """Upright centre square, its side resized to `image_size` (bicubic, antialiased); raises whatever Pillow raises."""
    with Image.open(path) as image:
        # A JPEG decoder halves for free; twice the size leaves the rest to the better filter.
        image.draft(None, (2 * image_size, 2 * image_size))
        square = _centre_square(_to_rgb(image), image_size)
        orientation = _orientation(image)  # after loading: Pillow turns a TIFF upright itself
    square.info.clear()  # damaged EXIF is not read again
    square.getexif()[Base.Orientation] = orientation
    return np.asarray(ImageOps.exif_transpose(square)).transpose(2, 0, 1)


def _orientation(image: Image.Image) -> int:
    try:
        return image.getexif().get(Base.Orientation, 1)
    except Exception:  # damaged EXIF raises anything, and says nothing of the pixels
        return 1


def _centre_square(image: Image.Image, image_size: int) -> Image.Image:
    width, height = image.size
    side = min(width, height)
    left, top = (width - side) / 2, (height - side) / 2
    return image.resize((image_size, image_size), Resampling.BICUBIC, box=(left, top, left + side, top + side))


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "F" or image.mode.startswith("I"):
        return Image.fromarray(_deep_grey(image)).convert("RGB")
    if image.mode in ALPHA_MODES or "transparency" in image.info:
        rgba = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    return image.convert("RGB")


def _deep_grey(image: Image.Image) -> UInt8[np.ndarray, "h w"]:
    """Integers are 16-bit (65,535 is white); floats are in [0, 1], or else stretched from their least to their most.

    What is not finite is as dark as the least.
    """
    values = np.asarray(image)
    if image.mode != "F":
        return ((values.clip(0, 65_535).astype(np.uint32) + 128) // 257).astype(np.uint8)  # 65,535 / 255 is 257
    finite = np.isfinite(values)
    known = values[finite] if finite.any() else np.zeros(1, np.float32)
    low, high = known.min(), known.max()
    scaled = np.where(finite, values, low)
    if low < 0 or high > 1:
        # both are halved first: the distance of two large floats may be none
        scaled = (scaled / 2 - low / 2) / max(high / 2 - low / 2, np.finfo(np.float32).tiny)
    return np.rint(scaled * 255).astype(np.uint8)

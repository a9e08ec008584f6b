"""The gallery: the same images as photographs, as base views and as hard views, before and after training."""

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from safetensors import SafetensorError
from safetensors.numpy import load_file

from sparring.errors import InputError
from sparring.reports.pictures import data_url

GAP = 4
LARGEST = 96
"""Pixels; larger pictures are shown smaller, so that a page stays small."""
STAGES = {"before": "before training", "after": "after training"}
MARGIN = 8
SCALE = 2


@dataclass(frozen=True)
class Row:
    """Pictures beside each other, with a name."""

    title: str
    pictures: np.ndarray
    """uint8, n x 3 x height x width."""

    def strip(self) -> Image.Image:
        """The pictures side by side on a transparent ground."""
        pictures = [_picture(pixels) for pixels in self.pictures]
        width, height = pictures[0].size
        strip = Image.new("RGBA", ((width + GAP) * len(pictures) - GAP, height))
        for place, picture in enumerate(pictures):
            strip.paste(picture, (place * (width + GAP), 0))
        return strip

    def data_url(self) -> str:
        """The strip as an image that lies inside a page."""
        buffer = BytesIO()
        self.strip().save(buffer, "PNG", optimize=True)
        return data_url(buffer.getvalue())


def rows(folder: Path) -> list[Row]:
    """The rows of a run's gallery; empty if it has none."""
    files = {words: folder / "gallery" / f"{name}.safetensors" for name, words in STAGES.items()}
    stages = {words: _load(file) for words, file in files.items() if file.is_file()}
    if not stages:
        return []
    images = next(iter(stages.values()))["images"]
    return [Row("Image", images), *(Row(title, _as_large(views, images)) for title, views in _views(stages).items())]


def save_png(shown: list[Row], path: Path) -> None:
    """All rows on one white sheet, twice as large, each with its name."""
    strips = [row.strip() for row in shown]
    strips = [strip.resize((strip.width * SCALE, strip.height * SCALE), 0) for strip in strips]
    step, letters = strips[0].height + GAP * SCALE, ImageFont.load_default(14)
    left = 2 * MARGIN + round(max(letters.getlength(row.title) for row in shown))
    sheet = Image.new("RGB", (left + max(strip.width for strip in strips), step * len(strips)), "white")
    pen = ImageDraw.Draw(sheet)
    for place, (row, strip) in enumerate(zip(shown, strips, strict=True)):
        pen.text((MARGIN, place * step + strip.height / 2), row.title, "black", letters, anchor="lm")
        sheet.paste(strip, (left, place * step), strip)
    sheet.save(path)


def _views(stages: dict[str, dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """By title: base views, once if no stage differs, and hard views, unless without an adversary they are the same."""
    first = next(iter(stages.values()))["base"]
    shared = all(np.array_equal(stage["base"], first) for stage in stages.values())
    changed = not all(np.array_equal(stage["hard"], stage["base"]) for stage in stages.values())
    found = {"Base view": first} if shared else {}
    for words, stage in stages.items():
        found |= {} if shared else {f"Base view, {words}": stage["base"]}
        found |= {f"Hard view, {words}": stage["hard"]} if changed else {}
    return found


def _as_large(views: np.ndarray, images: np.ndarray) -> np.ndarray:
    """Views at the images' size, to stand below their own; pixels are repeated, since that is what was seen."""
    (tall, wide), (height, width) = images.shape[2:], views.shape[2:]
    down, right = np.arange(tall) * height // tall, np.arange(wide) * width // wide
    return views[:, :, down[:, None], right]


def _load(path: Path) -> dict[str, np.ndarray]:
    try:
        found = load_file(path)
        return {name: found[name] for name in ("images", "base", "hard")}
    except (SafetensorError, KeyError) as error:
        raise InputError(f"expected {path} to hold pictures, got {error}; delete it to report without") from error


def _picture(pixels: np.ndarray) -> Image.Image:
    picture = Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0)))
    if max(picture.size) > LARGEST:
        picture.thumbnail((LARGEST, LARGEST), Image.Resampling.LANCZOS)
    return picture

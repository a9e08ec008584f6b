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
SHEET_SCALE = 2


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
    stages = {words: _load(folder / "gallery" / f"{name}.safetensors") for name, words in STAGES.items()}
    stages = {words: stage for words, stage in stages.items() if stage}
    if not stages:
        return []
    images, views = next(iter(stages.values())).get("images"), _views(stages)
    if images is None:
        return views
    return [Row("Image", images), *(Row(row.title, _as_large(row.pictures, images)) for row in views)]


def save_png(shown: list[Row], path: Path, scale: int = SHEET_SCALE) -> None:
    """All rows on one white sheet, each with its name, `scale` times as large."""
    strips = [row.strip() for row in shown]
    strips = [strip.resize((strip.width * scale, strip.height * scale), 0) for strip in strips]
    step, letters = strips[0].height + GAP * scale, ImageFont.load_default(14)
    left = 2 * MARGIN + round(max(letters.getlength(row.title) for row in shown))
    sheet = Image.new("RGB", (left + max(strip.width for strip in strips), step * len(strips)), "white")
    pen = ImageDraw.Draw(sheet)
    for place, (row, strip) in enumerate(zip(shown, strips, strict=True)):
        pen.text((MARGIN, place * step + strip.height / 2), row.title, "black", letters, anchor="lm")
        sheet.paste(strip, (left, place * step), strip)
    sheet.save(path)


def _views(stages: dict[str, dict[str, np.ndarray]]) -> list[Row]:
    bases = [stage["base"] for stage in stages.values() if "base" in stage]
    shared = len(bases) == len(stages) and all(np.array_equal(base, bases[0]) for base in bases)
    found = [Row("Base view", bases[0])] if shared else []
    for words, stage in stages.items():
        if "base" in stage and not shared:
            found.append(Row(f"Base view, {words}", stage["base"]))
        if "hard" in stage and _is_changed(stages):
            found.append(Row(f"Hard view, {words}", stage["hard"]))
    return found


def _as_large(views: np.ndarray, images: np.ndarray) -> np.ndarray:
    """Views at the images' size, to stand below their own; pixels are repeated, since that is what was seen."""
    (tall, wide), (height, width) = images.shape[2:], views.shape[2:]
    down, right = np.arange(tall) * height // tall, np.arange(wide) * width // wide
    return views[:, :, down[:, None], right]


def _is_changed(stages: dict[str, dict[str, np.ndarray]]) -> bool:
    """Whether an adversary did anything at any stage: without one, hard views are base views."""
    both = [stage for stage in stages.values() if stage.keys() >= {"base", "hard"}]
    return not both or any(not np.array_equal(stage["hard"], stage["base"]) for stage in both)


def _load(path: Path) -> dict[str, np.ndarray]:
    if not path.is_file():
        return {}
    try:
        return {name: value for name, value in load_file(path).items() if len(value)}
    except SafetensorError as error:
        raise InputError(f"expected {path} to hold pictures, got {error}; delete it to report without") from error


def _picture(pixels: np.ndarray) -> Image.Image:
    picture = Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0)))
    if max(picture.size) > LARGEST:
        picture.thumbnail((LARGEST, LARGEST), Image.Resampling.LANCZOS)
    return picture

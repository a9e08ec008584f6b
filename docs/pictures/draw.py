"""Draw transforms.jpg, transforms at random: python draw.py; and learned.jpg, of a run: python draw.py RUN

The one in the README is of sparring train --image-size 64 --epochs 15 --run RUN."""

import sys
from pathlib import Path

import torch
from safetensors.numpy import load_file

from sparring.assembly import context_of
from sparring.parts import build
from sparring.randomness import generator_for
from sparring.recipe import Part, Recipe
from sparring.reports.gallery import Row, save_png
from sparring.training import load_data

HERE = Path(__file__).parent
IMAGES = 10
SHOWN = (
    Part("colour", {"space": "softmax"}),
    Part("jitter"),
    Part("hsv"),
    Part("pixels", {"eps": 0.1}),
    Part("frequency", {"eps": 8.0, "keep": 0.02}),
    Part("mask"),
    Part("crop"),
    Part("affine"),
    Part("perspective"),
    Part("thin_plate"),
)


def learned(run: Path) -> None:
    """What a run's adversary makes of base views at the end of training."""
    kept = load_file(run / "gallery" / "after.safetensors")
    titles = {"images": "image", "base": "augmented view", "hard": "learned hard view"}
    save_png([Row(title, kept[name]) for name, title in titles.items()], HERE / "learned.jpg", 1)


def transforms() -> None:
    """Each at parameters drawn at random."""
    data = load_data(Recipe(image_size=64))
    context = context_of(data)
    images = data.train.pixels[torch.linspace(200, len(data.train) - 200, IMAGES).long()].float() / 255
    rows = {"image": images}
    for part in SHOWN:
        transform = build("transform", part, context)
        draws = torch.rand(IMAGES, *transform.parameter_shape(context["image_shape"]), generator=generator_for(0, 3))
        rows[part.name] = transform(images, transform.project(2 * draws - 1))
    save_png([Row(title, (255 * row).byte().numpy()) for title, row in rows.items()], HERE / "transforms.jpg", 1)


if __name__ == "__main__":
    learned(Path(sys.argv[1])) if len(sys.argv) > 1 else transforms()

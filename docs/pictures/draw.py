"""Draw transforms.jpg, shipped photographs under each transform at parameters drawn at random: python draw.py"""

from pathlib import Path

import torch

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


def main() -> None:
    data = load_data(Recipe(image_size=64))
    context = context_of(data)
    images = data.train.pixels[torch.linspace(200, len(data.train) - 200, IMAGES).long()].float() / 255
    rows = {"": images}
    for part in SHOWN:
        transform = build("transform", part, context)
        draws = torch.rand(IMAGES, *transform.parameter_shape(context["image_shape"]), generator=generator_for(0, 3))
        rows[part.name] = transform(images, transform.project(2 * draws - 1))
    save_png([Row(title, (255 * row).byte().numpy()) for title, row in rows.items()], HERE / "transforms.jpg", 1)


if __name__ == "__main__":
    main()

"""Several transforms one after another, chosen together."""

from collections.abc import Sequence
from itertools import count
from math import prod
from typing import cast

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from sparring.contracts import ImageShape, Transform
from sparring.errors import InputError


class Chain(Transform):
    """Apply `parts` in their order; the parameters are those of all parts, flattened and joined.

    Args:
        parts: at least one transform.
        image_shape: channels, height, width of the images it will see.
    """

    def __init__(self, parts: Sequence[Transform], *, image_shape: ImageShape = (3, 32, 32)) -> None:
        super().__init__()
        if not parts:
            raise InputError("chain: expected at least one transform in parts, got none")
        self.parts = cast("Sequence[Transform]", nn.ModuleList(parts))
        self.has_identity = all(part.has_identity for part in parts)
        self.shapes = [part.parameter_shape(image_shape) for part in parts]

    def parameter_shape(self, image_shape: ImageShape) -> tuple[int, ...]:
        return (sum(prod(shape) for shape in self.shapes),)

    def _pairs(self, params: Float[Tensor, "b p"]) -> list[tuple[Transform, Tensor]]:
        pieces = params.split([prod(shape) for shape in self.shapes], dim=1)
        shaped = [piece.reshape(-1, *shape) for piece, shape in zip(pieces, self.shapes, strict=True)]
        return list(zip(self.parts, shaped, strict=True))

    def project(self, params: Float[Tensor, "b p"]) -> Float[Tensor, "b p"]:
        return torch.cat([part.project(piece).flatten(1) for part, piece in self._pairs(params)], dim=1)

    def steepest(self, gradient: Float[Tensor, "b p"]) -> Float[Tensor, "b p"]:
        """Each part's own steepest move."""
        return torch.cat([part.steepest(piece).flatten(1) for part, piece in self._pairs(gradient)], dim=1)

    def unsigned(self, params: Float[Tensor, "b p"]) -> Bool[Tensor, "b p"]:
        return torch.cat([part.unsigned(piece).flatten(1) for part, piece in self._pairs(params)], dim=1)

    def forward(self, images: Float[Tensor, "b c h w"], params: Float[Tensor, "b p"]) -> Float[Tensor, "b c h w"]:
        for part, piece in self._pairs(params):
            images = part(images, piece)
        return images

    def describe(self, params: Float[Tensor, "b p"]) -> dict[str, Float[Tensor, " b"]]:
        """Each part's own names; where a part comes again, its names end in the number of its turn."""
        named: dict[str, Tensor] = {}
        for number, (part, piece) in enumerate(self._pairs(params), start=1):
            for name, value in part.describe(piece).items():
                turns = (f"{name}-{turn}" for turn in count(number))
                named[next(turn for turn in turns if turn not in named) if name in named else name] = value
        return named

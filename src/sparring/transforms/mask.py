"""Soft occlusion of a bounded share of the image."""

from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from sparring.contracts import ImageShape, Transform
from sparring.schema import check_ranges, checked
from sparring.tensors import clamped, magnitude
from sparring.transforms import balls

TINY = 1e-12  # stands for an area of 0 in a divisor
Form = Literal["grid", "free"]
Fill = Literal["mean", "grey", "black"]


class Mask(Transform):
    """Blend pixels with a plain colour: out = (1 - o) image + o fill, with opacity o = |parameter|, mean(o) <= `area`.

    The projection is the nearest point of the box that keeps the area: it thins out the faint parts of a mask first.

    Args:
        form: opacity per cell of a grid, or per pixel (a generator's mask).
        area: largest occluded share of the image, opacity counted, in [0, 1].
        cells: grid cells along each side, at most one a pixel.
        fill: the image's own mean colour, mid-grey, or black.

    Source: Shi et al. 2022, "Adversarial Masking for Self-Supervised Learning" (ADIOS).
    """

    def __init__(self, *, form: Form = "grid", area: float = 0.25, cells: int = 4, fill: Fill = "mean") -> None:
        super().__init__()
        self.form, self.fill = checked(form, Form, "mask: form"), checked(fill, Fill, "mask: fill")
        self.area, self.cells = area, cells
        check_ranges(self, {"area": (0, 1), "cells": (1, float("inf"))}, "mask: ")

    def parameter_shape(self, image_shape: ImageShape) -> tuple[int, ...]:
        height, width = image_shape[1:]
        return (1, height, width) if self.form == "free" else (1, min(self.cells, height), min(self.cells, width))

    def unsigned(self, params: Float[Tensor, " b *p"]) -> Bool[Tensor, " b *p"]:
        return torch.ones_like(params, dtype=torch.bool)

    def project(self, params: Float[Tensor, " b *p"]) -> Float[Tensor, " b *p"]:
        return balls.onto_l1(params.clamp(-1, 1), self.area * params[0].numel())

    def steepest(self, gradient: Float[Tensor, " b *p"]) -> Float[Tensor, " b *p"]:
        """The steepest move that fills the area: full steps where the gradient is largest, none elsewhere."""
        return balls.largest(gradient, max(1, int(self.area * gradient[0].numel())))

    def opacity(self, params: Float[Tensor, "b 1 y x"], height: int, width: int) -> Float[Tensor, "b 1 h w"]:
        """How much of each pixel is hidden, in [0, 1]; scaled down where the area would still be exceeded."""
        pixels = F.interpolate(magnitude(params), (height, width), mode="nearest-exact")
        share = pixels.mean(dim=(1, 2, 3), keepdim=True)
        return pixels * torch.where(share > self.area * (1 + balls.SLACK), self.area / share.clamp(min=TINY), 1.0)

    def _colour(self, images: Float[Tensor, "b c h w"]) -> Tensor:
        if self.fill == "mean":
            return images.mean(dim=(2, 3), keepdim=True)
        return images.new_full((), 0.5 if self.fill == "grey" else 0.0)

    def forward(self, images: Float[Tensor, "b c h w"], params: Float[Tensor, "b 1 y x"]) -> Float[Tensor, "b c h w"]:
        opacity = self.opacity(params, images.shape[2], images.shape[3])
        return clamped(images + opacity * (self._colour(images) - images))

    def describe(self, params: Float[Tensor, "b 1 y x"]) -> dict[str, Float[Tensor, " b"]]:
        opacity = self.opacity(params, *params.shape[2:]).flatten(1)  # of cells: exact where they divide the image
        return {"mask/area": opacity.mean(dim=1), "mask/largest_opacity": opacity.amax(dim=1)}

"""Unit balls under the L-inf, L2 and L1 norm of one image's parameters: projection, rescaling, steepest ascent."""

import math
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

Norm = Literal["linf", "l2", "l1"]

ORDERS: dict[str, float] = {"linf": math.inf, "l2": 2.0, "l1": 1.0}
SLACK = 1e-5
"""Parameters on the sphere may round to just outside; they count as inside, so that no gradient bends there."""
SPARSE_SHARE = 0.01
"""Share of the coordinates that one L1 step moves."""


def size(params: Float[Tensor, " b *p"], norm: Norm) -> Float[Tensor, " b"]:
    """The norm of each image's parameters."""
    return torch.linalg.vector_norm(params.flatten(1), ORDERS[norm], dim=1)


def onto_l1(params: Float[Tensor, " b *p"], radius: float = 1.0) -> Float[Tensor, " b *p"]:
    """The nearest point whose L1 norm is at most `radius`: shrink every entry by one threshold per image.

    With the sizes in descending order and S_j the sum of the first j, the threshold is max_j (S_j - radius) / j.

    Source: Duchi et al. 2008, "Efficient Projections onto the l1-Ball for Learning in High Dimensions".
    """
    flat = params.flatten(1)
    sums = flat.abs().sort(dim=1, descending=True).values.cumsum(dim=1)
    places = torch.arange(1, flat.shape[1] + 1, dtype=flat.dtype, device=flat.device)
    threshold = ((sums - radius) / places).amax(dim=1, keepdim=True)
    shrunk = flat.sign() * (flat.abs() - threshold).relu()
    return torch.where(sums[:, -1:] <= radius, flat, shrunk).view_as(params)


def project(params: Float[Tensor, " b *p"], norm: Norm) -> Float[Tensor, " b *p"]:
    """The nearest point in the unit ball."""
    if norm == "linf":
        return params.clamp(-1, 1)
    if norm == "l1":
        return onto_l1(params)
    flat = params.flatten(1)
    return (flat / size(flat, "l2").clamp(min=1)[:, None]).view_as(params)


def rescale(params: Float[Tensor, " b *p"], norm: Norm) -> Float[Tensor, " b *p"]:
    """The point of the same direction on the unit sphere; zero stays zero."""
    flat = params.flatten(1)
    length = size(flat, norm)
    return (flat / torch.where(length == 0, 1.0, length)[:, None]).view_as(params)


def hold(params: Float[Tensor, " b *p"], norm: Norm) -> Float[Tensor, " b *p"]:
    """Points of the box that lie outside the ball rescaled onto it, the others as they are; no sorting."""
    flat = params.flatten(1)
    length = size(flat, norm)
    return (flat / torch.where(length > 1 + SLACK, length, 1.0)[:, None]).view_as(params)


def largest(gradient: Float[Tensor, " b *p"], count: int) -> Float[Tensor, " b *p"]:
    """The signs of the `count` largest entries of each image, 0 elsewhere."""
    flat = gradient.flatten(1)
    places = flat.abs().topk(count, dim=1).indices
    return torch.zeros_like(flat).scatter(1, places, flat.gather(1, places).sign()).view_as(gradient)


def steepest(gradient: Float[Tensor, " b *p"], norm: Norm) -> Float[Tensor, " b *p"]:
    """A move of norm 1 along the gradient: signs, the unit vector, or the same move of the largest 1% of the entries.

    The steepest L1 move changes a single entry; a share of them is far faster (Tramèr and Boneh 2019).
    """
    if norm == "linf":
        return gradient.sign()
    if norm == "l2":
        return rescale(gradient, "l2")
    count = max(1, round(SPARSE_SHARE * gradient[0].numel()))
    return largest(gradient, count) / count

"""Conditional negatives: only those from a ring around the anchor repel."""

import math
from dataclasses import replace
from functools import partial

from jaxtyping import Bool, Float
from torch import Tensor

from sparring.encoders import Encoder
from sparring.errors import InputError
from sparring.methods.contrastive import Contrastive
from sparring.methods.scores import Scores, info_nce

ROUNDING = 1e-3
"""Of a share of the negatives in float32: 0.3 of 50 is 15 and a little."""


def ring_of(scores: Scores, *, nearest: float, furthest: float) -> Bool[Tensor, "a n"]:
    """The negatives whose rank by similarity, nearest first, lies in [floor(nearest N), ceil(furthest N)).

    At least one: that at the ring's inner edge.
    """
    count = scores.kept().sum(dim=1, keepdim=True)
    ranks = scores.negative.argsort(dim=1, descending=True, stable=True).argsort(dim=1)
    first, end = (nearest * count + ROUNDING).floor(), (furthest * count - ROUNDING).ceil()
    return (ranks >= first) & (ranks < end.maximum(first + 1))


def in_ring(scores: Scores, *, nearest: float, furthest: float) -> Float[Tensor, " a"]:
    """InfoNCE against the ring's negatives; their number is (furthest - nearest) N, not N."""
    ring = ring_of(scores, nearest=nearest, furthest=furthest)
    return info_nce(replace(scores, negative=scores.negative.masked_fill(~ring, -math.inf)))


def conditional(
    encoder: Encoder,
    *,
    hidden: int = 512,
    projection: int = 128,
    temperature: float = 0.5,
    nearest: float = 0.01,
    furthest: float = 0.1,
) -> Contrastive:
    """Conditional negative sampling ("Ring"): neither the nearest negatives, likely false, nor the far, easy ones.

    Departures: all of the ring is used where the paper draws from it, on the batch instead of a memory bank, and its
    bounds are constant where the paper may anneal them.

    Args, besides those of `Contrastive`:
        nearest: share of the negatives, the most similar ones, that is left out.
        furthest: share of the negatives, counted from the most similar one, where the ring ends.

    Source: Wu et al. 2021, "Conditional Negative Sampling for Contrastive Learning of Visual Representations".
    """
    if not 0 <= nearest < furthest <= 1:
        raise InputError(f"conditional: expected 0 <= nearest < furthest <= 1, got {nearest} and {furthest}")
    loss = partial(in_ring, nearest=nearest, furthest=furthest)
    return Contrastive(encoder, loss, hidden=hidden, projection=projection, temperature=temperature)

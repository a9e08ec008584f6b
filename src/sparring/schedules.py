"""What depends on where training stands: rates, strength, order. Functions of the step, so nothing needs saving."""

import math

import torch
from jaxtyping import Int
from torch import Tensor

from sparring.randomness import generator_for
from sparring.recipe import Recipe, Views


def learning_rate_at(recipe: Recipe, step: int, steps_per_epoch: int) -> float:
    """Linear warm-up, then cosine to 0, from `learning_rate` x batch / 256 (Goyal et al. 2017)."""
    top, total = recipe.learning_rate * recipe.batch_size / 256, recipe.epochs * steps_per_epoch
    warmup = recipe.warmup * steps_per_epoch
    if step < warmup:
        return top * min(1.0, (step + 1) / warmup)
    return top * (1 + math.cos(math.pi * (step - warmup) / (total - warmup))) / 2


def strength_at(recipe: Recipe, step: int, steps_per_epoch: int) -> float:
    """The adversary's strength: constant, or rising linearly from 0 over `ramp` epochs."""
    ramp = recipe.ramp * steps_per_epoch
    return recipe.strength * min(1.0, step / ramp) if ramp else recipe.strength


def views_at(recipe: Recipe, step: int, steps_per_epoch: int) -> Views:
    """The base views: constant, or weakening to none in steps of `views_anneal` epochs (Luo et al. 2023, DynACL)."""
    if not recipe.views_anneal:
        return recipe.views
    last = recipe.epochs * steps_per_epoch - 1  # the look after it sees what was trained on
    epochs = recipe.views_anneal * (min(step, last) // (recipe.views_anneal * steps_per_epoch))
    return recipe.views.weakened(1 - epochs / recipe.epochs)


def side_at(recipe: Recipe, step: int, steps_per_epoch: int, whole: int) -> int | None:
    """The side of the views in pixels, constant over each of `views.sides`' equal parts; `whole` is the images'."""
    sides, total = recipe.views.sides_in(whole), recipe.epochs * steps_per_epoch
    return sides[min(step, total - 1) * len(sides) // total] if sides else None


def epoch_order(images: int, seed: int, epoch: int) -> Int[Tensor, " n"]:
    """The order in which an epoch visits the images."""
    return torch.randperm(images, generator=generator_for(seed, epoch, stream="order"))

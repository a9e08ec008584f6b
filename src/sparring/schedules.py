"""What depends on where training stands, as functions of the step that need no saving; and how many steps there are."""

import math

import torch
from jaxtyping import Int
from torch import Tensor

from sparring.errors import InputError
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


def check_ranks(recipe: Recipe, ranks: int) -> None:
    """Refuse a batch that cannot be shared out among the processes, two images or more to each."""
    if recipe.batch_size % ranks or recipe.batch_size < 2 * ranks:
        expected = f"expected a multiple of the {ranks} processes, at least {2 * ranks}"
        fits = ranks * max(2, recipe.batch_size // ranks)
        raise InputError(f"batch_size: {expected}, got {recipe.batch_size}; try --batch-size {fits}")


def count_steps(recipe: Recipe, images: int, ranks: int) -> int:
    """Steps per epoch; a batch or a warm-up that cannot be is one clear line."""
    for name in ("warmup", "ramp"):
        if (got := getattr(recipe, name)) > recipe.epochs:
            expected = f"expected at most the {recipe.epochs} epochs of training, got {got:g}"
            raise InputError(f"{name}: {expected}; try --{name} {recipe.epochs / 10:g}")
    if recipe.views_anneal >= recipe.epochs:
        expected = f"expected less than the {recipe.epochs} epochs of training, or views never weaken"
        tried = f"try --views-anneal {min(recipe.epochs - 1, max(1, recipe.epochs // 20))}"
        raise InputError(f"views_anneal: {expected}, got {recipe.views_anneal}; {tried}")
    check_ranks(recipe, ranks)
    if images < 2:
        raise InputError(f"{recipe.data}: expected at least 2 training images, got {images}")
    if recipe.batch_size > images:
        fits = 2 ** (images.bit_length() - 1)
        expected = f"expected at most the {images} training images"
        raise InputError(f"batch_size: {expected}, got {recipe.batch_size}; try --batch-size {fits}")
    return recipe.replays * (images // recipe.batch_size)

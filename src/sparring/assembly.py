"""A learner from a recipe, tried on a round before it trains."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from math import prod
from typing import Any

import torch
from torch import Tensor

from sparring.contracts import Adversary, Proposal, Transform
from sparring.datasets import DataSet
from sparring.dual_norm import with_dual_norms
from sparring.errors import InputError, first_line
from sparring.gather import alone
from sparring.learner import Learner
from sparring.module_state import frozen_statistics, has_sparse_weights
from sparring.parts import build, load_parts
from sparring.randomness import generator_for
from sparring.recipe import Recipe
from sparring.rounds import Batch, base_views_of, is_hard, partner_of, views_of

TRIED = 4
"""Images of a round that is only tried."""
SLACK = 1e-4
"""How far a value may lie outside its range, by rounding."""
IDENTITY = 1e-3
"""Largest change of a pixel that counts as none, as where pixels are sampled anew."""


def context_of(data: DataSet) -> dict[str, Any]:
    """What parts may ask of the data."""
    count, channels, height, width = data.train.pixels.shape
    return {
        "image_shape": (channels, height, width),
        "image_count": count,
        "labels": data.train.labels,
        "statistics": data.channel_statistics(),
    }


def _check_norms(recipe: Recipe) -> None:
    if recipe.dual_norms and all(map(is_hard, views_of(recipe.pairs))):
        raise InputError(
            'dual_norms: expected a clean view in pairs, whose BatchNorm the encoder keeps, such as [["first", '
            '"second*"]]; got none, so that it would stay untrained'
        )


def _check_strength(adversary: Adversary, recipe: Recipe) -> None:
    if (0 < recipe.strength < 1 or recipe.ramp) and adversary.hardens:
        adversary.transform.require_identity("strength, ramp")
    skips, processes = recipe.ramp or not recipe.strength, recipe.devices * recipe.nodes
    if processes > 1 and skips and has_sparse_weights(adversary):
        raise InputError(
            f"adversary {recipe.adversary.name}: expected one process, or a strength above 0 in every step, got "
            f"{processes} with strength = {recipe.strength:g} and ramp = {recipe.ramp:g}"
        )


def _tried(recipe: Recipe, context: Mapping[str, Any], side: int | None = None) -> Batch:
    """A few images of noise, views of this side, or the images' own size."""
    channels, *own = context["image_shape"]
    generator = generator_for(recipe.seed, 0, stream="tried")
    sizes = {name: own if name == "image" or side is None else [side, side] for name in base_views_of(recipe.pairs)}
    views = {name: torch.rand(TRIED, channels, *size, generator=generator) for name, size in sizes.items()}
    places = torch.arange(TRIED) % context["image_count"]
    return Batch(views, places, 0, recipe.strength, generator)


def _check_contracts(learner: Learner, recipe: Recipe, batch: Batch) -> None:
    """Let each part do its work once on every view to harden, so that one that does not keep its contract is named."""
    try:
        _check_features(learner, recipe, batch)
        for name in sorted(filter(is_hard, views_of(recipe.pairs))):
            _check_view(learner, recipe, batch, name)
    except RuntimeError as error:
        raise InputError(f"{_players(recipe)}: a round cannot be played; {first_line(error)}") from error


@torch.no_grad()
def _check_features(learner: Learner, recipe: Recipe, batch: Batch) -> None:
    """Refuse an encoder that says another length of its features than they have."""
    encoder = learner.method.encoder
    features, size = encoder(next(iter(batch.views.values()))), (TRIED, encoder.feature_size)
    if not isinstance(features, Tensor) or features.shape != size:
        raise InputError(
            f"encoder {recipe.encoder.name}: expected features of shape {size}, as its feature_size says, got "
            f"{_told(features)}; give Encoder the length that its network has"
        )


def _check_view(learner: Learner, recipe: Recipe, batch: Batch, name: str) -> None:
    partner = learner.comparison.glance(batch.views[partner_of(name, recipe.pairs)], batch.indices)
    view = learner.hardening(name, lambda: partner, batch, learner.adversary)
    who, what = f"adversary {recipe.adversary.name}", f"transform {recipe.transform.name}"
    proposal = view.adversary.propose(view.turn())
    if not isinstance(proposal, Proposal):
        raise InputError(f"{who}: expected propose to return a Proposal, got {_told(proposal)}")
    if proposal.params is None:
        return
    size = view.adversary.transform.size_for(view.images)
    _check_values(f"{who}: expected parameters", proposal.params, size, -1)
    hard = view.adversary.transform(view.images, batch.strength * proposal.params)
    _check_values(f"{what}: expected images", hard, view.images.shape, 0)
    _check_identity(what, view.adversary.transform, view.images, proposal.params)
    seen = learner.comparison.glance(hard, batch.indices, hard=True)
    _check_losses(f"method {recipe.method.name}: expected a loss", learner.comparison.loss(name, partner, seen))
    move = view.move(proposal.params)
    for part, penalty in zip(recipe.penalties, learner.penalties, strict=True):
        who, cost = f"penalty {part.name}: expected a cost", penalty(move)
        _check_losses(who, cost)
        if cost.min() < -SLACK:
            raise InputError(f"{who} of at least 0, got {cost.min():.3g}")


def _check_identity(what: str, transform: Transform, images: Tensor, params: Tensor) -> None:
    """Refuse a transform that says zero leaves images as they are, and does not."""
    if not transform.has_identity:
        return
    change = (transform(images, torch.zeros_like(params)) - images).abs().max()
    if not change <= IDENTITY:  # nor is it where nothing is a number
        raise InputError(
            f"{what}: expected parameters of 0 to leave images as they are, got a change of up to {change:.3g}; "
            "if that is meant, set has_identity = False"
        )


def _check_values(expected: str, got: object, shape: Sequence[int], low: int) -> None:
    """Refuse anything but a float32 tensor of this shape with values from `low` to 1."""
    if not isinstance(got, Tensor) or got.shape != tuple(shape) or got.dtype != torch.float32:
        raise InputError(f"{expected} of shape {tuple(shape)} in torch.float32, got {_told(got)}")
    least, most = got.aminmax()
    if not (least >= low - SLACK and most <= 1 + SLACK):
        raise InputError(f"{expected} in [{low}, 1], got values from {least:.3g} to {most:.3g}")


def _check_losses(expected: str, got: object) -> None:
    if not isinstance(got, Tensor) or got.shape != (TRIED,):
        raise InputError(f"{expected} for each of {TRIED} images, got {_told(got)}")


def _told(value: object) -> str:
    return f"shape {tuple(value.shape)} in {value.dtype}" if isinstance(value, Tensor) else type(value).__name__


def _players(recipe: Recipe) -> str:
    return ", ".join(part.name for part in (recipe.encoder, recipe.transform, recipe.adversary))


def _check_sides(learner: Learner, recipe: Recipe, context: Mapping[str, Any]) -> None:
    """Play a round at every side of the views, so that what cannot be is said before training."""
    sides = recipe.views.sides_in(context["image_shape"][-1])
    for given, side in sorted(set(zip(recipe.views.sides, sides, strict=True))):
        try:
            learner(_tried(recipe, context, side))
        except (AssertionError, IndexError, RuntimeError, TypeError, ValueError) as error:  # TypeError: jaxtyping's
            told = f"{side}" if given == side else f"{given:g}, which is {side} pixels"
            raise InputError(
                f"views.sides: expected sides that {_players(recipe)} can be played at, got {told} "
                f"({first_line(error)}); take other sides, or leave them out for the images' own"
            ) from None


def build_learner(
    recipe: Recipe,
    context: Mapping[str, Any],
    autocast: Callable[[], AbstractContextManager] = nullcontext,
    *,
    tried: bool = True,
) -> Learner:
    """Encoder, method, transform and adversary of a recipe, joined in a learner.

    Where it is `tried`, on a round of noise, a part that breaks its contract is one clear line.
    """
    load_parts(recipe.parts)
    if "transform" in recipe.adversary.settings:
        raise InputError("adversary: expected its transform beside it, as transform = ..., got one among its settings")
    encoder = build("encoder", recipe.encoder, context)
    context = {**context, "encoder": encoder, "features": encoder.feature_size}
    context["transform"] = build("transform", recipe.transform, context)
    method, adversary = build("method", recipe.method, context), build("adversary", recipe.adversary, context)
    if recipe.dual_norms:
        with_dual_norms(method)
    opposed = {**context, "transform": adversary.transform}  # a blend's, or an opponent's own
    learner = Learner(
        method,
        adversary,
        pairs=recipe.pairs,
        penalties=[build("penalty", penalty, opposed) for penalty in recipe.penalties],
        probability=recipe.probability,
        autocast=autocast,
        pixels=prod(context["image_shape"][1:]),
    )
    _check_norms(recipe)
    _check_strength(adversary, recipe)
    if tried:
        with frozen_statistics(learner.method), alone():
            _check_contracts(learner, recipe, _tried(recipe, context))
            _check_sides(learner, recipe, context)
        learner.meter.take()
    return learner

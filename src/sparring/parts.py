"""Build registered parts from a recipe: the constructor's signature is the schema of its settings."""

import inspect
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from importlib.util import module_from_spec, spec_from_file_location
from math import prod
from pathlib import Path
from typing import Any, get_args, get_origin

import torch

from sparring.adversaries import ADVERSARIES
from sparring.contracts import Adversary, Method, Transform
from sparring.datasets import DataSet
from sparring.dual_norm import with_dual_norms
from sparring.encoders import ENCODERS, Encoder, ImageShape
from sparring.errors import InputError, unknown
from sparring.evaluations import EVALUATIONS
from sparring.learner import Learner
from sparring.methods import METHODS
from sparring.penalties import PENALTIES
from sparring.randomness import generator_for
from sparring.recipe import Part, Recipe
from sparring.rounds import Batch, base_views_of, is_hard
from sparring.schema import checked
from sparring.statistics import frozen_statistics
from sparring.transforms import TRANSFORMS

TABLES: dict[str, Mapping[str, Callable[..., Any]]] = {
    "encoder": ENCODERS,
    "method": METHODS,
    "transform": TRANSFORMS,
    "adversary": ADVERSARIES,
    "penalty": PENALTIES,
    "evaluation": EVALUATIONS,
}
CONTRACTS: dict[Any, str] = {Encoder: "encoder", Method: "method", Transform: "transform", Adversary: "adversary"}
CONTEXT = ("statistics", "image_shape", "image_count", "labels", "encoder", "features", "transform")
"""What the builder fills in by itself; everything else that a constructor takes is a setting."""

TRIED = 4
"""Images of a round that is only tried."""


def settings_of(constructor: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """The settings that a part takes, by name."""
    parameters = inspect.signature(constructor).parameters
    return {name: parameter for name, parameter in parameters.items() if name not in CONTEXT}


def _setting(value: Any, hint: Any, name: str, context: Mapping[str, Any]) -> Any:
    """A plain value, or a part inside a part."""
    inner = next((each for each in (hint, *get_args(hint)) if each in CONTRACTS), None)
    if inner is None:
        return checked(value, hint, name)
    if get_origin(hint) is Sequence:
        return [build(CONTRACTS[inner], Part.of(each, name), context) for each in checked(value, list, name)]
    return build(CONTRACTS[inner], Part.of(value, name), context)


def build(kind: str, part: Part, context: Mapping[str, Any]) -> Any:
    """Construct the part of this name; `context` holds what constructors may ask for besides their settings."""
    table = TABLES[kind]
    if part.name not in table:
        raise unknown(kind, part.name, table)
    constructor = table[part.name]
    own, asked = settings_of(constructor), inspect.signature(constructor).parameters
    inner = {key: value for key, value in part.settings.items() if key in TABLES and key in asked}
    for key in part.settings.keys() - inner.keys():
        if key not in own:
            raise _unknown_setting(f"{kind} {part.name}", key, own)
    settings = {
        key: _setting(value, own[key].annotation, f"{kind} {part.name}: {key}", context)
        for key, value in part.settings.items()
        if key not in inner
    }
    # an opponent inside a blend brings its own transform
    context = {**context, **{key: build(key, Part.of(value, key), context) for key, value in inner.items()}}
    missing = [name for name, each in own.items() if each.default is each.empty and name not in settings]
    if missing:
        raise InputError(f"{kind} {part.name}: expected the setting {missing[0]!r}, got none")
    return constructor(**{name: value for name, value in context.items() if name in asked}, **settings)


def _unknown_setting(part: str, key: str, own: Collection[str]) -> InputError:
    return unknown(f"setting of {part}", key, own) if own else InputError(f"{part} takes no settings, got {key!r}")


def load_parts(files: Sequence[str]) -> None:
    """Run Python files that add rows to the tables, each once a process."""
    for file in files:
        path = Path(file).expanduser().absolute()
        if not path.is_file() or path.suffix != ".py":
            raise InputError(f"parts: expected a Python file, such as mine.py, got {file!r}")
        if str(path) not in sys.modules:
            spec = spec_from_file_location(str(path), path)
            assert spec is not None
            assert spec.loader is not None
            sys.modules[str(path)] = module = module_from_spec(spec)
            try:
                spec.loader.exec_module(module)
            except BaseException:
                del sys.modules[str(path)]
                raise


def context_of(data: DataSet) -> dict[str, Any]:
    """What parts may ask of the data."""
    count, channels, height, width = data.train.pixels.shape
    return {
        "image_shape": (channels, height, width),
        "image_count": count,
        "labels": data.train.labels,
        "statistics": data.channel_statistics(),
    }


def _check_star(recipe: Recipe) -> None:
    if recipe.adversary.name != "none" and not any(is_hard(view) for pair in recipe.pairs for view in pair):
        raise InputError(
            'pairs: expected a star behind a view for the adversary to change, such as [["first", "second*"]], got '
            "none; without an adversary: --adversary none"
        )


def _check_strength(learner: Learner, recipe: Recipe) -> None:
    if 0 < recipe.strength < 1 or recipe.ramp:
        learner.adversary.transform.require_identity("strength, ramp")


def _check_sides(learner: Learner, recipe: Recipe, image_shape: ImageShape) -> None:
    """Play a round at every side of the views, so that what cannot be is said before training."""
    channels, *own = image_shape
    for given, side in sorted(set(zip(recipe.views.sides, recipe.views.sides_in(own[-1]), strict=True))):
        sizes = {name: own if name == "image" else [side, side] for name in base_views_of(recipe.pairs)}
        views = {name: torch.full((TRIED, channels, *size), 0.5) for name, size in sizes.items()}
        generator = generator_for(recipe.seed, 0, stream="sides")
        try:
            with frozen_statistics(learner.method):
                learner(Batch(views, torch.arange(TRIED), 0, recipe.strength, generator))
        except (AssertionError, IndexError, RuntimeError, TypeError, ValueError) as error:  # TypeError: jaxtyping's
            parts = ", ".join(part.name for part in (recipe.encoder, recipe.transform, recipe.adversary))
            said = str(error).partition("\n")[0]
            told = f"{side}" if given == side else f"{given:g}, which is {side} pixels"
            raise InputError(
                f"views.sides: expected sides that {parts} can be played at, got {told} ({said}); "
                "take other sides, or leave them out for the images' own"
            ) from None
    learner.meter.take()


def build_learner(
    recipe: Recipe, context: Mapping[str, Any], autocast: Callable[[], AbstractContextManager] = nullcontext
) -> Learner:
    """Encoder, method, transform and adversary of a recipe, joined in a learner."""
    load_parts(recipe.parts)
    encoder = build("encoder", recipe.encoder, context)
    context = {**context, "encoder": encoder, "features": encoder.feature_size}
    context["transform"] = build("transform", recipe.transform, context)
    method, adversary = build("method", recipe.method, context), build("adversary", recipe.adversary, context)
    if recipe.dual_norms:
        with_dual_norms(method)
    learner = Learner(
        method,
        adversary,
        pairs=recipe.pairs,
        penalties=[build("penalty", penalty, context) for penalty in recipe.penalties],
        probability=recipe.probability,
        autocast=autocast,
        pixels=prod(context["image_shape"][1:]),
    )
    _check_star(recipe)
    _check_strength(learner, recipe)
    _check_sides(learner, recipe, context["image_shape"])
    return learner

"""Build registered parts from a recipe: the constructor's signature is the schema of its settings."""

import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any, get_args, get_origin

from torch import nn

from sparring.adversaries import ADVERSARIES
from sparring.contracts import Adversary, Method, Penalty, Transform
from sparring.datasets import DATASETS
from sparring.encoders import ENCODERS, Encoder
from sparring.errors import InputError, unknown, with_article
from sparring.evaluations import EVALUATIONS
from sparring.methods import METHODS
from sparring.penalties import PENALTIES
from sparring.recipe import PARTS, Part
from sparring.schema import checked, listed
from sparring.transforms import TRANSFORMS

TABLES: dict[str, Mapping[str, Callable[..., Any]]] = {
    "data": DATASETS,
    "encoder": ENCODERS,
    "method": METHODS,
    "transform": TRANSFORMS,
    "adversary": ADVERSARIES,
    "penalty": PENALTIES,
    "evaluation": EVALUATIONS,
}
KINDS: dict[str, type] = {
    "encoder": Encoder,
    "method": Method,
    "transform": Transform,
    "adversary": Adversary,
    "penalty": Penalty,
}
"""What a part of each kind is."""
CONTRACTS = {contract: kind for kind, contract in KINDS.items()}
ADDED: dict[str, set[tuple[str, str]]] = {}
"""Kind and name of the rows that each file of parts has added."""
CONTEXT = ("statistics", "image_shape", "image_count", "labels", "encoder", "features", "transform")
"""What the builder fills in by itself; everything else that a constructor takes is a setting."""


def settings_of(constructor: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """The settings that a part takes, by name."""
    parameters = _signature(constructor).parameters
    catch_all = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)  # a module without a constructor
    return {name: each for name, each in parameters.items() if name not in CONTEXT and each.kind not in catch_all}


def _signature(constructor: Callable[..., Any]) -> inspect.Signature:
    """With annotations that are written as text read; all are left as text if one of them cannot be."""
    try:
        return inspect.signature(constructor, eval_str=True)
    except (NameError, AttributeError, TypeError, SyntaxError):  # of names that only a type checker knows
        return inspect.signature(constructor)


def _declared(setting: inspect.Parameter) -> Any:
    """A setting's type: as annotated, or else that of its default."""
    if setting.annotation is not setting.empty and not isinstance(setting.annotation, str):
        return setting.annotation
    kind = Any if setting.default in (setting.empty, None) else type(setting.default)
    return Sequence[Any] if kind in (list, tuple) else kind


def resolved(kind: str, part: Part) -> Part:
    """The part with all of its settings, at their defaults where not given; parts inside as given."""
    known = settings_of(TABLES[kind][part.name]).items()
    defaults = {name: each.default for name, each in known if each.default is not each.empty}
    return Part(part.name, {**defaults, **part.settings})


def _setting(value: Any, hint: Any, name: str, context: Mapping[str, Any]) -> Any:
    """A plain value, or a part inside a part."""
    inner = next((each for each in (hint, *get_args(hint)) if each in CONTRACTS), None)
    if inner is None:
        return checked(value, hint, name)
    if get_origin(hint) is Sequence:
        return [build(CONTRACTS[inner], Part.of(each, name), context) for each in listed(value, name)]
    return build(CONTRACTS[inner], Part.of(value, name), context)


def build(kind: str, part: Part, context: Mapping[str, Any]) -> Any:
    """Construct the part of this name; `context` holds what constructors may ask for besides their settings."""
    table = TABLES[kind]
    if part.name not in table:
        raise unknown(kind, part.name, table)
    constructor = table[part.name]
    if isinstance(constructor, nn.Module):
        raise InputError(f"{kind} {part.name}: expected a class or a function in the table, got an instance")
    own, asked = settings_of(constructor), inspect.signature(constructor).parameters
    inner = {
        key: value
        for key, value in part.settings.items()
        if key in asked and (kind, key) == ("adversary", "transform")  # an opponent inside another brings its own
    }
    for key in part.settings.keys() - inner.keys():
        if key not in own:
            none = InputError(f"{kind} {part.name} takes no settings, got {key!r}")
            raise unknown(f"setting of {kind} {part.name}", key, own) if own else none
    settings = {
        key: _setting(value, _declared(own[key]), f"{kind} {part.name}: {key}", context)
        for key, value in part.settings.items()
        if key not in inner
    }
    context = {**context, **{key: build(key, Part.of(value, key), context) for key, value in inner.items()}}
    missing = [name for name, each in own.items() if each.default is each.empty and name not in settings]
    if missing:
        remedy = f"; try --{kind}.{missing[0].replace('_', '-')} VALUE" if kind in PARTS else ""
        raise InputError(f"{kind} {part.name}: expected the setting {missing[0]!r}, got none{remedy}")
    built = constructor(**{name: value for name, value in context.items() if name in asked}, **settings)
    if kind in KINDS and not isinstance(built, KINDS[kind]):
        expected = with_article(KINDS[kind].__name__)
        raise InputError(f"{kind} {part.name}: expected {expected}, got {type(built).__name__}")
    if isinstance(built, Transform) and "image_shape" in context:
        shape = built.parameter_shape(context["image_shape"])
        if not isinstance(shape, tuple | list):
            said = "expected parameter_shape to return a tuple, such as (1,)"
            raise InputError(f"transform {part.name}: {said}, got {shape!r}")
    return built


def _rows() -> dict[tuple[str, str], Callable[..., Any]]:
    return {(kind, name): part for kind, table in TABLES.items() for name, part in table.items()}


def load_parts(files: Sequence[str]) -> None:
    """Run Python files that add rows to the tables, each once a process."""
    for file in files:
        path = Path(file).expanduser().absolute()
        if not path.is_file() or path.suffix != ".py":
            got = f"{file!r}" if path.exists() else f"{file!r}, which does not exist"
            raise InputError(f"parts: expected a Python file, such as mine.py, got {got}")
        if str(path) not in sys.modules:
            spec = spec_from_file_location(str(path), path)
            assert spec is not None
            assert spec.loader is not None
            sys.modules[str(path)] = module = module_from_spec(spec)
            try:
                before = _rows()
                spec.loader.exec_module(module)
                ADDED[str(path)] = {row for row, part in _rows().items() if before.get(row) is not part}
            except BaseException as error:
                del sys.modules[str(path)]
                if isinstance(error, SyntaxError | ImportError):
                    place = f", line {error.lineno}" if isinstance(error, SyntaxError) else ""
                    raise InputError(f"{path}{place}: {error.msg}") from None
                raise

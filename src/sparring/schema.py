"""Check a value from a recipe or a command line against the type that a constructor declares."""

import math
import re
import tomllib
from collections.abc import Mapping, Sequence
from datetime import date, time
from numbers import Integral, Real
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from sparring.errors import InputError

NUMBER = re.compile(r"[+-]?(\d+\.|\.\d+)(e[+-]?\d+)?", re.IGNORECASE)
"""As people write numbers and TOML does not."""
TINY = 1e-9
"""The least that counts as more than 0."""
NAMES: dict[object, str] = {
    int: "a whole number",
    float: "a number",
    str: "a text",
    bool: "true or false",
    Path: "a path",
    list: "a list",
    dict: "a table",
    Any: "anything",
}


def describe(hint: Any) -> str:
    """A declared type in words."""
    if get_origin(hint) is Literal:
        return "one of " + ", ".join(map(repr, get_args(hint)))
    if get_origin(hint) in (Union, UnionType):
        return " or ".join(describe(option) for option in get_args(hint) if option is not NoneType)
    if get_origin(hint) in (tuple, list, Sequence):
        inner = {describe(each) for each in get_args(hint) if each is not Ellipsis}
        size = f" of {len(get_args(hint))}" if get_origin(hint) is tuple and Ellipsis not in get_args(hint) else ""
        return f"a list{size}, each {inner.pop()}" if len(inner) == 1 else f"a list{size}"
    return NAMES.get(hint, str(hint))


def _scalar(value: Any, hint: Any) -> Any:
    if hint is float and isinstance(value, Real) and not isinstance(value, bool):
        if not math.isfinite(value):
            raise TypeError
        return float(value)
    if hint is int and isinstance(value, Integral) and not isinstance(value, bool):
        return int(value)
    if (hint is Path and isinstance(value, str)) or (hint is str and isinstance(value, Path)):
        return hint(value)
    if isinstance(hint, type) and hint is not int and isinstance(value, hint):
        return value
    raise TypeError


def _sequence(value: Any, hint: Any) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise TypeError
    inner = get_args(hint)
    open_ended = len(inner) == 1 or inner[-1] is Ellipsis
    hints = [inner[0]] * len(value) if open_ended else list(inner)
    if len(hints) != len(value):
        raise TypeError
    return tuple(_convert(part, part_hint) for part, part_hint in zip(value, hints, strict=True))


def _convert(value: Any, hint: Any) -> Any:
    origin = get_origin(hint)
    if hint is Any:
        return value
    if origin is Literal:
        known = get_args(hint)
        if value not in known and str(value) not in known:  # 32 for "32", as TOML and --set read it
            raise TypeError
        return value if value in known else str(value)
    if origin in (Union, UnionType):
        options = [option for option in get_args(hint) if option is not NoneType]
        return None if value is None else _convert(value, options[0])
    if origin in (tuple, list, Sequence):
        return _sequence(value, hint)
    return _scalar(value, hint)


def parse_literal(word: str) -> Any:
    """A value from the command line, written as in TOML; quotes around a text may be left out, and a date is a text."""
    try:
        value = tomllib.loads(f"value = {word}")["value"]
        return word if isinstance(value, date | time) else value
    except tomllib.TOMLDecodeError as error:
        if word.startswith("{"):
            raise InputError(f"expected an inline TOML table, got {word}; {error}") from None
        return float(word) if NUMBER.fullmatch(word) else word


def checked(value: Any, hint: Any, name: str) -> Any:
    """`value` as the declared type (lists become tuples, whole numbers floats); one clear line if it does not fit."""
    try:
        return _convert(value, hint)
    except TypeError:
        raise InputError(f"{name}: expected {describe(hint)}, got {value!r}") from None


def listed(value: Any, name: str) -> list[Any]:
    """A list, or a tuple as one."""
    return list(value) if isinstance(value, tuple) else checked(value, list, name)


def check_ranges(owner: object, ranges: Mapping[str, tuple[float, float]], prefix: str = "") -> None:
    """Refuse the first number that is out of its range, infinite or not a number."""
    for name, (low, high) in ranges.items():
        check_range(f"{prefix}{name}", getattr(owner, name), low, high)


def check_range(name: str, value: float, low: float, high: float = math.inf) -> None:
    """Refuse a number that is out of its range, infinite or not a number."""
    if not (low <= value <= high and math.isfinite(value)):
        least = "above 0" if low == TINY else f"of at least {low:g}" if math.isfinite(low) else ""
        start = "(0" if low == TINY else f"[{low:g}"
        expected = f"in {start}, {high:g}]" if math.isfinite(high) else least
        kind = "number" if math.isfinite(value) else "finite number"
        raise InputError(f"{name}: expected a {f'{kind} {expected}'.rstrip()}, got {value}")


def check_each(name: str, values: Sequence[float], low: float, high: float = math.inf) -> None:
    """Refuse an empty list, and the first number of one that `check_range` refuses."""
    if not values:
        raise InputError(f"{name}: expected at least one number, got none")
    for value in values:
        check_range(name, value, low, high)


def check_neighbours(ks: Sequence[int], ts: Sequence[float]) -> None:
    """Refuse numbers of neighbours and temperatures that no kNN can use."""
    check_each("knn_k", ks, 1)
    check_each("knn_t", ts, 1e-3)

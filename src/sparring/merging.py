"""What evaluation.json holds of a data set, where it is measured again."""

from collections.abc import Mapping
from typing import Any

MERGED = ("figures", "settings")
"""Parts of an evaluation to which a later one adds."""


def merged(before: Mapping[str, Any], record: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """What was found before and now; nothing that is out of date or of other images."""
    old, new = _classes(before), _classes(record)
    if old and new and old != new:
        before = {}  # of other images, which lay there then
    stale = _outdated(before, record)
    kept = {key: before.get(key, {}) for key in MERGED}
    kept["figures"] = {name: figure for name, figure in kept["figures"].items() if name not in stale}
    return {**before, **record, **{key: {**kept[key], **value} for key, value in record.items() if key in MERGED}}


def _outdated(before: Mapping[str, Any], record: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Earlier figures of evaluations that were made otherwise now; and of fits, that they had not converged."""
    fresh = {name.partition("/")[0] for name in record.get("figures", {})}
    then, now = before.get("settings", {}), record.get("settings", {})
    otherwise = {each for each in then.keys() & now.keys() if _protocol(then[each]) != _protocol(now[each])}
    figures = [(name, name.partition("/")[0]) for name in before.get("figures", {})]
    return [name for name, of in figures if of in otherwise or (of in fresh and name.endswith("/unconverged"))]


def _protocol(settings: Mapping[str, Any]) -> dict[str, Any]:
    """How figures are made; lists are taken to say which (shares, shots); of `linear`, with its grid, there is one."""
    return {name: value for name, value in settings.items() if not isinstance(value, list | tuple)}


def _classes(record: Mapping[str, Any]) -> list[str]:
    return list(record.get("confusion", {}).get("classes", ()))

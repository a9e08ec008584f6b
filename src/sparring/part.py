"""A part of a recipe: what is registered under a name, and its settings. Imports no torch."""

from dataclasses import dataclass, field, fields, is_dataclass
from numbers import Integral, Real
from typing import Any

from sparring.errors import InputError


@dataclass(frozen=True)
class Part:
    """A registered part by name, with settings that its constructor takes."""

    name: str
    settings: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise InputError(f"part: expected a name, got {self.name!r}")
        name, _, model = self.name.partition(":")
        if model:  # timm:resnet10t
            object.__setattr__(self, "name", name)
            object.__setattr__(self, "settings", {"model": model, **self.settings})

    @classmethod
    def of(cls, value: "Part | str | dict[str, Any]", where: str = "part") -> "Part":
        """Read `"colour"`, `"timm:resnet10t"` or `{name = "colour", a_max = 0.2}`."""
        if isinstance(value, Part):
            return cls(value.name, value.settings)
        if isinstance(value, str):
            return cls(value)
        if isinstance(value, dict) and isinstance(value.get("name"), str):
            return cls(value["name"], {key: each for key, each in value.items() if key != "name"})
        raise InputError(f'{where}: expected a name or {{name = "...", ...}}, got {value!r}')


def tabled(value: Any) -> Any:
    """A value as JSON and TOML hold it, at any depth; a part's settings beside its name, numpy's numbers Python's."""
    if isinstance(value, Part):
        value = {"name": value.name, **value.settings}
    elif is_dataclass(value):
        value = {each.name: getattr(value, each.name) for each in fields(value)}
    if isinstance(value, dict):
        return {key: tabled(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [tabled(each) for each in value]
    if isinstance(value, Real) and not isinstance(value, bool):
        return int(value) if isinstance(value, Integral) else float(value)
    return value


def brings_transform(adversary: Any) -> bool:
    """Whether opponents at any depth inside an adversary's table bring transforms of their own."""
    if isinstance(adversary, list):
        return any(map(brings_transform, adversary))
    return isinstance(adversary, dict) and ("transform" in adversary or brings_transform(list(adversary.values())))


def all_bring_transforms(adversary: Any) -> bool:
    """Whether an adversary's table gives every opponent in it a transform: one without plays with the recipe's."""
    if not isinstance(adversary, dict):
        return False
    if "transform" in adversary:
        return True
    values = [value if isinstance(value, list) else [value] for value in adversary.values()]
    opponents = [each for value in values if any(isinstance(each, dict) for each in value) for each in value]
    return bool(opponents) and all(map(all_bring_transforms, opponents))

"""A run's folder as a report reads it: its recipe, its surroundings and what was measured."""

import json
import math
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from sparring.errors import InputError, unknown
from sparring.files import Line, read_lines

REQUIRED = ("recipe.toml", "metrics.jsonl")
EVALUATED = ("knn", "rankme", "hardness/", "negatives/", "parameters/")
"""Keys (or their beginnings) that only lines of evaluations, and of looks at hardness between them, have."""


@dataclass(frozen=True)
class Series:
    """One measured quantity over training, in the order of writing; only finite numbers."""

    epochs: list[float]
    values: list[float]

    def __bool__(self) -> bool:
        return bool(self.values)

    def points(self) -> Iterator[tuple[float, float]]:
        """Epoch and value of each."""
        return zip(self.epochs, self.values, strict=True)


@dataclass(frozen=True)
class Record:
    """What a run's folder says."""

    path: Path
    label: str
    """The folder's name, with as many parents as it takes to tell it from the other runs."""
    recipe: dict[str, Any]
    environment: dict[str, Any]
    lines: list[Line]

    def series(self, key: str) -> Series:
        """A quantity over training: from the evaluations if any has it, else from the training lines."""
        points = [point for line in self.lines if (point := _point(line, key))]
        evaluated = [(epoch, value) for epoch, value, is_evaluation in points if is_evaluation]
        chosen = evaluated or [(epoch, value) for epoch, value, _ in points]
        return Series([epoch for epoch, _ in chosen], [value for _, value in chosen])

    def keys(self, beginning: str) -> list[str]:
        """The measured keys with this beginning, in order of appearance."""
        return list(dict.fromkeys(key for line in self.lines for key in line if key.startswith(beginning)))

    def last(self, key: str) -> float | None:
        """The last value of a quantity: never its best."""
        series = self.series(key)
        return series.values[-1] if series else None

    def require(self, key: str) -> float:
        """The last value of a quantity; an InputError where it was never measured."""
        value = self.last(key)
        if value is None:
            measured = {name for line in self.lines for name in line if name.startswith(EVALUATED)}
            raise InputError(f"{self.path}: {unknown('measurement', key, measured or {'none'})}")
        return value

    def together(self, beginning: str) -> dict[str, float]:
        """The `epoch` and the quantities with this beginning from the last line that has them all: of one moment."""
        keys = self.keys(beginning)
        whole = [line for line in self.lines if keys and all(_point(line, key) for key in keys)]
        return {key: float(whole[-1][key]) for key in ("epoch", *keys)} if whole else {}

    @property
    def untrained(self) -> dict[str, float]:
        """What was measured before training."""
        lines = [line for line in self.lines if line.get("epoch") == 0]
        return {key: value for line in lines for key, value in line.items() if is_number(value)}

    @property
    def reached(self) -> float:
        """The epoch that training reached."""
        return max((line["epoch"] for line in self.lines if is_number(line.get("epoch"))), default=0.0)


def read_runs(paths: Sequence[Path]) -> list[Record]:
    """The runs in these folders, each once; an InputError if one is no run folder."""
    folders = list(dict.fromkeys(Path(path).resolve() for path in paths))
    if not folders:
        raise InputError("expected at least one run folder, got none; name one, such as runs/first")
    for folder in folders:
        _require_run(folder)
    return [_read(folder, label) for folder, label in zip(folders, labels(folders), strict=True)]


def labels(folders: Sequence[Path]) -> list[str]:
    """The shortest ends of these paths that tell them apart."""
    depths = [1] * len(folders)
    while True:
        names = ["/".join(folder.parts[-depth:]) for folder, depth in zip(folders, depths, strict=True)]
        counts = Counter(names)
        if len(counts) == len(set(folders)):
            return names
        depths = [depth + (counts[name] > 1) for name, depth in zip(names, depths, strict=True)]


def _require_run(folder: Path) -> None:
    missing = [name for name in REQUIRED if not (folder / name).is_file()]
    if not missing:
        return
    got = f"{folder} without {' and '.join(missing)}" if folder.is_dir() else f"{folder}, which is no folder"
    raise InputError(f"expected a run folder with {' and '.join(REQUIRED)}, got {got}; {_remedy(folder)}")


def _remedy(folder: Path) -> str:
    inside, beside = _run_folders(folder), _run_folders(folder.parent)
    if inside:
        return f"it holds runs: did you mean {inside[0]}?"
    near = get_close_matches(folder.name, [path.name for path in beside], n=1, cutoff=0)
    return f"did you mean {folder.parent / near[0]}?" if near else "`sparring train` writes one"


def _run_folders(parent: Path) -> list[Path]:
    if not parent.is_dir():
        return []
    return sorted(path for path in parent.iterdir() if all((path / name).is_file() for name in REQUIRED))


def _read(folder: Path, label: str) -> Record:
    environment = folder / "environment.json"
    return Record(
        path=folder,
        label=label,
        recipe=parsed(folder / "recipe.toml", tomllib.loads),
        environment=parsed(environment, _table) if environment.is_file() else {},
        lines=read_lines(folder / "metrics.jsonl"),
    )


def parsed(path: Path, parse: Callable[[str], Any], *, remedy: str = "restore the file") -> Any:
    """What `parse` makes of a file's text; one clear line where it is not as training writes it."""
    try:
        return parse(path.read_text(encoding="utf-8"))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        got = f"{type(error).__name__}: {error}"
        raise InputError(f"expected {path} as `sparring train` writes it, got {got}; {remedy}") from error


def _point(line: Line, key: str) -> tuple[float, float, bool] | None:
    epoch, value = line.get("epoch"), line.get(key)
    if not (is_number(epoch) and is_number(value)):
        return None
    return float(epoch), float(value), any(name.startswith(EVALUATED) for name in line)  # type: ignore[arg-type]


def _table(text: str) -> dict[str, Any]:
    return dict(json.loads(text))


def is_number(value: object) -> bool:
    """Whether a value is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)

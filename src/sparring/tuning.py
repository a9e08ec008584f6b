"""`sparring sweep --search` as a function: Optuna proposes settings, and each trial is cells of a sweep."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, Any

from sparring.errors import InputError
from sparring.files import write_json
from sparring.grid import SEEDS, Cell, make_cells, parse_names, split_values
from sparring.parts import TABLES, resolved
from sparring.randomness import derived_seed
from sparring.recipe import Part, Recipe
from sparring.reports.record import read_runs
from sparring.schema import parse_literal
from sparring.sweeps import check_parts, summarise, train_cells
from sparring.training import require_accuracy

if TYPE_CHECKING:
    from optuna import Study, Trial

TRIALS = 20
NUMBER = r"-?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
RANGE = re.compile(rf"({NUMBER}):({NUMBER})(:log)?")
DIGITS = 3
"""Significant ones of a number that is tried, or of its place in the range, so that folders have readable names."""


@dataclass(frozen=True)
class Range:
    """Whole numbers, where both ends and the setting are, or others between two ends."""

    low: float
    high: float
    log: bool = False
    """Drawn evenly in the logarithm."""

    def suggest(self, trial: "Trial", name: str) -> float:
        """The value that a trial takes."""
        if isinstance(self.low, int) and isinstance(self.high, int):
            return trial.suggest_int(name, self.low, self.high, log=self.log)
        value = trial.suggest_float(name, self.low, self.high, log=self.log)
        place = math.floor(math.log10(value if self.log else self.high - self.low))  # of the first digit that matters
        return min(max(round(value, DIGITS - 1 - place), self.low), self.high)

    def like(self, value: Any) -> "Range":
        """The same range for a setting with this value: a number with decimals is drawn as one."""
        return replace(self, low=float(self.low), high=float(self.high)) if isinstance(value, float) else self

    def ends(self) -> list[Any]:
        """The values at which a range is tried out before anything is trained."""
        return [self.low, self.high]


@dataclass(frozen=True)
class Choice:
    """One of several values, as they are written on the command line."""

    texts: tuple[str, ...]

    def suggest(self, trial: "Trial", name: str) -> Any:
        """The value that a trial takes."""
        return parse_literal(trial.suggest_categorical(name, self.texts))

    def ends(self) -> list[Any]:
        """The values that are tried out before anything is trained."""
        return [parse_literal(text) for text in self.texts]


Space = Mapping[str, Range | Choice]


@dataclass(frozen=True)
class Found:
    """A trial: what it took, and the mean over its seeds of the last epoch's kNN accuracy in percent."""

    settings: dict[str, Any]
    knn: float | None
    """None if a seed failed."""


def parse_space(words: Sequence[str]) -> dict[str, Range | Choice]:
    """From the command line: `learning_rate=0.01:1:log`, `adversary.steps=1:7` or `adversary=none,random`."""
    texts = parse_names(words, "--search", "NAME=LOW:HIGH, NAME=LOW:HIGH:log or NAME=VALUE,VALUE")
    return {name: _entry(name, text) for name, text in texts.items()}


def _entry(name: str, text: str) -> Range | Choice:
    if not (found := RANGE.fullmatch(text)):
        values = tuple(split_values(text, f"--search {name}"))
        if len(values) < 2:
            raise InputError(f"--search {name}: expected a range, as LOW:HIGH, or several values, got {text}")
        return Choice(values)
    low, high, log = _number(found[1]), _number(found[2]), bool(found[3])
    if not low < high or (log and low <= 0):
        expected = "0 < low < high" if log else "low < high"
        raise InputError(f"--search {name}: expected {expected}, got {text}")
    return Range(low, high, log)


def _number(text: str) -> float:
    return int(text) if text.lstrip("-").isdecimal() else float(text)


def tune(
    recipe: Recipe, space: Space, *, out: str | Path, trials: int = TRIALS, seeds: int = SEEDS, jobs: int = 1
) -> list[Found]:
    """Try settings that Optuna's TPE sampler proposes; write search.json, sweep.json and report.html in `out`.

    Trials are played one after another, each as a cell for each seed. What is proposed depends only on the recipe's
    seed and on what earlier trials came to, so the same call goes on: it proposes the same again, and no finished
    cell is trained twice. Accuracy is measured on validation images (`Recipe.evaluate_on`): test images stay unseen.

    Args:
        recipe: what all trials share.
        space: settings by name (those of parts are dotted), each a `Range` or a `Choice`.
        out: the folder of the cells' folders.
        trials: in all, those of earlier calls included.
        seeds: of each trial; they count up from the recipe's own.
        jobs: cells that train at the same time.

    Returns:
        Every trial, best first; chosen by the accuracy on validation images, so not a result to report.

    Raises:
        InputError: if Optuna is not installed, or a setting or a folder cannot be used; nothing has been trained then.

    Source: Bergstra et al. 2011, "Algorithms for Hyper-Parameter Optimization".
    """
    if trials < 1:
        raise InputError(f"trials: expected a whole number of at least 1, got {trials}")
    study, recipe = _study(recipe.seed), replace(recipe, evaluate_on="validation")
    space = {
        name: each.like(_value_of(recipe, name)) if isinstance(each, Range) else each for name, each in space.items()
    }
    check_parts(_extremes(recipe, space, Path(out)))
    require_accuracy(recipe, "--search")
    found, played = list[Found](), dict[str, Cell]()
    for _ in range(trials):
        trial = study.ask()
        settings = {name: each.suggest(trial, name) for name, each in space.items()}
        cells = train_cells(_cells(recipe, settings, Path(out), seeds), jobs)
        played |= {cell.name: cell for cell in cells}
        failed = any(cell.failure for cell in cells)
        knn = None if failed else mean(run.require("knn") for run in read_runs([cell.path for cell in cells]))
        found.append(Found(settings, knn))
        if knn is not None:
            study.tell(trial, knn)
    found.sort(key=lambda each: -1.0 if each.knn is None else each.knn, reverse=True)
    summarise(list(played.values()), Path(out))
    write_json(Path(out) / "search.json", {"measure": "knn", "trials": [asdict(each) for each in found]})
    return found


def _value_of(recipe: Recipe, name: str) -> Any:
    """What a setting is if nothing is said; None where there is none of this name."""
    head, _, key = name.partition(".")
    value = getattr(recipe, head, None)
    if key and isinstance(value, Part):
        return resolved(head, value).settings.get(key) if value.name in TABLES[head] else None
    return getattr(value, key, None) if key else value


def _study(seed: int) -> "Study":
    if find_spec("optuna") is None:
        raise InputError("--search: expected Optuna, found none; pip install 'sparring[search]'")
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.TPESampler(seed=derived_seed(seed, "search") % 2**32)
    return optuna.create_study(direction="maximize", sampler=sampler)


def _cells(recipe: Recipe, settings: Mapping[str, Any], out: Path, seeds: int) -> list[Cell]:
    return make_cells(recipe, {name: [value] for name, value in settings.items()}, out, seeds=seeds)


def _extremes(recipe: Recipe, space: Space, out: Path) -> list[Recipe]:
    """A recipe with all settings at their first value, and one with each at each other end."""
    first = {name: each.ends()[0] for name, each in space.items()}
    tried = [first, *({**first, name: end} for name, each in space.items() for end in each.ends()[1:])]
    return [cell.recipe for settings in tried for cell in _cells(recipe, settings, out, 1)]

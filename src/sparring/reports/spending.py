"""What training cost until when: encoder passes as the log counts them, so that runs compare at equal cost."""

from collections.abc import Callable

import numpy as np

from sparring.files import Line
from sparring.reports.record import Record, is_number


def spending(run: Record) -> tuple[list[float], list[float]]:
    """Steps of the log, and what was spent until each: encoder passes of one image, a full backward counted as two.

    A logged step stands for all steps since the line before it.
    """
    batch = run.recipe.get("batch_size", 1)
    steps, spent = [0.0], [0.0]
    for line in run.lines:
        if is_number(line.get("cost")):
            spent.append(spent[-1] + (line["step"] - steps[-1]) * line["cost"] * batch)
            steps.append(line["step"])
    return steps, spent


def total_cost(run: Record) -> float:
    """Encoder passes of one image over the whole run; 0 where none were logged."""
    return spending(run)[1][-1]


def at_cost(run: Record, key: str, budget: float) -> tuple[float, float] | None:
    """Epoch and value of the last evaluation until which a run had spent at most `budget`; between lines, linear."""
    steps, spent = spending(run)
    return _last(run, key, lambda line: float(np.interp(line["step"], steps, spent)) <= budget * (1 + 1e-9))


def at_epoch(run: Record, key: str, epoch: float) -> tuple[float, float] | None:
    """Epoch and value of the last evaluation until `epoch`."""
    return _last(run, key, lambda line: line["epoch"] <= epoch + 1e-3)


def _last(run: Record, key: str, chosen: Callable[[Line], bool]) -> tuple[float, float] | None:
    found = [(line["epoch"], line[key]) for line in run.lines if is_number(line.get(key)) and chosen(line)]
    return found[-1] if found else None

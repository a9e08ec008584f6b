"""Which class the nearest negatives of hard views are of: the tables a run keeps, drawn and put in a sentence."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from sparring.reports.evaluation_plots import save_matrix
from sparring.reports.gallery import STAGES
from sparring.reports.pictures import Picture
from sparring.reports.record import parsed


@dataclass(frozen=True)
class Table:
    """Shares of the views of a class (row) whose nearest negative is of a class (column)."""

    classes: list[str]
    seen: Float[np.ndarray, " c"]
    """How many views of each class were looked at."""
    shares: Float[np.ndarray, "c c"]
    chance: Float[np.ndarray, " c"]
    """The share on the diagonal, were every negative as likely to be the nearest."""

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> "Table":
        """Read what a run keeps; a ValueError, TypeError or KeyError if it is not that."""
        numbers = [np.asarray(found[name], dtype=float) for name in ("views", "shares", "chance")]
        classes = [str(name) for name in found["classes"]]
        c = len(classes)
        if [each.shape for each in numbers] != [(c,), (c, c), (c,)] or not numbers[0].any():
            raise ValueError(f"arrays that do not fit {c} classes")
        return cls(classes, *numbers)

    def diagonal(self) -> tuple[float, float]:
        """The diagonal's mean in percent, and by chance; over the classes that have views."""
        has = self.seen > 0
        return 100 * float(self.shares.diagonal()[has].mean()), 100 * float(self.chance[has].mean())


def tables(folder: Path) -> dict[str, Table]:
    """A run's tables by stage; empty if it has none."""
    files = {stage: folder / "nearest" / f"{stage}.json" for stage in STAGES}
    return {
        stage: parsed(file, lambda text: Table.of(json.loads(text)), remedy="delete it to report without")
        for stage, file in files.items()
        if file.is_file()
    }


def sentence(found: Mapping[str, Table]) -> str:
    """What the diagonals say; empty without tables."""
    if not found:
        return ""
    means = {stage: table.diagonal() for stage, table in found.items()}
    shares = " and ".join(f"{share:.1f}\u00a0% {STAGES[stage]}" for stage, (share, _) in means.items())
    chance = list(means.values())[-1][1]
    return f"Mean of the diagonal: {shares}, against {chance:.1f}\u00a0% by chance."


def pictures(found: Mapping[str, Table], beginning: str = "nearest") -> list[Picture]:
    """A heat map of each stage, in the same shades."""
    most = max((float(100 * table.shares.max()) for table in found.values()), default=100.0)
    return [_picture(table, stage, most, f"{beginning}-{stage}") for stage, table in found.items()]


def _picture(table: Table, stage: str, most: float, name: str) -> Picture:
    sheet, title = BytesIO(), STAGES[stage][0].upper() + STAGES[stage][1:]
    axes = ("class of the nearest negative", "class of the hard view")
    save_matrix(100 * table.shares, table.classes, sheet, f"{title}\n(% of each row)", axes=axes, most=most)
    share, chance = table.diagonal()
    words = f"Nearest negatives {STAGES[stage]}: {share:.1f} % of the same class, {chance:.1f} % by chance"
    return Picture(name, title, words, sheet.getvalue())

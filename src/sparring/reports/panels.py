"""What a chart shows, apart from how it is drawn: curves, panels, and the colours of both."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

INK, MUTED, RULE = "#1c2430", "#5b6672", "#dde2e7"
RUN_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Okabe and Ito's colours, which colour-blind readers can tell apart; without the two that vanish on white or black."""
CHANNEL_COLOURS = {"r": "#d1242f", "g": "#1a8a3c", "b": "#1f5fe0"}
DASHES = ("-", "--", ":", "-.")
VARIABLES = {
    INK: "currentColor",
    MUTED: "var(--muted)",
    RULE: "var(--rule)",
    **{colour: f"var(--run-{i})" for i, colour in enumerate(RUN_COLOURS)},
    **{colour: f"var(--channel-{name})" for name, colour in CHANNEL_COLOURS.items()},
}
"""The page's names for the colours of a drawing: they change between light and dark."""
MOST_POINTS = 300


@dataclass(frozen=True)
class Curve:
    """One line of a chart, with a word at its end."""

    label: str
    epochs: Sequence[float]
    values: Sequence[float]
    colour: str = RUN_COLOURS[0]
    dash: str = "-"
    end: str = ""
    spread: Sequence[float] = ()
    """The standard deviation about each value, if it is to be seen."""

    @property
    def drawn(self) -> tuple[list[float], list[float]]:
        """The points that a drawing shows."""
        return thinned(self.epochs), thinned(self.values)


@dataclass(frozen=True)
class Panel:
    """One pair of axes: curves over epochs, or whatever they are over."""

    title: str
    curves: Sequence[Curve]
    group: str = ""
    """The run's label, where a panel belongs to one of several."""
    limits: tuple[float, float] | None = None
    reference: tuple[float, str] | None = None
    """A level worth knowing, and its name."""
    named_at: Literal["left", "right"] = "right"
    """The end at which that name stands."""
    legend: bool = False
    across: int = 1
    """How many such panels lie beside each other."""
    over: str = "epoch"

    def describe(self) -> str:
        """The panel in words, for readers who do not see it."""
        ends = [f"{c.label or c.end} ends at {c.values[-1]:.4g} ({self.over} {c.epochs[-1]:g})" for c in self.curves]
        return f"{self.title} by {self.over}: {'; '.join(ends)}."


def thinned(values: Sequence[float]) -> list[float]:
    """At most MOST_POINTS values: means of neighbours where there are more."""
    if len(values) <= MOST_POINTS:
        return list(values)
    return [float(part.mean()) for part in np.array_split(np.asarray(values, dtype=float), MOST_POINTS)]

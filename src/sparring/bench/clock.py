"""Turns on one clock, so that a slower minute of the machine meets all contestants."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median

Turn = Callable[[int], object]
"""Plays so many steps."""


@dataclass(frozen=True)
class Times:
    """Seconds for one step, a value for each repetition."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """Seconds."""
        return median(self.seconds)

    def rates(self, amount: float) -> tuple[float, float, float]:
        """`amount` per second: median, least and most."""
        return amount / self.median, amount / max(self.seconds), amount / min(self.seconds)


def take_turns(
    contestants: Mapping[str, Turn], *, repetitions: int, steps: int, say: Callable[[str], None] = lambda line: None
) -> dict[str, Times]:
    """Each contestant plays `steps` at a time, one after another; a first turn of each warms up and is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for repetition in range(repetitions + 1):
        for name, play in contestants.items():
            say(f"turn {repetition} of {repetitions}: {name}")
            began = time.perf_counter()
            play(steps)
            if repetition:
                seconds[name].append((time.perf_counter() - began) / steps)
    return {name: Times(tuple(values)) for name, values in seconds.items()}

"""What a person sees while training runs, and how they stop it."""

import signal
import threading
import time
from collections.abc import Iterable, Mapping
from types import FrameType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Column

from sparring.alarms import AT_ONCE

SHOWN = {
    "loss": "loss {:.3f}",
    "images_per_second": "images/s {:,.0f}",
    "knn": "kNN {:.1f} %",
    "rankme": "RankMe {:.1f}",
}
LIVE = ("loss", "images_per_second", "knn")  # all that fits beside the bar in 80 columns


class Display:
    """A live line (epoch, loss, images/s, time left, last kNN) and a lasting line per evaluation."""

    def __init__(self, epochs: int, steps: int, start: int, *, visible: bool) -> None:
        columns = (
            TextColumn("epoch {task.fields[epoch]}", markup=False),
            BarColumn(bar_width=8),
            TextColumn("{task.fields[figures]}", markup=False),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        self.progress = Progress(*columns, console=Console(stderr=True, markup=False), disable=not visible)
        self.epochs = epochs
        self.task = self.progress.add_task("", total=steps, completed=start, epoch=f"0/{epochs}", figures="")
        self.figures: dict[str, float] = {}
        self.found: set[str] = set()
        self.said: set[str] = set()

    def __enter__(self) -> "Display":
        self.progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.progress.stop()

    def update(self, record: dict[str, float]) -> None:
        """Show the newest figures of each kind."""
        self.figures |= {name: record[name] for name in SHOWN if name in record}
        epoch = f"{int(record['epoch'])}/{self.epochs}"
        self.progress.update(self.task, completed=record["step"], epoch=epoch, figures=describe(self.figures, LIVE))

    def evaluated(self, record: dict[str, float]) -> None:
        """A line that stays, for logs and for scrolling back."""
        self.update(record)
        if not self.progress.disable:
            self.progress.console.print(
                f"epoch {record['epoch']:.0f}/{self.epochs}  {describe(self.figures, SHOWN)}", highlight=False
            )

    def warn(self, alarms: Mapping[str, str]) -> None:
        """Say each kind of alarm once, and again if it went away and came back.

        Of the adversary only what two looks in a row have found: after a few steps a single one tells little.
        """
        sure = {kind for kind in alarms if kind in AT_ONCE or kind in self.found}
        for kind in alarms:
            if kind in sure - self.said and not self.progress.disable:
                self.progress.console.print(f"warning: {alarms[kind]}", highlight=False, style="yellow")
        self.found, self.said = set(alarms), sure


def describe(figures: dict[str, float], names: Iterable[str]) -> str:
    """The figures of these names in one line."""
    return "  ".join(SHOWN[name].format(figures[name]) for name in names if name in figures)


class StopSignal:
    """Within this context Ctrl-C, a request to end and a closed terminal set `raised`; a second Ctrl-C stops at once.

    Under `nohup` a run outlives its terminal.
    """

    def __init__(self) -> None:
        self.raised = False

    def _raise(self, number: int, frame: FrameType | None) -> None:
        self.raised = True
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def __enter__(self) -> "StopSignal":
        numbers = [signal.SIGINT, signal.SIGTERM]
        if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
            numbers.append(signal.SIGHUP)
        heard = numbers if threading.current_thread() is threading.main_thread() else []
        self.before = {number: signal.signal(number, self._raise) for number in heard}
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)


class SweepDisplay:
    """One live line for all cells, one for each that is training, and a lasting line for each that ended."""

    def __init__(self, cells: int, finished: int) -> None:
        name = TextColumn(
            "{task.description}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1)
        )
        columns = (
            name,
            BarColumn(bar_width=8),
            TextColumn("{task.fields[figures]}", markup=False),
            TimeRemainingColumn(),
        )
        self.progress = Progress(*columns, console=Console(stderr=True, markup=False), expand=True)
        self.cells, self.tasks = cells, dict[str, TaskID]()
        self.figures: dict[str, dict[str, float]] = {}
        self.overall = self.progress.add_task("cells", total=cells, completed=finished, figures=f"{finished}/{cells}")

    def __enter__(self) -> "SweepDisplay":
        self.progress.start()
        finished = self.progress.tasks[0].completed
        if finished < self.cells:
            self.say(
                f"{finished:.0f} of {self.cells} cells are finished" if finished else f"{self.cells} cells to train"
            )
        return self

    def __exit__(self, *error: object) -> None:
        self.progress.stop()

    def update(self, name: str, epochs: int, record: dict[str, float]) -> None:
        """Show the newest figures of a cell that is training."""
        if name not in self.tasks:
            self.tasks[name] = self.progress.add_task(name, total=epochs, figures="")
        shown = self.figures.setdefault(name, {})
        shown |= {key: record[key] for key in SHOWN if key in record}
        figures = describe(shown, ("loss", "knn"))
        self.progress.update(self.tasks[name], completed=record.get("epoch", 0.0), figures=figures)

    def ended(self, name: str, failure: str) -> None:
        """A line that stays: what the cell measured last, or why it failed."""
        if name in self.tasks:
            self.progress.remove_task(self.tasks.pop(name))
        self.progress.advance(self.overall)
        figures = f"{self.progress.tasks[0].completed:.0f}/{self.cells}"
        self.progress.update(self.overall, figures=figures)
        said = f"failed: {failure}" if failure else describe(self.figures.get(name, {}), SHOWN)
        self.say(f"{figures}  {name}  {said}")

    def say(self, line: str) -> None:
        """A line that stays, as it is."""
        self.progress.console.print(line, highlight=False, markup=False, soft_wrap=True)


class Pace:
    """Steps per second since the clock was last started; looks and checkpoints between do not count."""

    def restart(self, step: int) -> None:
        """Count from here."""
        self.began, self.first = time.perf_counter(), step

    def steps_per_second(self, step: int) -> float:
        """Up to this step."""
        return (step - self.first) / max(time.perf_counter() - self.began, 1e-9)

"""Training in processes of their own, some at a time, each with its share of the cores."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import torch

from sparring.environment import core_count
from sparring.errors import InputError
from sparring.files import lock
from sparring.grid import Cell
from sparring.progress import StopSignal, SweepDisplay
from sparring.run import TAKEN, Run

LOG = "train.log"
POLL_SECONDS = 0.5
TAIL = 8192
"""Bytes at the end of the measurements that are looked at for the newest figures."""


class Job:
    """A cell that trains; what it prints goes to train.log in its folder."""

    def __init__(self, cell: Cell, threads: int, slot: int = 0) -> None:
        self.cell, self.run, self.slot = cell, Run(cell.path), slot
        # as many threads as its share of the cores, unless a person has decided already
        environment = {"OMP_NUM_THREADS": str(max(1, threads // cell.recipe.devices)), **os.environ}
        environment |= gpu_of(cell, slot)
        self.run.make()
        with (cell.path / LOG).open("a") as log:
            take_lock(log, cell.path)  # held by the process, which inherits the file, until it ends
            prepare = self.run.place if self.run.begun else self.run.claim
            prepare(cell.recipe)
            self.process = subprocess.Popen(
                _command(cell), stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment
            )

    def newest(self) -> list[dict[str, float]]:
        """The last few lines of measurements."""
        file = self.run.path / "metrics.jsonl"
        if not file.exists():
            return []
        with file.open("rb") as lines:
            size = lines.seek(0, os.SEEK_END)
            lines.seek(max(0, size - TAIL))
            whole = lines.read().split(b"\n")[1 if size > TAIL else 0 : -1]
        return [json.loads(line) for line in whole]

    def failure(self) -> str:
        """Why the process that ended has failed, in one line; empty if it has not."""
        code = self.process.returncode
        if code == 0 and self.run.finished:
            return ""
        if code < 0:
            return f"killed by {signal.Signals(-code).name}"
        said = [line.strip() for line in (self.run.path / LOG).read_text(errors="replace").splitlines()]
        return next((line.removeprefix("sparring: error: ") for line in reversed(said) if line), f"exit code {code}")


def _command(cell: Cell) -> list[str]:
    """A run that has been claimed but not begun is resumed from its start."""
    return [sys.executable, "-m", "sparring", "train", "--resume", str(cell.path)]


def take_lock(log: IO[str], path: Path) -> None:
    """Refuse a folder that a process trains in already: one of another sweep, or that outlived its own.

    The process locks the folder itself as well, but only once it is up, seconds after its recipe was written.
    """
    if not lock(log.fileno()):
        raise InputError(TAKEN.format(path))


def gpu_of(cell: Cell, slot: int) -> dict[str, str]:
    """The variable that shows a cell on one device the GPU of its slot, so that jobs are shared out over all GPUs."""
    shown = os.environ.get("CUDA_VISIBLE_DEVICES", ",".join(map(str, range(torch.cuda.device_count()))))
    gpus, alone = list(filter(None, shown.split(","))), cell.recipe.devices * cell.recipe.nodes == 1
    if len(gpus) < 2 or not alone or cell.recipe.accelerator == "cpu":
        return {}
    return {"CUDA_VISIBLE_DEVICES": gpus[slot % len(gpus)]}


def play(cells: Sequence[Cell], jobs: int, display: SweepDisplay) -> dict[str, str]:
    """Train all cells, `jobs` at a time; returns why each that failed did, by name.

    Raises:
        KeyboardInterrupt: after Ctrl-C or a termination request, once all running cells have saved and ended.
    """
    waiting, running, failures = deque(cells), list[Job](), dict[str, str]()
    threads = max(1, core_count() // min(jobs, max(1, len(cells))))
    with display, StopSignal() as stop:
        try:
            while (waiting or running) and not stop.raised:
                while waiting and len(running) < jobs:
                    slot = min(set(range(jobs)) - {job.slot for job in running})
                    running.append(Job(waiting.popleft(), threads, slot))
                time.sleep(POLL_SECONDS)
                running = [job for job in running if not _ended(job, display, failures)]
        finally:
            _stop(running, display)
    if stop.raised:
        raise KeyboardInterrupt(
            f"saved; {len(running) + len(waiting)} cells are not finished, the same command goes on"
        )
    return failures


def _ended(job: Job, display: SweepDisplay, failures: dict[str, str]) -> bool:
    ended = job.process.poll() is not None  # asked first, so that its last figures are read
    for record in job.newest() or [{}]:
        display.update(job.cell.name, job.cell.recipe.epochs, record)
    if ended:
        if failure := job.failure():
            failures[job.cell.name] = failure
        display.ended(job.cell.name, failure)
    return ended


def _stop(running: Sequence[Job], display: SweepDisplay) -> None:
    """Ask all to save and end, and wait; a child that Ctrl-C has reached as well takes this for the same request."""
    if running:
        display.say(f"stopping: {', '.join(job.cell.name for job in running)} saved first")
    for job in running:
        job.process.terminate()
    for job in running:
        job.process.wait()

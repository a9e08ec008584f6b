"""A contestant in a process of its own, as its user would start it."""

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Any

from sparring.bench.clock import Turn
from sparring.memory import peak

_turns: list[Turn] = []
"""The contestant, in its own process."""


@contextmanager
def elsewhere(make: Callable[..., Turn], *arguments: Any) -> Iterator[Turn]:
    """What `make(*arguments)` gives, made and played in a new process; the allocator's settings there are the system's.

    `make` must be importable. A turn gives the most MiB that the process has held, and raises BrokenProcessPool where
    it has died. The process ends with the context.
    """
    with ProcessPoolExecutor(1, get_context("spawn"), _prepare, (make, arguments)) as pool:
        yield lambda steps: pool.submit(_play, steps).result()


def _prepare(make: Callable[..., Turn], arguments: tuple[Any, ...]) -> None:
    _turns.append(make(*arguments))


def _play(steps: int) -> float:
    _turns[0](steps)
    return peak()

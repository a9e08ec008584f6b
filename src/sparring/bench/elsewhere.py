"""A contestant in a process of its own, as its user would start it."""

import multiprocessing
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

from sparring.bench.clock import Turn
from sparring.memory import peak


@contextmanager
def elsewhere(make: Callable[..., Turn], *arguments: Any) -> Iterator[Turn]:
    """What `make(*arguments)` gives, made and played in a new process; the allocator's settings there are the system's.

    `make` must be importable. A turn gives the most MiB that the process has held. The process ends with the context.
    """
    start = multiprocessing.get_context("spawn")
    mine, its = start.Pipe()
    process = start.Process(target=_serve, args=(its, make, arguments))
    process.start()
    its.close()

    def play(steps: int) -> float:
        try:
            mine.send(steps)
            return mine.recv()
        except (EOFError, ConnectionError):
            process.join()
            raise RuntimeError(f"{make.__name__} died with exit code {process.exitcode}; see above why") from None

    try:
        yield play
    finally:
        mine.close()
        process.join()


def _serve(pipe: Connection, make: Callable[..., Turn], arguments: tuple[Any, ...]) -> None:
    play = make(*arguments)
    while True:
        try:
            steps = pipe.recv()
        except EOFError:
            return
        play(steps)
        pipe.send(peak())

"""Every draw is a function of where training stands, so a resumed run equals an uninterrupted one."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from jaxtyping import Int
from torch import Tensor

Draws = torch.Generator | None
"""Whence draws come: torch's global generator if None, as in a loop of your own."""


def derived_seed(*where: int | str) -> int:
    """A 63-bit seed that depends on every part of `where`, the same on every machine."""
    digest = hashlib.blake2b(repr(where).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def generator_for(
    seed: int, step: int, rank: int = 0, stream: str = "", device: torch.device | str = "cpu"
) -> torch.Generator:
    """The generator of one `stream` (views, adversary, ...) at one step of one rank."""
    return torch.Generator(device).manual_seed(derived_seed(seed, step, rank, stream))


def uniform(size: Sequence[int], generator: torch.Generator | None, like: Tensor) -> Tensor:
    """Draws from [0, 1) (1 only by rounding to half precision), made where the generator is, like `like`."""
    return torch.rand(*size, generator=generator, device=_source(generator, like)).to(like)


def normal(size: Sequence[int], generator: torch.Generator | None, like: Tensor) -> Tensor:
    """Standard normal draws, as `uniform`."""
    return torch.randn(*size, generator=generator, device=_source(generator, like)).to(like)


def choice(count: int, n: int, generator: torch.Generator | None, like: Tensor) -> Int[Tensor, " {n}"]:
    """`n` draws of one of `count` places, made where the generator is, on the device of `like`."""
    return torch.randint(count, (n,), generator=generator, device=_source(generator, like)).to(like.device)


def _source(generator: torch.Generator | None, like: Tensor) -> torch.device:
    return generator.device if generator else like.device


@contextmanager
def seeded(*where: int | str) -> Iterator[None]:
    """Run a block whose draws torch takes from the global generator (weights, dropout), and leave that as it was."""
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()  # `manual_seed` seeds them all
    with torch.random.fork_rng(devices):
        torch.manual_seed(derived_seed(*where))
        yield

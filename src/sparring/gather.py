"""Tensors of all ranks; without a process group these are the identity."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from jaxtyping import Shaped
from torch import Tensor, nn

CHUNK = 2**16  # rows of every rank that are on the way at a time


_ALONE = ContextVar("alone", default=False)


@contextmanager
def alone() -> Iterator[None]:
    """Within, this process is the only one: what is merely tried is exchanged with nobody."""
    before = _ALONE.set(True)
    try:
        yield
    finally:
        _ALONE.reset(before)


def rank() -> int:
    """This process's place among all."""
    return dist.get_rank() if dist.is_initialized() and not _ALONE.get() else 0


def ranks() -> int:
    """How many processes there are."""
    return dist.get_world_size() if dist.is_initialized() and not _ALONE.get() else 1


def shard(rows: Shaped[Tensor, " n *r"]) -> Shaped[Tensor, " m *r"]:
    """This rank's share of rows that all ranks hold: every n-th row."""
    return rows[rank() :: ranks()]


def unshard(mine: Shaped[Tensor, " m *r"], total: int) -> Shaped[Tensor, " {total} *r"]:
    """All `total` rows that were shared out, in their order, on every rank and on the device of `mine`; no gradient.

    All ranks must call it.
    """
    if ranks() == 1:
        return mine
    missing = -(-total // ranks()) - len(mine)
    padded = F.pad(mine.detach(), (0, 0) * (mine.ndim - 1) + (0, missing))
    chunks = [_interleaved(chunk).to(mine.device) for chunk in padded.split(CHUNK)]
    return torch.cat(chunks)[:total]


def _interleaved(rows: Shaped[Tensor, " m *r"]) -> Shaped[Tensor, " n *r"]:
    """The first row of each rank, then the second of each."""
    sent = rows.to("cuda" if dist.get_backend() == "nccl" else rows.device)  # NCCL takes nothing else
    parts = [torch.empty_like(sent) for _ in range(ranks())]
    dist.all_gather(parts, sent)
    return torch.stack(parts, dim=1).flatten(0, 1)


def all_reduce_sum(value: Tensor) -> Tensor:
    """The sum over all ranks, which must all call it; no gradient."""
    if ranks() == 1:
        return value
    total = value.detach().clone()
    dist.all_reduce(total)
    return total


def all_reduce_mean(figures: Mapping[str, float], device: torch.device) -> dict[str, float]:
    """Means over all ranks, which must all call it; `device` is where they exchange."""
    values = all_reduce_sum(torch.tensor(list(figures.values()), device=device)) / ranks()
    return dict(zip(figures, values.tolist(), strict=True))


def broadcast_buffers(module: nn.Module) -> None:
    """Give every rank the first one's buffers, such as BatchNorm's statistics; all ranks must call it."""
    if ranks() > 1:
        for buffer in module.buffers():
            dist.broadcast(buffer, 0)


def gather(local: Shaped[Tensor, " b *k"]) -> Shaped[Tensor, " n *k"]:
    """The rows of all ranks in the order of the ranks; the gradient flows back to each rank's own."""
    if ranks() == 1:
        return local
    return _Gathered.apply(local)


class _Gathered(torch.autograd.Function):
    """All ranks' rows; backward each takes the sum of what all ranks found for its own."""

    @staticmethod
    def forward(ctx: Any, local: Tensor) -> Tensor:
        parts = [torch.empty_like(local, memory_format=torch.contiguous_format) for _ in range(ranks())]
        dist.all_gather(parts, local.contiguous())
        ctx.own = slice(rank() * len(local), (rank() + 1) * len(local))
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return all_reduce_sum(gradient)[ctx.own]

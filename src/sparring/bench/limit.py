"""What a training loop is held against: its own network on ready views, and the processor's matrix product."""

import torch
from torch.utils.flop_counter import FlopCounterMode

from sparring.bench.clock import Turn
from sparring.bench.contestants import Arena
from sparring.fit import Fit

MATRIX = 2048


def limit(fit: Fit) -> Turn:
    """What no loop can beat: the same encoder, heads and optimiser on two views that lie ready in memory."""
    views = [view.to(fit.precision) for _, view in sorted(fit.batches.training(0).views.items())]
    views = [view.contiguous(memory_format=torch.channels_last) for view in views]
    method, optimiser = fit.learner.method, fit.optimisers[0]
    optimiser.param_groups[0]["lr"] = 1e-3

    def play(steps: int) -> None:
        for _ in range(steps):
            with fit.autocast():
                first, second = (method.encode(view) for view in views)
            method.compare(first.at_least_float32(), second.at_least_float32()).mean().backward()
            optimiser.step()
            optimiser.zero_grad()

    return play


def flops_of(arena: Arena) -> int:
    """Floating-point operations of a step's convolutions and matrix products, forward and backward."""
    play = limit(arena.vanilla())
    with FlopCounterMode(display=False) as counter:
        play(1)
    return counter.get_total_flops()


def product(precision: torch.dtype, device: torch.device, side: int = MATRIX) -> Turn:
    """So many products of two square matrices; each takes 2 side^3 operations."""
    left, right = torch.randn(2, side, side, device=device).to(precision)

    def play(steps: int) -> None:
        for _ in range(steps):
            left @ right

    return play

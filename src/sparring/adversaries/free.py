"""Adversarial training for free: parameters that are kept per image and moved by the encoder's own backward pass."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from sparring.contracts import Adversary, ImageShape, Proposal, Transform, Turn
from sparring.schema import TINY, check_range


class Free(Adversary):
    """Remember each image's parameters and move them by the gradient that training leaves on them anyway.

    Costs no forward and no backward of its own. With `replays` in the recipe a batch is played several times in a row,
    as in the paper; without, an image meets what its last visit, an epoch ago, left behind.

    Args:
        image_count: number of training images; memory is image_count x parameters x 4 bytes.
        image_shape: channels, height, width of the images it will see.
        step_size: length of a step in the unit box.

    Source: Shafahi et al. 2019, "Adversarial Training for Free!".
    """

    def __init__(
        self, transform: Transform, *, image_count: int, image_shape: ImageShape = (3, 32, 32), step_size: float = 0.5
    ) -> None:
        super().__init__(transform)
        check_range("free: step_size", step_size, TINY)
        self.step_size, self.shape = step_size, transform.parameter_shape(image_shape)
        start = 2 * torch.rand(image_count, *self.shape) - 1
        self.memory = nn.Embedding.from_pretrained(transform.project(start).flatten(1), freeze=False, sparse=True)

    def propose(self, turn: Turn) -> Proposal:
        return Proposal(self.memory(turn.indices).view(-1, *self.shape))

    def optimisers(self, learning_rate: float) -> list[Optimizer]:
        return [RowAscent(self.memory.weight, self.step_size, self._moved)]

    def _moved(self, rows: Tensor, gradient: Tensor, length: float) -> Tensor:
        """Rows of the memory after a step of this length along their gradient."""
        start, slope = rows.view(-1, *self.shape), gradient.view(-1, *self.shape)
        return self.transform.ascend(start, slope, length).flatten(1)


class RowAscent(Optimizer):
    """Move the rows that took part along their (sparse) gradient: `moved(rows, gradient, step_size)`."""

    def __init__(
        self, memory: nn.Parameter, step_size: float, moved: Callable[[Tensor, Tensor, float], Tensor]
    ) -> None:
        super().__init__([memory], {"lr": step_size})
        self.moved = moved

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for memory in group["params"]:
                if memory.grad is not None:
                    moves = memory.grad.coalesce()
                    (rows,) = moves.indices()
                    memory[rows] = self.moved(memory[rows], moves.values(), group["lr"])

"""What a step costs, counted where it happens: encoder forwards and backwards, in units of one forward of the batch."""

from contextlib import AbstractContextManager
from dataclasses import dataclass

from torch import Tensor, nn

from sparring.encoders import Encoder
from sparring.module_state import holding


@dataclass
class Cost:
    """Encoder passes; a pass at a lower resolution counts by its share of the pixels."""

    forwards: float = 0.0
    backwards: float = 0.0
    input_backwards: float = 0.0

    @property
    def units(self) -> float:
        """A forward is 1, a full backward 2, a backward to the input alone 1; a vanilla two-view step is 6."""
        return self.forwards + 2 * self.backwards + self.input_backwards


class Meter:
    """Counts the passes through every encoder of a method (momentum targets too), by hooks.

    Args:
        method: the module whose encoders are counted.
        pixels: of an image at full size; the most seen so far if not given.
    """

    def __init__(self, method: nn.Module, pixels: int = 0) -> None:
        self.cost, self.pixels, self.known, self._inputs_only = Cost(), pixels, pixels > 0, False
        for encoder in (module for module in method.modules() if isinstance(module, Encoder)):
            encoder.register_forward_hook(self._forward)

    def take(self) -> Cost:
        """What was counted since the last call."""
        taken, self.cost = self.cost, Cost()
        return taken

    def inputs_only(self) -> AbstractContextManager[None]:
        """Backward passes in this context stop at the input: no weight's gradient is computed."""
        return holding([self], "_inputs_only", value=True)

    def _forward(self, encoder: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> None:
        pixels = args[0].shape[-2] * args[0].shape[-1]
        self.pixels = self.pixels if self.known else max(self.pixels, pixels)
        share, trained = pixels / self.pixels, any(weight.requires_grad for weight in encoder.parameters())
        self.cost.forwards += share

        def backward(_: Tensor) -> None:
            if self._inputs_only or not trained:
                self.cost.input_backwards += share
            else:
                self.cost.backwards += share

        if output.requires_grad:
            output.register_hook(backward)

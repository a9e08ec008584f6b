"""The control: the same transform, driven by chance."""

import torch
from jaxtyping import Float
from torch import Tensor

from sparring.contracts import Chance, Proposal, Turn


class Random(Chance):
    """Draw each image's parameters uniformly from the box: the random control of every other adversary."""

    def draw(self, turn: Turn) -> Float[Tensor, " b *p"]:
        """Uniform parameters, projected onto what the transform allows."""
        b, channels, height, width = turn.images.shape
        shape = (b, *self.transform.parameter_shape((channels, height, width)))
        draw = torch.rand(shape, generator=turn.generator, device=turn.generator.device)
        return self.transform.project(2 * draw.to(turn.images) - 1)

    def propose(self, turn: Turn) -> Proposal:
        return Proposal(self.draw(turn))

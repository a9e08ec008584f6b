"""The control: the same transform, driven by chance."""

import torch

from sparring.contracts import Adversary, Proposal, Turn


class Random(Adversary):
    """Draw each image's parameters uniformly from the box: the random control of every other adversary."""

    def propose(self, turn: Turn) -> Proposal:
        b, channels, height, width = turn.images.shape
        shape = (b, *self.transform.parameter_shape((channels, height, width)))
        draw = torch.rand(shape, generator=turn.generator, device=turn.generator.device)
        return Proposal(self.transform.project(2 * draw.to(turn.images) - 1))

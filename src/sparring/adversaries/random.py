"""The control: the same transform, driven by chance."""

import torch
from jaxtyping import Float
from torch import Tensor

from sparring.contracts import Chance, Proposal, Turn


class Random(Chance):
    """Draw each image's parameters uniformly from the box: the random control of every other adversary."""

    def forward(
        self, images: Float[Tensor, "b c h w"], generator: torch.Generator | None = None
    ) -> Float[Tensor, "b c h w"]:
        """Images changed by chance, in a training loop of your own."""
        return self.transform(images, self.transform.sample(images, generator))

    def propose(self, turn: Turn) -> Proposal:
        return Proposal(self.transform.sample(turn.images, turn.generator))

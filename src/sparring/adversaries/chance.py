"""Chance, which is held against every other adversary, and no adversary at all."""

from jaxtyping import Float
from torch import Tensor

from sparring.contracts import Adversary, Proposal, Turn
from sparring.randomness import Draws


class Chance(Adversary):
    """An adversary that is chance already, or none: its own control."""

    def control(self) -> Adversary:
        return self


class Random(Chance):
    """Draw each image's parameters uniformly from the box: the random control of every other adversary."""

    def forward(
        self, images: Float[Tensor, "b c h w"], features: Float[Tensor, "b d"] | None = None, *, generator: Draws = None
    ) -> Float[Tensor, "b c h w"]:
        """Images changed by chance, in a training loop of your own."""
        return self.transform(images, self.transform.sample(images, generator))

    def propose(self, turn: Turn) -> Proposal:
        return Proposal(self.transform.sample(turn.images, turn.generator))


class Absent(Chance):
    """Leave every view as it is: the vanilla method."""

    hardens = False

    def forward(
        self, images: Float[Tensor, "b c h w"], features: Float[Tensor, "b d"] | None = None, *, generator: Draws = None
    ) -> Float[Tensor, "b c h w"]:
        """The images as they are."""
        return images

    def propose(self, turn: Turn) -> Proposal:
        return Proposal(params=None)

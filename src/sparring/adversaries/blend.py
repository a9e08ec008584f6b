"""Several opponents: one at random for each image, in turn, or all of them."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate, pairwise
from math import prod
from typing import Literal, cast

import torch
import torch.nn.functional as F
from jaxtyping import Int
from torch import Tensor, nn
from torch.optim import Optimizer

from sparring.adversaries.best_of import picked
from sparring.contracts import Adversary, ImageShape, Proposal, Turn
from sparring.errors import InputError
from sparring.randomness import choice
from sparring.schema import checked
from sparring.transforms.chain import Chain

Turns = Literal["random", "cyclic", "all"]


class Blend(Adversary):
    """Let one of several opponents harden each image, or all of them one after another.

    Opponents' own transforms become a chain in which zero leaves the others out. Every opponent chooses for the whole
    batch, so the cost is the sum of theirs.

    Args:
        opponents: adversaries that share one transform, or each with a transform that has an identity at zero.
        image_shape: channels, height, width of the images they will see.
        turns: one at random for each image; or the same for all images, in turn from step to step; or all of them for
            each image, so that chance may choose one part of a chain and a head another. Of cyclic turns a look at the
            game shows the one whose turn it is, and `adversary_every` must share no divisor with the number of
            opponents: else some learn never. Where all play, zero is needed only by those that ask for the loss, which
            is told as if the others left the image alone.
    """

    def __init__(
        self, opponents: Sequence[Adversary], *, image_shape: ImageShape = (3, 32, 32), turns: Turns = "random"
    ) -> None:
        if not opponents:
            raise InputError("blend: expected at least one opponent, got none")
        transforms = [opponent.transform for opponent in opponents]
        chain, turns = Chain(transforms, image_shape=image_shape), checked(turns, Turns, "blend: turns")
        shared = turns != "all" and all(transform is transforms[0] for transform in transforms)
        super().__init__(transforms[0] if shared else chain)
        if not shared and turns != "all":
            chain.require_identity("blend")
        self.opponents = cast("Sequence[Adversary]", nn.ModuleList(opponents))
        self.turns, self.image_shape = turns, image_shape
        ends = list(accumulate((prod(shape) for shape in chain.shapes), initial=0))
        self.pads = None if shared else [(start, ends[-1] - end) for start, end in pairwise(ends)]

    def propose(self, turn: Turn) -> Proposal:
        chosen = self._draw(turn)
        proposals = [self._ask(turn, place) for place in range(len(self.opponents))]
        return picked(chosen, proposals)

    def optimisers(self, learning_rate: float) -> list[Optimizer]:
        return [each for opponent in self.opponents for each in opponent.optimisers(learning_rate)]

    def after_step(self) -> None:
        for opponent in self.opponents:
            opponent.after_step()

    def control(self) -> Adversary:
        chances = [opponent.control() for opponent in self.opponents]
        if all(chance is opponent for chance, opponent in zip(chances, self.opponents, strict=True)):
            return self
        return Blend(chances, image_shape=self.image_shape, turns=self.turns)

    def _draw(self, turn: Turn) -> Int[Tensor, " b"] | None:
        """Whose turn it is, image by image; None if it is everybody's."""
        count, b = len(self.opponents), len(turn.images)
        if self.turns == "all":
            return None
        if self.turns == "cyclic":
            return torch.full((b,), turn.step % count, device=turn.images.device)
        return choice(count, b, turn.generator, turn.images)

    def _ask(self, turn: Turn, place: int) -> Proposal:
        """One opponent's choice as parameters of the whole transform."""

        def widened(params: Tensor) -> Tensor:
            return params if self.pads is None else F.pad(params.flatten(1), self.pads[place])

        def hardness(params: Tensor, side: int = 0, running: bool = False) -> Tensor:
            if self.turns == "all":
                self.transform.require_identity("blend")
            return turn.hardness(widened(params), side, running)

        opponent = self.opponents[place]
        proposal = opponent.propose(replace(turn, hardness=hardness))
        if proposal.params is None:
            opponent.transform.require_identity("blend")
            return replace(proposal, params=turn.images.new_zeros(self.transform.size_for(turn.images)))
        return replace(proposal, params=widened(proposal.params))

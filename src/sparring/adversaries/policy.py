"""A learned distribution over discrete operations and their magnitudes."""

from copy import deepcopy
from math import prod

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from sparring.contracts import Adversary, ImageShape, Proposal, Transform, Turn
from sparring.randomness import Draws, uniform
from sparring.schema import check_ranges
from sparring.transforms.chain import Chain


def operations_of(transform: Transform, image_shape: ImageShape) -> Bool[Tensor, "n p"]:
    """Which parameters each operation moves: those of one part of a chain, or else a single parameter."""
    total = prod(transform.parameter_shape(image_shape))
    if not isinstance(transform, Chain):
        return torch.eye(total, dtype=torch.bool)
    sizes = torch.tensor([prod(shape) for shape in transform.shapes])
    owner = torch.arange(len(sizes)).repeat_interleave(sizes)
    return owner == torch.arange(len(sizes))[:, None]


def random_signs(like: Tensor, generator: Draws) -> Tensor:
    """-1 or 1 for each entry of `like`, with even chances."""
    return torch.where(uniform(like.shape, generator, like) < 0.5, -1.0, 1.0).to(like)


class Policy(Adversary):
    """A few operations per image, each with a magnitude, drawn from logits that are reinforced by the loss they cause.

    Each slot draws one of operations x levels from a table of logits of its own; level l of L moves every parameter
    of the operation to l / L with a random sign, and all others stay at zero, the identity. A later slot that draws the
    same operation replaces the earlier one. The learner ascends the score by Williams 1992 with the batch's mean as
    baseline, so operations without a gradient are learned too. The logits start even.

    Its control is the same draw from even logits: a run at `adversary_learning_rate = 0`.

    Args:
        transform: a chain, whose parts are the operations; or any other, of which each parameter is one. It must have
            an identity.
        image_shape: channels, height, width of the images it will see.
        slots: operations per image.
        levels: number of magnitudes, evenly spaced up to the transform's bound.
        entropy: weight of the policy's entropy (nats, summed over slots), which keeps it from settling on one choice.

    Source: Zhang et al. 2020, "Adversarial AutoAugment" (an LSTM writes their policies, eight for every image and
    reinforced once an epoch; this is a table, drawn anew for each image and reinforced at each step); You et al. 2021,
    "Graph Contrastive Learning Automated" (min-max over a distribution of augmentations).
    """

    def __init__(
        self,
        transform: Transform,
        *,
        image_shape: ImageShape = (3, 32, 32),
        slots: int = 2,
        levels: int = 10,
        entropy: float = 0.0,
    ) -> None:
        super().__init__(transform)
        transform.require_identity("policy")
        self.shape = transform.parameter_shape(image_shape)
        self.slots, self.levels, self.entropy = slots, levels, entropy
        check_ranges(self, {name: (1, float("inf")) for name in ("slots", "levels")}, "policy: ")
        check_ranges(self, {"entropy": (0, float("inf"))}, "policy: ")
        self.register_buffer("moves", operations_of(transform, image_shape), persistent=False)
        self.logits = nn.Parameter(torch.zeros(slots, len(self.get_buffer("moves")) * levels))

    def propose(self, turn: Turn) -> Proposal:
        scores = self.logits.log_softmax(dim=1)
        choices = self._draw(scores.detach().exp(), len(turn.images), turn.generator)
        log_probability = scores.gather(1, choices).sum(dim=0)
        params = self._params(choices, turn)
        spread = (scores.exp() * scores).sum() if self.entropy else None
        penalty = None if spread is None else (self.entropy * spread).expand(len(turn.images))
        return Proposal(params, penalty, log_probability)

    def control(self) -> Adversary:
        even = deepcopy(self)
        nn.init.zeros_(even.logits)
        return even

    def _draw(self, probabilities: Float[Tensor, "s n"], b: int, generator: torch.Generator) -> Int[Tensor, "s b"]:
        draws = torch.multinomial(probabilities.to(generator.device), b, replacement=True, generator=generator)
        return draws.to(probabilities.device)

    def _params(self, choices: Int[Tensor, "s b"], turn: Turn) -> Float[Tensor, " b *p"]:
        """Full moves inside the transform's bound, each shortened to its level, as a norm leaves but one length."""
        operations, levels = choices // self.levels, choices % self.levels + 1
        moves = self.get_buffer("moves")
        params = turn.images.new_zeros(len(turn.images), moves.shape[1])
        lengths = torch.zeros_like(params)
        for operation, level in zip(operations, levels, strict=True):
            params = torch.where(moves[operation], random_signs(params, turn.generator), params)
            lengths = torch.where(moves[operation], (level / self.levels).to(params)[:, None], lengths)
        full = self.transform.project(params.view(-1, *self.shape))
        return self.transform.project(lengths.view_as(full) * full)

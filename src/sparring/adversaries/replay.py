"""A memory of past opponents, so that the encoder does not forget them."""

import math
from collections.abc import Sequence
from copy import deepcopy
from typing import cast

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from sparring.contracts import Adversary, Proposal, Turn
from sparring.errors import InputError
from sparring.module_state import has_sparse_weights
from sparring.randomness import generator_for
from sparring.schema import check_ranges


class Replay(Adversary):
    """Let a past state of a learned opponent propose now and then, instead of the present one.

    Every `every` steps the opponent's weights are copied; the oldest of `size` copies gives way. A past state's
    proposal is neither penalised nor reinforced, and nothing of it is trained. Memory is `size` copies of the opponent.

    Args:
        opponent: an adversary with weights of its own; not a memory of each image, as that of `free`.
        size: number of copies.
        every: steps between copies.
        share: probability that a batch is hardened by one of the copies, each as likely as any, once there are any.
            Which steps these are depends on a seed drawn at construction alone, so that several processes agree; in
            evaluation mode the opponent always proposes itself.
        present_every: in steps whose number is a multiple of it the opponent proposes itself, too; as the recipe's
            `adversary_every` it spares those in which the opponent learns. 0 spares none.

    Source: fictitious self-play (Heinrich et al. 2015, "Fictitious Self-Play in Extensive-Form Games"); for images the
    history of generated samples of Shrivastava et al. 2017, "Learning from Simulated and Unsupervised Images".
    """

    def __init__(
        self, opponent: Adversary, *, size: int = 4, every: int = 100, share: float = 0.5, present_every: int = 0
    ) -> None:
        super().__init__(opponent.transform)
        if not list(opponent.parameters()):
            got = type(opponent).__name__
            raise InputError(f"replay: expected an opponent that learns, such as learned or policy, got {got}")
        if has_sparse_weights(opponent):
            got = type(opponent).__name__
            raise InputError(f"replay: expected an opponent that learns, got {got}, whose weights are of single images")
        self.opponent, self.size, self.every, self.share = opponent, size, every, share
        self.present_every = present_every
        ranges = {"size": (1, 1000), "every": (1, math.inf), "share": (0, 1), "present_every": (0, math.inf)}
        check_ranges(self, ranges, "replay: ")
        past = nn.ModuleList(deepcopy(opponent) for _ in range(size)).requires_grad_(False)
        self.past = cast("Sequence[Adversary]", past)
        self.steps, self.copies, self.seed = 0, 0, int(torch.randint(2**31, ()))

    def propose(self, turn: Turn) -> Proposal:
        held = min(self.copies, self.size) if self.training else 0
        draw = torch.rand(2, generator=generator_for(self.seed, turn.step, stream="replay")).tolist()  # on all ranks
        spared = self.present_every and turn.step % self.present_every == 0
        if held == 0 or spared or draw[0] >= self.share:
            return self.opponent.propose(turn)
        with torch.no_grad():
            proposal = self.past[int(draw[1] * held)].propose(turn)
        return Proposal(None if proposal.params is None else proposal.params.detach())

    def optimisers(self, learning_rate: float) -> list[Optimizer]:
        return self.opponent.optimisers(learning_rate)

    def after_step(self) -> None:
        """Copy the opponent when it is time."""
        self.opponent.after_step()
        self.steps += 1
        if self.steps % self.every == 0:
            self.past[self.copies % self.size].load_state_dict(self.opponent.state_dict())
            self.copies += 1

    def control(self) -> Adversary:
        return self.opponent.control()

    def get_extra_state(self) -> Tensor:
        """Steps and copies so far, and the seed: what an exact resume needs besides the weights."""
        return torch.tensor([self.steps, self.copies, self.seed])

    def set_extra_state(self, state: Tensor) -> None:
        self.steps, self.copies, self.seed = [*state.tolist(), 0][:3]  # the seed of states from before it was kept

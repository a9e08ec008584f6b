"""Projected gradient ascent on the loss itself, anew for each batch."""

from typing import Literal

import torch

from sparring.contracts import Adversary, Proposal, Transform, Turn
from sparring.schema import TINY, check_range, checked

Statistics = Literal["batch", "running"]


class Search(Adversary):
    """PGD over the transform's parameters: take the steepest step, project, repeat; one step by the sign is FGSM.

    Takes input gradients only: no weight's gradient is computed or touched. Which way is steepest the transform says:
    the sign of the gradient under L-inf and for structured parameters, the unit vector under L2.

    Args:
        steps: number of gradient steps.
        step_size: length of a step in the unit box (a fraction of the transform's bound).
        random_start: start at a uniform draw, otherwise at the identity.
        batch_norm: normalise by the `batch`, as in training, or by the `running` statistics, as ACL's attack does.

    Source: Madry et al. 2018, "Towards Deep Learning Models Resistant to Adversarial Attacks"; one step without a
    random start: Goodfellow et al. 2015.
    """

    def __init__(
        self,
        transform: Transform,
        *,
        steps: int = 5,
        step_size: float = 0.5,
        random_start: bool = True,
        batch_norm: Statistics = "batch",
    ) -> None:
        super().__init__(transform)
        if not random_start:
            transform.require_identity("search: random_start = false")
        check_range("search: steps", steps, 1)
        check_range("search: step_size", step_size, TINY)
        self.steps, self.step_size, self.random_start = steps, step_size, random_start
        self.running = checked(batch_norm, Statistics, "search: batch_norm") == "running"

    @torch.enable_grad()
    def propose(self, turn: Turn) -> Proposal:
        params = self.transform.sample(turn.images, turn.generator)
        if not self.random_start:
            params = torch.zeros_like(params)
        for _ in range(self.steps):
            params = params.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(turn.hardness(params, running=self.running).sum(), params)
            params = self.transform.ascend(params, gradient, self.step_size)
        return Proposal(params.detach())

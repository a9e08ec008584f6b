"""Projected gradient ascent on the loss itself, anew for each batch."""

import torch

from sparring.adversaries.random import Random
from sparring.contracts import Adversary, Proposal, Transform, Turn
from sparring.errors import InputError


class Search(Adversary):
    """PGD over the transform's parameters: ascend by the sign of the gradient, project, repeat; one step is FGSM.

    Takes input gradients only: no weight's gradient is computed or touched.

    Args:
        transform: what may change.
        steps: number of gradient steps.
        step_size: length of a step in the unit box (a fraction of the transform's bound).
        random_start: start at a uniform draw, otherwise at the identity.

    Source: Madry et al. 2018, "Towards Deep Learning Models Resistant to Adversarial Attacks"; one step without a
    random start: Goodfellow et al. 2015.
    """

    def __init__(
        self, transform: Transform, *, steps: int = 5, step_size: float = 0.5, random_start: bool = True
    ) -> None:
        super().__init__(transform)
        if steps < 1 or step_size <= 0:
            raise InputError(f"search: expected steps >= 1 and step_size > 0, got {steps} and {step_size}")
        self.steps, self.step_size, self.random_start = steps, step_size, random_start

    @torch.enable_grad()
    def propose(self, turn: Turn) -> Proposal:
        params = Random(self.transform).draw(turn)
        if not self.random_start:
            params = torch.zeros_like(params)
        for _ in range(self.steps):
            params = params.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(turn.hardness(params).sum(), params)
            params = self.transform.project(params + self.step_size * gradient.sign())
        return Proposal(params.detach())

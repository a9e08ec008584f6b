"""The direction in which the loss bends most: power iteration on its curvature."""

import torch

from sparring.contracts import Adversary, Proposal, Transform, Turn
from sparring.randomness import normal
from sparring.schema import TINY, check_range


class Power(Adversary):
    """Look at the gradient a little way along a direction, make it the direction, repeat; then go to the bound.

    Where the loss is smallest at the view itself, as the divergence of VAT is, this is power iteration on its Hessian.
    Takes input gradients only, one encoder forward and one backward to the input per iteration.

    Args:
        transform: what may change; `pixels` with `norm = "l2"` in the paper.
        iterations: gradients taken.
        xi: how far along the direction the gradient is taken, as a fraction of the bound.

    Source: Miyato et al. 2018, "Virtual Adversarial Training", whose xi of 1e-6 drowns in bf16.
    """

    def __init__(self, transform: Transform, *, iterations: int = 1, xi: float = 0.1) -> None:
        super().__init__(transform)
        check_range("power: iterations", iterations, 1)
        check_range("power: xi", xi, TINY)
        self.iterations, self.xi = iterations, xi

    @torch.enable_grad()
    def propose(self, turn: Turn) -> Proposal:
        slope = normal(self.transform.size_for(turn.images), turn.generator, turn.images)
        for _ in range(self.iterations):
            params = (self.xi * self._towards(slope)).detach().requires_grad_()
            (slope,) = torch.autograd.grad(turn.hardness(params).sum(), params)
            shrinks = torch.where(params == 0, slope < 0, params * slope < 0)
            slope = slope.masked_fill(self.transform.unsigned(params) & shrinks, 0)  # 0 is the least of those
        return Proposal(self._towards(slope).detach())

    def _towards(self, slope: torch.Tensor) -> torch.Tensor:
        return self.transform.project(self.transform.steepest(slope))

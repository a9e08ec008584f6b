"""A fitted linear probe, and the standardisation that is folded into it."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn


@dataclass(frozen=True)
class Probe:
    """A fitted probe."""

    head: nn.Linear
    """From raw features to one logit per class; the standardisation is folded in."""
    c: float
    converged: bool
    """Whether every fit, those of the grid included, reached its tolerance."""

    @torch.no_grad()
    def predict(self, features: Float[Tensor, "n d"]) -> Int[Tensor, " n"]:
        """The most likely class of each image."""
        return self.head(features).argmax(dim=1)


@dataclass(frozen=True)
class Scale:
    """Mean and standard deviation of each feature over a bank; a constant feature is only centred."""

    mean: Float[Tensor, " d"]
    deviation: Float[Tensor, " d"]

    @classmethod
    def of(cls, bank: Float[Tensor, "n d"]) -> "Scale":
        """In float64, with the population's deviation."""
        deviation = bank.double().std(dim=0, correction=0)
        alive = deviation > 1e-6 * deviation.max()
        return cls(bank.double().mean(dim=0), torch.where(alive, deviation, 1.0))

    def __call__(self, features: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
        return ((features.double() - self.mean) / self.deviation).float()

    def fold(self, weight: Float[Tensor, "c d"], bias: Float[Tensor, " c"]) -> nn.Linear:
        """The layer that gives on raw features what weight and bias give on standardised ones."""
        weight = weight.double() / self.deviation
        head = nn.Linear(weight.shape[1], len(weight))
        with torch.no_grad():
            head.weight.copy_(weight)
            head.bias.copy_(bias.double() - weight @ self.mean)
        return head.requires_grad_(False)

"""The linear probe with few labels."""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from jaxtyping import Int
from torch import Tensor

from sparring.contracts import Features
from sparring.errors import InputError
from sparring.evaluations.confusion import percent_right
from sparring.evaluations.linear import Linear
from sparring.evaluations.probe import Scale
from sparring.evaluations.stratified import draw_stratified, of_share
from sparring.randomness import generator_for
from sparring.schema import TINY, check_range


class LowLabel:
    """Percent of the queries that a linear probe recognises from few labels of each class: mean over draws.

    The probe is `Linear`, which chooses C within the labels it is given; features are standardised with the whole
    bank, which needs no labels. The standard deviation over draws (n - 1) is beside each mean, as
    `.../std`; `low_label/unconverged` counts the draws in which a fit stopped too early, if there are any.

    Args:
        shares: of each class's labels, in (0, 1]; at least one image.
        per_class: numbers of labels of each class, or all where a class has fewer.
        draws: how many different draws of labels.
        seed: decides them.

    Source: 1% and 10% of the labels as in Chen et al. 2020, "A Simple Framework for Contrastive Learning".
    """

    def __init__(
        self, *, shares: Sequence[float] = (0.01, 0.1), per_class: Sequence[int] = (), draws: int = 5, seed: int = 0
    ) -> None:
        check_range("low_label: draws", draws, 2)
        for share in shares:
            check_range("low_label: shares", share, TINY, 1)
        for number in per_class:
            check_range("low_label: per_class", number, 1)
        self.draws, self.seed, self.per_class = draws, seed, per_class
        self.counts: dict[str, Callable[[int], int]] = {
            **{f"low_label/share={share:g}": partial(of_share, share) for share in shares},
            **{f"low_label/per_class={number}": partial(min, number) for number in per_class},
        }

    def __call__(self, features: Features) -> dict[str, float]:
        if features.bank_labels is None or features.query_labels is None:
            return {}
        largest = int(features.bank_labels.bincount().max())
        if max(self.per_class, default=0) > largest:
            raise InputError(f"low_label: expected per_class of at most {largest} labels, got {max(self.per_class)}")
        scale, figures, early = Scale.of(features.bank), dict[str, float](), 0
        for name, count in self.counts.items():
            results = [self._accuracy(features, count, draw, scale) for draw in range(self.draws)]
            accuracies = torch.tensor([accuracy for accuracy, _ in results])
            figures |= {name: accuracies.mean().item(), f"{name}/std": accuracies.std().item()}
            early += sum(not converged for _, converged in results)
        return {**figures, "low_label/unconverged": float(early)} if early else figures

    def draw(self, labels: Int[Tensor, " n"], count: Callable[[int], int], number: int) -> Int[Tensor, " m"]:
        """The places whose labels the draw of this number shows."""
        return draw_stratified(labels, count, generator_for(self.seed, number, 0, "low_label"))

    def _accuracy(
        self, features: Features, count: Callable[[int], int], number: int, scale: Scale
    ) -> tuple[float, bool]:
        """Of one draw, and whether its fits converged."""
        assert features.bank_labels is not None
        assert features.query_labels is not None
        places = self.draw(features.bank_labels, count, number)
        probe = Linear(seed=self.seed).fit(features.bank[places], features.bank_labels[places], scale)
        return percent_right(features.query_labels, probe.predict(features.queries)), probe.converged

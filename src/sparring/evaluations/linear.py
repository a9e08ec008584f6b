"""The linear probe: logistic regression on frozen, standardised features."""

import warnings
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from sparring.contracts import Features
from sparring.errors import InputError
from sparring.evaluations.confusion import percent_right
from sparring.evaluations.probe import Probe, Scale
from sparring.evaluations.stratified import draw_stratified
from sparring.evaluations.subject import Subject
from sparring.randomness import generator_for
from sparring.schema import TINY, check_each, check_range

GRID = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
HELD_OUT = 0.2
UNCHOSEN_C = 1.0
"""Where too few classes have a second image to choose with."""
COVERED = 0.9
"""Share of the images that must be of classes with held-out ones: a C chosen by few classes forgets the others."""
ABSENT = -1e4
"""Logit of a class that the bank does not hold: never chosen, and finite, so that gradients stay numbers."""


class Linear:
    """Percent of the queries that a linear probe recognises: multinomial logistic regression by scikit-learn's L-BFGS.

    Features are standardised with the bank's mean and deviation. C, the inverse of the L2 penalty against the summed
    loss, is the one of `grid` (the smallest of several) that is best on a fifth of each class held out from the bank;
    the probe is then fitted to the whole bank.

    Args:
        grid: values of C, ascending.
        tolerance: of the largest gradient entry of the mean loss.
        iterations: at most, per fit; a fit that stops there is reported.
        seed: decides what is held out.

    Source: the protocol of Chen et al. 2020, "A Simple Framework for Contrastive Learning", appendix B.8.1.
    """

    def __init__(
        self, grid: Sequence[float] = GRID, *, tolerance: float = 1e-4, iterations: int = 1000, seed: int = 0
    ) -> None:
        check_each("linear: grid", grid, TINY)
        check_range("linear: tolerance", tolerance, TINY)
        check_range("linear: iterations", iterations, 1)
        self.grid, self.tolerance, self.iterations, self.seed = sorted(grid), tolerance, iterations, seed

    def __call__(self, features: Features) -> dict[str, float]:
        if features.bank_labels is None or features.query_labels is None:
            return {}
        probe = self.fit(features.bank, features.bank_labels)
        return self.figures(probe, features.queries, features.query_labels)

    def judge(self, subject: Subject) -> tuple[dict[str, float], Int[Tensor, " m"]]:
        """Figures and classes of the subject's probe, which is fitted once for all that need it."""
        probe, queries, labels = subject.probe, subject.features.queries, subject.features.query_labels
        assert labels is not None
        return self.figures(probe, queries, labels), probe.predict(queries)

    def figures(self, probe: Probe, queries: Float[Tensor, "m d"], labels: Int[Tensor, " m"]) -> dict[str, float]:
        """Accuracy and C of a fitted probe; `linear/unconverged` is there, and 1, where a fit stopped too early."""
        warned = {} if probe.converged else {"linear/unconverged": 1.0}
        return {"linear": percent_right(labels, probe.predict(queries)), "linear/c": probe.c, **warned}

    def fit(self, bank: Float[Tensor, "n d"], labels: Int[Tensor, " n"], scale: Scale | None = None) -> Probe:
        """Choose C, then fit the whole bank; `scale` is the bank's own if not given."""
        if len(labels.unique()) < 2:
            raise InputError("linear: expected training images of at least two classes, got one; try --probe knn")
        scale = scale or Scale.of(bank)
        rows = scale(bank)
        c, chosen_well = self._choose(rows, labels)
        weight, bias, converged = self._fit(rows, labels, c)
        return Probe(scale.fold(weight, bias), c, converged and chosen_well)

    def _choose(self, rows: Float[Tensor, "n d"], labels: Int[Tensor, " n"]) -> tuple[float, bool]:
        held = draw_stratified(labels, _held_out, generator_for(self.seed, 0, 0, "linear"))
        if len(self.grid) == 1:
            return self.grid[0], True
        if torch.isin(labels, labels[held]).double().mean() < COVERED:
            return UNCHOSEN_C, True
        rest = ~torch.isin(torch.arange(len(labels)), held)
        accuracies, good = [], True
        for c in self.grid:
            weight, bias, converged = self._fit(rows[rest], labels[rest], c)
            accuracies.append(percent_right(labels[held], (rows[held] @ weight.T + bias).argmax(dim=1)))
            good = good and converged
        return self.grid[int(np.argmax(accuracies))], good

    def _fit(
        self, rows: Float[Tensor, "n d"], labels: Int[Tensor, " n"], c: float
    ) -> tuple[Float[Tensor, "classes d"], Float[Tensor, " classes"], bool]:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression
        from threadpoolctl import threadpool_limits

        model = LogisticRegression(C=c, tol=self.tolerance, max_iter=self.iterations)
        # one thread: the same figures on every machine, and on busy cores threads that wait for each other are slower
        with threadpool_limits(1), warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", ConvergenceWarning)
            model.fit(rows.numpy(), labels.numpy())
        early = [each for each in caught if issubclass(each.category, ConvergenceWarning)]
        for each in caught:
            if each not in early:
                warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)
        return *_per_class(model.coef_, model.intercept_, model.classes_), not early


def _held_out(size: int) -> int:
    """A fifth of a class, at least one image where it has two."""
    return max(round(HELD_OUT * size), int(size > 1))


def _per_class(
    weight: np.ndarray, bias: np.ndarray, classes: np.ndarray
) -> tuple[Float[Tensor, "classes d"], Float[Tensor, " classes"]]:
    """A row for each label up to the largest; scikit-learn has one row for two classes, and none for absent ones."""
    if len(classes) == 2:
        weight, bias = np.concatenate([0 * weight, weight]), np.concatenate([0 * bias, bias])
    rows, offsets = torch.zeros(int(classes.max()) + 1, weight.shape[1]), torch.full((int(classes.max()) + 1,), ABSENT)
    rows[classes], offsets[classes] = torch.from_numpy(weight).float(), torch.from_numpy(bias).float()
    return rows, offsets

"""Weighted kNN on frozen features."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sparring.contracts import Features
from sparring.evaluations.neighbours import neighbours
from sparring.evaluations.subject import Subject
from sparring.gather import shard, unshard
from sparring.precision import native_precision
from sparring.schema import check_neighbours

FEW = 20
"""Neighbours that are advised where there are enough images of each class."""


def knn_scores(
    queries: Float[Tensor, "m d"],
    bank: Float[Tensor, "n d"],
    labels: Int[Tensor, " n"],
    *,
    classes: int,
    settings: Sequence[tuple[int, float]],
) -> Float[Tensor, "s m classes"]:
    """The vote for each class under each (k, temperature): neighbours by cosine, weighted by exp(cosine / t).

    k is clipped to the bank. Neighbours are searched once for the largest k, in chunks, so memory stays bounded.
    A query's scores are divided by its nearest neighbour's, which changes no vote and keeps small temperatures finite.

    Source: Wu et al. 2018, "Unsupervised Feature Learning via Non-Parametric Instance Discrimination".
    """
    most = min(len(bank), max(k for k, _ in settings))
    coarse = bank.device.type == "cpu" and native_precision(bank.device) is torch.bfloat16
    similar, places = neighbours(queries, bank, most, coarse=coarse)
    labels = labels.to(bank.device)
    return torch.stack([_vote(similar[:, :k], labels[places[:, :k]], t, classes) for k, t in settings])


def _vote(
    similar: Float[Tensor, "m k"], labels: Int[Tensor, "m k"], temperature: float, classes: int
) -> Float[Tensor, "m classes"]:
    weights = ((similar - similar[:, :1]) / temperature).exp()
    return similar.new_zeros(len(similar), classes).scatter_add_(1, labels, weights)


def about_k(ks: Sequence[int], labels: Int[Tensor, " n"] | None) -> str:
    """What a user must know of numbers of neighbours that are large for these images; empty if they are not."""
    if labels is None or not len(labels):
        return ""
    counts, most = labels.bincount(), max(ks)
    smallest = int(counts[counts > 0].min())
    if most <= smallest:
        return ""
    clipped = f"is clipped to the {len(labels)} training images"
    few = f"is more than the {smallest} training images of the smallest class"
    smaller = f"kNN accuracy says more with a smaller k (--knn-k {min(FEW, smallest)})"
    return f"k = {most} {clipped if most > len(labels) else few}: {smaller}"


class Knn:
    """Percent of the queries whose weighted neighbours in the bank vote for the right class.

    Args:
        ks: numbers of neighbours; the first with the first temperature is `knn`.
        ts: temperatures; where there are several combinations, each is also given as `knn/k=...,t=...`.
    """

    def __init__(self, ks: Sequence[int] = (200,), ts: Sequence[float] = (0.1,)) -> None:
        check_neighbours(ks, ts)
        self.settings = [(k, t) for k in ks for t in ts]

    def __call__(self, features: Features) -> dict[str, float]:
        if features.bank_labels is None or features.query_labels is None:
            return {}
        return self.figures(self.predict(features), features.query_labels)

    def judge(self, subject: Subject) -> tuple[dict[str, float], Int[Tensor, " m"]]:
        """Its figures, and the classes under the first setting."""
        predicted, labels = self.predict(subject.features), subject.features.query_labels
        assert labels is not None
        return self.figures(predicted, labels), predicted[0]

    def predict(self, features: Features) -> Int[Tensor, "s m"]:
        """The class of each query under each setting; the bank must have labels. All ranks must call it: they share."""
        labels = features.bank_labels
        assert labels is not None
        classes, mine = int(labels.max()) + 1, shard(features.queries)
        scores = knn_scores(mine, features.bank, labels, classes=classes, settings=self.settings)
        return unshard(scores.argmax(dim=2).T.contiguous(), len(features.queries)).T

    def figures(self, predicted: Int[Tensor, "s m"], labels: Int[Tensor, " m"]) -> dict[str, float]:
        """Accuracies of predicted classes, in percent."""
        accuracies = (predicted == labels).double().mean(dim=1) * 100
        figures = dict(zip(self.settings, accuracies.tolist(), strict=True))
        named = {f"knn/k={k},t={t}": figure for (k, t), figure in figures.items()}
        return {"knn": figures[self.settings[0]], **(named if len(named) > 1 else {})}

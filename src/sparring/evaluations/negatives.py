"""What pulls and pushes a hard view: the gradient of a contrastive loss, split into its positive and negative part."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from sparring.contracts import Embedding
from sparring.evaluations.confusion import confusion
from sparring.gather import gather
from sparring.methods.scores import Scores


@runtime_checkable
class Scored(Protocol):
    """A method whose loss is a function of scores: the anchors are the first views, then the second."""

    loss: Callable[[Scores], Tensor]

    def scores(self, first: Embedding, second: Embedding) -> Scores: ...


@dataclass(frozen=True)
class Split:
    """The gradient on the second views' projections, and the weights behind it."""

    positive: Float[Tensor, "b k"]
    """What passes through similarities with the other view of the same image."""
    negative: Float[Tensor, "b k"]
    """What passes through similarities with all other views; the sum of both is the loss's gradient."""
    weights: Float[Tensor, "b n"]
    """How much each negative weighs on a second view as the anchor: the P_i- of Eq. 3 for InfoNCE."""
    scores: Scores
    """What the gradient was taken through."""


def split(method: Scored, first: Embedding, second: Embedding) -> Split:
    """Split the gradient of the mean loss per view: for InfoNCE -(1 - P+) z+ + sum_i P_i- z_i- per anchor (Eq. 3).

    Any loss of scores is split likewise, by its derivatives in them.
    """
    with torch.enable_grad():
        projection = second.projection.detach().requires_grad_()
        scores = method.scores(first.detach(), replace(second.detach(), projection=projection))
        loss = method.loss(scores).sum() / 2
        pulls, pushes = torch.autograd.grad(loss, [scores.positive, scores.negative], retain_graph=True)
        (pull,) = torch.autograd.grad(scores.positive, projection, pulls, retain_graph=True)
        (push,) = torch.autograd.grad(scores.negative, projection, pushes)
    return Split(pull, push, 2 * pushes[-len(projection) :], scores)


def classes_of_negatives(scores: Scores, labels: Int[Tensor, " b"]) -> Int[Tensor, " n"] | None:
    """Of both views of all images of all ranks; None where the negatives are a queue's keys, which have no labels."""
    if scores.queued:
        return None
    return gather(labels).repeat(2)


def false_negatives(scores: Scores, labels: Int[Tensor, " b"]) -> Bool[Tensor, "b n"] | None:
    """Which negatives of each second view are false ones, other images of its class; None without their labels."""
    theirs = classes_of_negatives(scores, labels)
    return None if theirs is None else (labels[:, None] == theirs) & scores.kept()[-len(labels) :]


def negatives(
    method: Scored, first: Embedding, second: Embedding, labels: Int[Tensor, " b"] | None
) -> dict[str, float]:
    """Sizes of both parts of the gradient, and with labels what lies on false negatives.

    - `pull`, `push`: mean length of the positive and of the negative part, each image's gradient for itself.
    - `false_weight`: share of the negatives' weight that lies on false ones, mean over the second views.
    - `nearest_false`: share of the second views whose nearest negative is a false one.

    A queue's keys have no labels, so there only the lengths are given; nothing where the second views are no anchors.
    """
    if not _are_anchors(method.scores(first, second), second):
        return {}
    parts = split(method, first, second)
    sizes = {"pull": parts.positive.norm(dim=1).mean().item(), "push": parts.negative.norm(dim=1).mean().item()}
    if labels is None or (false := false_negatives(parts.scores, labels)) is None:
        return sizes
    weights = parts.weights
    share = (weights * false).sum(dim=1) / weights.sum(dim=1).clamp(min=torch.finfo(weights.dtype).tiny)
    nearest = false.gather(1, nearest_negatives(parts.scores, len(labels))[:, None]).float()
    return {**sizes, "false_weight": share.mean().item(), "nearest_false": nearest.mean().item()}


def _are_anchors(scores: Scores, second: Embedding) -> bool:
    """Whether the second views query, too: in MoCo they are only keys if it is not symmetric."""
    return len(scores.positive) == 2 * len(second.projection)


def nearest_negatives(scores: Scores, b: int) -> Int[Tensor, " b"]:
    """Place of the nearest negative of each of `b` second views among all negatives."""
    return scores.negative[-b:].argmax(dim=1)


@torch.no_grad()
def nearest_classes(
    method: Scored, first: Embedding, second: Embedding, labels: Int[Tensor, " b"], classes: int
) -> Int[Tensor, "c c"] | None:
    """How often the nearest negative of a second view of class i is of class j; None in a queue, without labels."""
    scores = method.scores(first, second)
    theirs = classes_of_negatives(scores, labels)
    if theirs is None or not _are_anchors(scores, second):
        return None
    nearest = theirs[nearest_negatives(scores, len(labels))]
    return confusion(labels, nearest, classes)


def tabled(counts: Float[Tensor, "c c"], chance: Float[Tensor, "c c"], names: Sequence[str]) -> dict[str, Any]:
    """As JSON holds it: `classes`, how many `views` of each, what share of them has a nearest negative of which class
    (`shares`, a row a class), and the share of its own class by `chance`; 0 where a class has no view."""
    views = counts.sum(dim=1)
    shares = counts / views.clamp(min=1)[:, None]
    by_chance = chance.diagonal() / views.clamp(min=1)
    return {
        "classes": list(names),
        "views": views.int().tolist(),
        "shares": [[round(share, 4) for share in row] for row in shares.tolist()],
        "chance": [round(share, 4) for share in by_chance.tolist()],
    }


@torch.no_grad()
def chance_classes(labels: Int[Tensor, " b"], classes: int) -> Float[Tensor, "c c"]:
    """What `nearest_classes` is on average if every negative in the batch is as likely to be the nearest."""
    own = F.one_hot(labels, classes).float()
    everyone = gather(own)
    sizes = own.sum(dim=0)
    return (sizes[:, None] * everyone.sum(dim=0) - sizes.diag()) / (len(everyone) - 1)

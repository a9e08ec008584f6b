"""What contrastive losses see of a batch: each anchor's logit with its positive and with everybody else."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from sparring.gather import gather, rank


@dataclass(frozen=True)
class Scores:
    """Cosine similarities over the temperature."""

    positive: Float[Tensor, " a"]
    """Of each anchor with the other view of its image."""
    negative: Float[Tensor, "a n"]
    """Of each anchor with everybody; -inf where that is none: itself and its positive, a queue's keys of its image."""
    temperature: float
    same: Bool[Tensor, "a n"] | None = None
    """Whether a negative is a false one: another image of the anchor's class; only where labels are known."""
    queued: bool = False
    """Whether negatives are a queue's keys, of which no labels are known."""

    def kept(self) -> Bool[Tensor, "a n"]:
        """Which entries of `negative` are negatives."""
        return self.negative > -torch.inf


def joined(one: Scores, other: Scores) -> Scores:
    """The anchors of both, each with its own positive and negatives."""
    positive, negative = torch.cat([one.positive, other.positive]), torch.cat([one.negative, other.negative])
    return Scores(positive, negative, one.temperature, queued=one.queued)


def info_nce(scores: Scores, *, itself: bool = False) -> Float[Tensor, " a"]:
    """-log of the softmax share of the positive, -log e^p / (e^p + sum e^n); `itself` adds e^(1/temperature) below."""
    logits = torch.cat([scores.positive[:, None], scores.negative], dim=1)
    if itself:
        logits = F.pad(logits, (0, 1), value=1 / scores.temperature)
    return torch.logsumexp(logits, dim=1) - scores.positive


def all_against_all(
    first: Float[Tensor, "b k"],
    second: Float[Tensor, "b k"],
    temperature: float,
    labels: Int[Tensor, " b"] | None = None,
) -> Scores:
    """Both views of each image as anchors, 2b of them, against both views of all images of all ranks (SimCLR).

    Args:
        first: projections of one view.
        second: projections of the other.
        temperature: divides the cosine similarities.
        labels: classes.
    """
    first, second = F.normalize(first), F.normalize(second)
    everyone = torch.cat([gather(first), gather(second)])
    b, half = len(first), len(everyone) // 2
    own = torch.arange(b, device=first.device) + rank() * b
    anchors, positives = torch.cat([own, own + half]), torch.cat([own + half, own])
    logits = torch.cat([first, second]) @ everyone.T / temperature
    apart = torch.stack([anchors, positives], dim=1)
    alike = None if labels is None else labels.repeat(2)[:, None] == gather(labels).repeat(2)
    same = None if alike is None else alike.scatter(1, apart, False)
    positive = logits.gather(1, positives[:, None]).squeeze(1)
    return Scores(positive, logits.scatter(1, apart, -torch.inf), temperature, same)


def against_queue(
    query: Float[Tensor, "b k"],
    key: Float[Tensor, "b k"],
    queue: Float[Tensor, "q k"],
    own: Bool[Tensor, "b q"],
    temperature: float,
) -> Scores:
    """Each query as an anchor, its key as the positive, the queue as negatives (MoCo) but for keys of its own image."""
    query, key = F.normalize(query), F.normalize(key)
    negative = (query @ queue.T / temperature).masked_fill(own, -torch.inf)
    return Scores((query * key).sum(dim=1) / temperature, negative, temperature, queued=True)

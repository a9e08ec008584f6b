"""Oracles, which know the classes: negatives that are false repel nobody (oracle), or attract (supcon)."""

from dataclasses import replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sparring.encoders import Encoder
from sparring.errors import InputError
from sparring.methods.contrastive import Contrastive
from sparring.methods.scores import Scores, info_nce


def without_false_negatives(scores: Scores) -> Float[Tensor, " a"]:
    """InfoNCE against the other classes only."""
    assert scores.same is not None
    return info_nce(replace(scores, negative=scores.negative.masked_fill(scores.same, -torch.inf)))


def supervised(scores: Scores) -> Float[Tensor, " a"]:
    """log(e^p + sum e^n) - (mean of p and all n of the anchor's class): L_out of the paper."""
    assert scores.same is not None
    everyone = torch.cat([scores.positive[:, None], scores.negative], dim=1)
    attraction = scores.positive + scores.negative.masked_fill(~scores.same, 0.0).sum(dim=1)
    return torch.logsumexp(everyone, dim=1) - attraction / (1 + scores.same.sum(dim=1))


def oracle(
    encoder: Encoder,
    labels: Int[Tensor, " n"] | None,
    *,
    hidden: int = 512,
    projection: int = 128,
    temperature: float = 0.5,
) -> Contrastive:
    """SimCLR without false negatives (needs labels): the positive stays the image's own other view.

    Args: those of `Contrastive`.

    Raises:
        InputError: if the data has no labels.

    Source: the oracle of Chuang et al. 2020 ("Debiased Contrastive Learning", unbiased loss).
    """
    loss, labels = without_false_negatives, _known(labels, "oracle")
    return Contrastive(encoder, loss, hidden=hidden, projection=projection, temperature=temperature, labels=labels)


def supcon(
    encoder: Encoder,
    labels: Int[Tensor, " n"] | None,
    *,
    hidden: int = 512,
    projection: int = 128,
    temperature: float = 0.1,
) -> Contrastive:
    """Supervised contrastive learning (needs labels): all views of an image's class attract.

    Args: those of `Contrastive`.

    Raises:
        InputError: if the data has no labels.

    Source: Khosla et al. 2020, "Supervised Contrastive Learning".
    """
    labels = _known(labels, "supcon")
    return Contrastive(
        encoder, supervised, hidden=hidden, projection=projection, temperature=temperature, labels=labels
    )


def _known(labels: Int[Tensor, " n"] | None, method: str) -> Int[Tensor, " n"]:
    """The labels that an oracle needs, or one clear line."""
    if labels is None:
        raise InputError(f"{method}: expected data with labels, got data without; choose simclr, or folders by class")
    return labels

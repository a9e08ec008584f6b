"""Supervised contrastive learning: the oracle that knows the classes and so has no false negatives."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sparring.encoders import Encoder
from sparring.methods.contrast import Scores
from sparring.methods.contrastive import Contrastive, known


def supervised(scores: Scores) -> Float[Tensor, " a"]:
    """log(e^p + sum e^n) - (mean of p and all n of the anchor's class): L_out of the paper."""
    assert scores.same is not None
    everyone = torch.cat([scores.positive[:, None], scores.negative], dim=1)
    attraction = scores.positive + scores.negative.masked_fill(~scores.same, 0.0).sum(dim=1)
    return torch.logsumexp(everyone, dim=1) - attraction / (1 + scores.same.sum(dim=1))


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
    labels = known(labels, "supcon")
    return Contrastive(
        encoder, supervised, hidden=hidden, projection=projection, temperature=temperature, labels=labels
    )

"""SimCLR told by an oracle which negatives are false: they leave the denominator, and attract nobody."""

from dataclasses import replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sparring.encoders import Encoder
from sparring.methods.contrast import Scores, info_nce
from sparring.methods.contrastive import Contrastive, known


def without_false_negatives(scores: Scores) -> Float[Tensor, " a"]:
    """InfoNCE against the other classes only."""
    assert scores.same is not None
    return info_nce(replace(scores, negative=scores.negative.masked_fill(scores.same, -torch.inf)))


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
    loss, labels = without_false_negatives, known(labels, "oracle")
    return Contrastive(encoder, loss, hidden=hidden, projection=projection, temperature=temperature, labels=labels)

"""Decoupled contrastive learning: the positive leaves the denominator."""

import torch
from jaxtyping import Float
from torch import Tensor

from sparring.encoders import Encoder
from sparring.methods.contrastive import Contrastive
from sparring.methods.scores import Scores


def decoupled(scores: Scores) -> Float[Tensor, " a"]:
    """-p + log sum e^n: InfoNCE without the factor that fades the gradient of easy positives."""
    return torch.logsumexp(scores.negative, dim=1) - scores.positive


def dcl(encoder: Encoder, *, hidden: int = 512, projection: int = 128, temperature: float = 0.1) -> Contrastive:
    """Decoupled contrastive learning: -p + log sum e^n over 2(b - 1) negatives.

    Args: those of `Contrastive`.

    Source: Yeh et al. 2022, "Decoupled Contrastive Learning" (without its weights on positives).
    """
    return Contrastive(encoder, decoupled, hidden=hidden, projection=projection, temperature=temperature)

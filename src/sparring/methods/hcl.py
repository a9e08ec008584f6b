"""Negatives corrected for false ones, and weighted by their hardness."""

import math
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from sparring.encoders import Encoder
from sparring.methods.contrastive import Contrastive
from sparring.methods.heads import check_below_1
from sparring.methods.scores import Scores
from sparring.schema import check_range

LARGEST = 80.0
"""Exponent that float32 holds; what is larger by so much is more than the mean anyway."""


def corrected(scores: Scores, *, tau_plus: float, beta: float) -> Float[Tensor, " a"]:
    """-log e^p / (e^p + N g), g the mean negative after correction.

    g = max((sum e^{(1 + beta) n} / sum e^{beta n} - tau_plus e^p) / (1 - tau_plus), e^{-1/t})

    beta = 0 is the debiased loss, tau_plus = beta = 0 is InfoNCE. All is in logarithms, so nothing overflows.
    """
    top, kept = 1 / scores.temperature, scores.kept()
    finite = scores.negative.masked_fill(~kept, 0.0)
    tilted, weights = (((scale * finite).masked_fill(~kept, -torch.inf)) for scale in (1 + beta, beta))
    mean = torch.logsumexp(tilted, dim=1) - torch.logsumexp(weights, dim=1)
    false = tau_plus * (scores.positive - mean).clamp(max=LARGEST).exp()  # expected share of the mean
    true = torch.where(false < 1, mean + torch.log1p(-torch.where(false < 1, false, 0.0)), -torch.inf)
    negative = (true - math.log(1 - tau_plus)).clamp(min=-top)
    return torch.logaddexp(scores.positive, kept.sum(dim=1).to(mean).log() + negative) - scores.positive


def debiased(
    encoder: Encoder, *, hidden: int = 512, projection: int = 128, temperature: float = 0.5, tau_plus: float = 0.1
) -> Contrastive:
    """Debiased contrastive learning: -log e^p / (e^p + N g), g = max((mean e^n - tau+ e^p) / (1 - tau+), e^{-1/t}).

    Args, besides those of `Contrastive`:
        tau_plus: assumed share of false negatives, in [0, 1); 0 is SimCLR.

    Source: Chuang et al. 2020, "Debiased Contrastive Learning" (one positive per anchor, as in its experiments).
    """
    check_below_1("tau_plus", tau_plus)
    loss = partial(corrected, tau_plus=tau_plus, beta=0.0)
    return Contrastive(encoder, loss, hidden=hidden, projection=projection, temperature=temperature)


def hcl(
    encoder: Encoder,
    *,
    hidden: int = 512,
    projection: int = 128,
    temperature: float = 0.5,
    tau_plus: float = 0.1,
    beta: float = 1.0,
) -> Contrastive:
    """Contrastive learning with hard negatives: a negative weighs e^{beta n}; false ones are subtracted.

    Args, besides those of `Contrastive`:
        tau_plus: assumed share of false negatives, in [0, 1).
        beta: concentration on hard negatives; 0 is `debiased`.

    Source: Robinson et al. 2021, "Contrastive Learning with Hard Negative Samples".
    """
    check_below_1("tau_plus", tau_plus)
    check_range("beta", beta, 0)
    loss = partial(corrected, tau_plus=tau_plus, beta=beta)
    return Contrastive(encoder, loss, hidden=hidden, projection=projection, temperature=temperature)

"""Debiased contrastive learning: false negatives are subtracted in expectation."""

from functools import partial

from sparring.encoders import Encoder
from sparring.methods.contrastive import Contrastive
from sparring.methods.hcl import corrected
from sparring.methods.heads import check_below_1


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

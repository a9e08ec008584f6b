"""Measures that need no label: do the features still use their space?"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from sparring.contracts import Features


def spread(features: Float[Tensor, "n d"]) -> Float[Tensor, ""]:
    """Standard deviation of normalised features times sqrt(d), mean over dimensions: 1 if isotropic, 0 if collapsed.

    Source: Chen and He 2021, Fig. 2 of "Exploring Simple Siamese Representation Learning".
    """
    return F.normalize(features).std(dim=0, correction=0).mean() * features.shape[1] ** 0.5


def rankme(features: Float[Tensor, "n d"]) -> Float[Tensor, ""]:
    """Effective rank: the exponential of the entropy of the normalised singular values, between 1 and min(n, d).

    Source: Garrido et al. 2023, "RankMe: Assessing the Downstream Performance of Pretrained Representations".
    """
    values = torch.linalg.svdvals(features)
    # all zeros, as from a dead last layer, count like one direction rather than as not a number
    shares = values / values.sum().clamp(min=torch.finfo(values.dtype).tiny) + 1e-7
    return (-(shares * shares.log()).sum()).exp()


def collapse(features: Features) -> dict[str, float]:
    """Feature spread and RankMe of the queries."""
    queries = features.queries
    return {"feature_spread": spread(queries).item(), "rankme": rankme(queries).item()}

"""Looks at the game that change nothing: how hard the views are, and what they look like."""

import torch
from jaxtyping import Float
from torch import Tensor

from sparring.adversaries import Absent, Random
from sparring.evaluations.collapse import alignment
from sparring.learner import Learner
from sparring.rounds import Batch


@torch.no_grad()
def hardness(learner: Learner, batch: Batch) -> dict[str, float]:
    """Mean loss on this batch under the adversary, under its random control, and untouched; and alignment untouched."""
    transform = learner.adversary.transform
    opponents = {"adversary": learner.adversary, "random": Random(transform), "clean": Absent(transform)}
    partner = learner.glance(batch.views["first"], batch.indices)
    losses = {}
    for name, opponent in opponents.items():
        hard, _ = learner.harden(batch.views["second"], partner, batch, opponent)
        embedding = learner.glance(hard, batch.indices)
        losses[f"hardness/{name}"] = learner.method.compare(partner, embedding).mean().item()
        if name == "clean":
            losses["alignment"] = alignment(partner.features, embedding.features).item()
    return losses


@torch.no_grad()
def hard_views(learner: Learner, batch: Batch) -> Float[Tensor, "b c h w"]:
    """The second views as the adversary hardens them."""
    partner = learner.glance(batch.views["first"], batch.indices)
    return learner.harden(batch.views["second"], partner, batch, learner.adversary)[0]

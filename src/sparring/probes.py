"""Looks at the game that change nothing: how hard the views are, and what they look like."""

import torch
from jaxtyping import Float
from torch import Tensor

from sparring.adversaries import Absent, Random
from sparring.contracts import Embedding
from sparring.learner import Learner
from sparring.rounds import Batch, base_name, hardened_of, partner_of


@torch.no_grad()
def hardness(learner: Learner, batch: Batch) -> dict[str, float]:
    """Mean loss on this batch under the adversary, under its random control, and untouched."""
    transform = learner.adversary.transform
    opponents = {"adversary": learner.adversary, "random": Random(transform), "clean": Absent(transform)}
    view, partner = _seats(learner, batch)
    losses = {}
    for name, opponent in opponents.items():
        hard, proposal = learner.harden(view, partner, batch, opponent)
        embedding = learner.glance(hard, batch.indices, hard=proposal.params is not None)
        losses[f"hardness/{name}"] = learner.method.compare(partner, embedding).mean().item()
    return losses


@torch.no_grad()
def hard_views(learner: Learner, batch: Batch) -> Float[Tensor, "b c h w"]:
    """The views that the adversary makes of the first view that the recipe hardens."""
    return learner.harden(*_seats(learner, batch), batch, learner.adversary)[0]


def _seats(learner: Learner, batch: Batch) -> tuple[Float[Tensor, "b c h w"], Embedding]:
    """A view to harden, and whom it plays against."""
    name = hardened_of(learner.pairs)
    partner = learner.glance(batch.views[partner_of(name, learner.pairs)], batch.indices)
    return batch.views[base_name(name)], partner

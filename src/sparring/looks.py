"""Looks at the game that change nothing: how hard the views are, and what they look like."""

import math
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from sparring.adversaries import Absent
from sparring.batches import Batches
from sparring.contracts import Adversary, Embedding, Proposal
from sparring.evaluations.collapse import alignment
from sparring.evaluations.confusion import MOST_CLASSES
from sparring.evaluations.negatives import Scored, chance_classes, nearest_classes, negatives, tabled
from sparring.gather import all_reduce_sum, gather
from sparring.intervals import t_margin
from sparring.learner import Learner
from sparring.module_state import holding
from sparring.rounds import Batch, Outcome, base_name, hardened_of, partner_of
from sparring.tensors import evenly
from sparring.views import as_bytes

GALLERY_IMAGES, TABLE_BATCHES = 8, 8
MOST_COLUMNS = 4096
"""Of more parameters an image, as of pixels, so many are looked at, evenly spread: all ranks hold them."""


@torch.no_grad()
def hardness(learner: Learner, batch: Batch, labels: Int[Tensor, " b"] | None = None) -> dict[str, float]:
    """Mean loss on this batch under the adversary, its control, untouched, and against another image's view.

    Also the alignment of the untouched views, unless a view plays against itself; and for methods with scores what
    pulls and pushes, before the adversary and after (`evaluations.negatives`). Chance has no control.
    """
    adversary, method = learner.adversary, learner.method
    opponents = {"adversary": adversary, "random": adversary.control(), "clean": Absent(adversary.transform)}
    if opponents["random"] is adversary:
        del opponents["random"]
    name, partner = _seats(learner, batch)
    seen = {kind: _seen(learner, name, partner, batch, opponent) for kind, opponent in opponents.items()}
    seen["stranger"] = seen["clean"].of_others()
    losses = {kind: learner.comparison.loss(name, partner, other) for kind, other in seen.items()}
    figures = {f"hardness/{kind}": loss.mean().item() for kind, loss in losses.items()}
    if partner_of(name, learner.pairs) != base_name(name):
        figures["alignment"] = alignment(partner.features, seen["clean"].features).item()
    if isinstance(method, Scored):
        for kind in ("clean", "adversary"):
            parts = negatives(method, partner, seen[kind], labels)
            figures |= {f"negatives/{kind}/{key}": value for key, value in parts.items()}
    return figures


def together(looks: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The mean of several batches' figures; and by how much, at 95 %, the adversary's lead over chance may be off.

    That margin is the half of Student's interval over the batches, which have no image in common.
    """
    figures = {key: fmean(look[key] for look in looks) for key in looks[0]}
    if "hardness/random" in figures and len(looks) > 1:
        leads = [look["hardness/adversary"] - look["hardness/random"] for look in looks]
        figures["hardness/lead_margin"] = t_margin(leads)
    return figures


def described(learner: Learner, outcome: Outcome, strength: float) -> dict[str, float]:
    """Mean and spread of what the adversary chose in a round on all ranks, by name and in physical units."""
    if not outcome.params:
        return {}
    transform = learner.adversary.transform
    views = [transform.describe(strength * params) for params in outcome.params.values()]  # of unequal sizes, perhaps
    named = {name: gather(torch.cat([each[name] for each in views])) for name in views[0]}
    means = {f"adversary/{name}": value.mean().item() for name, value in named.items()}
    return means | {f"spread/{name}": value.std(correction=0).item() for name, value in named.items()}


@torch.no_grad()
def choices(learner: Learner, batches: Sequence[Batch]) -> dict[str, float]:
    """What the adversary's parameters vary with, over several draws of the views of the same images, of all ranks.

    - `spread`: their standard deviation over images and draws, in the unit box; 0 is one constant for all.
    - `entropy`: of their histogram in 20 bins over the box, from 0 to 1 (uniform).
    - `by_image`: share of their variance that the image explains, the rest being its views and chance: the intraclass
      correlation ICC(1) of Shrout and Fleiss 1979, over all parameters, at least 0. The same by name, in the units of
      the transform: `by_image/NAME`.
    """
    chosen = [_harden(learner, batch)[1].params for batch in batches]
    drawn = [params for params in chosen if params is not None]
    if not drawn:
        return {}
    length = drawn[0][0].numel()
    kept = evenly(MOST_COLUMNS, length).to(drawn[0].device)
    values = torch.stack([gather(params.flatten(1)[:, kept]) for params in drawn])
    named = [learner.adversary.transform.describe(params) for params in drawn]
    columns = {name: torch.stack([gather(each[name]) for each in named])[..., None] for name in named[0]}
    return {
        **{f"by_image/{name}": _intraclass(column).item() for name, column in columns.items()},
        "parameters/spread": values.flatten(0, 1).std(dim=0, correction=0).mean().item(),
        "parameters/entropy": _entropy(values.flatten(0, 1)).item(),
        "parameters/by_image": _intraclass(values).item(),
    }


def _entropy(values: Float[Tensor, "n p"], bins: int = 20) -> Float[Tensor, ""]:
    """Of each column's histogram over [-1, 1], as a share of log(bins); the mean over the columns."""
    places = ((values + 1) / 2 * bins).long().clamp(0, bins - 1)
    counts = values.new_zeros(values.shape[1], bins).scatter_add_(1, places.T, torch.ones_like(values.T))
    return torch.special.entr(counts / len(values)).sum(dim=1).mean() / math.log(bins)


def _intraclass(values: Float[Tensor, "k b p"]) -> Float[Tensor, ""]:
    draws, images = values.shape[:2]
    means = values.mean(dim=0)
    between = draws * means.var(dim=0).sum()
    within = (values - means).square().sum() / (images * (draws - 1))
    total = between + (draws - 1) * within
    return torch.where(total > 1e-12, (between - within) / total.clamp(min=1e-12), 0.0).clamp(min=0)


@torch.no_grad()
def nearest_table(learner: Learner, batches: Batches, step: int, names: Sequence[str]) -> dict[str, Any] | None:
    """Of which class the nearest negatives of hard views are, and by chance, as JSON holds it.

    Over several batches of all ranks, which must all ask. None for methods without scores, for negatives in a queue,
    for data without labels and for more than `MOST_CLASSES` classes.
    """
    if not isinstance(learner.method, Scored) or len(names) > MOST_CLASSES:
        return None
    found = []
    for batch in batches.looks(step, TABLE_BATCHES):
        if (labels := batches.labels(batch)) is None:
            return None
        name, partner = _seats(learner, batch)
        hard = _seen(learner, name, partner, batch, learner.adversary)
        if (counts := nearest_classes(learner.method, partner, hard, labels, len(names))) is None:
            return None
        found.append(torch.stack([counts.float(), chance_classes(labels, len(names))]))
    total, by_chance = all_reduce_sum(torch.stack(found).sum(dim=0))
    return tabled(total, by_chance, names)


@torch.no_grad()
def gallery(learner: Learner, batch: Batch, pixels: UInt8[Tensor, "n c h w"]) -> dict[str, UInt8[Tensor, "k c h w"]]:
    """A few `images` of a batch, evenly spread, each with its `base` view and the `hard` view made of it.

    `pixels` are those of all images of the data set.
    """
    hard = hard_views(learner, batch).cpu()
    shown = evenly(GALLERY_IMAGES, len(hard))
    base = batch.views[base_name(hardened_of(learner.pairs))].cpu()
    images = pixels[batch.indices.cpu()[shown]]
    return {"images": images, "base": as_bytes(base[shown]), "hard": as_bytes(hard[shown])}


@torch.no_grad()
def hard_views(learner: Learner, batch: Batch) -> Float[Tensor, "b c h w"]:
    """The views that the adversary makes of the first view that the recipe hardens."""
    return _harden(learner, batch)[0]


def _harden(learner: Learner, batch: Batch) -> tuple[Float[Tensor, "b c h w"], Proposal]:
    name, partner = _seats(learner, batch)
    return _shown(learner, name, partner, batch, learner.adversary)


def _shown(
    learner: Learner, name: str, partner: Embedding, batch: Batch, opponent: Adversary
) -> tuple[Float[Tensor, "b c h w"], Proposal]:
    """What an opponent makes of a view now: in evaluation mode, in which none plays its past."""
    with holding(opponent.modules(), "training", value=False):
        return learner.harden(name, lambda: partner, batch, opponent)


def _seats(learner: Learner, batch: Batch) -> tuple[str, Embedding]:
    """The view to harden, and whom it plays against."""
    name = hardened_of(learner.pairs)
    return name, learner.comparison.glance(batch.views[partner_of(name, learner.pairs)], batch.indices)


def _seen(learner: Learner, name: str, partner: Embedding, batch: Batch, opponent: Adversary) -> Embedding:
    """What the method knows of a view once an opponent has hardened it."""
    hard, proposal = _shown(learner, name, partner, batch, opponent)
    return learner.comparison.glance(hard, batch.indices, hard=proposal.params is not None)

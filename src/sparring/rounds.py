"""What one round of the game is played with, and what it gives."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sparring.contracts import Adversary, Embedding, Method, Penalty
from sparring.errors import InputError, check_is
from sparring.recipe import check_pairs
from sparring.schema import check_range, checked, listed

Pairs = tuple[tuple[str, str], ...]
SUCH_AS = {
    "method": "sparring.methods.simclr(encoder)",
    "adversary": "sparring.adversaries.Random(transform)",
    "penalties": "sparring.penalties.ColourDistance()",
}
"""What a player is made by."""


@dataclass
class Batch:  # not frozen, since Fabric rebuilds what a module takes and returns; so for Outcome
    """What one round is played with."""

    views: Mapping[str, Float[Tensor, "b c _ _"]]
    """The base views in [0, 1]: `first` and `second` are drawn at random, `image` is the image itself, at its size."""
    indices: Int[Tensor, " b"]
    """Each image's place in the data set."""
    step: int
    strength: float
    """Multiplies the adversary's parameters; 0 skips it."""
    generator: torch.Generator


@dataclass
class Outcome:
    """What one round gave."""

    loss: Float[Tensor, ""]
    """The encoder descends it, the adversary ascends it: mean comparison less mean penalty."""
    comparison: Float[Tensor, " b"]
    """Loss per image, detached."""
    embeddings: Mapping[str, Embedding]
    """By view, detached."""
    params: Mapping[str, Tensor]
    """The parameters that were used, by hardened view, detached; without an entry where none were."""
    penalties: Mapping[str, Tensor]
    """The mean of what the adversary paid for them, by hardened view, detached; without an entry where it pays none."""


def is_hard(view: str) -> bool:
    """Whether an adversary changes it: a star ends its name."""
    return view.endswith("*")


def base_name(view: str) -> str:
    """The base view behind a hardened one."""
    return view.removesuffix("*")


def views_of(pairs: Pairs) -> list[str]:
    """Every view that is compared, in order of appearance."""
    return list(dict.fromkeys(name for pair in pairs for name in pair))


def partner_of(view: str, pairs: Pairs) -> str:
    """The clean view that a hardened one is played against: one it is compared with, or else the other base view."""
    rivals = [other for pair in pairs for mine, other in (pair, pair[::-1]) if mine == view and not is_hard(other)]
    return rivals[0] if rivals else {"first": "second"}.get(base_name(view), "first")


def hardened_of(pairs: Pairs) -> str:
    """The hardened view that stands for all of a round where one is looked at: the first, or the second view's."""
    return next(filter(is_hard, views_of(pairs)), "second*")


def base_views_of(pairs: Pairs) -> set[str]:
    """All base views that a round, and a look at it, need."""
    starred = {hardened_of(pairs), *views_of(pairs)}
    return {base_name(name) for name in starred} | {partner_of(name, pairs) for name in starred if is_hard(name)}


def check_players(
    method: Method, adversary: Adversary, pairs: Pairs, penalties: Sequence[Penalty], probability: float
) -> None:
    """Refuse, in one line, what no round can be played with, or none against this adversary."""
    check_is("method", method, Method, SUCH_AS["method"])
    check_is("adversary", adversary, Adversary, SUCH_AS["adversary"])
    for penalty in listed(penalties, "penalties"):
        check_is("penalties", penalty, Penalty, SUCH_AS["penalties"])
    check_range("probability", checked(probability, float, "probability"), 0, 1)
    check_pairs(checked(pairs, Pairs, "pairs"))
    if adversary.hardens and not any(map(is_hard, views_of(pairs))):
        raise InputError(
            'pairs: expected a star behind a view for the adversary to change, such as [["first", "second*"]], got '
            "none; without an adversary: --adversary none"
        )

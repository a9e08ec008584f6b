"""For each image one of several proposals, the others left out."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sparring.contracts import Proposal, Transform
from sparring.errors import InputError


def picked(chosen: Int[Tensor, "b"], proposals: Sequence[Proposal]) -> Proposal:
    """Each image's own from the proposal that is chosen for it."""
    return Proposal(
        params=_of_chosen(chosen, [proposal.params for proposal in proposals]),
        penalty=_of_chosen(chosen, [proposal.penalty for proposal in proposals]),
        log_probability=_of_chosen(chosen, [proposal.log_probability for proposal in proposals]),
    )


def _of_chosen(
    chosen: Int[Tensor, "b"], values: Sequence[Float[Tensor, "b *p"] | None]
) -> Float[Tensor, "b *p"] | None:
    """Each image's value from the proposal that is chosen for it, 0 if that one has none; None if none has."""
    own = [
        torch.where((chosen == place).view(-1, *[1] * (value.ndim - 1)), value, 0.0)
        for place, value in enumerate(values)
        if value is not None
    ]
    return torch.stack(own).sum(0) if own else None


def require_identity(owner: str, transform: Transform) -> None:
    """Refuse a transform that cannot be left out by zero: one clear line."""
    if not transform.has_identity:
        raise InputError(
            f"{owner}: expected transforms that leave the image as it is at zero, got one without an identity; "
            'for colour take {name = "colour", space = "mix"}'
        )

"""For each image one of several proposals."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sparring.contracts import Proposal


def picked(chosen: Int[Tensor, " b"], proposals: Sequence[Proposal]) -> Proposal:
    """Each image's own from the proposal that is chosen for it."""
    return Proposal(
        params=_of_chosen(chosen, [proposal.params for proposal in proposals]),
        penalty=_of_chosen(chosen, [proposal.penalty for proposal in proposals]),
        log_probability=_of_chosen(chosen, [proposal.log_probability for proposal in proposals]),
    )


def _of_chosen(
    chosen: Int[Tensor, " b"], values: Sequence[Float[Tensor, " b *p"] | None]
) -> Float[Tensor, " b *p"] | None:
    """Each image's value from the proposal that is chosen for it, 0 if that one has none; None if none has."""
    own = [
        torch.where((chosen == place).view(-1, *[1] * (value.ndim - 1)), value, 0.0)
        for place, value in enumerate(values)
        if value is not None
    ]
    return torch.stack(own).sum(0) if own else None

"""A first-in, first-out queue of keys: negatives from earlier steps."""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from sparring.contracts import Embedding
from sparring.errors import InputError
from sparring.gather import gather


class Queue(nn.Module):
    """The newest `size` normalised keys, newest first; random directions (torch's generator) at first.

    Each rank enters the keys of all ranks in the order of the ranks, so the queue is equal everywhere.

    Args:
        size: number of keys.
        width: length of a key.
    """

    keys: Tensor

    def __init__(self, size: int, width: int) -> None:
        super().__init__()
        if size < 1:
            raise InputError(f"queue: expected at least 1 key, got {size}")
        self.register_buffer("keys", F.normalize(torch.randn(size, width)))

    @torch.no_grad()
    def push(self, keys: Float[Tensor, "b k"]) -> None:
        """Enter keys; the oldest leave."""
        new = gather(F.normalize(keys.detach())).to(self.keys.dtype)
        self.keys.copy_(torch.cat([new, self.keys])[: len(self.keys)])


def keys_of(embeddings: Mapping[str, Embedding], *, symmetric: bool) -> Float[Tensor, "n k"]:
    """The targets that a step enters: of all its views if each was a key, else of the second view, hardened or not.

    Where no second view is compared: of all but the first, the query.
    """
    keys = {view: embedding.target for view, embedding in embeddings.items() if embedding.target is not None}
    seconds = [key for view, key in keys.items() if view.startswith("second")]
    seconds = seconds or [key for view, key in keys.items() if not view.startswith("first")]
    return torch.cat(list(keys.values()) if symmetric or not seconds else seconds)

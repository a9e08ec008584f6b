"""How a round embeds its views and compares them."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sparring.contracts import Embedding, Method
from sparring.dual_norm import norms_for
from sparring.module_state import frozen_statistics
from sparring.rounds import Pairs, partner_of


class Comparison:
    """Embeds views with a method (its precision, BatchNorm of clean or hard views) and compares them as the pairs say.

    Args: as `Learner`.
    """

    def __init__(self, method: Method, pairs: Pairs, autocast: Callable[[], AbstractContextManager]) -> None:
        self.method, self.pairs, self.autocast = method, pairs, autocast

    def embed(self, images: Float[Tensor, "b c h w"], indices: Int[Tensor, " b"], *, hard: bool = False) -> Embedding:
        """Encode one view, `hard` if an adversary has changed it."""
        with self.autocast(), norms_for(self.method, hard=hard):
            embedding = self.method.encode(images.contiguous(memory_format=torch.channels_last))
        if not torch.is_grad_enabled():
            torch.clear_autocast_cache()  # or the weights cast here, without a graph, would serve the training pass
        return replace(embedding.at_least_float32(), indices=indices)

    @torch.no_grad()
    def glance(self, images: Float[Tensor, "b c h w"], indices: Int[Tensor, " b"], *, hard: bool = False) -> Embedding:
        """Embed a view that is not itself compared: without gradient, and BatchNorm's statistics stay as they are."""
        with frozen_statistics(self.method):
            return self.embed(images, indices, hard=hard)

    def loss(self, name: str, partner: Embedding, hard: Embedding) -> Float[Tensor, " b"]:
        """Loss per image of the hardened view `name` and its partner, in the order in which the pairs have them."""
        rival = partner_of(name, self.pairs)
        compared = [pair for pair in self.pairs if pair in ((name, rival), (rival, name))]
        leads = any(first == name for first, _ in compared or self.pairs)
        return self.method.compare(hard, partner) if leads else self.method.compare(partner, hard)

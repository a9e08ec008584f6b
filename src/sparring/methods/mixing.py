"""Synthetic negatives, mixed from the hardest ones of a queue."""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from sparring.randomness import generator_for
from sparring.schema import check_range


class Mixing(nn.Module):
    """normalise(a n_i + (1 - a) n_j) and normalise(b q + (1 - b) n_i), with n_i the i-th hardest negative of query q.

    Places i, j and shares a in [0, 1), b in [0, 1/2) are drawn anew by `redraw`, once a step for all queries (the
    paper: for each query), so that `forward` stays a function of its arguments. Nothing synthetic carries a gradient.

    Args:
        hardest: number of hardest negatives that are mixed.
        pairs: number of mixtures of two negatives.
        queries: number of mixtures of a negative with the query.
    """

    clock: Tensor
    places: Tensor
    shares: Tensor

    def __init__(self, *, hardest: int, pairs: int, queries: int) -> None:
        super().__init__()
        for name, number in {"hardest": hardest, "pairs": pairs, "queries": queries}.items():
            check_range(f"mochi: {name}", number, 1)
        self.hardest, self.pairs = hardest, pairs
        self.register_buffer("clock", torch.cat([torch.randint(2**31, (1,)), torch.zeros(1, dtype=torch.long)]))
        self.register_buffer("places", torch.zeros(2, pairs + queries, dtype=torch.long))
        self.register_buffer("shares", torch.zeros(pairs + queries, 1))
        self.redraw()

    def redraw(self) -> None:
        """New places and shares, a function of the seed drawn at construction and the number of calls."""
        seed, step = self.clock.tolist()  # a sync, once a step
        generator = generator_for(seed, step, stream="mixing")
        shares = torch.rand(self.shares.shape, generator=generator)
        shares[self.pairs :] /= 2
        self.places.copy_(torch.randint(self.hardest, self.places.shape, generator=generator))
        self.shares.copy_(shares)
        self.clock[1] += 1

    @torch.no_grad()
    def forward(
        self, query: Float[Tensor, "b k"], queue: Float[Tensor, "q k"], own: Bool[Tensor, "b q"]
    ) -> Float[Tensor, "b s k"]:
        """Synthetic negatives of each query, of keys that are not its `own`; all vectors have length 1.

        Where fewer than `hardest` keys are of other images, own ones are mixed too.
        """
        negatives = queue[(query @ queue.T).masked_fill(own, -torch.inf).topk(self.hardest, dim=1).indices]
        left, right = negatives[:, self.places[0]], negatives[:, self.places[1]]
        left = torch.cat([left[:, : self.pairs], query[:, None].expand_as(left[:, self.pairs :])], dim=1)
        return F.normalize(self.shares * left + (1 - self.shares) * right, dim=2)

"""Nearest neighbours by inner product: found in bf16, settled in float32."""

import warnings

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

CHUNK = 512  # queries at a time: 512 x 50,000 similarities are 100 MB in float32
BLOCK = 16  # columns that share a maximum
POOL = 2  # candidates for each neighbour
LEAST = 64  # a bank smaller than this many times k is searched directly

Found = tuple[Float[Tensor, "m k"], Int[Tensor, "m k"]]
"""Inner products, descending, and places in the bank."""


def neighbours(queries: Float[Tensor, "m d"], bank: Float[Tensor, "n d"], k: int, *, coarse: bool) -> Found:
    """The k rows of the bank with the largest inner product with each query, in chunks, so that memory is bounded.

    With `coarse`, bf16 products choose twice as many candidates, and float32 decides among those. What bf16 can be
    wrong by is bounded (Cauchy and Schwarz); a query for which the bound does not rule out every other row is searched
    directly, so both ways give the same neighbours.
    """
    if not coarse or len(bank) < LEAST * k or not torch.backends.mkl.is_available():
        transposed = bank.T.contiguous()
        found = [_direct(chunk, transposed, k) for chunk in queries.split(CHUNK)]
    else:
        rounded = Rounded(bank)
        found = [rounded.nearest(chunk, k) for chunk in queries.split(CHUNK)]
    values, places = zip(*found, strict=True)
    return torch.cat(values), torch.cat(places)


def _direct(queries: Float[Tensor, "m d"], transposed: Float[Tensor, "d n"], k: int) -> Found:
    values, places = (queries @ transposed).topk(k, dim=1)
    return values, places


class Rounded:
    """A bank in bf16, less its mean: that moves all products of a query alike, and leaves smaller ones to round."""

    def __init__(self, bank: Float[Tensor, "n d"]) -> None:
        self.transposed, self.mean = bank.T, bank.mean(dim=0)
        centred = bank - self.mean
        rounded = centred.bfloat16()
        self.norm, self.lost = centred.norm(dim=1).max(), (centred - rounded.float()).norm(dim=1).max()
        self.whole_blocks = F.pad(rounded, (0, 0, 0, -len(bank) % BLOCK)).T

    def nearest(self, queries: Float[Tensor, "m d"], k: int) -> Found:
        """As `neighbours`, for one chunk of queries."""
        limit, places = self._candidates(queries, POOL * k)
        values, order = _products(queries, self.transposed, places).topk(k, dim=1)
        places = places.gather(1, order)
        unsure = values[:, -1] - queries @ self.mean <= limit
        if unsure.any():
            values[unsure], places[unsure] = _direct(queries[unsure], self.transposed, k)
        return values, places

    def _candidates(
        self, queries: Float[Tensor, "m d"], count: int
    ) -> tuple[Float[Tensor, "m"], Int[Tensor, "m count"]]:
        """The largest centred product that a row left out can have, and the places of the best rows in bf16.

        A row is among the best `count` only if its block's maximum is among the `count` largest.
        """
        near, blocks = queries.bfloat16(), self.whole_blocks.shape[1] // BLOCK
        products = near @ self.whole_blocks
        products[:, self.transposed.shape[1] :] = -torch.inf
        best = products.view(-1, BLOCK, blocks).amax(dim=1).topk(count, dim=1, sorted=False).indices
        places = (best[:, None] + blocks * torch.arange(BLOCK)[:, None]).flatten(1)
        values, order = products.gather(1, places).topk(count, dim=1)
        least = values[:, -1].float()
        lost = (queries - near.float()).norm(dim=1) * self.norm + near.float().norm(dim=1) * self.lost
        return least + lost + 2**-7 * least.abs() + 1e-5, places.gather(1, order)


def _products(
    queries: Float[Tensor, "m d"], transposed: Float[Tensor, "d n"], places: Int[Tensor, "m c"]
) -> Float[Tensor, "m c"]:
    """Inner products of each query with its own few columns, by MKL's sampled product."""
    m, count = places.shape
    starts, columns, size = torch.arange(0, m * count + 1, count), places.flatten(), (m, transposed.shape[1])
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
        wanted = torch.sparse_csr_tensor(starts, columns, queries.new_zeros(len(columns)), size, check_invariants=False)
    return torch.sparse.sampled_addmm(wanted, queries, transposed, beta=0.0).values().view(m, count)

"""Nearest neighbours by cosine: found in bf16, settled in float32."""

import warnings

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

CHUNK = 256  # queries at a time: 256 x 50,000 similarities are 26 MB in bf16
ROWS = 4096  # of the bank that are rounded at a time
BLOCK = 8  # columns that share a maximum
POOL = 2  # candidates for each neighbour
LEAST = 64  # a bank smaller than this many times k is searched directly

Found = tuple[Float[Tensor, "m k"], Int[Tensor, "m k"]]
"""Cosines, descending, and places in the bank."""


def neighbours(queries: Float[Tensor, "m d"], bank: Float[Tensor, "n d"], k: int, *, coarse: bool) -> Found:
    """The k rows of the bank with the largest cosine to each query, in chunks, so that memory is bounded.

    With `coarse`, bf16 products choose twice as many candidates, and float32 decides among those. What bf16 can be
    wrong by is bounded (Cauchy and Schwarz); a query for which the bound does not rule out every other row is searched
    directly, so both ways give the same neighbours.
    """
    rows = Rounded(bank) if coarse and len(bank) >= LEAST * k and torch.backends.mkl.is_available() else Rows(bank)
    found = [rows.nearest(F.normalize(chunk), k) for chunk in queries.split(CHUNK)]
    values, places = zip(*found, strict=True)
    return torch.cat(values), torch.cat(places)


class Rows:
    """A bank and one over the length of each of its rows, so that no normalised copy is needed."""

    def __init__(self, bank: Float[Tensor, "n d"]) -> None:
        self.bank, self.scale = bank, 1 / bank.norm(dim=1).clamp(min=1e-12)  # as F.normalize

    def nearest(self, queries: Float[Tensor, "m d"], k: int) -> Found:
        """As `neighbours`, for one chunk of normalised queries."""
        values, places = (queries @ self.bank.T).mul_(self.scale).topk(k, dim=1)
        return values, places


class Rounded(Rows):
    """A normalised bank in bf16, less its mean: that moves all products of a query alike, and leaves less to round."""

    def __init__(self, bank: Float[Tensor, "n d"]) -> None:
        super().__init__(bank)
        self.mean = self.scale @ bank / len(bank)
        rounded = torch.zeros(-(-len(bank) // BLOCK) * BLOCK, bank.shape[1], dtype=torch.bfloat16)
        norms, losses = [], []
        for rows, scale, place in zip(bank.split(ROWS), self.scale.split(ROWS), rounded.split(ROWS), strict=True):
            centred = scale[:, None] * rows - self.mean
            place[: len(rows)] = centred
            norms.append(centred.norm(dim=1).max())
            losses.append((centred - place[: len(rows)].float()).norm(dim=1).max())
        self.norm, self.lost, self.whole_blocks = max(norms), max(losses), rounded.T

    def nearest(self, queries: Float[Tensor, "m d"], k: int) -> Found:
        limit, places = self._candidates(queries, POOL * k)
        products = _products(queries, self.bank.T, places) * self.scale[places]
        values, order = products.topk(k, dim=1)
        places = places.gather(1, order)
        unsure = values[:, -1] - queries @ self.mean <= limit
        if unsure.any():
            values[unsure], places[unsure] = super().nearest(queries[unsure], k)
        return values, places

    def _candidates(
        self, queries: Float[Tensor, "m d"], count: int
    ) -> tuple[Float[Tensor, " m"], Int[Tensor, "m count"]]:
        """The largest centred product that a row left out can have, and the places of the best rows in bf16.

        A row is among the best `count` only if its block's maximum is among the `count` largest.
        """
        near, blocks = queries.bfloat16(), self.whole_blocks.shape[1] // BLOCK
        products = near @ self.whole_blocks
        products[:, len(self.bank) :] = -torch.inf
        best = products.view(-1, BLOCK, blocks).amax(dim=1).topk(count, dim=1, sorted=False).indices
        places = (best[:, None] + blocks * torch.arange(BLOCK)[:, None]).flatten(1)
        values, order = products.gather(1, places).topk(count, dim=1, sorted=False)
        least = values.amin(dim=1).float()
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

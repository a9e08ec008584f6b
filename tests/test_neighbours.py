"""Neighbours found in bf16 and settled in float32 are those of a direct search."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from sparring.evaluations import neighbours as module
from sparring.evaluations.neighbours import neighbours

K = 5
needs_mkl = pytest.mark.skipif(not torch.backends.mkl.is_available(), reason="the sampled product is MKL's")


def clustered(count: int, spread: float, seed: int) -> Tensor:
    """Unit vectors around four centres, all far from the origin, as features after a ReLU are."""
    draws = torch.Generator().manual_seed(seed)
    centres = torch.randn(4, 24, generator=torch.Generator().manual_seed(9)) + 3
    points = centres[torch.arange(count) % 4] + spread * torch.randn(count, 24, generator=draws)
    return F.normalize(points)


@pytest.fixture
def searched(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many queries were searched directly, call by call."""
    counts: list[int] = []
    direct = module.Rows.nearest

    def counting(rows: module.Rows, queries: Tensor, k: int) -> module.Found:
        counts.append(len(queries))
        return direct(rows, queries, k)

    monkeypatch.setattr(module.Rows, "nearest", counting)
    return counts


@needs_mkl
@pytest.mark.parametrize("count", [640, 1001])
@pytest.mark.parametrize("spread", [1.0, 3.0])
def test_both_ways_find_the_same(count: int, spread: float, searched: list[int]) -> None:
    """Rows of any length; the cosine alone decides."""
    bank, queries = clustered(count, spread, 0), clustered(700, spread, 1)
    expected = (queries.double() @ bank.double().T).topk(K, dim=1).values
    lengths = torch.linspace(0.1, 30, count)[:, None]
    values, places = neighbours(5 * queries, lengths * bank, K, coarse=True)
    assert torch.allclose(values.double(), expected, atol=1e-6)
    assert torch.allclose((queries[:, None] * bank[places]).sum(dim=2), values, atol=1e-6)
    assert all(len(set(row)) == K for row in places.tolist())
    assert sum(searched) < len(queries)  # or nothing was found in bf16


@needs_mkl
def test_what_bf16_cannot_tell_apart_is_searched_directly(searched: list[int]) -> None:
    """Twenty rows, more than there are candidates, so near to each other that bf16 misorders them."""
    draws = torch.Generator().manual_seed(0)
    centres = torch.randn(40, 24, generator=draws).repeat_interleave(20, dim=0)
    bank = F.normalize(centres + 3e-3 * torch.randn(800, 24, generator=draws))
    queries = F.normalize(centres[::7] + 0.3 * torch.randn(115, 24, generator=draws))
    values, _ = neighbours(queries, bank, K, coarse=True)
    assert torch.allclose(values, (queries @ bank.T).topk(K, dim=1).values, atol=1e-6)
    assert sum(searched) > 0


def test_a_small_bank_is_searched_directly(searched: list[int]) -> None:
    neighbours(clustered(3, 1.0, 0), clustered(10, 1.0, 1), K, coarse=True)
    assert searched == [3]

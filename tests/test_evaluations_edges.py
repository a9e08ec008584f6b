"""kNN at the seams of its chunks and against lightly in float64; collapse measures of features that have collapsed."""

import math

import pytest
import torch
import torch.nn.functional as F
from lightly.utils.benchmarking.knn import knn_predict
from torch import Tensor

from sparring.contracts import Features
from sparring.evaluations import Collapse, Knn, knn_scores
from sparring.evaluations.collapse import rankme, spread
from sparring.evaluations.neighbours import CHUNK


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("count", [1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK])
def test_chunks_change_nothing(count: int) -> None:
    queries, bank = normal(count, 8), normal(60, 8, seed=1)
    known = torch.arange(60) % 5
    settings = [(1, 0.1), (7, 0.05), (60, 0.5)]
    scores = knn_scores(queries, bank, known, classes=5, settings=settings)
    assert scores.shape == (3, count, 5)
    for (k, t), ours in zip(settings, scores, strict=True):
        theirs = knn_predict(F.normalize(queries), F.normalize(bank).T.contiguous(), known, 5, k, t)[:, 0]
        assert torch.equal(ours.argmax(dim=1), theirs), (k, t)


def test_the_nearest_neighbour_decides_at_a_small_temperature() -> None:
    """At t = 0.001 a neighbour nearer by a cosine of 0.1 outweighs 59 others, e^100 to 1."""
    bank = torch.cat([torch.tensor([[1.0, 0.0]]), torch.tensor([[0.8, 0.6]]).expand(59, 2)]).double()
    known = torch.tensor([0] + [1] * 59)
    query = torch.tensor([[1.0, 0.05]], dtype=torch.float64)
    small, large = knn_scores(query, bank, known, classes=2, settings=[(60, 0.001), (60, 10.0)])
    assert small.isfinite().all()
    assert small.argmax() == 0
    assert large.argmax() == 1


def test_several_settings_each_have_their_own_accuracy() -> None:
    """A query beside one image of its class and two of another: right for k = 1, wrong for k = 3 at a large t."""
    bank = torch.tensor([[1.0, 0.0], [0.9, 0.3], [0.9, -0.3]])
    features = Features(bank, torch.tensor([[1.0, 0.01]]), torch.tensor([0, 1, 1]), torch.tensor([0]))
    figures = Knn((1, 3), (10.0,))(features)
    assert figures["knn"] == figures["knn/k=1,t=10.0"] == 100
    assert figures["knn/k=3,t=10.0"] == 0


@pytest.mark.parametrize("d", [16, 256])
def test_spread_of_a_uniform_direction(d: int) -> None:
    """A coordinate of a uniform unit vector has variance exactly 1/d; d sample deviations of n vectors average out."""
    n = 4000
    assert spread(normal(n, d)).item() == pytest.approx(1, abs=3 / math.sqrt(2 * n))
    assert spread(5 + 0 * normal(n, d)).item() == pytest.approx(0, abs=1e-6)


def test_rankme_of_two_unequal_directions() -> None:
    """Singular values 3 and 1: e to the entropy of (3/4, 1/4)."""
    shares = (3 / 4, 1 / 4)
    expected = math.exp(-sum(share * math.log(share) for share in shares))
    features = torch.diag(torch.tensor([3.0, 1.0, 0.0], dtype=torch.float64))
    assert rankme(features).item() == pytest.approx(expected, rel=1e-4)
    assert rankme(7 * features).item() == pytest.approx(expected, rel=1e-4)


def test_features_of_nothing_are_the_worst_collapse_and_finite() -> None:
    """An encoder whose last ReLU is dead gives zeros; their rank is not above that of one direction."""
    zeros = torch.zeros(20, 6)
    figures = Collapse()(Features(zeros, zeros))
    assert figures["feature_spread"] == 0
    assert 0 <= figures["rankme"] <= 1.001


def test_a_single_query_has_no_pairs() -> None:
    assert Collapse()(Features(torch.randn(5, 4), torch.randn(1, 4)))["uniformity"] == 0

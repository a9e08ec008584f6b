"""kNN against lightly and against loops; collapse measures in closed form."""

import math

import pytest
import torch
import torch.nn.functional as F
from lightly.utils.benchmarking.knn import knn_predict
from torch import Tensor

from sparring.contracts import Features
from sparring.evaluations import Collapse, Knn, extract, knn_scores
from sparring.evaluations.collapse import rankme, spread
from sparring.evaluations.knn import about_k
from sparring.evaluations.neighbours import CHUNK


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def labels(n: int, classes: int = 7, seed: int = 0) -> Tensor:
    return torch.randint(classes, (n,), generator=torch.Generator().manual_seed(seed))


def test_knn_predicts_as_lightly_does_for_all_k_and_t_at_once() -> None:
    queries, bank, known = normal(CHUNK + 37, 16), normal(900, 16, seed=1), labels(900)
    settings = [(1, 0.1), (5, 0.07), (20, 0.5), (200, 0.1)]
    ours = knn_scores(queries, bank, known, classes=7, settings=settings).argmax(dim=2)
    for (k, t), predicted in zip(settings, ours, strict=True):
        theirs = knn_predict(F.normalize(queries), F.normalize(bank).T.contiguous(), known, 7, k, t)[:, 0]
        assert torch.equal(predicted, theirs), (k, t)


def test_knn_written_with_loops() -> None:
    queries, bank, known = normal(6, 4).double(), normal(15, 4, seed=1).double(), labels(15, 3)
    scores = knn_scores(queries, bank, known, classes=3, settings=[(4, 0.2)])[0]
    for query, row in zip(queries, scores, strict=True):
        similar = [(float(query @ b / query.norm() / b.norm()), int(c)) for b, c in zip(bank, known, strict=True)]
        votes = [0.0, 0.0, 0.0]
        for cosine, c in sorted(similar, reverse=True)[:4]:
            votes[c] += math.exp((cosine - max(similar)[0]) / 0.2)
        assert row.tolist() == pytest.approx(votes, abs=1e-12)


def test_knn_votes_at_small_temperatures_too() -> None:
    """Neighbours at cosines near 0 weigh exp(-1000) beside a cosine of 1: the nearest decides nevertheless."""
    bank, known = torch.eye(8), torch.arange(8) % 4
    queries = bank + 2 * normal(8, 8)
    similar = F.normalize(queries) @ bank.T
    (scores,) = knn_scores(queries, bank, known, classes=4, settings=[(8, 1e-3)])
    assert similar.amax(dim=1).min() < 0.85
    assert torch.equal(scores.argmax(dim=1), known[similar.argmax(dim=1)])


def test_knn_clips_k_to_the_bank_and_stays_finite() -> None:
    scores = knn_scores(normal(3, 4), normal(5, 4, seed=1), labels(5), classes=7, settings=[(200, 0.01)])
    assert scores.isfinite().all()
    assert (scores.sum(dim=2) > 0).all()


def test_knn_accuracy_is_in_percent_and_needs_labels() -> None:
    bank, known = torch.eye(4), torch.arange(4)
    features = Features(bank, bank[[0, 1, 2, 2]], known, torch.tensor([0, 1, 2, 3]))
    assert Knn((1,), (0.1,))(features) == {"knn": 75.0}
    several = Knn((1, 2), (0.1,))(features)
    assert several.keys() == {"knn", "knn/k=1,t=0.1", "knn/k=2,t=0.1"}
    assert Knn()(Features(bank, bank)) == {}


def test_spread_is_1_for_isotropic_features_and_0_for_collapsed_ones() -> None:
    assert spread(normal(20_000, 64)).item() == pytest.approx(1, abs=0.01)
    assert spread(torch.ones(50, 8)).item() == pytest.approx(0, abs=1e-6)


def test_rankme_counts_equal_directions() -> None:
    assert rankme(torch.eye(12).repeat(3, 1)).item() == pytest.approx(12, rel=1e-3)
    assert rankme(torch.ones(30, 12)).item() == pytest.approx(1, abs=1e-3)
    halves = torch.diag(torch.tensor([1.0, 1.0, 0.0, 0.0]))
    assert rankme(halves).item() == pytest.approx(2, rel=1e-3)
    assert Collapse()(Features(halves, torch.eye(4)))["rankme"] == pytest.approx(4, rel=1e-3)


def test_features_are_extracted_in_evaluation_mode_and_in_order() -> None:
    encoder = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.BatchNorm1d(12))
    pixels = torch.randint(0, 256, (10, 3, 2, 2), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    found = extract(encoder, pixels, batch_size=4)
    assert torch.allclose(found, pixels.flatten(1) / 255 / math.sqrt(1 + 1e-5), atol=1e-6)
    assert encoder.training
    assert torch.equal(encoder[1].running_mean, torch.zeros(12))  # type: ignore[arg-type]


def test_numbers_of_neighbours_that_are_large_for_the_images_are_told() -> None:
    labels = torch.tensor([0] * 30 + [2] * 12)
    assert about_k((20, 5), labels) == (
        "k = 20 is more than the 12 training images of the smallest class: kNN accuracy says more with a smaller k"
    )
    assert about_k((43,), labels) == "k is clipped to the 42 training images"
    assert about_k((12,), labels) == about_k((200,), None) == ""

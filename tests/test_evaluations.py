"""kNN against lightly and against loops; collapse measures in closed form, of features that have collapsed too."""

import math

import pytest
import torch
import torch.nn.functional as F
from fits import normal
from lightly.utils.benchmarking.knn import knn_predict
from torch import Tensor

from sparring.contracts import Features
from sparring.datasets import DataSet, Images
from sparring.evaluations import Collapse, Knn, Linear, Subject, extract, features_of, knn_scores
from sparring.evaluations.collapse import rankme, spread, uniformity
from sparring.evaluations.features import UNLABELLED_QUERIES
from sparring.evaluations.knn import about_k
from sparring.evaluations.neighbours import CHUNK
from sparring.recipe import Views


def labels(n: int, classes: int = 7, seed: int = 0) -> Tensor:
    return torch.randint(classes, (n,), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("count", [1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK])
def test_knn_predicts_as_lightly_does_at_the_seams_of_its_chunks_too(count: int) -> None:
    queries, bank, known = normal(count, 16), normal(900, 16, seed=1), labels(900)
    settings = [(1, 0.1), (5, 0.07), (200, 0.1), (900, 0.5)]
    scores = knn_scores(queries, bank, known, classes=7, settings=settings)
    assert scores.shape == (4, count, 7)
    for (k, t), ours in zip(settings, scores, strict=True):
        theirs = knn_predict(F.normalize(queries), F.normalize(bank).T.contiguous(), known, 7, k, t)[:, 0]
        assert torch.equal(ours.argmax(dim=1), theirs), (k, t)


def test_knn_written_with_loops() -> None:
    queries, bank, known = normal(6, 4), normal(15, 4, seed=1), labels(15, 3)
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
    queries = bank + 2 * normal(8, 8).float()
    similar = F.normalize(queries) @ bank.T
    (scores,) = knn_scores(queries, bank, known, classes=4, settings=[(8, 1e-3)])
    assert similar.amax(dim=1).min() < 0.85
    assert torch.equal(scores.argmax(dim=1), known[similar.argmax(dim=1)])


def test_knn_clips_k_to_the_bank_and_stays_finite() -> None:
    queries, bank = normal(3, 4).float(), normal(5, 4, seed=1).float()
    scores = knn_scores(queries, bank, labels(5), classes=7, settings=[(200, 0.01)])
    assert scores.isfinite().all()
    assert (scores.sum(dim=2) > 0).all()


def test_knn_accuracy_is_in_percent_and_needs_labels() -> None:
    bank, known = torch.eye(4), torch.arange(4)
    features = Features(bank, bank[[0, 1, 2, 2]], known, torch.tensor([0, 1, 2, 3]))
    assert Knn((1,), (0.1,))(features) == {"knn": 75.0}
    several = Knn((1, 2), (0.1,))(features)
    assert several.keys() == {"knn", "knn/k=1,t=0.1", "knn/k=2,t=0.1"}
    assert Knn()(Features(bank, bank)) == {}


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


def test_rankme_counts_equal_directions() -> None:
    assert rankme(torch.eye(12).repeat(3, 1)).item() == pytest.approx(12, rel=1e-3)
    assert rankme(torch.ones(30, 12)).item() == pytest.approx(1, abs=1e-3)
    halves = torch.diag(torch.tensor([1.0, 1.0, 0.0, 0.0]))
    assert rankme(halves).item() == pytest.approx(2, rel=1e-3)
    assert Collapse()(Features(halves, torch.eye(4)))["rankme"] == pytest.approx(4, rel=1e-3)


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


def test_a_sample_of_images_is_spread_over_all_of_them() -> None:
    """Data often lie class by class."""
    queries, pixels = normal(9, 4).float(), torch.arange(9, dtype=torch.uint8).view(9, 1, 1, 1).expand(9, 3, 2, 2)
    found = Collapse(pairs_of=3)(Features(queries, queries))["uniformity"]
    assert found == pytest.approx(uniformity(queries[[0, 4, 8]]).item())
    images = Images(pixels, torch.arange(9) // 3, ("a", "b", "c"))
    shown, known = Subject(torch.nn.Flatten(), DataSet("nine", images, None), Views(), Linear().fit).sample(3)
    assert shown[:, 0, 0, 0].tolist() == [0, 4, 8]
    assert known is not None
    assert known.tolist() == [0, 1, 2]


def test_without_labels_a_sample_of_the_training_images_is_both_bank_and_queries() -> None:
    pixels = (torch.arange(3 * UNLABELLED_QUERIES) % 256).byte().view(-1, 1, 1, 1).expand(-1, 3, 1, 1)
    found = features_of(DataSet("many", Images(pixels, None, ()), None), lambda images: images.flatten(1).float())
    assert torch.equal(found.bank, pixels[::3].flatten(1).float())
    assert torch.equal(found.queries, found.bank)


def test_a_single_query_has_no_pairs() -> None:
    assert Collapse()(Features(torch.randn(5, 4), torch.randn(1, 4)))["uniformity"] == 0


def test_features_are_extracted_in_evaluation_mode_and_in_order() -> None:
    encoder = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.BatchNorm1d(12))
    pixels = torch.randint(0, 256, (10, 3, 2, 2), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    found = extract(encoder, pixels, batch_size=4)
    assert torch.allclose(found, pixels.flatten(1) / 255 / math.sqrt(1 + 1e-5), atol=1e-6)
    assert encoder.training
    assert torch.equal(encoder[1].running_mean, torch.zeros(12))  # type: ignore[arg-type]


def test_numbers_of_neighbours_that_are_large_for_the_images_are_told() -> None:
    labels = torch.tensor([0] * 30 + [2] * 12)
    few = "k = 20 is more than the 12 training images of the smallest class: kNN accuracy says more with a smaller k"
    assert about_k((20, 5), labels) == f"{few} (--knn-k 12)"
    assert about_k((43,), labels).startswith("k = 43 is clipped to the 42 training images: kNN accuracy says more with")
    assert about_k((200,), labels.repeat(3)).endswith("(--knn-k 20)")
    assert about_k((12,), labels) == about_k((200,), None) == ""

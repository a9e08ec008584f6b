"""Few-shot episodes against loops; alignment, uniformity and LiDAR in closed form and against loops."""

import math

import pytest
import torch
import torch.nn.functional as F
from fits import normal
from torch import Tensor

from sparring.contracts import Features
from sparring.datasets import DataSet, Images
from sparring.errors import InputError
from sparring.evaluations import Collapse, FewShot, Lidar, Linear, Subject
from sparring.evaluations.collapse import SMALLEST, alignment, uniformity
from sparring.evaluations.few_shot import draw_episodes, episode_accuracies
from sparring.evaluations.lidar import RIDGE, lidar
from sparring.randomness import generator_for
from sparring.recipe import Views
from sparring.views import as_bytes, base_view

LABELS = torch.tensor([0] * 9 + [1] * 30 + [2] * 12 + [4] * 25 + [5] * 11)


def test_episodes_have_distinct_images_of_distinct_classes_with_enough_of_them() -> None:
    generator = torch.Generator().manual_seed(0)
    places = draw_episodes(LABELS, ways=3, images=11, episodes=200, generator=generator)
    assert places.shape == (200, 3, 11)
    seen = set()
    for episode in places:
        classes = [LABELS[row].unique().tolist() for row in episode]
        assert all(len(row) == 1 for row in classes)
        assert len({row[0] for row in classes}) == 3
        assert all(len(row.unique()) == 11 for row in episode)
        seen |= {row[0] for row in classes}
    assert seen == {1, 2, 4, 5}
    assert set(places.flatten().tolist()) == set(range(9, len(LABELS)))  # every image gets its turn


def test_accuracies_of_episodes_written_with_loops() -> None:
    rows = normal(20, 4, 7, 5)
    rows[:, :, :, :4] += 1.5 * torch.eye(4)[:, None]
    for shots in (1, 3):
        ours = episode_accuracies(rows, shots)
        for episode, accuracy in zip(rows, ours, strict=True):
            centroids = [sum(own[:shots]) / shots for own in episode]
            right = 0
            for truth, own in enumerate(episode):
                for query in own[shots:]:
                    distances = [float(((query - centroid) ** 2).sum()) for centroid in centroids]
                    right += distances.index(min(distances)) == truth
            assert accuracy == pytest.approx(right / (4 * (7 - shots)))


def test_few_shot_figures_of_separable_and_of_senseless_features() -> None:
    labels = torch.arange(300) % 6
    queries = torch.eye(6, dtype=torch.float64)[labels] + 0.01 * normal(300, 6)
    assert FewShot(episodes=20)(Features(queries, queries, labels, labels))["few_shot/ways=5,shots=1"] == 100
    senseless = Features(normal(50, 6, seed=1), normal(300, 6), torch.arange(50) % 6, labels)
    figures = FewShot(episodes=400)(senseless)
    # an interval of 1.96 errors holds; 4 sigma here
    margin = figures["few_shot/ways=5,shots=5/ci95"] / 1.96 * 4
    assert abs(figures["few_shot/ways=5,shots=5"] - 20) < max(margin, 1)
    assert 0 < margin < 4


def test_few_shot_reads_directions_from_the_banks_mean_and_tells_its_margin() -> None:
    """CL2N: neither a shift of all features nor how far an image lies from the bank's mean matters."""
    labels, probe = torch.arange(120) % 4, FewShot(ways=3, shots=(2,), queries=5, episodes=30)
    bank, queries = normal(50, 6, seed=1) + 2, normal(120, 6) + 1.5 * F.one_hot(labels, 6)
    centre, lengths = bank.mean(dim=0), 1 + torch.arange(120)[:, None] % 7
    figures = probe(Features(bank, queries, None, labels))
    moved = Features(bank + 5, centre + lengths * (queries - centre) + 5, None, labels)
    assert probe(moved) == pytest.approx(figures)
    accuracies = probe.accuracies(F.normalize(queries - centre), labels, 2)
    mean = sum(accuracies.tolist()) / 30
    error = math.sqrt(sum((each - mean) ** 2 for each in accuracies.tolist()) / 29 / 30)
    expected = {"few_shot/ways=3,shots=2": 100 * mean, "few_shot/ways=3,shots=2/ci95": 196 * error}
    assert figures == pytest.approx(expected)


def test_too_few_classes_for_an_episode_are_one_line() -> None:
    queries = normal(40, 3)
    with pytest.raises(InputError, match="expected 5 classes with at least 16"):
        FewShot()(Features(queries, queries, torch.arange(40) % 2, torch.arange(40) % 2))
    assert FewShot()(Features(queries, queries)) == {}
    with pytest.raises(InputError, match="few_shot: shots: expected at least one number"):
        FewShot(shots=())


def test_uniformity_and_alignment_in_closed_form_and_with_loops() -> None:
    assert uniformity(torch.eye(6)).item() == pytest.approx(-2 * 2)  # all distances are the root of 2
    assert uniformity(torch.ones(5, 3)).item() == pytest.approx(0, abs=1e-6)
    assert alignment(torch.eye(3), -2 * torch.eye(3)).item() == pytest.approx(4)
    rows, other = normal(9, 4), normal(9, 4, seed=1)
    pairs = [
        math.exp(-2 * float((F.normalize(rows)[i] - F.normalize(rows)[j]).norm() ** 2))
        for i in range(9)
        for j in range(i)
    ]
    assert uniformity(rows).item() == pytest.approx(math.log(sum(pairs) / len(pairs)))
    apart = [float(((a / a.norm() - b / b.norm()) ** 2).sum()) for a, b in zip(rows, other, strict=True)]
    assert alignment(rows, other).item() == pytest.approx(sum(apart) / 9)
    assert Collapse(pairs_of=9)(Features(rows, rows))["uniformity"] == pytest.approx(uniformity(rows).item())


def lidar_with_loops(views: Tensor) -> float:
    """As the paper writes it, with the symmetric inverse root."""
    n, q, d = views.shape
    means = [sum(views[i]) / q for i in range(n)]
    mean = sum(means) / n
    between, within = torch.zeros(d, d, dtype=torch.float64), RIDGE * torch.eye(d, dtype=torch.float64)
    for i in range(n):
        between += torch.outer(means[i] - mean, means[i] - mean) / (n - 1)
        for j in range(q):
            within += torch.outer(views[i, j] - means[i], views[i, j] - means[i]) / (n * (q - 1))
    values, vectors = torch.linalg.eigh(within)
    root = vectors @ torch.diag(values.rsqrt()) @ vectors.T
    shares = torch.linalg.eigvalsh(root @ between @ root)
    shares = (shares / shares.sum()).clamp(min=0) + SMALLEST
    return math.exp(-sum(float(share) * math.log(float(share)) for share in shares))


def test_lidar_written_with_loops() -> None:
    views = normal(12, 1, 5) @ normal(5, 5, seed=1) + 0.3 * normal(12, 4, 5, seed=2) @ normal(5, 5, seed=3)
    assert lidar(views).item() == pytest.approx(lidar_with_loops(views), rel=1e-6)


def test_lidar_counts_the_directions_that_tell_images_apart() -> None:
    """Three of eight directions differ between images; noise between views in all of them does not count."""
    signal = torch.cat([normal(4000, 3), torch.zeros(4000, 5, dtype=torch.float64)], dim=1)[:, None]
    views = 100 * signal + normal(4000, 5, 8, seed=1)
    assert lidar(views).item() == pytest.approx(3, rel=0.02)
    same = torch.zeros(30, 4, 3)
    assert lidar(same).isfinite()


def test_lidar_reads_views_as_the_run_drew_them(photographs: Tensor) -> None:
    """By hand: each view from a draw of its own, rounded to bytes as images are."""
    pixels, views = (255 * photographs).round().to(torch.uint8), Views(crop_scale=(0.6, 0.8), jitter=0.0)
    encoder = torch.nn.Sequential(torch.nn.AvgPool2d(16), torch.nn.Flatten())
    data = DataSet("photographs", Images(pixels, None, ()), None)
    figures = Lidar(views=3, seed=2)(Subject(encoder, data, views, Linear().fit))
    drawn = [as_bytes(base_view(pixels, views, generator_for(2, number, 0, "lidar"))) for number in range(3)]
    features = torch.stack([encoder(view.float() / 255) for view in drawn], dim=1)
    assert figures["lidar"] == pytest.approx(lidar(features).item(), rel=1e-3)
    assert figures["alignment"] == pytest.approx(alignment(features[:, 0], features[:, 1]).item(), rel=1e-3)

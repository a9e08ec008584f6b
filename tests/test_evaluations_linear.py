"""The linear probe and few labels: closed forms, chance, the choice of C, stratified draws."""

import math
import warnings

import pytest
import torch
from fits import normal
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from sparring.contracts import Features
from sparring.errors import InputError
from sparring.evaluations import Linear, LowLabel
from sparring.evaluations.confusion import class_accuracies, confusion, percent_right
from sparring.evaluations.linear import ABSENT, UNCHOSEN_C
from sparring.evaluations.probe import Scale
from sparring.evaluations.stratified import draw_stratified
from sparring.randomness import generator_for


def clusters(n: int, classes: int, d: int, distance: float, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Normal clusters around `distance` times the axes, in units and places of their own for each feature."""
    labels = torch.arange(n) % classes
    return (normal(n, d, seed=seed).float() + distance * torch.eye(d)[labels]) * torch.logspace(-2, 2, d) + 5, labels


def features(n: int, m: int, distance: float) -> Features:
    bank, bank_labels = clusters(n, 4, 6, distance)
    queries, query_labels = clusters(m, 4, 6, distance, seed=1)
    return Features(bank, queries, bank_labels, query_labels)


def test_separable_features_are_all_recognised() -> None:
    assert Linear()(features(200, 100, 30.0))["linear"] == 100


def test_labels_without_a_relation_to_the_features_are_recognised_by_chance() -> None:
    n = 2000
    draw = torch.Generator().manual_seed(3)
    bank_labels, query_labels = torch.randint(4, (400,), generator=draw), torch.randint(4, (n,), generator=draw)
    bank, queries = normal(400, 8).float(), normal(n, 8, seed=1).float()
    accuracy = Linear()(Features(bank, queries, bank_labels, query_labels))["linear"]
    assert abs(accuracy - 25) < 4 * 100 * math.sqrt(0.25 * 0.75 / n)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_c_chosen_is_the_best_of_the_grid_on_what_was_held_out(seed: int) -> None:
    """Many features and few images, so that the penalty matters; the loop fits scikit-learn's pipeline itself."""
    bank, labels = clusters(60, 3, 40, 1.2, seed=seed)
    grid = [1e-3, 1e-2, 1e-1, 1.0, 10.0]
    probe = Linear(grid, seed=seed).fit(bank, labels)
    held = draw_stratified(labels, lambda size: round(0.2 * size), generator_for(seed, 0, 0, "linear"))
    rest = sorted(set(range(60)) - set(held.tolist()))
    rows = Scale.of(bank)(bank)
    best, best_right = 0.0, -1
    for c in grid:
        model = LogisticRegression(C=c, max_iter=1000).fit(rows[rest].numpy(), labels[rest].numpy())
        right = int((model.predict(rows[held].numpy()) == labels[held].numpy()).sum())
        if right > best_right:
            best, best_right = c, right
    assert probe.c == best


def test_the_folded_head_decides_as_the_pipeline_does() -> None:
    given = features(300, 200, 1.5)
    assert given.bank_labels is not None
    given.bank[:, 2] = 7.0  # a dead feature
    probe = Linear([0.1]).fit(given.bank, given.bank_labels)
    pipeline = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, tol=1e-8, max_iter=5000))
    pipeline.fit(given.bank.double().numpy(), given.bank_labels.numpy())
    queries = given.queries.clone()
    queries[:, 2] = 7.0
    theirs = torch.from_numpy(pipeline.decision_function(queries.double().numpy()))
    ours = probe.head(queries).double()
    assert (ours - ours.mean(dim=1, keepdim=True) - theirs + theirs.mean(dim=1, keepdim=True)).abs().max() < 5e-3
    first, second = theirs.topk(2, dim=1).values.unbind(dim=1)
    clear = first - second > 1e-2
    assert clear.sum() > 190
    assert torch.equal(probe.predict(queries)[clear], theirs.argmax(dim=1)[clear])


@pytest.mark.parametrize("sizes", [[1, 1, 1, 1, 1, 2], [1, 2], [1, 2, 2]])
def test_c_is_not_chosen_by_a_few_classes_that_have_two_images(sizes: list[int]) -> None:
    labels = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
    centres = 4 * torch.eye(len(sizes))
    bank = centres[labels] + 0.1 * torch.randn(len(labels), len(sizes), generator=torch.Generator().manual_seed(0))
    probe = Linear().fit(bank, labels)
    assert probe.c == UNCHOSEN_C
    assert probe.predict(centres).tolist() == list(range(len(sizes)))


def test_c_is_chosen_where_one_class_of_many_has_one_image() -> None:
    labels = torch.cat([torch.arange(4).repeat(10), torch.tensor([4])])
    bank = 4 * torch.eye(5, 8)[labels] + torch.randn(41, 8, generator=torch.Generator().manual_seed(0))
    assert Linear((0.01, 0.1)).fit(bank, labels).c in (0.01, 0.1)


def test_two_classes_and_absent_ones_keep_their_labels() -> None:
    bank, _ = clusters(80, 2, 4, 30.0)
    labels = torch.tensor([1, 4]).repeat(40)
    probe = Linear().fit(bank, labels)
    assert torch.equal(probe.predict(bank), labels)
    assert probe.head(bank).shape == (80, 5)
    assert (probe.head.bias[[0, 2, 3]] == ABSENT).all()


def test_a_fit_that_stops_too_early_is_said_and_not_warned_about() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figures = Linear(iterations=1)(features(200, 50, 1.0))
    assert figures["linear/unconverged"] == 1
    assert "linear/unconverged" not in Linear()(features(200, 50, 1.0))


def test_the_probe_needs_labels_and_two_classes() -> None:
    bank = normal(10, 3)
    assert Linear()(Features(bank, bank)) == {}
    assert LowLabel()(Features(bank, bank)) == {}
    with pytest.raises(InputError, match="at least two classes"):
        Linear().fit(bank, torch.zeros(10, dtype=torch.long))


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda: Linear([]), r"linear: grid: expected at least one number, got none"),
        (lambda: Linear([0.0]), r"linear: grid: expected a number above 0, got 0"),
        (lambda: LowLabel(shares=(0.1, 0.0)), r"low_label: shares: expected a number in \(0, 1\], got 0"),
        (lambda: LowLabel(draws=1), r"low_label: draws: expected a number of at least 2, got 1"),
    ],
)
def test_settings_that_cannot_be_are_one_line(wrong, words) -> None:
    with pytest.raises(InputError, match=words):
        wrong()


def test_confusion_counted_with_a_loop() -> None:
    truth, predicted = torch.tensor([0, 0, 1, 2, 2, 2]), torch.tensor([0, 1, 1, 2, 0, 2])
    expected = torch.zeros(4, 4, dtype=torch.long)
    for t, p in zip(truth, predicted, strict=True):
        expected[t, p] += 1
    matrix = confusion(truth, predicted, 4)
    assert torch.equal(matrix, expected)
    assert class_accuracies(matrix)[:3].tolist() == pytest.approx([50, 100, 200 / 3])
    assert class_accuracies(matrix)[3].isnan()
    assert percent_right(truth, predicted) == pytest.approx(400 / 6)


def test_draws_take_from_every_class_alike_and_differ() -> None:
    labels = torch.tensor([0] * 50 + [1] * 200 + [3] * 7)[torch.randperm(257, generator=torch.Generator())]
    probe = LowLabel(shares=(0.1,), per_class=(9,))
    shared, counted = ([probe.draw(labels, count, number) for number in range(3)] for count in probe.counts.values())
    for draw in shared:
        assert labels[draw].bincount().tolist() == [5, 20, 0, 1]
        assert len(draw.unique()) == len(draw)
    for draw in counted:
        assert labels[draw].bincount().tolist() == [9, 9, 0, 7]
    assert not torch.equal(shared[0], shared[1])
    assert torch.equal(shared[0], LowLabel(shares=(0.1,)).draw(labels, lambda size: max(1, round(0.1 * size)), 0))


def test_few_labels_are_as_good_as_the_mean_over_probes_on_each_draw() -> None:
    given = features(200, 100, 2.0)
    assert given.bank_labels is not None
    assert given.query_labels is not None
    probe, scale, expected = LowLabel(shares=(), per_class=(1, 5), draws=3), Scale.of(given.bank), {}
    figures = probe(given)
    for name, count in probe.counts.items():
        accuracies = []
        for number in range(3):
            places = probe.draw(given.bank_labels, count, number)
            fitted = Linear().fit(given.bank[places], given.bank_labels[places], scale)
            accuracies.append(percent_right(given.query_labels, fitted.predict(given.queries)))
        mean = sum(accuracies) / 3
        deviation = math.sqrt(sum((a - mean) ** 2 for a in accuracies) / 2)
        expected |= {name: mean, f"{name}/std": deviation}
    assert figures == pytest.approx(expected, abs=1e-4)
    assert figures["low_label/per_class=5"] > figures["low_label/per_class=1"]
    assert LowLabel(shares=(1.0,), draws=2)(given)["low_label/share=1/std"] == 0
    with pytest.raises(InputError, match="low_label: expected per_class of at most"):
        LowLabel(per_class=(10**6,))(given)

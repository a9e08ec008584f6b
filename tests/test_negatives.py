"""The split of a contrastive gradient against Eq. 3, against autograd, and at the start of CLAE's step."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from sparring.contracts import Embedding, Method
from sparring.encoders import resnet12
from sparring.evaluations.negatives import (
    Scored,
    chance_classes,
    false_negatives,
    nearest_classes,
    negatives,
    split,
    tabled,
)
from sparring.methods import METHODS
from sparring.parts import build
from sparring.randomness import seeded
from sparring.recipe import Part

IMAGES, WIDTH, T = 6, 16, 0.5
SCORED = [name for name in METHODS if name in ("simclr", "dcl", "debiased", "hcl", "conditional", "supcon", "oracle")]


def make(name: str, **settings: int) -> Method:
    with seeded(0):
        encoder = resnet12(width=0.0625)
        context = {"encoder": encoder, "labels": torch.arange(IMAGES) % 3, "features": 32, "image_count": IMAGES}
        return build("method", Part(name, {"projection": WIDTH, "temperature": T, **settings}), context).double()


def embedding(seed: int) -> Embedding:
    draws = torch.Generator().manual_seed(seed)
    projection = torch.randn(IMAGES, WIDTH, generator=draws, dtype=torch.float64)
    return Embedding(projection, projection, target=projection.flip(1), indices=torch.arange(IMAGES))


def tangent(vectors: Tensor, at: Tensor) -> Tensor:
    """A gradient on normalised projections as one on the projections themselves."""
    units, length = F.normalize(at), at.norm(dim=1, keepdim=True)
    return (vectors - (vectors * units).sum(dim=1, keepdim=True) * units) / length


def test_eq_3_written_with_loops() -> None:
    """Every second view as an anchor, and as a candidate of every other anchor, under NT-Xent."""
    first, second = embedding(0), embedding(1)
    units = torch.cat([F.normalize(first.projection), F.normalize(second.projection)])
    pull, push = torch.zeros(IMAGES, WIDTH).double(), torch.zeros(IMAGES, WIDTH).double()
    weights = torch.zeros(IMAGES, 2 * IMAGES).double()
    for anchor in range(2 * IMAGES):
        others = [i for i in range(2 * IMAGES) if i != anchor]
        positive = (anchor + IMAGES) % (2 * IMAGES)
        total = sum((units[anchor] @ units[i] / T).exp() for i in others)
        for i in others:
            share = (units[anchor] @ units[i] / T).exp() / total / T
            for moved, towards in ((anchor, i), (i, anchor)):
                if moved >= IMAGES and i == positive:
                    pull[moved - IMAGES] += (share - 1 / T) * units[towards] / 2
                elif moved >= IMAGES:
                    push[moved - IMAGES] += share * units[towards] / 2
            if anchor >= IMAGES and i != positive:
                weights[anchor - IMAGES, i] = share * T
    method = make("simclr")
    assert isinstance(method, Scored)
    parts = split(method, first, second)
    assert torch.allclose(parts.positive, tangent(pull, second.projection), atol=1e-12)
    assert torch.allclose(parts.negative, tangent(push, second.projection), atol=1e-12)
    assert torch.allclose(parts.weights, weights, atol=1e-12)


@pytest.mark.parametrize("name", [*SCORED, "moco", "mochi"])
def test_both_parts_make_the_gradient_of_the_loss(name: str) -> None:
    method, first, second = make(name), embedding(0), embedding(1)
    assert isinstance(method, Scored)
    moved = embedding(1)
    moved.projection = moved.projection.requires_grad_()
    (gradient,) = torch.autograd.grad(method.compare(first, moved).sum(), moved.projection)
    parts = split(method, first, second)
    assert torch.allclose(parts.positive + parts.negative, gradient, atol=1e-12)
    assert parts.negative.abs().max() > 0


def test_clae_starts_from_the_negatives_alone() -> None:
    """Where the hard view is its own anchor the pull of the positive is 0; elsewhere it is not."""
    method, first = make("simclr"), embedding(0)
    assert isinstance(method, Scored)
    start = split(method, first, first)
    assert start.positive.abs().max() < 1e-15
    assert start.negative.abs().max() > 1e-3
    other = split(method, first, embedding(1))
    assert other.positive.abs().max() > 1e-3


def test_weight_on_false_negatives_is_their_share() -> None:
    labels = torch.tensor([0, 0, 1, 1, 1, 2])
    method, first, second = make("simclr"), embedding(0), embedding(1)
    assert isinstance(method, Scored)
    weights, shares = split(method, first, second).weights, []
    for i in range(IMAGES):
        false = [j for j in range(2 * IMAGES) if labels[j % IMAGES] == labels[i] and j % IMAGES != i]
        shares.append(weights[i, false].sum() / weights[i].sum())
    figures = negatives(method, first, second, labels)
    assert figures["false_weight"] == pytest.approx(torch.stack(shares).mean().item(), abs=1e-12)
    table = nearest_classes(method, first, second, labels, 3)
    assert table is not None
    assert table.sum() == IMAGES
    assert figures["nearest_false"] == pytest.approx(table.diagonal().sum().item() / IMAGES)
    false = false_negatives(method.scores(first, second), labels)
    assert false is not None
    assert false.sum() == 2 * (2 + 6)


def test_chance_is_the_mean_over_every_choice_of_a_nearest_negative() -> None:
    labels, expected = torch.tensor([0, 0, 1, 1, 1, 2]), torch.zeros(4, 4)
    for i in range(IMAGES):
        for j in (j for j in range(2 * IMAGES) if j % IMAGES != i):
            expected[labels[i], labels[j % IMAGES]] += 1 / (2 * IMAGES - 2)
    assert torch.allclose(chance_classes(labels, 4), expected)


def test_a_table_of_nearest_negatives_holds_shares_of_a_classes_views() -> None:
    counts = torch.tensor([[3.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0] * 3])
    chance = torch.tensor([1.0, 0.5, 0.0]).diag()
    assert tabled(counts, chance, ("a", "b", "c")) == {
        "classes": ["a", "b", "c"],
        "views": [4, 2, 0],
        "shares": [[0.75, 0.25, 0.0], [0.5, 0.5, 0.0], [0.0] * 3],
        "chance": [0.25, 0.25, 0.0],
    }


def test_the_nearest_negative_is_counted_under_its_own_class() -> None:
    """By loops: over both views of all other images, by cosine."""
    labels, expected = torch.tensor([0, 0, 1, 1, 1, 2]), torch.zeros(3, 3, dtype=torch.long)
    method, first, second = make("simclr"), embedding(0), embedding(1)
    assert isinstance(method, Scored)
    views = torch.cat([first.projection, second.projection])
    for i in range(IMAGES):
        others = [j for j in range(2 * IMAGES) if j % IMAGES != i]
        similar = [torch.cosine_similarity(second.projection[i], views[j], dim=0).item() for j in others]
        nearest = others[similar.index(max(similar))]
        expected[labels[i], labels[nearest % IMAGES]] += 1
    assert torch.equal(nearest_classes(method, first, second, labels, 3), expected)


@pytest.mark.parametrize("queue", [2 * IMAGES, 32])
def test_keys_of_a_queue_have_no_labels_even_if_there_are_as_many_as_views(queue: int) -> None:
    method, labels = make("moco", queue=queue), torch.arange(IMAGES) % 3
    assert isinstance(method, Scored)
    assert negatives(method, embedding(0), embedding(1), labels).keys() == {"pull", "push"}
    assert nearest_classes(method, embedding(0), embedding(1), labels, 3) is None


def test_the_oracle_puts_no_weight_on_false_negatives() -> None:
    method, labels = make("oracle"), torch.arange(IMAGES) % 3
    assert isinstance(method, Scored)
    assert negatives(method, embedding(0), embedding(1), labels)["false_weight"] == 0


def test_a_method_without_scores_says_so() -> None:
    assert not isinstance(make_simsiam(), Scored)


def make_simsiam() -> Method:
    return build("method", Part("simsiam"), {"encoder": resnet12(width=0.0625)})

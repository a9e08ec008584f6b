"""SimSiam: Eq. 4 written with loops and against lightly, what the stop-gradient leaves (Eq. 5), the study's heads."""

import math

import pytest
import torch
from fits import normal
from lightly.loss import NegativeCosineSimilarity
from torch import Tensor

from sparring.contracts import Embedding
from sparring.encoders import resnet12
from sparring.methods import SimSiam
from sparring.randomness import seeded


def make(width: float = 0.0625) -> SimSiam:
    with seeded(0):
        return SimSiam(resnet12(width=width)).double()


def cosine(a: Tensor, b: Tensor) -> float:
    dot = sum(float(x) * float(y) for x, y in zip(a, b, strict=True))
    return dot / math.sqrt(sum(float(x) ** 2 for x in a) * sum(float(y) ** 2 for y in b))


def test_eq_4_written_with_loops() -> None:
    p1, p2, z1, z2 = (normal(5, 7, seed=seed) for seed in range(4))
    loss = make().compare(Embedding(z1, z1, p1), Embedding(z2, z2, p2))
    for i in range(5):
        assert loss[i].item() == pytest.approx(-(cosine(p1[i], z2[i]) + cosine(p2[i], z1[i])) / 2, abs=1e-12)


def test_parity_with_lightly() -> None:
    first, second, *p = (normal(8, 16, seed=seed).float() for seed in range(4))
    criterion = NegativeCosineSimilarity()
    ours = make().compare(Embedding(first, first, p[0]), Embedding(second, second, p[1])).mean()
    theirs = (criterion(p[0], second) + criterion(p[1], first)) / 2
    assert ours.item() == pytest.approx(theirs.item(), abs=1e-6)


def test_equal_embeddings_cost_minus_one() -> None:
    same = normal(4, 6)
    embedding = Embedding(same, same, same)
    assert torch.allclose(make().compare(embedding, embedding), torch.tensor(-1.0, dtype=torch.float64))


def test_the_gradient_stops_at_the_projections() -> None:
    p1, p2, z1, z2 = (normal(4, 6, seed=seed).requires_grad_() for seed in range(4))
    make().compare(Embedding(z1, z1, p1), Embedding(z2, z2, p2)).sum().backward()
    assert z1.grad is None
    assert z2.grad is None
    assert p1.grad is not None
    assert p1.grad.abs().min() > 0
    assert p2.grad is not None


def test_the_adversary_sees_one_term_alone(photographs: Tensor) -> None:
    """Eq. 5: through the stop-gradient only -sim(p_hard, sg(z_partner)) reaches the hard view."""
    method = make()
    partner = method.encode(photographs)
    whole, alone = (photographs.flip(3).requires_grad_() for _ in range(2))
    method.compare(partner, method.encode(whole)).sum().backward()
    prediction = method.encode(alone).prediction
    assert prediction is not None
    (-torch.cosine_similarity(prediction, partner.projection.detach()) / 2).sum().backward()
    assert whole.grad is not None
    assert alone.grad is not None
    assert whole.grad.abs().max() > 0
    assert torch.allclose(whole.grad, alone.grad, atol=1e-12)


def test_heads_are_the_studys() -> None:
    """Projector of two layers of 2048, the last BatchNorm without affine weights; predictor 2048-512-2048."""
    method = make(0.25)
    linear = [m for m in method.modules() if isinstance(m, torch.nn.Linear)]
    assert [(m.in_features, m.out_features) for m in linear] == [(128, 2048), (2048, 2048), (2048, 512), (512, 2048)]
    assert not method.projector[-1].affine
    assert [m.bias is not None for m in linear] == [False, False, False, True]

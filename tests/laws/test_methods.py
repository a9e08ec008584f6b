"""The laws that every registered method obeys, and references written with loops in float64."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from lightly.loss import NegativeCosineSimilarity, NTXentLoss
from torch import Tensor

from sparring.contracts import Embedding, Method
from sparring.encoders import resnet12
from sparring.methods import METHODS, SimSiam, simclr
from sparring.methods.simclr import nt_xent
from sparring.parts import build
from sparring.randomness import seeded
from sparring.recipe import Part


def make(name: str) -> Method:
    with seeded(0):
        context: dict[str, Any] = {
            "encoder": resnet12(width=0.0625),
            "labels": torch.arange(20) % 4,
            "image_count": 20,
            "image_shape": (3, 32, 32),
        }
        method: Method = build("method", Part(name), context)
    return method.double()


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def cosine(a: Tensor, b: Tensor) -> float:
    dot = sum(float(x) * float(y) for x, y in zip(a, b, strict=True))
    return dot / math.sqrt(sum(float(x) ** 2 for x in a) * sum(float(y) ** 2 for y in b))


def encode(method: Method, images: Tensor) -> Embedding:
    """As the learner does it: each embedding knows its images."""
    return replace(method.encode(images), indices=torch.arange(len(images)))


@pytest.mark.parametrize("name", METHODS)
def test_comparing_is_pure_and_per_image(name: str, photographs: Tensor) -> None:
    method = make(name)
    first, second = encode(method, photographs), encode(method, photographs.flip(3))
    before = {key: value.clone() for key, value in method.state_dict().items()}
    loss = method.compare(first, second)
    assert loss.shape == (len(photographs),)
    assert torch.equal(loss, method.compare(first, second))
    assert all(torch.equal(value, before[key]) for key, value in method.state_dict().items())


@pytest.mark.parametrize("name", METHODS)
def test_descending_brings_views_together(name: str, photographs: Tensor) -> None:
    method = make(name)
    optimiser = torch.optim.SGD(method.parameters(), lr=0.05)
    losses = []
    for _ in range(6):
        loss = method.compare(encode(method, photographs), encode(method, photographs.flip(3))).mean()
        losses.append(loss.item())
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
    assert losses[-1] < losses[0]


def test_simsiam_is_eq_4_written_with_loops() -> None:
    p1, p2, z1, z2 = (normal(5, 7, seed=seed) for seed in range(4))
    loss = SimSiam.compare(make("simsiam"), Embedding(z1, z1, p1), Embedding(z2, z2, p2))  # type: ignore[arg-type]
    for i in range(5):
        assert loss[i].item() == pytest.approx(-(cosine(p1[i], z2[i]) + cosine(p2[i], z1[i])) / 2, abs=1e-12)


def test_simsiam_of_equal_embeddings_is_minus_one() -> None:
    same = normal(4, 6)
    embedding = Embedding(same, same, same)
    assert torch.allclose(make("simsiam").compare(embedding, embedding), torch.tensor(-1.0, dtype=torch.float64))


def test_simsiam_stops_the_gradient_at_the_projections() -> None:
    leaves = [normal(4, 6, seed=seed).requires_grad_() for seed in range(4)]
    p1, p2, z1, z2 = leaves
    make("simsiam").compare(Embedding(z1, z1, p1), Embedding(z2, z2, p2)).sum().backward()
    assert z1.grad is None
    assert z2.grad is None
    assert p1.grad is not None
    assert p1.grad.abs().min() > 0
    assert p2.grad is not None


def test_in_simsiam_the_adversary_sees_one_term_alone(photographs: Tensor) -> None:
    """Eq. 5: through the stop-gradient only -sim(p_hard, sg(z_partner)) reaches the hard view."""
    method = make("simsiam")
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


def test_nt_xent_written_with_loops() -> None:
    first, second, t = normal(4, 5), normal(4, 5, seed=1), 0.3
    loss = nt_xent(first, second, t)
    views = [*first, *second]
    for i in range(4):
        anchors = []
        for a, p in ((i, i + 4), (i + 4, i)):
            others = [math.exp(cosine(views[a], views[j]) / t) for j in range(8) if j != a]
            anchors.append(-math.log(math.exp(cosine(views[a], views[p]) / t) / sum(others)))
        assert loss[i].item() == pytest.approx(sum(anchors) / 2, abs=1e-12)


def test_nt_xent_of_orthogonal_images_has_its_closed_form() -> None:
    """Equal views, orthogonal images: e^(1/t) against 2n - 2 negatives of similarity 0."""
    n, t = 6, 0.5
    eye = torch.eye(n, dtype=torch.float64)
    expected = -math.log(math.exp(1 / t) / (math.exp(1 / t) + 2 * n - 2))
    assert torch.allclose(nt_xent(eye, eye, t), torch.tensor(expected, dtype=torch.float64))


def test_gradient_of_infonce_is_eq_3() -> None:
    """On a normalised projection: -(1 - P+) z+ + sum_i P_i- z_i-, over the temperature."""
    n, t = 5, 0.4
    unit = torch.nn.functional.normalize(normal(2 * n, 8))
    anchor = unit[0].clone().requires_grad_()
    logits = torch.stack([anchor @ unit[j] / t for j in range(1, 2 * n)])
    (-logits.log_softmax(0)[n - 1]).backward()
    shares = logits.detach().softmax(0)
    negatives = sum(shares[j - 1] * unit[j] for j in range(1, 2 * n) if j != n)
    assert anchor.grad is not None
    assert torch.allclose(anchor.grad, (-(1 - shares[n - 1]) * unit[n] + negatives) / t, atol=1e-12)


def test_parity_with_lightly() -> None:
    first, second = normal(8, 16).float(), normal(8, 16, seed=1).float()
    for t in (0.1, 0.5):
        ours = nt_xent(first, second, t).mean()
        assert ours.item() == pytest.approx(NTXentLoss(temperature=t)(first, second).item(), abs=1e-6)
    criterion, p = NegativeCosineSimilarity(), normal(2, 8, 16, seed=2).float()
    ours = make("simsiam").compare(Embedding(first, first, p[0]), Embedding(second, second, p[1])).mean()
    theirs = (criterion(p[0], second) + criterion(p[1], first)) / 2
    assert ours.item() == pytest.approx(theirs.item(), abs=1e-6)


def test_heads_are_the_studys() -> None:
    """Projector of two layers of 2048, the last BatchNorm without affine weights; predictor 2048-512-2048."""
    with seeded(0):
        method = SimSiam(resnet12(width=0.25))
    linear = [m for m in method.modules() if isinstance(m, torch.nn.Linear)]
    assert [(m.in_features, m.out_features) for m in linear] == [(128, 2048), (2048, 2048), (2048, 512), (512, 2048)]
    assert not method.projector[-1].affine
    assert [m.bias is not None for m in linear] == [False, False, False, True]


def test_simclr_refuses_a_temperature_of_0() -> None:
    with pytest.raises(ValueError, match="temperature: expected a number of at least"):
        simclr(resnet12(width=0.0625), temperature=0.0)

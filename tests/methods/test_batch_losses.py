"""Barlow Twins and VICReg: shares of images whose mean is the published loss, and so is its gradient."""

import math

import pytest
import torch
from lightly.loss import BarlowTwinsLoss, VICRegLoss

from sparring.contracts import Embedding
from sparring.encoders import resnet12
from sparring.methods import BarlowTwins, VICReg
from sparring.methods.barlow import barlow_twins
from sparring.methods.vicreg import vicreg_loss

LOSSES = {
    "barlow": (lambda x, y: barlow_twins(x, y, 5e-3), BarlowTwinsLoss(5e-3)),
    "vicreg": (lambda x, y: vicreg_loss(x, y, 25.0, 25.0, 1.0), VICRegLoss()),
}


def projections(b=8, k=5, seed=0, spread=1.0):
    generator = torch.Generator().manual_seed(seed)
    x = spread * torch.randn(b, k, dtype=torch.float64, generator=generator)
    return x, x + 0.5 * spread * torch.randn(b, k, dtype=torch.float64, generator=generator)


def column_moments(z):
    means = [sum(row[j] for row in z) / len(z) for j in range(len(z[0]))]
    return means, [sum((row[j] - means[j]) ** 2 for row in z) for j in range(len(z[0]))]


def standardised(z):
    means, squares = column_moments(z)
    deviations = [math.sqrt(s / len(z) + 1e-5) for s in squares]
    return [[(v - m) / d for v, m, d in zip(row, means, deviations, strict=True)] for row in z]


def barlow_by_loops(x, y, redundancy=5e-3):
    x, y = standardised(x.tolist()), standardised(y.tolist())
    b, k, loss = len(x), len(x[0]), 0.0
    for i in range(k):
        for j in range(k):
            c = sum(x[n][i] * y[n][j] for n in range(b)) / b
            loss += (1 - c) ** 2 if i == j else redundancy * c**2
    return loss


def vicreg_by_loops(x, y, invariance=25, variance=25, covariance=1):
    x, y = x.tolist(), y.tolist()
    b, k = len(x), len(x[0])
    loss = invariance * sum((x[n][i] - y[n][i]) ** 2 for n in range(b) for i in range(k)) / (b * k)
    for z in (x, y):
        means, squares = column_moments(z)
        loss += variance * sum(max(0.0, 1 - math.sqrt(s / (b - 1) + 1e-4)) for s in squares) / k / 2
        for i in range(k):
            for j in range(k):
                if i != j:
                    c = sum((z[n][i] - means[i]) * (z[n][j] - means[j]) for n in range(b)) / (b - 1)
                    loss += covariance * c**2 / k
    return loss


@pytest.mark.parametrize("spread", [0.3, 1.0, 3.0])
def test_mean_equals_loops(spread):
    x, y = projections(spread=spread)
    assert LOSSES["barlow"][0](x, y).mean().item() == pytest.approx(barlow_by_loops(x, y), rel=1e-10)
    assert LOSSES["vicreg"][0](x, y).mean().item() == pytest.approx(vicreg_by_loops(x, y), rel=1e-10)


def test_a_method_weighs_each_term_by_its_own_setting():
    x, y = projections(spread=0.3)
    one, other = Embedding(x, x), Embedding(y, y)
    barlow = BarlowTwins(resnet12(width=1 / 16), projection=5, redundancy=0.2, scale=0.7).compare(one, other)
    assert barlow.mean().item() == pytest.approx(0.7 * barlow_by_loops(x, y, 0.2), rel=1e-10)
    weights = {"invariance": 2.0, "variance": 3.0, "covariance": 50.0}
    vicreg = VICReg(resnet12(width=1 / 16), projection=5, **weights).compare(one, other)
    assert vicreg.mean().item() == pytest.approx(vicreg_by_loops(x, y, **weights), rel=1e-10)


@pytest.mark.parametrize("spread", [0.3, 1.0])
@pytest.mark.parametrize("name", LOSSES)
def test_parity_with_lightly_in_value_and_gradient(name, spread):
    ours, theirs = LOSSES[name]
    x, y = (z.requires_grad_() for z in projections(b=64, k=32, spread=spread))
    mine, peer = ours(x, y).mean(), theirs(x, y)
    torch.testing.assert_close(mine, peer, atol=1e-6, rtol=1e-6)
    for own, other in zip(torch.autograd.grad(mine, (x, y)), torch.autograd.grad(peer, (x, y)), strict=True):
        torch.testing.assert_close(own, other, atol=1e-9, rtol=1e-6)


def test_single_precision_parity_with_lightly():
    for ours, theirs in LOSSES.values():
        x, y = (z.float() for z in projections(b=64, k=32))
        torch.testing.assert_close(ours(x, y).mean(), theirs(x, y), atol=1e-6, rtol=1e-6)


def test_shares_follow_the_images():
    """A reordered batch gives reordered shares, and an outlying image the largest one."""
    x, y = projections(b=16)
    y[3] = -3 * x[3]
    order = torch.randperm(16, generator=torch.Generator().manual_seed(0))
    for ours, _ in LOSSES.values():
        shares = ours(x, y)
        torch.testing.assert_close(ours(x[order], y[order]), shares[order])
        assert shares.argmax() == 3


def test_closed_forms():
    """Two entries that never covary, with equal views: only what the small constants leave."""
    x = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]], dtype=torch.float64)
    # variance 4/3 unbiased: the hinge is closed, nothing covaries, the views agree
    torch.testing.assert_close(LOSSES["vicreg"][0](x, x).mean().item(), 0.0)
    # standardised by sqrt(1 + 1e-5): C_ii = 1 / (1 + 1e-5)
    assert LOSSES["barlow"][0](x, x).mean().item() == pytest.approx(2 * (1 - 1 / (1 + 1e-5)) ** 2)
    # opposite views: C_ii = -1, near 4 per entry
    assert LOSSES["barlow"][0](x, -x).mean().item() == pytest.approx(8, rel=1e-4)

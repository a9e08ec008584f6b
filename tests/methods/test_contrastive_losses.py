"""Losses on negatives against references written with loops, closed forms and lightly."""

import math
import statistics

import pytest
import torch
from lightly.loss import DCLLoss, NTXentLoss

from sparring.contracts import Embedding
from sparring.encoders import resnet12
from sparring.errors import InputError
from sparring.evaluations.negatives import split
from sparring.methods import METHODS
from sparring.methods.conditional import ring_of

LABELS = torch.tensor([0, 1, 0, 2, 1, 0])
SETTINGS = {
    "simclr": {},
    "dcl": {},
    "debiased": {"tau_plus": 0.2},
    "hcl": {"tau_plus": 0.2, "beta": 1.5},
    "conditional": {"nearest": 0.2, "furthest": 0.7},
    "supcon": {},
    "oracle": {},
}
TEMPERATURE = 0.3


def build(name, temperature=TEMPERATURE, **settings):
    known = {"labels": LABELS} if name in ("supcon", "oracle") else {}
    return METHODS[name](resnet12(width=1 / 16), **known, temperature=temperature, **settings)


def embeddings(b=6, k=5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    draw = [torch.randn(b, k, dtype=torch.float64, generator=generator) for _ in range(2)]
    order = torch.arange(b)
    return [Embedding(z, z, indices=order) for z in draw]


def cosine(x, y):
    dot = sum(a * b for a, b in zip(x, y, strict=True))
    return dot / math.sqrt(sum(a * a for a in x) * sum(b * b for b in y))


def anchor_loss(name, positive, negatives, classes, own, t, settings):
    """Loss of one anchor: similarity to its positive, similarities to its negatives and their classes."""
    p, n = math.exp(positive / t), [math.exp(s / t) for s in negatives]
    if name == "simclr":
        return -math.log(p / (p + sum(n) + (math.exp(1 / t) if settings.get("itself") else 0)))
    if name == "dcl":
        return -math.log(p / sum(n))
    if name == "oracle":
        return -math.log(p / (p + sum(e for e, c in zip(n, classes, strict=True) if c != own)))
    if name == "supcon":
        attracted = [p] + [e for e, c in zip(n, classes, strict=True) if c == own]
        return statistics.mean(-math.log(e / (p + sum(n))) for e in attracted)
    if name == "conditional":
        ranked = sorted(n, reverse=True)
        ring = ranked[math.floor(settings["nearest"] * len(n)) : math.ceil(settings["furthest"] * len(n))]
        return -math.log(p / (p + sum(ring)))
    weights = [e ** settings.get("beta", 0.0) for e in n]
    mean = sum(w * e for w, e in zip(weights, n, strict=True)) / sum(weights)
    tau = settings["tau_plus"]
    g = max((mean - tau * p) / (1 - tau), math.exp(-1 / t))
    return -math.log(p / (p + len(n) * g))


def reference(name, first, second, settings):
    """Per image, the mean over its two anchors."""
    views, losses, b = [first.tolist(), second.tolist()], [], len(first)
    for i in range(b):
        both = []
        for v in range(2):
            others = [(w, j) for w in range(2) for j in range(b) if j != i]
            negatives = [cosine(views[v][i], views[w][j]) for w, j in others]
            classes = [LABELS[j].item() for _, j in others]
            positive = cosine(views[v][i], views[1 - v][i])
            own = LABELS[i].item()
            both.append(anchor_loss(name, positive, negatives, classes, own, TEMPERATURE, settings))
        losses.append(statistics.mean(both))
    return torch.tensor(losses, dtype=torch.float64)


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("name", SETTINGS)
def test_loss_equals_loops(name, seed):
    first, second = embeddings(seed=seed)
    got = build(name, **SETTINGS[name]).compare(first, second)
    torch.testing.assert_close(got, reference(name, first.projection, second.projection, SETTINGS[name]))


def test_an_anchor_may_stay_among_its_own_negatives():
    """At a low temperature it then outweighs all others: the pull stays, the push goes."""
    first, second = embeddings()
    got = build("simclr", itself=True).compare(first, second)
    torch.testing.assert_close(got, reference("simclr", first.projection, second.projection, {"itself": True}))
    near = Embedding(first.features, first.projection + 0.3 * second.projection, indices=first.indices)
    alone, crowded = (split(build("simclr", 0.07, itself=itself), first, near) for itself in (False, True))
    assert crowded.positive.norm() > alone.positive.norm()
    assert crowded.negative.norm() < alone.negative.norm()


@pytest.mark.parametrize("name", SETTINGS)
def test_matched_views_cost_less_than_mismatched_ones(name):
    """Fails if positives and negatives are swapped."""
    first, _ = embeddings()
    method = build(name, **SETTINGS[name])
    matched = Embedding(first.features, first.projection + 0.1, indices=first.indices)
    mismatched = Embedding(first.features, matched.projection.roll(1, 0), indices=first.indices)
    assert method.compare(first, matched).mean() < method.compare(first, mismatched).mean()


@pytest.mark.parametrize("temperature", [0.07, 0.5])
def test_parity_with_lightly(temperature):
    pair = [e.projection.float() for e in embeddings(b=32, k=16)]
    for name, peer in {"simclr": NTXentLoss, "dcl": DCLLoss}.items():
        ours = build(name, temperature).compare(*(Embedding(z, z) for z in pair)).mean()
        torch.testing.assert_close(ours, peer(temperature)(*pair), atol=1e-6, rtol=1e-6)


def test_special_cases_are_simclr():
    """No false negatives assumed and no weights; a ring that holds all; classes that are all different."""
    first, second = embeddings()
    expected = build("simclr").compare(first, second)
    cases = [
        build("debiased", tau_plus=0.0),
        build("hcl", tau_plus=0.0, beta=0.0),
        build("conditional", nearest=0.0, furthest=1.0),
    ]
    alone = {"labels": torch.arange(6), "temperature": TEMPERATURE}
    cases += [METHODS[name](resnet12(width=1 / 16), **alone) for name in ("supcon", "oracle")]
    for method in cases:
        torch.testing.assert_close(method.compare(first, second), expected)


def test_the_narrowest_ring_holds_one_negative():
    first, second = embeddings()
    scores = build("conditional").scores(first, second)
    assert ring_of(scores, nearest=0.0, furthest=1e-6).sum(dim=1).eq(1).all()


def test_closed_forms_when_all_views_are_one():
    """With all cosines 1: log(2b - 1) for SimCLR, log(2b - 2) without the positive, the floor for tau+ near 1."""
    z = torch.ones(6, 4, dtype=torch.float64)
    one = Embedding(z, z, indices=torch.arange(6))
    for name, expected in {"simclr": 11, "dcl": 10, "debiased": 11, "hcl": 11, "supcon": 11}.items():
        got = build(name).compare(one, one)
        torch.testing.assert_close(got, torch.full((6,), math.log(expected), dtype=torch.float64))
    # each anchor has 10 negatives, of which those of its class leave
    false = torch.tensor([2 * ((c == LABELS).sum().item() - 1) for c in LABELS])
    torch.testing.assert_close(build("oracle").compare(one, one), (11.0 - false.double()).log())


def test_closed_form_of_orthogonal_images():
    """Equal views, orthogonal images: e^(1/t) against 2n - 2 negatives of similarity 0."""
    n, t = 6, 0.5
    eye = torch.eye(n, dtype=torch.float64)
    one = Embedding(eye, eye, indices=torch.arange(n))
    expected = -math.log(math.exp(1 / t) / (math.exp(1 / t) + 2 * n - 2))
    torch.testing.assert_close(build("simclr", t).compare(one, one), torch.full((n,), expected, dtype=torch.float64))


def test_false_negatives_do_not_reach_the_oracle():
    """An image's gradient on one of its class is zero, on another class it is not."""
    first, second = embeddings()
    first.projection.requires_grad_()
    method = build("oracle")
    (gradient,) = torch.autograd.grad(method.compare(first, second)[0], first.projection)
    touched = gradient.abs().sum(dim=1) > 0
    assert touched.tolist() == [True, True, False, True, True, False]


def test_small_temperature_stays_finite():
    first, second = (e.projection.float() for e in embeddings())
    for name, settings in SETTINGS.items():
        z = [first.clone().requires_grad_(), second]
        pair = [Embedding(each, each, indices=torch.arange(6)) for each in z]
        for temperature in (0.001, 0.01):
            loss = build(name, temperature=temperature, **settings).compare(*pair)
            loss.mean().backward()
            assert loss.isfinite().all(), name
            assert z[0].grad.isfinite().all(), name


@pytest.mark.parametrize("name", ["supcon", "oracle"])
def test_oracles_need_labels(name):
    with pytest.raises(InputError, match=f"{name}: expected data with labels, got data without"):
        METHODS[name](resnet12(width=1 / 16), labels=None)


@pytest.mark.parametrize(
    ("name", "settings", "text"),
    [
        ("simclr", {"temperature": 0.0}, "temperature: expected a number of at least 0.001, got 0.0"),
        ("hcl", {"tau_plus": 1.0}, "tau_plus: expected a number in"),
        ("hcl", {"beta": -1.0}, "beta: expected a number of at least 0"),
        ("simclr", {"projection": 0}, "projection: expected a number of at least 1"),
        ("debiased", {"tau_plus": -0.1}, "tau_plus: expected a number in"),
        ("conditional", {"nearest": 0.5, "furthest": 0.5}, "expected 0 <= nearest < furthest <= 1, got 0.5 and 0.5"),
    ],
)
def test_bad_settings(name, settings, text):
    with pytest.raises(InputError, match=text):
        METHODS[name](resnet12(width=1 / 16), **settings)

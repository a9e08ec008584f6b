"""BYOL, MoCo, MoCHi and PCL: targets, queues, prototypes, and losses written with loops."""

import math

import pytest
import torch
import torch.nn.functional as F
from fits import normal
from lightly.loss import NegativeCosineSimilarity, NTXentLoss

from sparring.contracts import Embedding
from sparring.encoders import resnet12
from sparring.errors import InputError
from sparring.evaluations.negatives import negatives
from sparring.methods import BYOL, PCL, MoCo, mochi
from sparring.methods.mixing import Mixing
from sparring.methods.prototypes import concentrations, k_means
from sparring.methods.queued import Queue
from sparring.randomness import seeded

SMALL = {"hidden": 8, "projection": 4}
T = 0.3


def make(kind, **settings):
    """In float64, with keys of length 1 in that precision too."""
    images = (12,) if kind is PCL else ()
    with seeded(0):
        method = kind(resnet12(width=1 / 16), *images, **SMALL, **settings).double()
    if kind is not BYOL:
        method.queue.keys.copy_(F.normalize(method.queue.keys))
    return method


def embedding(seed, b=6, k=4):
    parts = [normal(b, k, seed=10 * seed + i) for i in range(3)]
    return Embedding(parts[0], parts[0], parts[1], parts[2], torch.arange(b))


def cosine(x, y):
    dot = sum(a * b for a, b in zip(x, y, strict=True))
    return dot / math.sqrt(sum(a * a for a in x) * sum(b * b for b in y))


def info_nce(query, key, negatives):
    positive = math.exp(cosine(query, key) / T)
    return -math.log(positive / (positive + sum(math.exp(cosine(query, n) / T) for n in negatives)))


METHODS = {
    "byol": lambda: make(BYOL),
    "moco": lambda: make(MoCo, queue=7, temperature=T),
    "mochi": lambda: make(mochi, queue=7, temperature=T, hardest=4, pairs=3, queries=2),
    "pcl": lambda: make(PCL, queue=7, temperature=T, images_per_cluster=(4, 3), every=2),
}


@pytest.mark.parametrize("name", METHODS)
def test_targets_get_no_gradient_but_pass_it_to_the_images(name):
    method, images = METHODS[name](), torch.rand(6, 3, 16, 16, dtype=torch.float64).requires_grad_()
    target = method.encode(images).target
    assert target is not None
    (target * normal(6, 4)).sum().backward()
    assert images.grad.abs().sum() > 0
    assert all(weight.grad is None and not weight.requires_grad for weight in method.target.parameters())
    assert all(weight.grad is None for weight in [*method.encoder.parameters(), *method.projector.parameters()])


@pytest.mark.parametrize("name", METHODS)
def test_target_starts_as_the_online_network_and_follows_it(name):
    method = METHODS[name]()
    online = [*method.encoder.parameters(), *method.projector.parameters()]
    own = list(method.target.parameters())
    assert all(torch.equal(a, b) for a, b in zip(own, online, strict=True))
    old = [weight.clone() for weight in own]
    with torch.no_grad():
        for weight in online:
            weight.add_(1)
    method.after_step({"first": embedding(1), "second": embedding(2)})
    for before, after, weight in zip(old, own, online, strict=True):
        torch.testing.assert_close(after, 0.99 * before + 0.01 * weight)


@pytest.mark.parametrize("name", METHODS)
def test_only_the_target_s_own_batches_move_its_statistics(name):
    method = METHODS[name]()
    images = torch.rand(6, 3, 16, 16, dtype=torch.float64)
    before = [b.clone() for b in method.target.buffers()]
    method.after_step({"first": embedding(1), "second": embedding(2)})
    assert all(torch.equal(a, b) for a, b in zip(before, method.target.buffers(), strict=True))
    method.encode(images)
    assert not all(torch.equal(a, b) for a, b in zip(before, method.target.buffers(), strict=True))


def test_byol_equals_loops_and_lightly():
    first, second = embedding(1), embedding(2)
    loss, negative = make(BYOL).compare(first, second), NegativeCosineSimilarity()
    for i in range(6):
        forth = cosine(first.prediction[i].tolist(), second.target[i].tolist())
        back = cosine(second.prediction[i].tolist(), first.target[i].tolist())
        assert loss[i].item() == pytest.approx(((2 - 2 * forth) + (2 - 2 * back)) / 2, rel=1e-12)
    theirs = 2 + negative(first.prediction, second.target) + negative(second.prediction, first.target)
    torch.testing.assert_close(loss.mean(), theirs, atol=1e-6, rtol=0)


def test_byol_is_zero_where_predictions_are_right():
    one = embedding(1)
    same = Embedding(one.features, one.projection, one.target, one.target)
    torch.testing.assert_close(make(BYOL).compare(same, same), torch.zeros(6, dtype=torch.float64))


@pytest.mark.parametrize("symmetric", [True, False])
def test_moco_equals_loops(symmetric):
    method = make(MoCo, queue=7, temperature=T, symmetric=symmetric)
    first, second = embedding(1), embedding(2)
    loss, queue = method.compare(first, second), method.queue.keys.tolist()
    for i in range(6):
        forth = info_nce(first.projection[i].tolist(), second.target[i].tolist(), queue)
        back = info_nce(second.projection[i].tolist(), first.target[i].tolist(), queue)
        assert loss[i].item() == pytest.approx((forth + back) / 2 if symmetric else forth, rel=1e-10)


def of_others(queue, i):
    """What a queue holds of other images than the i-th."""
    return [key for key, image in zip(queue.keys.tolist(), queue.images.tolist(), strict=True) if image != i]


def test_an_images_own_keys_are_no_negatives_of_it():
    method = make(MoCo, queue=9, temperature=T)
    method.after_step({"first": embedding(3), "second": embedding(4)})
    first, second = embedding(1), embedding(2)
    loss = method.compare(first, second)
    assert [9 - len(of_others(method.queue, i)) for i in range(6)] == [2, 2, 2, 1, 1, 1]
    for i in range(6):
        forth = info_nce(first.projection[i].tolist(), second.target[i].tolist(), of_others(method.queue, i))
        back = info_nce(second.projection[i].tolist(), first.target[i].tolist(), of_others(method.queue, i))
        assert loss[i].item() == pytest.approx((forth + back) / 2, rel=1e-10)


def test_hard_keys_are_mixed_from_other_images():
    mixing, query = Mixing(hardest=2, pairs=1, queries=1).double(), F.normalize(normal(1, 4))
    queue = F.normalize(torch.cat([query, normal(3, 4, seed=1)]))
    own = torch.tensor([[True, False, False, False]])
    assert torch.equal(mixing(query, queue, own), mixing(query, queue[1:], own[:, 1:]))


def test_moco_parity_with_lightly():
    method = make(MoCo, queue=7, temperature=T, symmetric=False)
    first, second, peer = embedding(1), embedding(2), NTXentLoss(T, memory_bank_size=(7, 4))
    peer.memory_bank.bank = method.queue.keys.clone()
    torch.testing.assert_close(
        method.compare(first, second).mean(), peer(first.projection, second.target), atol=1e-6, rtol=0
    )


def test_a_queue_is_first_in_first_out():
    queue = Queue(5, 3).double()
    start, older, newer = queue.keys.clone(), normal(2, 3), normal(2, 3, seed=1)
    torch.testing.assert_close(start.norm(dim=1), torch.ones(5, dtype=torch.float64))
    queue.push(older, torch.tensor([3, 4]))
    queue.push(newer, torch.tensor([5, 3]))
    torch.testing.assert_close(queue.keys, torch.cat([F.normalize(newer), F.normalize(older), start[:1]]))
    assert queue.images.tolist() == [5, 3, 3, 4, -1]
    queue.push(normal(8, 3, seed=2), torch.arange(8))
    torch.testing.assert_close(queue.keys, F.normalize(normal(8, 3, seed=2))[:5])
    assert queue.images.tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("symmetric", "other", "entered"),
    [(True, "second*", ["first", "second*"]), (False, "second*", ["second*"]), (False, "image*", ["image*"])],
)
def test_which_keys_enter(symmetric, other, entered):
    method, views = make(MoCo, queue=12, symmetric=symmetric), {"first": embedding(1), other: embedding(2)}
    method.after_step(views)
    expected = torch.cat([F.normalize(views[name].target) for name in entered])
    torch.testing.assert_close(method.queue.keys[: len(expected)], expected)


def test_queue_may_move_before_the_backward_pass():
    for name in ("moco", "mochi", "pcl"):
        method = METHODS[name]()
        images = torch.rand(6, 3, 16, 16, dtype=torch.float64)
        first, second = (method.encode(view) for view in (images, images.flip(3)))
        first.indices = second.indices = torch.arange(6)
        losses = [method.compare(first, second).mean() for _ in range(2)]
        expected = torch.autograd.grad(losses[0], list(method.encoder.parameters()), retain_graph=True)
        method.queue.push(normal(6, 4), torch.arange(6, 12))
        found = torch.autograd.grad(losses[1], list(method.encoder.parameters()))
        assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True)), name


def test_mochi_equals_loops():
    method = METHODS["mochi"]()
    first, second = embedding(1), embedding(2)
    loss, queue = method.compare(first, second), method.queue.keys
    places, shares = method.mixing.places.tolist(), method.mixing.shares.squeeze(1).tolist()
    assert all(0 <= share < 1 for share in shares[:3])
    assert all(0 <= share < 0.5 for share in shares[3:])

    def one(query, key):
        query = query / query.norm()
        hardest = sorted(queue, key=lambda n: -float(n @ query))[:4]
        made = []
        for s, (i, j, share) in enumerate(zip(*places, shares, strict=True)):
            made.append(share * (hardest[i] if s < 3 else query) + (1 - share) * hardest[j])
        return info_nce(query.tolist(), key.tolist(), [n.tolist() for n in [*queue, *made]])

    for i in range(6):
        both = one(first.projection[i], second.target[i]) + one(second.projection[i], first.target[i])
        assert loss[i].item() == pytest.approx(both / 2, rel=1e-10)


def test_synthetic_negatives_make_moco_harder_and_are_drawn_anew():
    method, plain = METHODS["mochi"](), METHODS["moco"]()
    plain.queue.load_state_dict(method.queue.state_dict())
    first, second = embedding(1), embedding(2)
    before = method.compare(first, second)
    assert (before > plain.compare(first, second)).all()
    old = method.mixing.shares.clone()
    method.mixing.redraw()
    assert not torch.equal(old, method.mixing.shares)


def test_draws_are_a_function_of_seed_and_step():
    def shares(seed, steps):
        with seeded(seed):
            mixing = Mixing(hardest=4, pairs=3, queries=2)
        for _ in range(steps):
            mixing.redraw()
        return mixing.shares

    assert torch.equal(shares(0, 3), shares(0, 3))
    assert not torch.equal(shares(0, 3), shares(1, 3))


def test_pcl_is_moco_until_it_has_clusters():
    method, plain = METHODS["pcl"](), METHODS["moco"]()
    plain.queue.load_state_dict(method.queue.state_dict())
    torch.testing.assert_close(
        method.compare(embedding(1), embedding(2)), plain.compare(embedding(1), embedding(2)), rtol=0, atol=0
    )


def clustered(*, symmetric=True):
    """PCL after two steps that showed it all twelve images."""
    method = make(PCL, queue=7, temperature=T, images_per_cluster=(4, 3), every=2, symmetric=symmetric)
    for step in range(2):
        views = {name: embedding(3 * step + i) for i, name in enumerate(("first", "second*"))}
        for view in views.values():
            view.indices = view.indices + 6 * step
        method.after_step(views)
    return method


def test_pcl_remembers_the_clean_view_and_clusters_when_due():
    method = clustered()
    torch.testing.assert_close(method.bank[:6], F.normalize(embedding(0).target))
    torch.testing.assert_close(method.bank[6:], F.normalize(embedding(3).target))
    again = clustered()
    for clustering, other in zip(method.clusterings, again.clusterings, strict=True):
        assert clustering.own.min() >= 0
        assert torch.equal(clustering.own, other.own)
        assert torch.equal(clustering.centres, other.centres)
    assert [len(clustering.centres) for clustering in method.clusterings] == [3, 4]


@pytest.mark.parametrize("symmetric", [True, False])
def test_pcl_equals_loops(symmetric):
    method = clustered(symmetric=symmetric)
    first, second = embedding(7), embedding(8)
    loss = method.compare(first, second)

    def one(query, key, i):
        terms = []
        for clustering in method.clusterings:
            logits = [
                cosine(query, c) / phi
                for c, phi in zip(clustering.centres.tolist(), clustering.phi.tolist(), strict=True)
            ]
            own = logits[clustering.own[i]]
            terms.append(-math.log(math.exp(own) / sum(math.exp(logit) for logit in logits)))
        return info_nce(query, key, of_others(method.queue, i)) + sum(terms) / len(terms)

    for i in range(6):
        forth = one(first.projection[i].tolist(), second.target[i].tolist(), i)
        back = one(second.projection[i].tolist(), first.target[i].tolist(), i)
        assert loss[i].item() == pytest.approx((forth + back) / 2 if symmetric else forth, rel=1e-10)


def test_concentrations():
    """Tight clusters are small, lone members count as the loosest of the others, and the mean is the temperature."""
    distances = torch.tensor([0.1] * 4 + [0.5] * 4 + [9.0], dtype=torch.float64)
    clusters = torch.tensor([0] * 4 + [1] * 4 + [2])
    phi = concentrations(distances, clusters, 3, T)
    assert phi[0] < phi[1]
    torch.testing.assert_close(phi[1], phi[2])
    torch.testing.assert_close(phi.mean().item(), T)
    raw = [0.4 / (4 * math.log(14)), 2.0 / (4 * math.log(14))]
    low = raw[0] + 0.2 * (raw[1] - raw[0])  # the 10th percentile of three, linear
    assert (phi[0] / phi[1]).item() == pytest.approx(low / raw[1])


def test_k_means_finds_what_is_apart_and_bears_a_collapse():
    centres = 10 * torch.eye(3, dtype=torch.float64)
    points = (centres[:, None] + 0.1 * normal(3, 8, 3)).flatten(0, 1)
    own = k_means(points, 3)[1].view(3, 8)
    assert (own == own[:, :1]).all()
    assert len(own[:, 0].unique()) == 3
    assert k_means(torch.ones(9, 3), 3)[0].isfinite().all()


def test_pcl_clusters_once_an_epoch():
    method = make(PCL, images_per_cluster=(4,))  # 12 images, 6 a step
    for clustered in (False, True):
        method.after_step({"first": embedding(1), "second": embedding(2)})
        assert (method.clusterings[0].own >= 0).any() == clustered


def test_fewer_images_than_clusters_change_nothing():
    method = make(PCL, images_per_cluster=(1,), every=1)
    method.after_step({"first": embedding(1), "second": embedding(2)})
    assert (method.clusterings[0].own == -1).all()


@pytest.mark.parametrize(
    ("kind", "settings", "text"),
    [
        (BYOL, {"momentum": 1.0}, r"momentum: expected a number in \[0, 0.999999\], got 1.0"),
        (MoCo, {"queue": 0}, "queue: expected at least 1 key, got 0"),
        (MoCo, {"temperature": 0.0}, "temperature: expected a number of at least 0.001, got 0.0"),
        (mochi, {"queue": 8, "hardest": 9}, "mochi: expected hardest to be at most the queue's 8, got 9"),
        (mochi, {"pairs": 0}, "mochi: pairs: expected a number of at least 1, got 0"),
        (PCL, {"every": -1}, "pcl: expected 0 or more steps and at least 1 image"),
        (PCL, {"images_per_cluster": ()}, "pcl: expected 0 or more steps and at least 1 image"),
    ],
)
def test_bad_settings(kind, settings, text):
    with pytest.raises(InputError, match=text):
        make(kind, **settings)


def test_keys_alone_have_no_split():
    """Without symmetry the second view is only a key: nothing pulls or pushes it, and looks at the game say so."""
    method = make(MoCo, queue=7, temperature=T, symmetric=False)
    assert negatives(method, embedding(1), embedding(2), torch.arange(6)) == {}
    assert set(negatives(make(MoCo, queue=7), embedding(1), embedding(2), None)) == {"pull", "push"}

"""Each registered method in a round of the game: purity, gradients, descent, cost, several ranks."""

from dataclasses import replace

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from sparring.adversaries import Random
from sparring.contracts import Embedding, Move
from sparring.encoders import Encoder, resnet12
from sparring.gather import all_reduce_mean, alone, gather, ranks, shard, unshard
from sparring.learner import Learner
from sparring.looks import described
from sparring.methods import METHODS
from sparring.module_state import frozen_statistics
from sparring.monitor import LossLog
from sparring.parts import build
from sparring.penalties import EntropyBand
from sparring.randomness import seeded
from sparring.recipe import Part
from sparring.rounds import Batch, Outcome
from sparring.transforms import Colour

SETTINGS = {
    "simsiam": {"projection": 32, "bottleneck": 8},
    "barlow": {"projection": 32},
    "vicreg": {"projection": 32},
    "moco": {"queue": 32},
    "mochi": {"queue": 32, "hardest": 8, "pairs": 4, "queries": 4},
    "pcl": {"queue": 32, "images_per_cluster": (4,), "every": 1},
}
CONTEXT = {"labels": torch.arange(12) % 3, "image_count": 12, "image_shape": (3, 16, 16), "features": 32}


def context(seed=0):
    with seeded(seed):
        return {**CONTEXT, "encoder": resnet12(width=1 / 16)}


def make(name, seed=0):
    with seeded(seed):
        return build("method", Part(name, SETTINGS.get(name, {"hidden": 16})), context(seed))


def views(b=12):
    generator = torch.Generator().manual_seed(0)
    clean = torch.rand(b, 3, 16, 16, generator=generator)
    return clean, (clean + 0.1 * torch.rand(clean.shape, generator=generator)).clamp(0, 1)


def seen(method, images):
    return replace(method.encode(images), indices=torch.arange(len(images)))


@pytest.mark.parametrize("name", METHODS)
def test_a_hardness_evaluation_changes_nothing(name):
    """Looks under frozen statistics (the target's too) and comparisons leave the state bit-equal; the loss repeats."""
    method, (first, second) = make(name), views()
    partner = seen(method, first)
    before = {key: value.clone() for key, value in method.state_dict().items()}
    with frozen_statistics(method):
        looks = [seen(method, second) for _ in range(2)]
    losses = [method.compare(partner, look) for look in looks]
    assert losses[0].shape == (12,)
    assert torch.equal(*losses)
    assert all(torch.equal(before[key], value) for key, value in method.state_dict().items())


@pytest.mark.parametrize("name", METHODS)
def test_the_hard_view_gets_a_gradient(name):
    method, (first, second) = make(name), views()
    partner = seen(method, first).detach()
    second.requires_grad_()
    (gradient,) = torch.autograd.grad(method.compare(partner, seen(method, second)).mean(), second)
    assert (gradient.flatten(1).norm(dim=1) > 0).all()


@pytest.mark.parametrize("name", METHODS)
def test_descent_lowers_the_loss(name):
    method, (first, second) = make(name), views()
    descend = torch.optim.SGD((w for w in method.parameters() if w.requires_grad), lr=0.02, momentum=0.9)
    losses = []
    for _ in range(8):
        loss = method.compare(seen(method, first), seen(method, second)).mean()
        losses.append(loss.item())
        descend.zero_grad()
        loss.backward()
        descend.step()
    assert losses[-1] < losses[0] - 0.01 * abs(losses[0])


@pytest.mark.parametrize("name", METHODS)
def test_state_returns_from_a_checkpoint(name):
    method, (first, second) = make(name), views()
    method.after_step({"first": seen(method, first).detach(), "second": seen(method, second).detach()})
    twin = make(name, seed=1)
    twin.load_state_dict(method.state_dict())
    ours, theirs = (m.compare(seen(m, first), seen(m, second)) for m in (method, twin))
    assert torch.equal(ours, theirs)


UNITS = {"byol": (4, 2, 1), "moco": (4, 2, 1), "mochi": (4, 2, 1), "pcl": (4, 2, 1)}
"""Forwards, backwards and input-only backwards of a step against a learned opponent; the others: 2, 2, 0."""


@pytest.mark.parametrize("name", METHODS)
def test_cost_of_a_step_against_a_learned_opponent(name):
    method, (first, second) = make(name), views()
    parts = {**context(), "transform": build("transform", Part("colour"), CONTEXT)}
    learner = Learner(method, build("adversary", Part("learned"), parts))
    generator = torch.Generator().manual_seed(0)
    batch = Batch({"first": first, "second": second}, torch.arange(12), 0, 1.0, generator)
    learner(batch).loss.backward()
    cost = learner.meter.take()
    assert (cost.forwards, cost.backwards, cost.input_backwards) == UNITS.get(name, (2, 2, 0))


RANKED = ("barlow", "conditional", "dcl", "debiased", "hcl", "oracle", "simclr", "supcon", "vicreg")


def _embeddings(b=12):
    generator = torch.Generator().manual_seed(5)
    draws = [torch.randn(b, 6, generator=generator, dtype=torch.float64) for _ in range(2)]
    return [Embedding(z.requires_grad_(), z, indices=torch.arange(b)) for z in draws]


def _part(embedding, rank):
    own = slice(6 * rank, 6 * rank + 6)
    return Embedding(*(part[own] for part in (embedding.features, embedding.projection)), indices=torch.arange(12)[own])


def _rank(rank, address, found):
    dist.init_process_group("gloo", init_method=address, rank=rank, world_size=2)
    result = {}
    for name in RANKED:
        whole = _embeddings()
        loss = make(name).compare(*(_part(e, rank) for e in whole))
        loss.mean().backward()
        result[name] = loss.detach(), *(e.features.grad for e in whole)
    for name in ("moco", "pcl"):
        method = make(name).double()
        keys = torch.randn(12, 128, generator=torch.Generator().manual_seed(6), dtype=torch.float64)
        own = slice(6 * rank, 6 * rank + 6)
        view = Embedding(keys[own], keys[own], target=keys[own], indices=torch.arange(12)[own])
        method.after_step({"first": view})
        result[name] = tuple(v for k, v in method.state_dict().items() if k.startswith(("queue", "bank", "clust")))
    own, matrices = slice(6 * rank, 6 * rank + 6), _matrices()
    band = _band(matrices[own])
    result["band"] = band.detach(), *torch.autograd.grad(band.mean(), matrices)
    result["described"] = _described(matrices[own].detach())
    for count in (1, 6, 7):  # more, as many and fewer rows than the ranks share evenly
        rows = torch.arange(3 * count).view(count, 3)
        result[f"dealt {count}"] = bool(unshard(shard(rows), count).equal(rows)), len(shard(rows))
    log, resumed, fewer = (LossLog(torch.device("cpu")) for _ in range(3))
    for loss in (1.0, 2.0):
        log.add(torch.tensor(loss + 10 * rank))
    resumed.load(log.state())
    fewer.load((torch.tensor([3.0, 9.0, 30.0]), 2))  # of three ranks
    result["losses"] = log.mean(), resumed.total.item(), fewer.mean()
    fewer.add(torch.tensor(2.0 + rank))
    result["later losses"] = fewer.mean(), fewer.state()[0].tolist()
    with alone():  # no other rank needs to ask
        if rank == 0:
            result["alone"] = (
                ranks(),
                gather(torch.ones(3, 2)).shape,
                all_reduce_mean({"one": 1.0}, torch.device("cpu")),
            )
    result["averaged"] = all_reduce_mean({"rank": float(rank), "one": 1.0}, torch.device("cpu"))
    found[rank] = result
    dist.barrier()
    dist.destroy_process_group()


def _matrices():
    draws = torch.rand(12, 9, generator=torch.Generator().manual_seed(7), dtype=torch.float64)
    return draws.requires_grad_()


def _band(params):
    images = torch.zeros(len(params), 3, 4, 4, dtype=torch.float64)
    colour = Colour(space="softmax")
    return EntropyBand(colour, low=0.999)(Move(images, images, params, colour, lambda view: view.sum()))


def _described(params):
    """What a round's log line says of these choices."""
    learner = Learner(make("simsiam"), Random(Colour(space="softmax")))
    return described(learner, Outcome(torch.zeros(()), torch.zeros(1), {}, {"second*": params}, {}), strength=1.0)


def _alone(name):
    whole = _embeddings()
    loss = make(name).compare(*whole)
    loss.mean().backward()
    return loss.detach(), *(e.features.grad for e in whole)


def test_two_ranks_equal_one_on_the_union_batch(tmp_path):
    with mp.Manager() as manager:
        found = manager.dict()
        mp.spawn(_rank, args=(f"file://{tmp_path}/rendezvous", found), nprocs=2)
        zero, one = found[0], found[1]
    assert (zero["losses"], one["losses"]) == ((6.5, 3.0, 7.0), (6.5, 23.0, 7.0)), "each goes on with its own"
    assert zero["later losses"] == one["later losses"] == (pytest.approx((14 + 2.5) / 3), [16.0, 17.0])
    assert zero["alone"] == (1, (3, 2), {"one": 1.0})
    assert zero["averaged"] == one["averaged"] == {"rank": 0.5, "one": 1.0}
    for name in RANKED:
        loss, *gradients = _alone(name)
        torch.testing.assert_close(torch.cat([zero[name][0], one[name][0]]), loss)
        for a, b, whole in zip(zero[name][1:], one[name][1:], gradients, strict=True):
            # DistributedDataParallel takes the mean over the ranks
            torch.testing.assert_close((a + b) / 2, whole)
    matrices = _matrices()
    band = _band(matrices)
    (whole,) = torch.autograd.grad(band.mean(), matrices)
    torch.testing.assert_close(torch.cat([zero["band"][0], one["band"][0]]), band.detach())
    assert band.min() > 0
    torch.testing.assert_close((zero["band"][1] + one["band"][1]) / 2, whole)
    assert zero["described"] == one["described"] == pytest.approx(_described(matrices.detach()))
    for count in (1, 6, 7):
        assert zero[f"dealt {count}"] == (True, -(-count // 2))
        assert one[f"dealt {count}"] == (True, count // 2)
    for name in ("moco", "pcl"):
        assert len(zero[name]) > 0
        assert all(torch.equal(a, b) for a, b in zip(zero[name], one[name], strict=True))


def test_every_encoder_of_a_method_is_one_that_the_meter_knows():
    for name in METHODS:
        encoders = [m for m in make(name).modules() if isinstance(m, Encoder)]
        assert len(encoders) == (2 if name in UNITS else 1)

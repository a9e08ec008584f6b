"""Separate BatchNorm for clean and hard views: two networks that share all but their norms."""

import copy
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import sparring
from sparring.adversaries import Random
from sparring.dual_norm import DualNorm, with_dual_norms, without_dual_norms
from sparring.encoders import resnet12
from sparring.learner import Learner
from sparring.looks import hardness
from sparring.methods import BYOL, SimSiam
from sparring.randomness import generator_for, seeded
from sparring.recipe import Part, Recipe
from sparring.rounds import Batch
from sparring.transforms import Rotation

PAIRS = (("first", "second"), ("first", "second*"))


def make(dual: bool, method: type = SimSiam) -> Learner:
    with seeded(0):
        built = method(resnet12(width=0.0625))
    return Learner(with_dual_norms(built) if dual else built, Random(Rotation()), pairs=PAIRS).double()


def make_batch(photographs: Tensor) -> Batch:
    views = {"first": photographs, "second": photographs.flip(3)}
    return Batch(views, torch.arange(len(photographs)), 0, 1.0, generator_for(0, 0, stream="adversary"))


@pytest.mark.parametrize("method", [SimSiam, BYOL])
def test_the_round_with_two_networks_written_out(method: type, photographs: Tensor) -> None:
    """Clean views through one network, hard ones through another that shares its convolutions and linear layers."""
    dual, batch = make(True, method), make_batch(photographs)
    clean, hard = make(False, method).method, make(False, method).method
    outcome = dual(batch)
    params = outcome.params["second*"]
    first, second = (clean.encode(view) for view in batch.views.values())
    third = hard.encode(Rotation()(batch.views["second"], params))
    expected = (clean.compare(first, second) + clean.compare(first, third)) / 2
    assert torch.allclose(outcome.comparison, expected, atol=1e-12)
    state = dual.method.state_dict()
    for name, value in clean.state_dict().items():
        if "running" in name:
            stem, _, leaf = name.rpartition(".")
            assert torch.allclose(state[f"{stem}.clean.{leaf}"], value, atol=1e-12)
            assert torch.allclose(state[f"{stem}.hard.{leaf}"], hard.state_dict()[name], atol=1e-12)
    assert not torch.allclose(
        state["encoder.backbone.0.body.1.clean.running_var"], state["encoder.backbone.0.body.1.hard.running_var"]
    )


@pytest.mark.parametrize("running", [False, True])
def test_a_search_sees_both_views_through_the_layers_of_hard_ones(running: bool, photographs: Tensor) -> None:
    dual, batch = make(True), make_batch(photographs)
    hard = make(False).method
    alike = zip(
        (each.hard for each in dual.modules() if isinstance(each, DualNorm)),
        (each for each in hard.modules() if isinstance(each, nn.modules.batchnorm._BatchNorm)),
        strict=True,
    )
    for norms in alike:  # unlike the clean ones, as after some training
        for norm in norms:
            norm.running_mean.add_(0.1)
            if norm.affine:
                nn.init.constant_(norm.weight, 0.5)
    before = copy.deepcopy(dual.state_dict())
    view = dual.hardening("second*", lambda: pytest.fail("the clean layers were asked"), batch, dual.adversary)
    params = torch.full((len(photographs), 1), 0.5).double()
    found = view.turn().hardness(params, running=running)
    hard.train(not running)
    first, second = hard.encode(batch.views["first"]), hard.encode(Rotation()(batch.views["second"], params))
    assert torch.allclose(found, hard.compare(first, second), atol=1e-12)
    assert all(torch.equal(value, before[name]) for name, value in dual.state_dict().items())


def test_a_look_sees_hard_views_through_the_layers_that_a_round_does(photographs: Tensor) -> None:
    dual = make(True)
    for each in (each for each in dual.modules() if isinstance(each, DualNorm) and each.hard.affine):
        nn.init.constant_(each.hard.weight, 0.5)
    embeddings = dual(make_batch(photographs)).embeddings
    figures = hardness(dual, make_batch(photographs))
    for who, view in (("adversary", "second*"), ("clean", "second")):
        expected = dual.method.compare(embeddings["first"], embeddings[view]).mean().item()
        assert figures[f"hardness/{who}"] == pytest.approx(expected, abs=1e-12)


def test_what_is_kept_is_the_clean_network(photographs: Tensor) -> None:
    plain = nn.Sequential(resnet12(width=0.0625), nn.Sequential(nn.Linear(32, 4), nn.BatchNorm1d(4))).double()
    dual = with_dual_norms(copy.deepcopy(plain))
    again = without_dual_norms(dual)
    hard = without_dual_norms(dual, hard=True)
    assert again.state_dict().keys() == hard.state_dict().keys() == plain.state_dict().keys()
    assert dual.state_dict().keys() != plain.state_dict().keys()
    assert torch.equal(again.eval()(photographs), plain.eval()(photographs))


def test_a_run_with_dual_norms_leaves_a_plain_encoder(tmp_path: Path, photographs: Tensor) -> None:
    recipe = Recipe(
        encoder=Part("resnet12", {"width": 0.0625}), dual_norms=True, pairs=PAIRS, epochs=1, batch_size=1000
    )
    run = sparring.train(recipe, run=tmp_path / "run")
    clean, hard = sparring.load_encoder(run), sparring.load_encoder(run / "encoder-hard.safetensors")
    assert clean(photographs.float()).shape == hard(photographs.float()).shape == (len(photographs), 32)
    for name, layer in clean.named_modules():
        if isinstance(layer, nn.Conv2d):
            assert torch.equal(layer.weight, hard.get_parameter(f"{name}.weight"))
        if isinstance(layer, nn.BatchNorm2d):
            assert not torch.equal(layer.running_mean, hard.get_buffer(f"{name}.running_mean"))

"""`sparring bench`: everybody plays, in turns, and what is shown is what was timed."""

import json
import sys
import tomllib
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest
import torch
from runs import refused
from torch import nn

from sparring.bench import clock, peer
from sparring.bench.clock import Times, take_turns
from sparring.bench.contestants import ADVERSARIES, Arena
from sparring.bench.elsewhere import elsewhere
from sparring.bench.limit import flops_of, limit
from sparring.bench.run import Result, measure, random_features
from sparring.cli import main
from sparring.errors import InputError
from sparring.evaluations import Knn
from sparring.recipe import Part, Recipe, from_table
from sparring.training import load_data

SIZE = Recipe(data="sample", image_size=16, batch_size=8, encoder=Part("resnet12", {"width": 0.0625}))


@pytest.fixture(scope="module")
def arena() -> Arena:
    return Arena(load_data(SIZE), SIZE)


def test_all_take_turns_and_the_first_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    now, played = [0.0], []
    monkeypatch.setattr(clock.time, "perf_counter", lambda: now[0])

    def player(name: str, seconds: float):
        def play(steps: int) -> None:
            played.append((name, steps))
            now[0] += steps * seconds + (100 if len(played) <= 2 else 0)  # the first turns warm up

        return play

    times = take_turns({"a": player("a", 0.5), "b": player("b", 2.0)}, repetitions=3, steps=4)
    assert played == [("a", 4), ("b", 4)] * 4
    assert times["a"].seconds == pytest.approx([0.5] * 3)
    assert times["b"].rates(8) == pytest.approx((4, 4, 4))


def test_the_table_holds_what_was_timed() -> None:
    seconds = {"vanilla": (2.0, 1.0, 4.0), "learned": (3.0, 3.0, 3.0), "the limit": (1.0,) * 3, "lightly": (8.0,) * 3}
    result = Result(10, seconds, (1e-3, 3e-3, 2e-3), {"sparring": (4.0,)}, 300, 500.0, 7.0)
    first, second, *_ = result.rows()
    assert first == {
        "contestant": "vanilla", "images_per_second": 5.0, "least": 2.5, "most": 10.0,
        "cost": 1.0, "of_the_limit": 0.5, "over_lightly": 4.0,
    }  # fmt: skip
    assert second["cost"] == 1.5
    figures = result.figures()
    assert figures["microseconds_for_two_views_of_an_image"] == pytest.approx(200)
    assert figures["flops_share_of_a_product_vanilla"] == pytest.approx(300 / 2 / 500)
    assert figures["flops_share_of_a_product_limit"] == pytest.approx(300 / 500)


def test_the_peer_predicts_alike() -> None:
    features = random_features(2000)
    assert torch.equal(Knn().predict(features)[0], peer.lightly_knn(features))


def died() -> None:
    sys.exit(3)


def test_a_contestant_that_dies_ends_the_benchmark() -> None:
    with elsewhere(died) as play, pytest.raises(BrokenProcessPool):
        play(1)


def test_everybody_plays() -> None:
    result = measure(SIZE, recipes=(), peer=True, repetitions=1, steps=1, bank=500)
    assert set(result.seconds_per_step) == {*ADVERSARIES, "the limit", "lightly"}
    assert all(len(values) == 1 and values[0] > 0 for values in result.seconds_per_step.values())
    assert result.seconds_for_knn.keys() == {"sparring", "lightly"}


def test_the_limit_trains_encoder_and_heads(arena: Arena) -> None:
    fit = arena.vanilla()
    before = {name: weight.clone() for name, weight in fit.learner.method.named_parameters()}
    limit(fit)(1)
    moved = {name for name, weight in fit.learner.method.named_parameters() if not torch.equal(weight, before[name])}
    assert moved == before.keys()


def test_operations_are_those_of_every_convolution_and_product_three_times_but_the_first_layers(arena: Arena) -> None:
    """Forward once, backward once for weights and once for inputs; images need no gradient."""
    method, counted = arena.vanilla().learner.method, []

    def count(layer: nn.Module, inputs: tuple, output: torch.Tensor) -> None:
        weight = layer.get_parameter("weight")
        positions = output.numel() // output.shape[1]
        first = isinstance(layer, nn.Conv2d) and layer.in_channels == 3
        counted.append((2 if first else 3) * 2 * positions * weight.numel())

    for layer in method.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.register_forward_hook(count)
    for _ in range(2):
        method.encode(torch.rand(8, 3, 16, 16))
    assert flops_of(arena) == sum(counted)


def test_the_command_keeps_what_it_prints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--recipes", "clae", "--image-size", "16", "--batch-size", "8", "--width", "0.0625"]
    monkeypatch.chdir(tmp_path)
    main(["bench", *words, "--repetitions", "1", "--steps", "1", "--json"])
    printed = json.loads(capsys.readouterr().out)
    (kept,) = tmp_path.glob("bench-2*.json")
    assert printed == json.loads(kept.read_text())
    assert [row["contestant"] for row in printed["table"]] == ["vanilla", "clae", "the limit"]
    assert {"processor", "torch", "commit", "threads"} <= printed["environment"].keys()
    assert from_table(tomllib.loads(printed["recipe"])).encoder == Part("resnet12", {"width": 0.0625})
    assert Times(tuple(printed["seconds_per_step"]["clae"])).rates(8)[0] == pytest.approx(
        printed["table"][1]["images_per_second"]
    )


BAD = {
    "a recipe that is not there": (["--recipes", "clea"], "clae"),
    "no steps": (["--steps", "0"], "at least 1"),
    "more than there are images": (["--batch-size", "100000"], "--batch-size"),
    "a peer that nobody knows": (["--against", "solo"], "lightly"),
    "a folder that is not there": (["--out", "nowhere/b.json"], "nowhere"),
}


@pytest.mark.parametrize(("words", "remedy"), BAD.values(), ids=BAD)
def test_bad_input_is_one_line(words: list[str], remedy: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert remedy in refused(["bench", *words], capsys)


def test_a_peer_that_is_not_installed_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peer, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="pip install lightly"):
        peer.require_lightly()

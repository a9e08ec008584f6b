"""Training as a whole: exact resume, several processes, unlabelled data, what a run leaves behind."""

import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from runs import CLASSES, PER_CLASS, measured, same_weights, small
from safetensors.torch import load_file

import sparring
import sparring.fit
from sparring.assembly import build_learner, context_of
from sparring.batches import Batches
from sparring.datasets import load_dataset
from sparring.errors import InputError
from sparring.evaluations import Collapse, Knn, extract, features_of
from sparring.module_state import synchronised
from sparring.parts import build
from sparring.recipe import Part, Recipe, Views
from sparring.recipe_files import dump_recipe
from sparring.run import Run
from sparring.schedules import count_steps, epoch_order, learning_rate_at, strength_at, views_at


def test_a_run_leaves_all_that_was_promised(folder: Path, tmp_path: Path) -> None:
    run = sparring.train(small(folder), run=tmp_path / "run")
    lines = Run.open(run).metrics()
    training = [line for line in lines if "loss" in line]
    evaluations = [line for line in lines if "knn" in line]
    assert {"step", "epoch", "loss", "images_per_second", "learning_rate", "batch_spread"} <= training[0].keys()
    assert "adversary/colour/r_from_b" in training[0]
    assert [line["epoch"] for line in evaluations] == [0, 1, 2, 3]
    assert {"rankme", "hardness/adversary", "hardness/random", "hardness/clean"} <= evaluations[0].keys()
    assert all(0 <= line["knn"] <= 100 for line in evaluations)
    assert list((run / "events").glob("events.out.tfevents*"))
    assert {file.name for file in (run / "gallery").iterdir()} == {"before.safetensors", "after.safetensors"}
    assert json.loads((run / "environment.json").read_text())["train_images"] == CLASSES * PER_CLASS


def test_the_saved_encoder_gives_the_trained_features(folder: Path, tmp_path: Path) -> None:
    run = sparring.train(small(folder, epochs=1), run=tmp_path / "run")
    encoder = sparring.load_encoder(run)
    assert not encoder.training
    state = torch.load(run / "last.ckpt", weights_only=True)["learner"]
    for name, value in encoder.state_dict().items():
        assert torch.equal(value, state[f"method.encoder.{name}"]), name
    assert encoder(torch.rand(2, 3, 16, 16)).shape == (2, encoder.feature_size)


REMEMBERED = {"opponent": {"name": "policy", "levels": 3}, "every": 2, "size": 2}

RESUMED: dict[str, dict[str, Any]] = {
    "learned": {},
    "a step that is looked at": {"hardness_every": 4},
    "replay": {"adversary": Part("replay", REMEMBERED)},
    "growing sides": {"image_size": 32, "views": Views(sides=(16, 24, 32))},
}


@pytest.mark.parametrize("case", RESUMED)
def test_interrupted_by_ctrl_c_and_resumed_equals_uninterrupted(
    case: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = small(folder, **RESUMED[case])
    whole = sparring.train(recipe, run=tmp_path / "whole")
    original = sparring.fit.Fit.round

    def interrupted(fit: Any) -> Any:
        outcome = original(fit)
        if fit.step == 8:  # in the middle of an epoch of 5 steps, after an uneven number of logged steps
            os.kill(os.getpid(), signal.SIGINT)
        return outcome

    monkeypatch.setattr(sparring.fit.Fit, "round", interrupted)
    with pytest.raises(KeyboardInterrupt, match="--resume"):
        sparring.train(recipe, run=tmp_path / "parts")
    monkeypatch.undo()
    with pytest.raises(sparring.InputError, match=f"expected epochs = {recipe.epochs}, as the run began, got 99"):
        sparring.train(replace(recipe, epochs=99), resume=tmp_path / "parts")
    sparring.train(replace(recipe, data_root=str(tmp_path)), resume=tmp_path / "parts")
    assert Run(tmp_path / "parts").recipe().data_root == str(tmp_path)
    assert measured(tmp_path / "parts") == measured(whole)
    assert same_weights(tmp_path / "parts", whole)


@pytest.mark.parametrize("wait_for", ["metrics.jsonl", "last.ckpt"])
def test_killed_and_resumed_equals_uninterrupted(folder: Path, tmp_path: Path, wait_for: str) -> None:
    recipe = small(folder, epochs=12)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    (tmp_path / "recipe.toml").write_text(dump_recipe(recipe))
    command = [sys.executable, "-m", "sparring", "train", "--recipe", str(tmp_path / "recipe.toml"), "--run"]
    process = subprocess.Popen([*command, str(killed)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 120
    while not (killed / wait_for).exists() and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    _, said = process.communicate()
    assert process.returncode == -signal.SIGKILL, said.decode()
    assert not Run.open(killed).finished
    subprocess.run(
        [sys.executable, "-m", "sparring", "train", "--resume", str(killed)], check=True, capture_output=True
    )
    subprocess.run([*command, str(whole)], check=True, capture_output=True)
    assert measured(killed) == measured(whole)
    assert same_weights(killed, whole)


def test_data_that_changed_since_is_refused(folder: Path, tmp_path: Path) -> None:
    run = sparring.train(small(folder, epochs=1), run=tmp_path / "run")
    (run / "encoder.safetensors").unlink()
    state = torch.load(run / "last.ckpt", weights_only=True)
    torch.save({**state, "images": 61}, run / "last.ckpt")
    before = measured(run)
    with pytest.raises(sparring.InputError, match="expected the 61 training images it began with, got 60 others"):
        sparring.train(resume=run)
    torch.save({**state, "digest": "of others"}, run / "last.ckpt")
    with pytest.raises(sparring.InputError, match="expected the 60 training images it began with, got 60 others"):
        sparring.train(resume=run)
    assert measured(run) == before
    with pytest.raises(sparring.InputError, match="goes on in the run's own folder; leave run and overwrite out"):
        sparring.train(run=tmp_path / "other", resume=run)
    kept = {name: (run / name).read_bytes() for name in ("recipe.toml", "environment.json")}
    torch.save(state, run / "last.ckpt")
    other = shutil.copytree(folder, tmp_path / "other")
    (other / "train" / "class0" / "0.png").rename(other / "train" / "class0" / "a.png")
    with pytest.raises(sparring.InputError, match="expected the 60 training images it began with, got 60 others"):
        sparring.train(small(other, epochs=1), resume=run)
    for image in [*(other / "train").glob("class*/1?.png"), *(other / "train").glob("class*/[2-9].png")]:
        image.unlink()
    with pytest.raises(sparring.InputError, match="expected the 60 training images it began with, got 6 others"):
        sparring.train(small(other, epochs=1), resume=run)  # though they are less than a batch
    assert {name: (run / name).read_bytes() for name in kept} == kept
    (run / "last.ckpt").unlink()
    with pytest.raises(sparring.InputError, match=r"expected data = .*, as the run began, got .*other"):
        sparring.train(small(other, epochs=1), resume=run)


def test_a_run_goes_on_where_its_images_have_moved(folder: Path, tmp_path: Path) -> None:
    whole = sparring.train(small(folder, epochs=1), run=tmp_path / "whole")
    run = sparring.train(small(folder, epochs=1), run=tmp_path / "run")
    (run / "encoder.safetensors").unlink()
    moved = shutil.copytree(folder, tmp_path / "moved")
    sparring.train(small(moved, epochs=1), resume=run)
    assert same_weights(run, whole)
    assert Run(run).recipe().data == str(moved)
    (run / "encoder.safetensors").unlink()
    with pytest.raises(sparring.InputError, match="expected epochs = 1, as the run began, got 2"):
        sparring.train(small(moved, epochs=2), resume=run)


def test_another_seed_gives_another_run_and_the_same_seed_the_same(folder: Path, tmp_path: Path) -> None:
    runs = [sparring.train(small(folder, epochs=1, seed=s), run=tmp_path / f"{i}") for i, s in enumerate((0, 0, 1))]
    assert measured(runs[0]) == measured(runs[1])
    assert measured(runs[0]) != measured(runs[2])


def test_training_leaves_the_global_generator_alone(folder: Path, tmp_path: Path) -> None:
    torch.manual_seed(3)
    expected = torch.random.get_rng_state()
    sparring.train(small(folder, epochs=1), run=tmp_path / "run")
    sparring.load_encoder(tmp_path / "run")
    assert torch.equal(torch.random.get_rng_state(), expected)


def test_without_labels_all_but_knn_is_measured(folder: Path, tmp_path: Path) -> None:
    flat = tmp_path / "flat"
    flat.mkdir()
    for i, file in enumerate(sorted((folder / "train").rglob("*.png"))):
        (flat / f"{i}.png").write_bytes(file.read_bytes())
    run = sparring.train(small(flat, epochs=1), run=tmp_path / "run")
    lines = Run.open(run).metrics()
    assert not any("knn" in line for line in lines)
    assert all(np.isfinite(line["rankme"]) for line in lines if "hardness/adversary" in line)


def test_an_adversary_of_strength_0_equals_none(folder: Path, tmp_path: Path) -> None:
    skipped = sparring.train(small(folder, epochs=1, strength=0.0), run=tmp_path / "skipped")
    none = sparring.train(small(folder, epochs=1, adversary=Part("none")), run=tmp_path / "none")
    assert same_weights(skipped, none)


UNCHANGED = Views(crop_scale=(1.0, 1.0), crop_ratio=(1.0, 1.0), flip=0.0, jitter=0.0, grey=0.0)


def test_two_processes_equal_one_on_the_union_batch(folder: Path, tmp_path: Path) -> None:
    """NT-Xent gathers its negatives with gradient; the model has no BatchNorm and the views no chance in them."""
    recipe = small(
        folder,
        epochs=2,
        hardness_every=3,
        views=UNCHANGED,
        precision="32",
        encoder=Part.of("timm:test_vit"),
        image_size=160,
        method=Part("simclr", {"batch_norm": False, "hidden": 16, "projection": 8}),
        transform=Part("rotation"),
    )
    one, two = tmp_path / "one", tmp_path / "two"
    sparring.train(recipe, run=one)
    (tmp_path / "recipe.toml").write_text(dump_recipe(recipe))
    command = [sys.executable, "-m", "sparring", "train", "--recipe", str(tmp_path / "recipe.toml"), "--devices", "2"]
    done = subprocess.run([*command, "--run", str(two)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("encoder.safetensors") == 1, "one rank speaks for all"
    assert json.loads((two / "environment.json").read_text())["processes"] == 2
    steps = [line["step"] for line in Run.open(two).metrics() if "knn" in line]
    assert steps == sorted(set(steps)), "kNN is to be computed once, not once a rank"
    for alone, shared in zip(_looks(one), _looks(two), strict=True):
        assert shared == pytest.approx(alone, rel=1e-3)
    first, second = load_file(one / "encoder.safetensors"), load_file(two / "encoder.safetensors")
    untrained_distance = max((first[name].float()).abs().max().item() for name in first)
    for name in first:
        assert torch.allclose(first[name], second[name], atol=1e-5 * max(1.0, untrained_distance)), name


def test_ranks_share_out_what_is_evaluated(folder: Path, tmp_path: Path) -> None:
    """kNN of two processes is that of the saved encoder, although each has BatchNorm statistics of its own."""
    (tmp_path / "recipe.toml").write_text(dump_recipe(small(folder, epochs=1)))
    command = [sys.executable, "-m", "sparring", "train", "--recipe", str(tmp_path / "recipe.toml"), "--devices", "2"]
    subprocess.run([*command, "--run", str(tmp_path / "run")], check=True, capture_output=True, timeout=300)
    data = load_dataset(str(folder), image_size=16)
    features = features_of(data, partial(extract, sparring.load_encoder(tmp_path / "run")))
    evaluated = measured(tmp_path / "run")[-1]
    expected = {**Knn()(features), **Collapse()(features)}
    assert {name: evaluated[name] for name in expected} == pytest.approx(expected, rel=1e-5)


def _looks(run: Path) -> list[dict[str, float]]:
    """What does not depend on who else is in a rank's share: all but the draws of chance, and strangers."""
    lines = [line for line in measured(run) if "hardness/clean" in line]
    assert {line["step"] for line in lines} == {0, 3, 5, 6, 9, 10}
    return [{key: value for key, value in line.items() if key in ("step", *COMMON)} for line in lines]


COMMON = ("hardness/adversary", "hardness/clean", "alignment", "negatives/adversary/false_weight")


def test_schedules() -> None:
    recipe = Recipe(epochs=10, batch_size=512, learning_rate=0.03, warmup=2, ramp=4, strength=0.5)
    rates = [learning_rate_at(recipe, step, 5) for step in range(50)]
    assert rates[:10] == pytest.approx([0.06 * (i + 1) / 10 for i in range(10)])
    assert rates[30] == pytest.approx(0.03)  # halfway between warm-up and end
    assert rates[49] < 1e-3 < rates[45]
    uneven = [learning_rate_at(replace(recipe, warmup=0.3), step, 4) for step in range(4)]
    assert uneven[:2] == pytest.approx([0.06 / 1.2, 0.06]), "a warm-up that ends within a step stops at the top"
    assert max(uneven) <= 0.06
    strengths = [strength_at(recipe, step, 5) for step in (0, 10, 20, 40)]
    assert strengths == pytest.approx([0, 0.25, 0.5, 0.5])
    assert sorted(epoch_order(20, 0, 3).tolist()) == list(range(20))
    assert epoch_order(20, 0, 3).tolist() != epoch_order(20, 0, 4).tolist()


def test_weakening_views_fall_in_steps() -> None:
    with pytest.raises(InputError, match=r"views_anneal: expected less than the 10 epochs .*, got 10; try .* 1$"):
        count_steps(Recipe(epochs=10, views_anneal=10), 1000, 1)
    recipe = Recipe(epochs=10, views_anneal=2)
    hues = [views_at(recipe, 5 * epoch, 5).hue for epoch in range(10)]
    assert hues == pytest.approx([0.1, 0.1, 0.08, 0.08, 0.06, 0.06, 0.04, 0.04, 0.02, 0.02])
    assert views_at(recipe, 50, 5) == views_at(recipe, 49, 5)  # the look after the last step
    assert views_at(Recipe(), 10**6, 5) == Views()


def test_a_look_does_not_put_equals_side_by_side(folder: Path) -> None:
    images = load_dataset(str(folder), image_size=16).train
    assert images.labels is not None
    assert images.labels.diff().min() >= 0  # class by class, as folders are read
    batches = Batches(small(folder, batch_size=30), images, torch.device("cpu"))
    labels = batches.labels(batches.look(0))
    assert labels is not None
    assert labels.bincount().tolist() == [10, 10, 10]
    assert (labels == labels.roll(1)).float().mean() < 0.6


def test_sides_of_views_each_take_an_equal_part_of_training(folder: Path) -> None:
    recipe = small(folder, epochs=4, views=Views(sides=(8, 12, 16, 16)))
    batches = Batches(recipe, load_dataset(str(folder), image_size=16).train, torch.device("cpu"))
    sides = [batches.training(step).views["second"].shape[-1] for step in range(4 * batches.steps_per_epoch)]
    assert sides == [side for side in (8, 12, 16, 16) for _ in range(batches.steps_per_epoch)]
    assert {view.shape[-1] for view in batches.look(10**6).views.values()} == {16}  # after the last step


@pytest.mark.parametrize(("whole", "pixels"), [(32, (16, 24, 32, 40)), (64, (32, 48, 64, 40)), (28, (14, 21, 28, 40))])
def test_sides_up_to_1_are_shares_of_the_images(whole: int, pixels: tuple[int, ...]) -> None:
    assert Views(sides=(0.5, 0.75, 1, 40)).sides_in(whole) == pixels


@pytest.mark.parametrize("side", [0.0, -0.5, 1.5, math.nan, math.inf])
def test_sides_that_are_neither_shares_nor_pixels_are_refused(side: float) -> None:
    with pytest.raises(InputError, match=r"views\.sides: expected"):
        Views(sides=(0.5, side))


def test_chance_and_searches_take_views_of_any_size(folder: Path, tmp_path: Path) -> None:
    searched = {"adversary": Part("search"), "transform": Part("pixels"), "pairs": (("image", "second*"),)}
    run = sparring.train(small(folder, epochs=1, views=Views(sides=(24, 16)), **searched), run=tmp_path / "run")
    assert Run.open(run).finished


REFUSED_SIDES: dict[str, tuple[dict[str, Any], str]] = {
    "too small": ({"views": Views(sides=(16, 8))}, "resnet12.* got 8"),
    "a picture": ({"views": Views(sides=(24,)), "transform": Part("pixels")}, "pixels.* got 24"),
    "a picture in a chain": (
        {"views": Views(sides=(24,)), "transform": Part("chain", {"parts": ["rotation", "pixels"]})},
        "chain.* got 24",
    ),
    "a painter": ({"views": Views(sides=(32,)), "transform": Part("mask"), "adversary": Part("unet")}, "unet.* got 32"),
}


@pytest.mark.parametrize("case", REFUSED_SIDES)
def test_sides_that_cannot_be_are_refused_before_training(case: str, folder: Path, tmp_path: Path) -> None:
    changes, said = REFUSED_SIDES[case]
    with pytest.raises(InputError, match=said):
        sparring.train(small(folder, **changes), run=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_replayed_batch_shows_the_same_views_again(folder: Path, tmp_path: Path) -> None:
    """With an encoder that stands still, the loss repeats within a replay and changes between batches."""
    still = {"learning_rate": 0.0, "weight_decay": 0.0, "log_every": 1, "epochs": 1, "adversary": Part("none")}
    run = sparring.train(small(folder, replays=2, precision="32", **still), run=tmp_path / "run")
    losses = [line["loss"] for line in measured(run) if "loss" in line]
    assert len(losses) == 2 * (CLASSES * PER_CLASS // 12)
    assert losses[0::2] == losses[1::2]
    assert len(set(losses)) == len(losses) // 2


def test_a_lazy_adversary_moves_every_few_steps(folder: Path, tmp_path: Path) -> None:
    recipe = small(folder, epochs=1, adversary_every=3, adversary_learning_rate=0.1)
    weights: list[torch.Tensor] = []
    original = sparring.fit.Fit.round
    with pytest.MonkeyPatch.context() as patch:

        def watched(fit: Any) -> Any:
            outcome = original(fit)
            weights.append(fit.learner.adversary.head.weight.detach().clone())
            return outcome

        patch.setattr(sparring.fit.Fit, "round", watched)
        sparring.train(recipe, run=tmp_path / "run")
    moved = [not torch.equal(a, b) for a, b in pairwise(weights)]
    assert moved == [False, False, True, False]


def test_a_loss_that_is_no_number_stops_training_and_keeps_the_record_readable(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(sparring.InputError, match="smaller --learning-rate"):
        sparring.train(small(folder, learning_rate=1e30, precision="32", log_every=1), run=tmp_path / "run")
    for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines():
        assert "NaN" not in line
        json.loads(line)


@pytest.mark.parametrize("changes", [{"strength": 0.5}, {"ramp": 2.0}])
def test_a_transform_without_identity_has_no_strengths_in_between(changes: dict[str, Any], folder: Path) -> None:
    """Scaled logits lead to grey, not to the image."""
    grey = Part("chain", {"parts": ["rotation", {"name": "colour", "space": "softmax"}]})
    recipe = small(folder, transform=grey, **changes)
    with pytest.raises(InputError, match=r"strength, ramp: expected .* identity"):
        build_learner(recipe, context_of(load_dataset(str(folder), image_size=16)))
    for allowed in (
        {"transform": Part("rotation"), **changes},
        {"transform": grey},
        {"transform": grey, "strength": 0},
    ):
        build_learner(small(folder, **allowed), context_of(load_dataset(str(folder), image_size=16)))


@pytest.mark.parametrize("spoilt", ["loss", "weights"])
def test_numbers_that_are_none_are_neither_saved_nor_measured(
    spoilt: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between two log lines the clock may ask for a checkpoint, and an epoch may end."""
    monkeypatch.setattr("sparring.fit.CHECKPOINT_SECONDS", 0.0)
    original = sparring.fit.Fit.round

    def spoiled(fit: Any) -> Any:
        outcome = original(fit)
        if fit.step == 3 and spoilt == "loss":
            fit.monitor.losses.add(torch.tensor(math.nan))
        elif fit.step == 3:
            next(fit.learner.method.parameters()).data[0] = math.nan
        return outcome

    monkeypatch.setattr(sparring.fit.Fit, "round", spoiled)
    with pytest.raises(InputError, match=r"at epoch 0\.6, so training stops; what was saved before is kept"):
        sparring.train(small(folder, log_every=100), run=tmp_path / "run")
    run = Run.open(tmp_path / "run")
    state = run.load_checkpoint(run.recipe())
    assert state is not None
    assert state["step"] == 2
    assert all(value.isfinite().all() for value in state["learner"].values() if isinstance(value, torch.Tensor))
    monkeypatch.setattr("sparring.fit.CHECKPOINT_SECONDS", 60.0)
    with pytest.raises(InputError, match="so training stops"):
        sparring.train(small(folder, log_every=100), run=tmp_path / "measured")
    assert all("knn" not in line for line in measured(tmp_path / "measured") if line["step"])


def test_features_too_large_to_measure_stop_training_with_one_line(folder: Path, tmp_path: Path) -> None:
    """One step an epoch: the update before the first evaluation leaves weights that are finite and useless."""
    recipe = small(folder, learning_rate=1e30, precision="32", batch_size=60, method=Part("simclr"))
    with pytest.raises(InputError, match=r"so training stops; .* try a smaller --learning-rate"):
        sparring.train(recipe, run=tmp_path / "run")


def test_converting_norms_keeps_the_activations_that_timm_puts_inside() -> None:
    encoder = build("encoder", Part.of("timm:mobilenetv3_small_050"), {"image_shape": (3, 32, 32)}).eval()
    images = torch.rand(2, 3, 32, 32)
    expected = encoder(images)
    converted = synchronised(encoder).eval()
    assert any(isinstance(module, torch.nn.SyncBatchNorm) for module in converted.modules())
    assert torch.allclose(converted(images), expected, atol=1e-5)


def test_gradients_that_nccl_cannot_sum_are_refused_on_several_gpus(folder: Path) -> None:
    data = load_dataset(str(folder))
    own = {"encoder": Part("resnet12", {"width": 0.0625}), "transform": Part("pixels")}
    free, learned = (
        build_learner(Recipe(adversary=Part(name), **own), context_of(data)) for name in ("free", "learned")
    )
    with pytest.raises(InputError, match=r"got the adversary free, .*; try --devices 1"):
        sparring.fit.for_nccl(free, "free")
    norms = {type(module) for module in sparring.fit.for_nccl(learned, "learned").method.encoder.modules()}
    assert torch.nn.SyncBatchNorm in norms
    assert torch.nn.BatchNorm2d not in norms

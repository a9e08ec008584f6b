"""A step of training against torch's own optimisers, and what belongs to a step alone."""

import math
from pathlib import Path

import pytest
import torch
from lightning_fabric import Fabric
from runs import small

from sparring.assembly import build_learner, context_of
from sparring.batches import Batches
from sparring.datasets import Images, load_dataset
from sparring.fit import Fit
from sparring.randomness import seeded
from sparring.recipe import Part, Recipe, Views
from sparring.rounds import Outcome
from sparring.run import Run


def make(recipe: Recipe, folder: Path) -> Fit:
    folder.mkdir()
    data = load_dataset(recipe.data, image_size=16)
    return Fit(recipe, data, Fabric(accelerator="cpu", devices=1), Run(folder))


def test_steps_written_with_a_plain_loop(folder: Path, tmp_path: Path) -> None:
    """SGD with momentum and decay descends by half a cosine, Adam ascends at its own rate every other step."""
    byol = Part("byol", {"hidden": 16, "projection": 8})
    rates = {"learning_rate": 0.5, "momentum": 0.8, "weight_decay": 0.1, "adversary_learning_rate": 0.02}
    recipe = small(folder, epochs=1, precision="32", method=byol, adversary_every=2, **rates)
    fit = make(recipe, tmp_path / "run")
    with seeded(recipe.seed, "weights"):
        twin = build_learner(recipe, context_of(fit.data)).to(memory_format=torch.channels_last)
    descend = torch.optim.SGD(twin.method.parameters(), momentum=0.8, weight_decay=0.1)
    ascend = torch.optim.Adam(twin.adversary.parameters(), lr=0.02, maximize=True)
    for step in range(4):
        fit.round()
        descend.param_groups[0]["lr"] = 0.5 * 12 / 256 * (1 + math.cos(math.pi * step / 5)) / 2
        outcome = twin(fit.batches.training(step))
        outcome.loss.backward()
        descend.step()
        if step % 2 == 0:
            ascend.step()
        descend.zero_grad()
        ascend.zero_grad()
        twin.after_step(outcome)
    for name, value in twin.state_dict().items():
        torch.testing.assert_close(fit.learner.state_dict()[name], value, rtol=1e-3, atol=1e-5, msg=name)


def test_layers_with_chance_draw_anew_in_each_step_and_rank_and_alike_after_a_resume(
    folder: Path, tmp_path: Path
) -> None:
    fit, draws = make(small(folder, adversary=Part("none")), tmp_path / "run"), []
    fit.learner.method.projector.register_forward_hook(lambda *_: draws.append(torch.rand(()).item()))
    for rank, step in ((0, 0), (0, 1), (1, 1), (0, 1)):
        fit.rank, fit.step = rank, step
        fit.round()
    drawn = draws[::2]  # of the first view
    assert drawn[1] == drawn[3]
    assert len(set(drawn)) == 3


def logged(fit: Fit) -> tuple[Outcome, dict[str, float]]:
    """The second round, and the line that is logged after it."""
    with fit.monitor.display_from(0):
        fit.monitor.pace.restart(0)
        fit.round()
        outcome = fit.round()
        fit.monitor.log(fit.step, outcome, 0.1)
    return outcome, fit.run.metrics()[-1]


def test_a_line_of_the_log_tells_the_cost_of_its_own_step(folder: Path, tmp_path: Path) -> None:
    """Two passes forward and two, at twice their cost, back; not those of both rounds."""
    assert logged(make(small(folder), tmp_path / "run"))[1]["cost"] == 6


def test_the_log_tells_of_choices_at_the_strength_that_was_played(folder: Path, tmp_path: Path) -> None:
    """The second of five steps over which the strength rises from 0."""
    recipe = small(folder, ramp=1, adversary=Part("random"), transform=Part("rotation", {"degrees": 40}))
    outcome, line = logged(make(recipe, tmp_path / "run"))
    angles = 0.2 * 40 * outcome.params["second*"]
    assert line["adversary/rotation/degrees"] == pytest.approx(angles.mean().item(), rel=1e-4)
    assert line["spread/rotation/degrees"] == pytest.approx(angles.std(correction=0).item(), rel=1e-4)


def test_ranks_draw_views_and_opponents_of_their_own() -> None:
    """Of one image in all places, so that chance alone can tell the ranks apart."""
    pixels = torch.arange(768, dtype=torch.uint8).view(1, 3, 16, 16).repeat(60, 1, 1, 1)
    images, recipe = Images(pixels, None, ()), Recipe(batch_size=12)
    one, other = (Batches(recipe, images, torch.device("cpu"), rank=rank, ranks=2).training(0) for rank in (0, 1))
    assert not torch.equal(one.views["first"], other.views["first"])
    assert torch.rand(1, generator=one.generator) != torch.rand(1, generator=other.generator)


def test_sides_do_not_change_within_a_replay(folder: Path) -> None:
    recipe = small(folder, epochs=1, replays=3, views=Views(sides=(8, 16)))
    batches = Batches(recipe, load_dataset(str(folder), image_size=16).train, torch.device("cpu"))
    sides = [batches.training(step).views["second"].shape[-1] for step in range(15)]
    assert sides == [8] * 9 + [16] * 6


def test_an_evaluation_tells_what_the_image_explains_from_chance(folder: Path, tmp_path: Path) -> None:
    """It looks at several draws of the views of the same images: with one draw the image would explain all of it."""
    fit = make(small(folder, adversary=Part("random"), transform=Part("rotation")), tmp_path / "run")
    with fit.monitor.display_from(0):
        fit.monitor.evaluate(0)
    assert fit.run.metrics()[-1]["parameters/by_image"] < 0.5

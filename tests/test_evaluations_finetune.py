"""Fine-tuning against a plain loop with torch's own scheduler, and what it must leave alone."""

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sparring.batches import Batches
from sparring.datasets import DataSet, Images
from sparring.encoders import resnet12
from sparring.evaluations import FineTune, Linear, Subject, finetune
from sparring.evaluations.finetune import train_on_labels
from sparring.randomness import generator_for
from sparring.recipe import Recipe, Views
from sparring.schedules import epoch_order
from sparring.views import base_view

VIEWS = Views(jitter=0.0, grey=0.0)


@pytest.fixture
def images(photographs: Tensor) -> Images:
    pixels = (255 * torch.cat([photographs, photographs.flip(1)])).byte()
    return Images(pixels, torch.arange(len(pixels)) % 3, ("a", "b", "c"))


@pytest.fixture
def model() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(resnet12(width=0.0625), nn.Linear(32, 3))


def test_training_written_with_a_plain_loop(images: Images, model: nn.Module) -> None:
    recipe = Recipe(
        epochs=2, batch_size=8, learning_rate=0.1, weight_decay=0.01, seed=3, pairs=(("first", "first"),), views=VIEWS
    )
    twin = nn.Sequential(resnet12(width=0.0625), nn.Linear(32, 3))
    twin.load_state_dict(model.state_dict())
    train_on_labels(model, Batches(recipe, images, torch.device("cpu")), recipe, torch.float32)

    optimiser = torch.optim.SGD(twin.parameters(), lr=0.1 * 8 / 256, momentum=0.9, weight_decay=0.01, nesterov=True)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: (1 + math.cos(math.pi * step / 6)) / 2)
    assert images.labels is not None
    for step in range(6):
        chosen = epoch_order(24, 3, step // 3)[8 * (step % 3) :][:8]
        view = base_view(images.pixels[chosen], VIEWS, generator_for(3, step, 0, "training/first"))
        optimiser.zero_grad()
        F.cross_entropy(twin(view), images.labels[chosen]).backward()
        optimiser.step()
        scheduler.step()
    for name, value in twin.state_dict().items():
        torch.testing.assert_close(model.state_dict()[name], value, rtol=1e-3, atol=1e-4, msg=name)


def test_the_run_s_encoder_stays_as_it_is_and_colours_are_left_out(
    images: Images, model: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Recipe] = []
    sizes: list[int] = []

    def noted(tuned: nn.Module, batches: Batches, recipe: Recipe, precision: torch.dtype) -> None:
        seen.append(recipe)
        sizes.append(len(batches.images))
        train_on_labels(tuned, batches, recipe, precision)

    monkeypatch.setattr(finetune, "train_on_labels", noted)
    encoder = model[0].eval()
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    views = Views(crop_scale=(0.5, 1.0), hue=0.3, sides=(16,))
    subject = Subject(encoder, DataSet("photographs", images, images), views, Linear().fit)
    figures = FineTune(shares=(0.25, 1.0), epochs=1)(subject)
    assert figures.keys() == {"finetune/share=0.25", "finetune/share=1"}
    assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())
    assert sizes == [6, 24]  # two of eight images of each class
    assert [recipe.batch_size for recipe in seen] == sizes
    assert seen[0].views == replace(views, jitter=0.0, grey=0.0, sides=())

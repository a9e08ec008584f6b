"""The whole network trained on labels, from where the run left it."""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from functools import partial

import torch
import torch.nn.functional as F
from torch import nn
from torch.optim import SGD

from sparring.batches import Batches
from sparring.evaluations.confusion import percent_right
from sparring.evaluations.features import extract
from sparring.evaluations.stratified import draw_stratified, of_share
from sparring.evaluations.subject import Inspection, Subject
from sparring.randomness import generator_for, seeded
from sparring.recipe import Recipe
from sparring.schedules import learning_rate_at
from sparring.schema import TINY, check_each


class FineTune(Inspection):
    """Percent of test images that encoder and a linear layer recognise after training both on labels.

    Cross-entropy, SGD with Nesterov's momentum 0.9 and a cosine to 0, on the run's crops and flips without its colours;
    in the run's own precision; the figure is that of the last epoch. The run's encoder stays as it is.

    Args:
        shares: of each class's labels, in (0, 1]; one figure for each.
        epochs: passes over the labelled images.
        learning_rate: per 256 images.
        weight_decay: of all weights.
        batch_size: images per step, or all where there are fewer.
        seed: decides which labels are shown, the layer's start and the crops.

    Source: the protocol of Chen et al. 2020, "A Simple Framework for Contrastive Learning", appendix B.8.2 (0.05 per
    256 images; for 1 % and 10 % of the labels B.5 takes 60 and 30 epochs without weight decay).
    """

    def __init__(
        self,
        *,
        shares: Sequence[float] = (1.0,),
        epochs: int = 10,
        learning_rate: float = 0.05,
        weight_decay: float = 0.0,
        batch_size: int = 128,
        seed: int = 0,
    ) -> None:
        check_each("finetune: shares", shares, TINY, 1)
        self.shares = tuple(shares)
        self.recipe = Recipe(
            epochs=epochs,
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            batch_size=batch_size,
            seed=seed,
            pairs=(("first", "first*"),),  # one base view, and no look needs another
        )

    def __call__(self, subject: Subject) -> dict[str, float]:
        if not subject.labelled:
            return {}
        return {f"finetune/share={share:g}": self._accuracy(subject, share) for share in self.shares}

    def _accuracy(self, subject: Subject, share: float) -> float:
        images, test = subject.data.train, subject.data.test
        assert images.labels is not None
        assert test is not None
        assert test.labels is not None
        generator = generator_for(self.recipe.seed, 0, 0, "finetune")
        places = draw_stratified(images.labels, partial(of_share, share), generator)
        shown = images.select(places)
        views = replace(subject.views, jitter=0.0, grey=0.0, sides=())
        steps = -(-len(shown) // self.recipe.batch_size)  # as many batches as it takes, of one size: few are left over
        recipe = replace(self.recipe, views=views, batch_size=max(2, len(shown) // steps))
        with seeded(recipe.seed, "finetune"):
            classes = max(int(images.labels.max()), int(test.labels.max())) + 1
            head = nn.Linear(subject.features.bank.shape[1], classes)
        model = nn.Sequential(deepcopy(subject.encoder), head).to(subject.device).to(memory_format=torch.channels_last)
        train_on_labels(model, Batches(recipe, shown, subject.device), recipe, subject.precision)
        return percent_right(test.labels, extract(model, test.pixels, device=subject.device).argmax(dim=1))


def train_on_labels(model: nn.Module, batches: Batches, recipe: Recipe, precision: torch.dtype) -> None:
    """Train all weights of a classifier of images on the cross-entropy of the batches' first views."""
    optimiser = SGD(
        model.parameters(),
        lr=0.0,
        momentum=recipe.momentum,
        weight_decay=recipe.weight_decay,
        nesterov=True,
        fused=True,
    )
    enabled = precision is torch.bfloat16
    with seeded(recipe.seed, "finetune/layers"):
        for step in range(recipe.epochs * batches.steps_per_epoch):
            batch = batches.training(step)
            labels = batches.labels(batch)
            assert labels is not None
            optimiser.param_groups[0]["lr"] = learning_rate_at(recipe, step, batches.steps_per_epoch)
            images = batch.views["first"].contiguous(memory_format=torch.channels_last)
            with torch.autocast(batches.device.type, dtype=torch.bfloat16, enabled=enabled):
                logits = model.train()(images)
            F.cross_entropy(logits.float(), labels).backward()
            optimiser.step()
            optimiser.zero_grad()

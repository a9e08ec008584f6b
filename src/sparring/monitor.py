"""What is measured while a run trains: written into its folder, shown, and stopped at if it is not finite."""

import math
from collections.abc import Mapping
from functools import cached_property, partial
from typing import NoReturn

import torch
from jaxtyping import Float
from torch import Tensor

from sparring.alarms import alarms
from sparring.batches import Batches
from sparring.datasets import DataSet
from sparring.errors import InputError
from sparring.evaluations import Collapse, Knn, extract, features_of
from sparring.evaluations.collapse import spread
from sparring.files import write_json
from sparring.gather import all_reduce_mean, all_reduce_sum, broadcast_buffers, gather, rank, ranks, unshard
from sparring.learner import Learner
from sparring.looks import choices, described, gallery, hardness, nearest_table, together
from sparring.module_state import is_finite
from sparring.progress import Display, Pace
from sparring.randomness import seeded
from sparring.recipe import Recipe
from sparring.rounds import Outcome
from sparring.run import Run
from sparring.schedules import strength_at

CHOICE_DRAWS = 4
HARDNESS_BATCHES = 8
"""Without an image in common, where there are as many: what chance makes of a single one is as large as many a lead."""
REMEDY = "what was saved before is kept; try a smaller --learning-rate"


class LossLog:
    """A rank's own losses since the last line of the log; mean and state are of all ranks, which must all ask."""

    def __init__(self, device: torch.device) -> None:
        self.total, self.steps = torch.zeros(1, device=device), 0

    def add(self, loss: Float[Tensor, ""]) -> None:
        """A step's."""
        self.total, self.steps = self.total + loss, self.steps + 1

    def clear(self) -> None:
        """After a line of the log."""
        self.total, self.steps = torch.zeros_like(self.total), 0

    def mean(self) -> float:
        """Over steps and ranks; 0 where there are none."""
        return all_reduce_sum(self.total).item() / (self.steps * ranks()) if self.steps else 0.0

    def state(self) -> tuple[Float[Tensor, " ranks"], int]:
        """What a checkpoint keeps: each rank's sum, and of how many steps."""
        return unshard(self.total, ranks()), self.steps

    def load(self, state: tuple[Float[Tensor, " ranks"], int]) -> None:
        """Go on with this rank's sum, or with the mean of all if there were more or fewer ranks."""
        totals, self.steps = state
        own = totals[rank() : rank() + 1] if len(totals) == ranks() else totals.mean(dim=0, keepdim=True)
        self.total = own.to(self.total.device)


class Monitor:
    """Logs, looks and evaluations of one run; all ranks must ask, and training goes on as if nobody had looked."""

    def __init__(self, recipe: Recipe, data: DataSet, batches: Batches, learner: Learner, run: Run) -> None:
        self.recipe, self.data, self.batches, self.learner, self.run = recipe, data, batches, learner, run
        self.device, self.rank = batches.device, batches.rank
        self.evaluations = (Knn(recipe.knn_k, recipe.knn_t), Collapse())
        self.losses, self.pace, self.latest = LossLog(self.device), Pace(), dict[str, float]()

    def display_from(self, step: int) -> Display:
        """The live line, to be entered before anything is measured."""
        steps = self.recipe.epochs * self.batches.steps_per_epoch
        self.display = Display(self.recipe.epochs, steps, step, visible=self.rank == 0)
        return self.display

    def log(self, step: int, outcome: Outcome, learning_rate: float) -> None:
        """A line of the training log: the losses since the last one, and what the adversary chose in this round."""
        features = gather(next(iter(outcome.embeddings.values())).features)
        strength = strength_at(self.recipe, step - 1, self.batches.steps_per_epoch)
        paid = {f"penalty/{name}": penalty.item() for name, penalty in outcome.penalties.items()}
        means = {"batch_spread": spread(features).item(), **described(self.learner, outcome, strength), **paid}
        record = {
            "loss": self._checked_loss(step),
            "images_per_second": self.pace.steps_per_second(step) * self.recipe.batch_size,
            "learning_rate": learning_rate,
            "cost": self.learner.meter.take().units,
            **all_reduce_mean(means, self.device),
        }
        self.losses.clear()
        self._record(step, record)
        self.pace.restart(step)

    def evaluate(self, step: int) -> None:
        """Measure frozen features and the game; ranks share the images of both."""
        record = self._hardness(step)
        with seeded(self.recipe.seed, step, self.rank, "choices"):
            record |= choices(self.learner, [self.batches.look(step, draw) for draw in range(CHOICE_DRAWS)])
        encoder = self.learner.method.encoder
        broadcast_buffers(encoder)  # on CPUs each rank has statistics of its own; the first rank's are saved
        features = features_of(self.data, partial(extract, encoder, device=self.device))
        if not features.queries.isfinite().all():  # weights can be finite and too large
            self._diverged("features are not finite", step)
        for evaluation in self.evaluations:
            record |= evaluation(features)
        self._record(step, record)
        self.display.evaluated({"step": step, "epoch": self.epoch(step), **record})
        self._warn(step, record)
        self.pace.restart(step)

    def look(self, step: int) -> None:
        """Measure how hard the views are, between evaluations."""
        record = self._hardness(step)
        self._record(step, record)
        self._warn(step, record)
        self.pace.restart(step)

    def keep_pictures(self, step: int, stage: str) -> None:
        """Keep a few images with their views, and of which class the nearest negatives of hard views are."""
        with seeded(self.recipe.seed, step, self.rank, "show"):
            pictures = gallery(self.learner, self.batches.look(step), self.data.train.pixels)
            table = nearest_table(self.learner, self.batches, step, self.data.train.classes)
        if self.rank == 0:
            self.run.save_tensors(f"gallery/{stage}.safetensors", pictures)
            if table is not None:
                write_json(self.run.path / f"nearest/{stage}.json", table)

    def check(self, step: int) -> None:
        """Stop training if the loss, or a weight, is not finite: nothing like it is saved or measured."""
        self._checked_loss(step)
        if not is_finite(self.learner):
            self._diverged("weights are not finite", step)

    def epoch(self, step: int) -> float:
        """Epochs until this step."""
        return step / self.batches.steps_per_epoch

    def _checked_loss(self, step: int) -> float:
        """Mean over the steps since the last line and over all ranks."""
        loss = self.losses.mean()
        if not math.isfinite(loss):
            self._diverged(f"the loss is {loss}", step)
        return loss

    def _diverged(self, found: str, step: int) -> NoReturn:
        raise InputError(f"{found} at epoch {self.epoch(step):.1f}, so training stops; {REMEDY}")

    def _hardness(self, step: int) -> dict[str, float]:
        """The mean over several batches and all ranks."""
        self.check(step)
        with seeded(self.recipe.seed, step, self.rank, "look"):
            looks = [
                all_reduce_mean(hardness(self.learner, batch, self.batches.labels(batch)), self.device)
                for batch in self.batches.looks(step, HARDNESS_BATCHES)
            ]
        return together(looks)

    def _warn(self, step: int, record: Mapping[str, float]) -> None:
        if step:
            self.latest |= record
            against_chance = self.learner.adversary.control() is not self.learner.adversary
            self.display.warn(alarms(self.latest, self._untrained, against_chance=against_chance))

    @cached_property
    def _untrained(self) -> dict[str, float]:
        """The first evaluation, which the latest is held against."""
        return next(iter(self.run.metrics()), {})

    def _record(self, step: int, record: Mapping[str, float]) -> None:
        line = {"step": step, "epoch": round(self.epoch(step), 4), **record}
        self.display.update(line)
        if self.rank == 0:
            self.run.append(line)

"""The training loop on Lightning Fabric: logging, evaluation, checkpoints, resume."""

import math
import time
from collections.abc import Mapping
from functools import partial
from typing import Any, NoReturn

import torch
from lightning_fabric import Fabric

from sparring.alarms import alarms
from sparring.batches import Batches
from sparring.datasets import DataSet
from sparring.errors import InputError
from sparring.evaluations import Collapse, Knn, extract, features_of
from sparring.evaluations.collapse import spread
from sparring.gather import all_reduce_mean, all_reduce_sum, broadcast_buffers
from sparring.loss_log import LossLog
from sparring.memory import keep_freed
from sparring.parts import build_learner, context_of
from sparring.precision import precision_of
from sparring.probes import choices, described, gallery, hardness, nearest_table
from sparring.progress import Display, Pace, StopSignal
from sparring.randomness import seeded
from sparring.recipe import Recipe
from sparring.rounds import Outcome
from sparring.run import Run
from sparring.saved import save_encoder
from sparring.schedules import learning_rate_at, strength_at
from sparring.setup import make_optimisers
from sparring.statistics import is_finite, synchronised

CHECKPOINT_SECONDS = 60.0
PROBE_DRAWS = 4
REMEDY = "what was saved before is kept; try a smaller --learning-rate"


class Fit:
    """One training run, from its start or from its last checkpoint."""

    def __init__(self, recipe: Recipe, data: DataSet, fabric: Fabric, run: Run) -> None:
        self.recipe, self.data, self.fabric, self.run = recipe, data, fabric, run
        self.rank = fabric.global_rank
        self.batches = Batches(recipe, data.train, fabric.device, rank=self.rank, ranks=fabric.world_size)
        self.steps_per_epoch = self.batches.steps_per_epoch
        self.total = recipe.epochs * self.steps_per_epoch
        self.precision = precision_of(recipe, fabric.device)
        keep_freed()
        with seeded(recipe.seed, "weights"):
            self.learner = build_learner(recipe, context_of(data), self.autocast)
        self.learner.to(memory_format=torch.channels_last)
        if fabric.world_size > 1 and fabric.device.type == "cuda":
            self.learner = synchronised(self.learner)
        self.module, *self.optimisers = fabric.setup(self.learner, *make_optimisers(self.learner, recipe))
        self.evaluations = (Knn(recipe.knn_k, recipe.knn_t), Collapse())
        self.step, self.losses, self.pace, self.latest = 0, LossLog(fabric.device), Pace(), dict[str, float]()

    def train(self) -> None:
        """Train to the last epoch; Ctrl-C saves and raises KeyboardInterrupt with the way to go on."""
        self.display = Display(self.recipe.epochs, self.total, self.step, visible=self.fabric.is_global_zero)
        with self.display, StopSignal() as stop:
            if self.step == 0:
                self._evaluate()
                self._show("before")
            self.untrained = next(iter(self.run.metrics()), {})  # what `latest` is held against
            self._loop(stop)
        self._show("after")
        if self.fabric.is_global_zero:
            save_encoder(self.run, self.learner.method.encoder, self.recipe.encoder, self.data.train.pixels.shape[-1])
        self.fabric.barrier()

    def restore(self) -> None:
        """Go back to the last checkpoint, or to the start if there is none, and forget what was measured later."""
        state = self.run.load_checkpoint(self.recipe)
        if state is not None:
            self._load_state(state)
        if self.fabric.is_global_zero:
            self.run.rewind(self.step if state is not None else -1)
        self.fabric.barrier()

    def _loop(self, stop: StopSignal) -> None:
        self.pace.restart(self.step)
        self.saved_at = time.monotonic()
        while self.step < self.total:
            outcome = self.round()
            if self._due(self.recipe.log_every):
                self._log(outcome)
            if evaluated := self._due(self.recipe.evaluate_every * self.steps_per_epoch):
                self._evaluate()
            elif self._due(self.recipe.hardness_every):
                self._look()
            stopped = self._agree(stop.raised)
            if stopped or evaluated or self._agree(time.monotonic() - self.saved_at > CHECKPOINT_SECONDS):
                self._save()
            if stopped:
                raise KeyboardInterrupt(f"saved at epoch {self._epoch():.1f}; go on with: {self.run.again}")

    def round(self) -> Outcome:
        """One step: the encoder descends, and at its turn the adversary ascends."""
        recipe, encoder_optimiser = self.recipe, self.optimisers[0]
        for group in encoder_optimiser.param_groups:
            group["lr"] = learning_rate_at(recipe, self.step, self.steps_per_epoch)
        self.learner.meter.take()  # a line of the log tells the cost of its own step
        with seeded(recipe.seed, self.step, self.rank, "layers"):
            outcome = self.module(self.batches.training(self.step))
            self.fabric.backward(outcome.loss)
        for place, optimiser in enumerate(self.optimisers):
            if place == 0 or self.step % recipe.adversary_every == 0:
                optimiser.step()
            optimiser.zero_grad()
        self.learner.after_step(outcome)
        self.losses.add(outcome.comparison.mean())
        self.step += 1
        return outcome

    def _log(self, outcome: Outcome) -> None:
        features = next(iter(outcome.embeddings.values())).features
        chosen = described(self.learner, outcome, strength_at(self.recipe, self.step - 1, self.steps_per_epoch))
        record = {
            "loss": self._checked_loss(),
            "images_per_second": self.pace.steps_per_second(self.step) * self.recipe.batch_size,
            "learning_rate": self.optimisers[0].param_groups[0]["lr"],
            "cost": self.learner.meter.take().units,
            **all_reduce_mean({"batch_spread": spread(features).item(), **chosen}, self.fabric.device),
        }
        self.losses.clear()
        self._record(record)
        self.pace.restart(self.step)

    def _checked_loss(self) -> float:
        """Mean over the steps since the last line and over all ranks; what is not finite stops training."""
        loss = self.losses.mean()
        if not math.isfinite(loss):
            self._diverged(f"the loss is {loss}")
        return loss

    def _check(self) -> None:
        """The loss, and the weights, which are to be saved or measured."""
        self._checked_loss()
        if not is_finite(self.learner):
            self._diverged("weights are not finite")

    def _diverged(self, found: str) -> NoReturn:
        raise InputError(f"{found} at epoch {self._epoch():.1f}, so training stops; {REMEDY}")

    def _evaluate(self) -> None:
        """Measure frozen features and the game; ranks share the images of both, but for what the adversary chose."""
        record = self._hardness()
        with seeded(self.recipe.seed, self.step, self.rank, "choices"):
            record |= choices(self.learner, [self.batches.probe(self.step, draw) for draw in range(PROBE_DRAWS)])
        encoder = self.learner.method.encoder
        broadcast_buffers(encoder)  # on CPUs each rank has statistics of its own; the first rank's are saved
        features = features_of(
            self.data, partial(extract, encoder, device=self.fabric.device, autocast=self.fabric.autocast)
        )
        if not features.queries.isfinite().all():  # weights can be finite and too large
            self._diverged("features are not finite")
        for evaluation in self.evaluations:
            record |= evaluation(features)
        self._record(record)
        self.display.evaluated({"step": self.step, "epoch": self._epoch(), **record})
        self._warn(record)
        self.pace.restart(self.step)

    def _look(self) -> None:
        """Measure how hard the views are, between evaluations."""
        record = self._hardness()
        self._record(record)
        self._warn(record)
        self.pace.restart(self.step)

    def _hardness(self) -> dict[str, float]:
        """The mean over all ranks; training goes on as if nobody had looked."""
        self._check()
        batch = self.batches.probe(self.step)
        with seeded(self.recipe.seed, self.step, self.rank, "look"):
            figures = hardness(self.learner, batch, self.batches.labels(batch))
        return all_reduce_mean(figures, self.fabric.device)

    def _warn(self, record: Mapping[str, float]) -> None:
        if self.step:
            self.latest |= record
            against_chance = self.learner.adversary.control() is not self.learner.adversary
            self.display.warn(alarms(self.latest, self.untrained, against_chance=against_chance))

    def _show(self, stage: str) -> None:
        """Keep a few images with their views, and of which class the nearest negatives of hard views are."""
        with seeded(self.recipe.seed, self.step, self.rank, "show"):
            pictures = gallery(self.learner, self.batches.probe(self.step), self.data.train.pixels)
            table = nearest_table(self.learner, self.batches, self.step, self.data.train.classes)
        if self.fabric.is_global_zero:
            self.run.save_tensors(f"gallery/{stage}.safetensors", pictures)
            if table is not None:
                self.run.save_json(f"nearest/{stage}.json", table)

    def _record(self, record: Mapping[str, float]) -> None:
        line = {"step": self.step, "epoch": round(self._epoch(), 4), **record}
        self.display.update(line)
        if self.fabric.is_global_zero:
            self.run.append(line)

    def _save(self) -> None:
        self._check()
        state = self._state()  # with losses of all ranks
        if self.fabric.is_global_zero:
            self.run.save_checkpoint(state, self.recipe)
        self.fabric.barrier()
        self.saved_at = time.monotonic()
        self.pace.restart(self.step)

    def _state(self) -> dict[str, Any]:
        return {
            "step": self.step,
            "images": len(self.data.train),
            "learner": self.learner.state_dict(),
            "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
            "losses": self.losses.state(),
        }

    def _load_state(self, state: dict[str, Any]) -> None:
        began, found = state["images"], len(self.data.train)
        if began != found:
            raise InputError(
                f"{self.run.path}: expected the {began} training images it began with, got {found}; start a new run"
            )
        self.step = state["step"]
        self.losses.load(state["losses"])
        self.learner.load_state_dict(state["learner"])
        for optimiser, saved in zip(self.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)

    def _due(self, every: int) -> bool:
        return self.step == self.total or (every > 0 and self.step % every == 0)

    def _agree(self, mine: bool) -> bool:
        """Whether any rank says so; asked only at log lines when there are several, since it costs an exchange."""
        if self.fabric.world_size == 1:
            return mine
        asked = self._due(self.recipe.log_every)
        return asked and all_reduce_sum(torch.tensor(mine, device=self.fabric.device).int()).item() > 0

    def autocast(self) -> torch.autocast:
        """What the encoder computes in; not Fabric's, which would also round the views to bf16."""
        enabled = self.precision is torch.bfloat16
        return torch.autocast(self.fabric.device.type, dtype=torch.bfloat16, enabled=enabled)

    def _epoch(self) -> float:
        return self.step / self.steps_per_epoch

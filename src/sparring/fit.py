"""The training loop on Lightning Fabric: logging, evaluation, checkpoints, resume."""

import math
import time
from collections.abc import Mapping
from functools import lru_cache, partial
from typing import Any

import torch
from jaxtyping import Int
from lightning_fabric import Fabric
from torch import Tensor

from sparring.alarms import alarms
from sparring.datasets import DataSet
from sparring.errors import InputError
from sparring.evaluations import Knn, collapse, extract, features_of
from sparring.evaluations.collapse import spread
from sparring.parts import build_learner, context_of
from sparring.probes import choices, described, hard_views, hardness
from sparring.progress import Display, StopSignal
from sparring.randomness import generator_for, seeded
from sparring.recipe import Recipe
from sparring.rounds import Batch, Outcome, base_name, base_views_of, hardened_of
from sparring.run import Run
from sparring.saved import save_encoder
from sparring.schedules import epoch_order, learning_rate_at, strength_at, views_at
from sparring.setup import count_steps, make_optimisers, precision_of
from sparring.views import base_views

CHECKPOINT_SECONDS = 60.0
GALLERY_IMAGES = 8
PROBE_DRAWS = 4


class Fit:
    """One training run, from its start or from its last checkpoint."""

    def __init__(self, recipe: Recipe, data: DataSet, fabric: Fabric, run: Run) -> None:
        self.recipe, self.data, self.fabric, self.run = recipe, data, fabric, run
        self.steps_per_epoch = count_steps(recipe, len(data.train), fabric.world_size)
        self.total = recipe.epochs * self.steps_per_epoch
        self.precision = precision_of(recipe, fabric.device)
        with seeded(recipe.seed, "weights"):
            self.learner = build_learner(recipe, context_of(data), self._autocast)
        self.learner.to(memory_format=torch.channels_last)
        if fabric.world_size > 1 and fabric.device.type == "cuda":
            self.learner = torch.nn.SyncBatchNorm.convert_sync_batchnorm(self.learner)
        self.module, *self.optimisers = fabric.setup(self.learner, *make_optimisers(self.learner, recipe))
        self.evaluations = (Knn(recipe.knn_k, recipe.knn_t), collapse)
        self.step, self.losses = 0, list[Tensor]()
        self.order = lru_cache(1)(partial(epoch_order, len(data.train), recipe.seed))

    def train(self) -> None:
        """Train to the last epoch; Ctrl-C saves and raises KeyboardInterrupt with the way to go on."""
        self.display = Display(self.recipe.epochs, self.total, self.step, visible=self.fabric.is_global_zero)
        with self.display, StopSignal() as stop:
            if self.step == 0:
                self._evaluate()
                self._save_gallery("before")
            self._loop(stop)
        self._save_gallery("after")
        if self.fabric.is_global_zero:
            save_encoder(self.run, self.learner.method.encoder, self.recipe.encoder, self.data.train.pixels.shape[-1])
        self.fabric.barrier()

    def restore(self) -> None:
        """Go back to the last checkpoint, or to the start if there is none, and forget what was measured later."""
        state = self.run.load_checkpoint()
        if state is not None:
            self._load_state(state)
        if self.fabric.is_global_zero:
            self.run.rewind(self.step if state is not None else -1)
        self.fabric.barrier()

    def _loop(self, stop: StopSignal) -> None:
        self._restart_clock()
        self.saved_at = time.monotonic()
        while self.step < self.total:
            outcome = self._round()
            if self._due(self.recipe.log_every):
                self._log(outcome)
            if evaluated := self._due(self.recipe.evaluate_every * self.steps_per_epoch):
                self._evaluate()
            stopped = self._agree(stop.raised)
            if stopped or evaluated or self._agree(time.monotonic() - self.saved_at > CHECKPOINT_SECONDS):
                self._save()
            if stopped:
                raise KeyboardInterrupt(
                    f"saved at epoch {self._epoch():.1f}; go on with: sparring train --resume {self.run.path}"
                )

    def _round(self) -> Outcome:
        recipe, encoder_optimiser = self.recipe, self.optimisers[0]
        for group in encoder_optimiser.param_groups:
            group["lr"] = learning_rate_at(recipe, self.step, self.steps_per_epoch)
        self.learner.meter.take()  # a line of the log tells the cost of its own step
        with seeded(recipe.seed, self.step, self.fabric.global_rank, "layers"):
            outcome = self.module(self._batch(self._indices(), "training", self.step // recipe.replays))
            self.fabric.backward(outcome.loss)
        for place, optimiser in enumerate(self.optimisers):
            if place == 0 or self.step % recipe.adversary_every == 0:
                optimiser.step()
            optimiser.zero_grad()
        self.learner.after_step(outcome)
        self.losses.append(outcome.comparison.mean())
        self.step += 1
        return outcome

    def _indices(self) -> Int[Tensor, "b"]:
        """This rank's share of the step's images."""
        epoch, place = divmod(self.step, self.steps_per_epoch)
        place, size = place // self.recipe.replays, self.recipe.batch_size
        everyone = self.order(epoch)[place * size : (place + 1) * size]
        return everyone.chunk(self.fabric.world_size)[self.fabric.global_rank]

    def _batch(self, indices: Int[Tensor, "b"], stream: str, draw: int) -> Batch:
        device, rank = self.fabric.device, self.fabric.global_rank
        pixels = self.data.train.pixels[indices].to(device, non_blocking=True)
        draws = partial(generator_for, self.recipe.seed, draw, rank, device=device)
        policy = views_at(self.recipe, self.step, self.steps_per_epoch)
        names = base_views_of(self.recipe.pairs)
        views = base_views(pixels, policy, {name: draws(f"{stream}/{name}") for name in names})
        strength = strength_at(self.recipe, self.step, self.steps_per_epoch)
        return Batch(views, indices.to(device), self.step, strength, draws(f"{stream}/adversary"))

    def _log(self, outcome: Outcome) -> None:
        loss = self._reduce(torch.stack(self.losses).mean(), "mean")
        if not math.isfinite(loss):
            remedy = f"the last checkpoint of {self.run.path} is kept; try a smaller --learning-rate"
            raise InputError(f"the loss is {loss} at epoch {self._epoch():.1f}, so training stops; {remedy}")
        features = next(iter(outcome.embeddings.values())).features
        record = {
            "loss": loss,
            "images_per_second": self._images_per_second(),
            "learning_rate": self.optimisers[0].param_groups[0]["lr"],
            "feature_spread": spread(features).item(),
            "cost": self.learner.meter.take().units,
            **described(self.learner, outcome, strength_at(self.recipe, self.step - 1, self.steps_per_epoch)),
        }
        self.losses.clear()
        self._record(record)
        self._restart_clock()

    def _evaluate(self) -> None:
        """Measure frozen features once, on the first rank; the game's hardness on all, since losses may gather."""
        batch = self._probe_batch()
        record = hardness(self.learner, batch, self._labels(batch))
        record |= choices(self.learner, [self._probe_batch(draw) for draw in range(PROBE_DRAWS)])
        if self.fabric.is_global_zero:
            read = partial(
                extract, self.learner.method.encoder, device=self.fabric.device, autocast=self.fabric.autocast
            )
            features = features_of(self.data, read)
            for evaluation in self.evaluations:
                record |= evaluation(features)
        self._record(record)
        self.display.evaluated({"step": self.step, "epoch": self._epoch(), **record})
        if self.step:  # an untrained encoder's features are narrow by nature
            self.display.warn(alarms(record, against_chance=self.recipe.adversary.name not in ("none", "random")))
        self.fabric.barrier()
        self._restart_clock()

    def _labels(self, batch: Batch) -> Int[Tensor, "b"] | None:
        labels = self.data.train.labels
        return None if labels is None else labels[batch.indices.cpu()].to(batch.indices.device)

    def _probe_batch(self, draw: int = 0) -> Batch:
        """The same images and base views each time, from all over the data set; other views for another `draw`."""
        size = min(len(self.data.train), self.recipe.batch_size // self.fabric.world_size)
        return self._batch(torch.linspace(0, len(self.data.train) - 1, size).long(), "probe", draw)

    def _save_gallery(self, name: str) -> None:
        """Keep a few images with their base view and the hard view the adversary makes of it."""
        batch = self._probe_batch()
        hard = hard_views(self.learner, batch).cpu()
        shown = torch.linspace(0, len(hard) - 1, min(GALLERY_IMAGES, len(hard))).long()
        images = self.data.train.pixels[batch.indices.cpu()[shown]]
        base = batch.views[base_name(hardened_of(self.recipe.pairs))]
        views = {"base": base.cpu()[shown], "hard": hard[shown]}
        as_bytes = {key: (255 * view).round().to(torch.uint8) for key, view in views.items()}
        if self.fabric.is_global_zero:
            self.run.save_tensors(f"gallery/{name}.safetensors", {"images": images, **as_bytes})

    def _record(self, record: Mapping[str, float]) -> None:
        line = {"step": self.step, "epoch": round(self._epoch(), 4), **record}
        self.display.update(line)
        if self.fabric.is_global_zero:
            self.run.append(line)

    def _save(self) -> None:
        if self.fabric.is_global_zero:
            self.run.save_checkpoint(self._state())
        self.fabric.barrier()
        self.saved_at = time.monotonic()
        self._restart_clock()

    def _state(self) -> dict[str, Any]:
        return {
            "step": self.step,
            "images": len(self.data.train),
            "learner": self.learner.state_dict(),
            "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
            "losses": self.losses,
        }

    def _load_state(self, state: dict[str, Any]) -> None:
        began, found = state["images"], len(self.data.train)
        if began != found:
            raise InputError(
                f"{self.run.path}: expected the {began} training images it began with, got {found}; start a new run"
            )
        self.step, self.losses = state["step"], [loss.to(self.fabric.device) for loss in state["losses"]]
        self.learner.load_state_dict(state["learner"])
        for optimiser, saved in zip(self.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)

    def _due(self, every: int) -> bool:
        return self.step % every == 0 or self.step == self.total

    def _agree(self, mine: bool) -> bool:
        """Whether any rank says so; asked only at log lines when there are several, since it costs an exchange."""
        if self.fabric.world_size == 1:
            return mine
        if not self._due(self.recipe.log_every):
            return False
        return self._reduce(torch.tensor(float(mine), device=self.fabric.device), "sum") > 0

    def _autocast(self) -> torch.autocast:
        # not Fabric's, which would also round the views to bf16
        enabled = self.precision is torch.bfloat16
        return torch.autocast(self.fabric.device.type, dtype=torch.bfloat16, enabled=enabled)

    def _reduce(self, value: Tensor, how: str) -> float:
        """Over all ranks."""
        reduced = self.fabric.all_reduce(value, reduce_op=how)
        assert isinstance(reduced, Tensor)
        return reduced.item()

    def _epoch(self) -> float:
        return self.step / self.steps_per_epoch

    def _restart_clock(self) -> None:
        self.clock = (time.perf_counter(), self.step)

    def _images_per_second(self) -> float:
        began, step = self.clock
        return (self.step - step) * self.recipe.batch_size / max(time.perf_counter() - began, 1e-9)

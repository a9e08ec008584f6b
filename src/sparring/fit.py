"""The training loop on Lightning Fabric: steps, checkpoints, resume."""

import time
from typing import Any

import torch
from lightning_fabric import Fabric
from torch.optim import SGD, Optimizer

from sparring.assembly import build_learner, context_of
from sparring.batches import Batches
from sparring.datasets import DataSet
from sparring.errors import InputError
from sparring.gather import all_reduce_sum
from sparring.learner import Learner
from sparring.memory import keep_freed
from sparring.module_state import has_sparse_weights, load_weights, synchronised
from sparring.monitor import Monitor
from sparring.precision import precision_of
from sparring.progress import StopSignal
from sparring.randomness import seeded
from sparring.recipe import Recipe
from sparring.rounds import Outcome
from sparring.run import Run
from sparring.saved import save_encoder
from sparring.schedules import learning_rate_at

CHECKPOINT_SECONDS = 60.0


def for_nccl(learner: Learner, adversary: str) -> Learner:
    """A learner whose BatchNorm is synchronised; one line where NCCL could not sum its gradients."""
    if has_sparse_weights(learner):
        raise InputError(
            f"devices: expected gradients that NCCL can sum, got the adversary {adversary}, whose memory of each image "
            "has sparse ones; try --devices 1"
        )
    return synchronised(learner)


class Fit:
    """One training run, from its start or from its last checkpoint; `tried` has its parts tried on a round first."""

    def __init__(self, recipe: Recipe, data: DataSet, fabric: Fabric, run: Run, *, tried: bool = True) -> None:
        self.recipe, self.data, self.fabric, self.run = recipe, data, fabric, run
        self.rank = fabric.global_rank
        self.batches = Batches(recipe, data.train, fabric.device, rank=self.rank, ranks=fabric.world_size)
        self.steps_per_epoch = self.batches.steps_per_epoch
        self.total = recipe.epochs * self.steps_per_epoch
        self.precision = precision_of(recipe, fabric.device)
        keep_freed()
        with seeded(recipe.seed, "weights"):
            self.learner = build_learner(recipe, context_of(data), self.autocast, tried=tried)
        self.learner.to(memory_format=torch.channels_last)
        if fabric.world_size > 1 and fabric.device.type == "cuda":
            self.learner = for_nccl(self.learner, recipe.adversary.name)
        self.module, *self.optimisers = fabric.setup(self.learner, *make_optimisers(self.learner, recipe))
        self.monitor = Monitor(recipe, data, self.batches, self.learner, run)
        self.step, self.digest = 0, data.train.digest()

    def train(self) -> None:
        """Train to the last epoch; Ctrl-C saves and raises KeyboardInterrupt with the way to go on."""
        with self.monitor.display_from(self.step), StopSignal() as stop:
            if self.step == 0:
                self.monitor.evaluate(0)
                self.monitor.keep_pictures(0, "before")
            self._loop(stop)
        self.monitor.keep_pictures(self.step, "after")
        if self.fabric.is_global_zero:
            save_encoder(self.run, self.learner.method.encoder, self.recipe.encoder, self.data.train.pixels.shape[-1])
        self.fabric.barrier()

    def restore(self, state: dict[str, Any] | None) -> None:
        """Go back to the run's checkpoint, or to the start if there is none, and forget what was measured later."""
        if state is not None:
            self._load_state(state)
        if self.fabric.is_global_zero:
            self.run.rewind(self.step if state is not None else -1)
        self.fabric.barrier()

    def _loop(self, stop: StopSignal) -> None:
        self.monitor.pace.restart(self.step)
        self.saved_at = time.monotonic()
        while self.step < self.total:
            outcome = self.round()
            if self._due(self.recipe.log_every):
                self.monitor.log(self.step, outcome, self.optimisers[0].param_groups[0]["lr"])
            if evaluated := self._due(self.recipe.evaluate_every * self.steps_per_epoch):
                self.monitor.evaluate(self.step)
            elif self._due(self.recipe.hardness_every):
                self.monitor.look(self.step)
            stopped = self._agree(stop.raised)
            if stopped or evaluated or self._agree(time.monotonic() - self.saved_at > CHECKPOINT_SECONDS):
                self._save()
            if stopped:
                raise KeyboardInterrupt(
                    f"saved at epoch {self.monitor.epoch(self.step):.1f}; go on with: {self.run.again}"
                )

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
        self.monitor.losses.add(outcome.comparison.mean())
        self.step += 1
        return outcome

    def _save(self) -> None:
        self.monitor.check(self.step)
        state = self._state()  # with losses of all ranks
        if self.fabric.is_global_zero:
            self.run.save_checkpoint(state, self.recipe)
        self.fabric.barrier()
        self.saved_at = time.monotonic()
        self.monitor.pace.restart(self.step)

    def _state(self) -> dict[str, Any]:
        return {
            "step": self.step,
            "images": len(self.data.train),
            "digest": self.digest,
            "learner": self.learner.state_dict(),
            "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
            "losses": self.monitor.losses.state(),
        }

    def _load_state(self, state: dict[str, Any]) -> None:
        self.step = state["step"]
        self.monitor.losses.load(state["losses"])
        load_weights(self.learner, state["learner"], self.run.checkpoint)
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


def make_optimisers(learner: Learner, recipe: Recipe) -> list[Optimizer]:
    """One that descends for the method, and what ascends for an adversary that has weights."""
    parameters, momentum, decay = learner.method.parameters(), recipe.momentum, recipe.weight_decay
    descending = SGD(parameters, lr=0.0, momentum=momentum, weight_decay=decay, fused=True)
    return [descending, *learner.adversary.optimisers(recipe.adversary_learning_rate)]

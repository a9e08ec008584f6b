"""Which images are played with, and their base views: in training, and where the game is looked at."""

from collections.abc import Iterator
from functools import lru_cache, partial

import torch
from jaxtyping import Int
from torch import Tensor

from sparring.datasets import Images
from sparring.memory import release
from sparring.randomness import generator_for
from sparring.recipe import Recipe
from sparring.rounds import Batch, base_views_of
from sparring.schedules import count_steps, epoch_order, side_at, strength_at, views_at
from sparring.tensors import evenly
from sparring.views import base_views


class Batches:
    """One rank's share of the batches of a recipe, on its device; `ranks` processes share a batch."""

    def __init__(self, recipe: Recipe, images: Images, device: torch.device, *, rank: int = 0, ranks: int = 1) -> None:
        self.recipe, self.images, self.device, self.rank, self.ranks = recipe, images, device, rank, ranks
        self.steps_per_epoch = count_steps(recipe, len(images), ranks)
        self.classes = None if images.labels is None else images.labels.to(device)
        self.order = lru_cache(1)(partial(epoch_order, len(images), recipe.seed))

    def training(self, step: int) -> Batch:
        """What a step plays with."""
        epoch, place = divmod(step, self.steps_per_epoch)
        place, size = place // self.recipe.replays, self.recipe.batch_size
        everyone = self.order(epoch)[place * size : (place + 1) * size]
        return self._draw(everyone.chunk(self.ranks)[self.rank], "training", step // self.recipe.replays, step)

    def look(self, step: int, draw: int = 0) -> Batch:
        """The same images and base views each time, from all over the data set; other views for another `draw`."""
        return next(self.looks(step, 1, draw))

    def looks(self, step: int, count: int, draw: int = 0) -> Iterator[Batch]:
        """At most `count` such batches, at least one, without an image in common; each as large as in training."""
        size, total = self.recipe.batch_size, len(self.images)
        count = min(count, total // size)
        chosen = evenly(count * size, total)
        # in any order: data often lie class by class, and neighbours in a batch are held against each other
        chosen = chosen[torch.randperm(len(chosen), generator=generator_for(self.recipe.seed, 0, stream="looks/order"))]
        for number in range(count):
            yield self._draw(chosen[number::count][self.rank :: self.ranks], "looks", draw + number, step)

    def labels(self, batch: Batch) -> Int[Tensor, " b"] | None:
        """The classes of a batch's images, where they are known."""
        return None if self.classes is None else self.classes[batch.indices]

    def _draw(self, indices: Int[Tensor, " b"], stream: str, draw: int, step: int) -> Batch:
        pixels, places = self._sent(self.images.pixels[indices]), self._sent(indices)
        release()
        draws = partial(generator_for, self.recipe.seed, draw, self.rank, device=self.device)
        policy = views_at(self.recipe, step, self.steps_per_epoch)
        names = base_views_of(self.recipe.pairs)
        first = step - step % self.recipe.replays
        side = side_at(self.recipe, first, self.steps_per_epoch, pixels.shape[-1])
        views = base_views(pixels, policy, {name: draws(f"{stream}/{name}") for name in names}, side)
        strength = strength_at(self.recipe, step, self.steps_per_epoch)
        return Batch(views, places, step, strength, draws(f"{stream}/adversary"))

    def _sent(self, rows: Tensor) -> Tensor:
        """On the device; pinned on the way to a GPU, or the copy would wait for the step before."""
        pinned = rows.pin_memory() if self.device.type == "cuda" else rows
        return pinned.to(self.device, non_blocking=True)

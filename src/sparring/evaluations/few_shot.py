"""Few-shot episodes on the features of the test images."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from sparring.contracts import Features
from sparring.errors import InputError
from sparring.randomness import generator_for
from sparring.schema import check_each, check_range

CHUNK = 100  # episodes at a time: 5 classes of 1,000 images are 2 MB of draws


def class_places(labels: Int[Tensor, " n"], least: int) -> tuple[Int[Tensor, "c most"], Bool[Tensor, "c most"]]:
    """The images of each class with at least this many, a class a row, and which entries of a row are filled."""
    sizes = labels.bincount()
    kept = [(labels == label).nonzero()[:, 0] for label in (sizes >= least).nonzero()[:, 0]]
    rows = torch.nn.utils.rnn.pad_sequence(kept, batch_first=True, padding_value=-1) if kept else labels.new_empty(0, 0)
    return rows, rows >= 0


def draw_episodes(
    labels: Int[Tensor, " n"], *, ways: int, images: int, episodes: int, generator: torch.Generator
) -> Int[Tensor, "e ways images"]:
    """For each episode distinct random classes, and of each distinct random images, as places in `labels`."""
    rows, filled = class_places(labels, images)
    if len(rows) < ways:
        raise InputError(
            f"few_shot: expected {ways} classes with at least {images} test images each, got {len(rows)}; "
            "set fewer ways, shots or queries"
        )
    classes = torch.rand(episodes, len(rows), generator=generator).argsort(dim=1)[:, :ways]
    order = torch.rand(episodes, ways, rows.shape[1], generator=generator)
    chosen = order.masked_fill(~filled[classes], -1).topk(images, dim=2).indices
    return rows[classes].gather(2, chosen)


def episode_accuracies(features: Float[Tensor, "e ways images d"], shots: int) -> Float[Tensor, " e"]:
    """Share of each episode's queries whose nearest centroid is their class's; the first `shots` images are given."""
    centroids, queries = features[:, :, :shots].mean(dim=2), features[:, :, shots:]
    episodes, ways, count, d = queries.shape
    nearest = torch.cdist(queries.reshape(episodes, ways * count, d), centroids).argmin(dim=2)
    truth = torch.arange(ways, device=features.device).repeat_interleave(count)
    return (nearest == truth).double().mean(dim=1)


class FewShot:
    """Percent of right answers over random few-shot episodes of test images, by the nearest class centroid.

    Features are centred by the bank's mean and scaled to length 1 before centroids are taken (CL2N). Beside each
    mean, as `.../ci95`, lies half the 95 % interval: 1.96 standard errors over episodes of these same test images, so
    it says nothing of other images, and is too narrow where there are few.

    Args:
        ways: classes of an episode.
        shots: labelled images of each class; one figure for each number.
        queries: images of each class to recognise.
        episodes: how many.
        seed: decides the draws.

    Source: nearest centroid: Snell et al. 2017, "Prototypical Networks for Few-shot Learning"; CL2N: Wang et al.
    2019, "SimpleShot: Revisiting Nearest-Neighbor Classification for Few-Shot Learning".
    """

    def __init__(
        self, *, ways: int = 5, shots: Sequence[int] = (1, 5), queries: int = 15, episodes: int = 1000, seed: int = 0
    ) -> None:
        check_range("few_shot: ways", ways, 2)
        check_each("few_shot: shots", shots, 1)
        check_range("few_shot: queries", queries, 1)
        check_range("few_shot: episodes", episodes, 2)
        self.ways, self.shots, self.queries, self.episodes, self.seed = ways, tuple(shots), queries, episodes, seed

    def __call__(self, features: Features) -> dict[str, float]:
        if features.query_labels is None:
            return {}
        rows = F.normalize(features.queries - features.bank.mean(dim=0))
        figures = dict[str, float]()
        for shots in self.shots:
            accuracies = 100 * self.accuracies(rows, features.query_labels, shots)
            name = f"few_shot/ways={self.ways},shots={shots}"
            error = accuracies.std() / math.sqrt(self.episodes)
            figures |= {name: accuracies.mean().item(), f"{name}/ci95": 1.96 * error.item()}
        return figures

    def accuracies(self, rows: Float[Tensor, "m d"], labels: Int[Tensor, " m"], shots: int) -> Float[Tensor, " e"]:
        """Share of right answers of each episode."""
        generator = generator_for(self.seed, shots, 0, "few_shot")
        found = []
        for start in range(0, self.episodes, CHUNK):
            count = min(CHUNK, self.episodes - start)
            places = draw_episodes(
                labels, ways=self.ways, images=shots + self.queries, episodes=count, generator=generator
            )
            found.append(episode_accuracies(rows[places], shots))
        return torch.cat(found)

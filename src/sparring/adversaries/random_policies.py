"""Random augmentation policies of the literature, from torchvision's tables: nothing is learned."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torchvision import transforms as library

from sparring.adversaries.chance import Chance
from sparring.adversaries.policy import random_signs
from sparring.contracts import ImageShape, Proposal, Transform, Turn
from sparring.errors import InputError
from sparring.randomness import Draws, choice, uniform
from sparring.schema import check_range
from sparring.transforms.operations import NAMES, Operations, Space

Published = Literal["cifar10", "imagenet", "svhn"]
PUBLISHED_BINS = 10


@dataclass(frozen=True)
class Draw:
    """One operation with a magnitude of torchvision's tables, and the probability that it is applied."""

    name: str
    magnitude: float = 0.0
    chance: float = 1.0


class Drawn(Chance):
    """Draws rows evenly and applies each of their operations with its chance; some signs are drawn, as in torchvision.

    An operation that is drawn twice is applied once, as drawn last; the order is that of `operations`.

    Args:
        name: the adversary's, for the error.
        transform: `operations`, with ranges that reach every magnitude.
        space: torchvision's table of operations.
        rows: what is drawn from, each of equally many operations.
        count: rows of an image.
    """

    def __init__(
        self, name: str, transform: Transform, space: Space, rows: Sequence[Sequence[Draw]], *, count: int = 1
    ) -> None:
        super().__init__(transform)
        if not isinstance(transform, Operations):
            got = type(transform).__name__
            raise InputError(f'{name}: expected the transform operations, got {got}; set transform = "operations"')
        moves = torch.tensor([[_move(transform, draw) for draw in row] for row in rows])
        if moves.max() > 1:
            remedy = 'set transform = {name = "operations", ranges = "wide"}'
            raise InputError(
                f"{name}: expected operations that reach {moves.max():.3g} of their range, got 1; {remedy}"
            )
        self.count = count
        self.register_buffer("moves", moves, persistent=False)
        chances = torch.tensor([[draw.chance for draw in row] for row in rows])
        self.register_buffer("chances", chances, persistent=False)
        signed = torch.tensor([name in space and space[name][1] for name in NAMES])
        self.register_buffer("signed", signed, persistent=False)

    def choose(self, images: Float[Tensor, "b c h w"], generator: Draws = None) -> Float[Tensor, "b p"]:
        """Parameters for as many images."""
        params = images.new_zeros(len(images), len(NAMES))
        for _ in range(self.count):
            for moves in self._row(len(images), generator).to(params).unbind(dim=1):
                moves = torch.where(self.get_buffer("signed"), moves * random_signs(moves, generator), moves)
                params = torch.where(moves != 0, moves, params)
        return params

    def forward(
        self, images: Float[Tensor, "b c h w"], features: Float[Tensor, "b d"] | None = None, *, generator: Draws = None
    ) -> Float[Tensor, "b c h w"]:
        """Images changed by chance, in a training loop of your own."""
        return self.transform(images, self.choose(images, generator))

    def propose(self, turn: Turn) -> Proposal:
        return Proposal(self.choose(turn.images, turn.generator))

    def _row(self, b: int, generator: Draws) -> Float[Tensor, "b k p"]:
        """One row for each image; the operations that are not applied are zeros."""
        moves, chances = self.get_buffer("moves"), self.get_buffer("chances")
        rows = choice(len(moves), b, generator, moves)
        draw = uniform((b, chances.shape[1]), generator, chances)
        return torch.where((draw < chances[rows])[:, :, None], moves[rows], 0.0)


def _move(transform: Operations, draw: Draw) -> list[float]:
    """All parameters if this operation is applied; torchvision's Identity moves none."""
    return [transform.parameter_of(name, draw.magnitude) if name == draw.name else 0.0 for name in NAMES]


def _at(space: Space, name: str, level: int | None) -> float:
    """The magnitude of an operation at a level, 0 where it has none."""
    magnitudes = space[name][0]
    return 0.0 if level is None or magnitudes.ndim == 0 else magnitudes[level].item()


class RandAugment(Drawn):
    """Operations drawn evenly, all at one magnitude: a random control with a single strength.

    Args:
        transform: `operations`.
        image_shape: channels, height, width of the images it will see.
        count: operations per image.
        magnitude: level of all operations, 0 to `bins` - 1.
        bins: number of levels.

    Source: Cubuk et al. 2020, "RandAugment: Practical Automated Data Augmentation with a Reduced Search Space", with
    the table and defaults of torchvision's `RandAugment`.
    """

    def __init__(
        self,
        transform: Transform,
        *,
        image_shape: ImageShape = (3, 32, 32),
        count: int = 2,
        magnitude: int = 9,
        bins: int = 31,
    ) -> None:
        check_range("randaugment: count", count, 1)
        check_range("randaugment: bins", bins, 2, 1000)
        check_range("randaugment: magnitude", magnitude, 0, bins - 1)
        space = library.RandAugment()._augmentation_space(bins, image_shape[1:])
        rows = [[Draw(name, _at(space, name, magnitude))] for name in space]
        super().__init__("randaugment", transform, space, rows, count=count)


class TrivialAugment(Drawn):
    """One operation drawn evenly, at a magnitude drawn evenly: no setting to tune.

    Args:
        transform: `operations` with ranges = "wide".
        bins: number of levels.

    Source: Müller and Hutter 2021, "TrivialAugment: Tuning-free Yet State-of-the-Art Data Augmentation", with the table
    of torchvision's `TrivialAugmentWide`.
    """

    def __init__(self, transform: Transform, *, bins: int = 31) -> None:
        check_range("trivialaugment: bins", bins, 2, 1000)
        space = library.TrivialAugmentWide()._augmentation_space(bins)
        rows = [[Draw(name, _at(space, name, level))] for name in space for level in range(bins)]
        super().__init__("trivialaugment", transform, space, rows)


class AutoAugment(Drawn):
    """One of 25 published pairs of operations, each applied with its own probability at its own magnitude.

    Args:
        transform: `operations`.
        image_shape: channels, height, width of the images it will see.
        policy: the data set on which the pairs were found, with labels.

    Source: Cubuk et al. 2019, "AutoAugment: Learning Augmentation Strategies from Data", with the tables of
    torchvision's `AutoAugment`.
    """

    def __init__(
        self, transform: Transform, *, image_shape: ImageShape = (3, 32, 32), policy: Published = "cifar10"
    ) -> None:
        published = library.AutoAugment(library.AutoAugmentPolicy(policy))
        space = published._augmentation_space(PUBLISHED_BINS, image_shape[1:])
        rows = [[Draw(name, _at(space, name, level), p) for name, p, level in pair] for pair in published.policies]
        super().__init__("autoaugment", transform, space, rows)

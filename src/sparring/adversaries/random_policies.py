"""Random augmentation policies of the literature, from torchvision's tables: nothing is learned."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torchvision import transforms as library

from sparring.adversaries.chance import Chance
from sparring.adversaries.policy import random_signs
from sparring.contracts import Proposal, Transform, Turn
from sparring.encoders import ImageShape
from sparring.errors import InputError
from sparring.randomness import choice, uniform
from sparring.schema import check_ranges
from sparring.transforms.operations import NAMES, Operations, Space

Published = Literal["cifar10", "imagenet", "svhn"]
PUBLISHED_BINS = 10


@dataclass(frozen=True)
class Draw:
    """One operation with a magnitude of torchvision's tables, and the probability that it is applied."""

    name: str
    magnitude: float = 0.0
    chance: float = 1.0


class Table(nn.Module):
    """Draws a row evenly and applies each of its operations with its chance; some signs are drawn, as in torchvision.

    An operation that is drawn twice is applied once, as drawn last; the order is that of `operations`.

    Args:
        owner: the adversary's name, for the error.
        transform: `operations`, with ranges that reach every magnitude.
        space: torchvision's table of operations.
        rows: what is drawn from, each of equally many operations.
    """

    def __init__(self, owner: str, transform: Transform, space: Space, rows: Sequence[Sequence[Draw]]) -> None:
        super().__init__()
        if not isinstance(transform, Operations):
            got = type(transform).__name__
            raise InputError(f'{owner}: expected the transform operations, got {got}; set transform = "operations"')
        moves = torch.tensor([[_move(transform, draw) for draw in row] for row in rows])
        if moves.max() > 1:
            remedy = 'set transform = {name = "operations", ranges = "wide"}'
            raise InputError(
                f"{owner}: expected operations that reach {moves.max():.3g} of their range, got 1; {remedy}"
            )
        self.register_buffer("moves", moves, persistent=False)
        chances = torch.tensor([[draw.chance for draw in row] for row in rows])
        self.register_buffer("chances", chances, persistent=False)
        signed = torch.tensor([name in space and space[name][1] for name in NAMES])
        self.register_buffer("signed", signed, persistent=False)

    def draw(self, turn: Turn, rows: int = 1) -> Float[Tensor, "b p"]:
        """Parameters for each image, from this many rows."""
        params = turn.images.new_zeros(len(turn.images), len(NAMES))
        for _ in range(rows):
            for moves in self._row(turn).to(params).unbind(dim=1):
                moves = torch.where(self.get_buffer("signed"), moves * random_signs(moves, turn.generator), moves)
                params = torch.where(moves != 0, moves, params)
        return params

    def _row(self, turn: Turn) -> Float[Tensor, "b k p"]:
        """One row for each image; the operations that are not applied are zeros."""
        moves, chances = self.get_buffer("moves"), self.get_buffer("chances")
        rows = choice(len(moves), len(turn.images), turn.generator, moves)
        draw = uniform((len(rows), chances.shape[1]), turn.generator, chances)
        return torch.where((draw < chances[rows])[:, :, None], moves[rows], 0.0)


def _move(transform: Operations, draw: Draw) -> list[float]:
    """All parameters if this operation is applied; torchvision's Identity moves none."""
    return [transform.parameter_of(name, draw.magnitude) if name == draw.name else 0.0 for name in NAMES]


def _at(space: Space, name: str, level: int | None) -> float:
    """The magnitude of an operation at a level, 0 where it has none."""
    magnitudes = space[name][0]
    return 0.0 if level is None or magnitudes.ndim == 0 else magnitudes[level].item()


class RandAugment(Chance):
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
        super().__init__(transform)
        self.count, self.magnitude, self.bins = count, magnitude, bins
        check_ranges(self, {"count": (1, float("inf")), "bins": (2, 1000), "magnitude": (0, bins - 1)}, "randaugment: ")
        space = library.RandAugment()._augmentation_space(bins, image_shape[1:])
        self.table = Table(
            "randaugment", transform, space, [[Draw(name, _at(space, name, magnitude))] for name in space]
        )

    def propose(self, turn: Turn) -> Proposal:
        return Proposal(self.table.draw(turn, self.count))


class TrivialAugment(Chance):
    """One operation drawn evenly, at a magnitude drawn evenly: no setting to tune.

    Args:
        transform: `operations` with ranges = "wide".
        bins: number of levels.

    Source: Müller and Hutter 2021, "TrivialAugment: Tuning-free Yet State-of-the-Art Data Augmentation", with the table
    of torchvision's `TrivialAugmentWide`.
    """

    def __init__(self, transform: Transform, *, bins: int = 31) -> None:
        super().__init__(transform)
        self.bins = bins
        check_ranges(self, {"bins": (2, 1000)}, "trivialaugment: ")
        space = library.TrivialAugmentWide()._augmentation_space(bins)
        rows = [[Draw(name, _at(space, name, level))] for name in space for level in range(bins)]
        self.table = Table("trivialaugment", transform, space, rows)

    def propose(self, turn: Turn) -> Proposal:
        return Proposal(self.table.draw(turn))


class AutoAugment(Chance):
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
        super().__init__(transform)
        published = library.AutoAugment(library.AutoAugmentPolicy(policy))
        space = published._augmentation_space(PUBLISHED_BINS, image_shape[1:])
        rows = [[Draw(name, _at(space, name, level), p) for name, p, level in pair] for pair in published.policies]
        self.table = Table("autoaugment", transform, space, rows)

    def propose(self, turn: Turn) -> Proposal:
        return Proposal(self.table.draw(turn))

"""What is measured: a trained encoder, a data set, and the features of one under the other."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor, nn

from sparring.contracts import Features
from sparring.datasets import DataSet, Images
from sparring.evaluations.features import extract, features_of
from sparring.evaluations.probe import Probe
from sparring.recipe import Views
from sparring.tensors import evenly

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Subject:
    """A frozen encoder on a data set."""

    encoder: nn.Module
    data: DataSet
    views: Views
    """The base views it was trained on."""
    fit: Callable[[Float[Tensor, "n d"], Int[Tensor, " n"]], Probe]
    """How its linear probe is fitted to features and labels, as `Linear().fit`."""
    device: torch.device = CPU
    """Where the encoder is."""
    precision: torch.dtype = torch.float32
    """What the run computed in, for what trains the encoder further; features are always float32."""

    @cached_property
    def features(self) -> Features:
        """Of the clean images."""
        return features_of(self.data, self.extract)

    def extract(self, pixels: UInt8[Tensor, "n c h w"]) -> Float[Tensor, "n d"]:
        """Features of any images, on the CPU."""
        return extract(self.encoder, pixels, device=self.device)

    @cached_property
    def labelled(self) -> bool:
        """Whether training and test images have labels."""
        return self.features.bank_labels is not None and self.features.query_labels is not None

    @property
    def shown(self) -> Images:
        """The images that are measured on: the test images, or the training images where there are no others."""
        return self.data.test or self.data.train

    @cached_property
    def probe(self) -> Probe:
        """The linear probe, fitted once for all that need it."""
        assert self.features.bank_labels is not None
        return self.fit(self.features.bank, self.features.bank_labels)

    def sample(self, count: int) -> tuple[UInt8[Tensor, "n 3 h w"], Int[Tensor, " n"] | None]:
        """At most `count` of the measured images, evenly spread, with their labels."""
        images = self.shown
        places = evenly(count, len(images))
        return images.pixels[places], None if images.labels is None else images.labels[places]


class Inspection(ABC):
    """An evaluation that needs more than features of clean images."""

    @abstractmethod
    def __call__(self, subject: Subject) -> dict[str, float]:
        """Figures by name."""


@runtime_checkable
class Judge(Protocol):
    """An evaluation that names a class for each measured image, so that it can be said which is taken for which."""

    def judge(self, subject: Subject) -> tuple[dict[str, float], Int[Tensor, " m"]]:
        """Figures by name, and the classes; `subject` has labels. All ranks must call it."""
        ...

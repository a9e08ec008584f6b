"""What a data set is once it is read: uint8 images, labels if there are any, and their splits."""

from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import cast

import numpy as np
import torch
from jaxtyping import Bool, Int, UInt8
from torch import Tensor

from sparring.encoders import Statistics
from sparring.errors import InputError
from sparring.memory import release

STATISTICS_IMAGES = 10_000
STATISTICS_BATCH = 64
SAMPLED = 100
"""Images, spread evenly, that tell what the others are."""
HELD_OUT = 10
"""One image of so many is a validation image, where the data have none of their own."""
NAMED = 5
"""Classes without a test image, as many as one reads."""


@dataclass(frozen=True)
class Images:
    """One split; pixels may be a read-only memory map, so take copies (index with a tensor) and never write to them."""

    pixels: UInt8[Tensor, "n 3 h w"]
    labels: Int[Tensor, " n"] | None
    """int64 places in `classes`."""
    classes: tuple[str, ...]
    """Names; () without labels."""
    files: tuple[str, ...] = ()
    """Where each image lies in its folder; () where images are no files."""

    def __len__(self) -> int:
        return len(self.pixels)

    def select(self, chosen: Bool[Tensor, " n"] | Int[Tensor, " _"]) -> "Images":
        """A copy of some of them: of those that a mask marks, or at these places."""
        labels = None if self.labels is None else self.labels[chosen]
        places = torch.arange(len(self))[chosen].tolist()
        files = tuple(self.files[place] for place in places) if self.files else ()
        return replace(self, pixels=self.pixels[chosen], labels=labels, files=files)

    def digest(self) -> str:
        """Tells these images from others: by labels and names of files, not what is in them; or by a hundred images."""
        labels = b"" if self.labels is None else self.labels.numpy().tobytes()
        some = repr(self.files).encode() if self.files else self._some().numpy().tobytes()
        return blake2b(labels + some, digest_size=8).hexdigest()

    def is_grey(self) -> bool:
        """Whether red, green and blue are alike in some hundred images spread evenly."""
        some = self._some()
        return bool((some[:, :1] == some).all())

    def brightest(self) -> int:
        """The largest value, of 255, in some hundred images spread evenly."""
        return int(self._some().max())

    def _some(self) -> UInt8[Tensor, "_ 3 h w"]:
        return self.pixels[:: -(-len(self) // SAMPLED)]


def check_images(images: Images, what: str) -> None:
    """One clear line for a split that cannot be trained or measured on."""
    pixels, labels, count = images.pixels, images.labels, len(images.classes)
    if pixels.dtype != torch.uint8 or pixels.ndim != 4 or pixels.shape[1] != 3:
        got = f"{tuple(pixels.shape)} in {pixels.dtype}"
        raise InputError(f"{what}: expected pixels of shape (n, 3, h, w) in torch.uint8, got {got}")
    if labels is None:
        return
    if labels.dtype != torch.int64 or labels.shape != pixels.shape[:1]:
        got = f"{tuple(labels.shape)} in {labels.dtype}"
        raise InputError(f"{what}: expected labels of shape ({len(pixels)},) in torch.int64, got {got}")
    if len(labels) and not 0 <= labels.min() <= labels.max() < count:
        got = f"{labels.min()} to {labels.max()}"
        raise InputError(f"{what}: expected labels from 0 to {count - 1}, places among {count} classes, got {got}")


@dataclass(frozen=True)
class DataSet:
    """The splits of one data set."""

    name: str
    train: Images
    test: Images | None
    """None: there is nothing to measure on."""
    validation: Images | None = None
    note: str = ""
    """What was decided for the user, in a plain sentence."""

    def with_validation_as_test(self) -> "DataSet":
        """Validation images in place of the test images: its own, or every tenth training image, spread over classes.

        Where they are held out of the training images, these are copied into memory; without labels there are none.
        """
        if self.validation is not None or self.train.labels is None:
            return replace(self, test=self.validation, validation=None)
        held = torch.zeros(len(self.train), dtype=torch.bool)
        held[self.train.labels.argsort(stable=True)[::HELD_OUT]] = True
        note = f"{held.sum():,} training images are held out for validation"
        notes = "; ".join(filter(None, (self.note, note)))
        return replace(self, train=self.train.select(~held), test=self.train.select(held), note=notes)

    def with_untested_noted(self, kind: str) -> "DataSet":
        """The note names the classes without a test image; `kind` is what test images are (test, validation)."""
        if self.test is None or self.test.labels is None or self.train.labels is None:
            return self
        tested = set(self.test.labels.unique().tolist())
        untested = [repr(name) for place, name in enumerate(self.train.classes) if place not in tested]
        if not untested:
            return self
        few = ", ".join(untested[:NAMED]) + ", ..." * (len(untested) > NAMED)
        count = f"{len(untested):,} of {len(self.train.classes):,} classes"
        note = f"accuracy says nothing about {count}, of which there is no {kind} image: {few}"
        return replace(self, note="; ".join(filter(None, (self.note, note))))

    def channel_statistics(self) -> Statistics:
        """Mean and standard deviation of each channel in [0, 1], of at most 10,000 training images spread evenly.

        The deviation is at least 1/255, so that one may divide by it.
        """
        chosen = self.train.pixels[:: -(-len(self.train) // STATISTICS_IMAGES)].numpy()
        total, squares = np.zeros((2, 3), dtype=np.int64)
        for start in range(0, len(chosen), STATISTICS_BATCH):
            # numpy, as torch's threads wait for one another after every batch: 100 times slower on busy cores
            values = chosen[start : start + STATISTICS_BATCH].astype(np.int64)
            total += values.sum(axis=(0, 2, 3))
            squares += np.square(values).sum(axis=(0, 2, 3))
            release()
        count = chosen.size / 3
        mean = total / count
        deviation = np.sqrt(np.maximum(squares / count - np.square(mean), 1))
        return cast("Statistics", tuple(tuple(values) for values in (np.stack([mean, deviation]) / 255).tolist()))

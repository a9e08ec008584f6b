"""CIFAR-10 and CIFAR-100 (Krizhevsky 2009), from either of their official versions."""

import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from jaxtyping import Int, UInt8

from sparring.datasets.cache import cache_folder, once, resized
from sparring.datasets.images import DataSet, Images
from sparring.datasets.scan import fingerprint, scan
from sparring.datasets.unpickling import read_arrays
from sparring.errors import InputError

SIDE = 32
VALUES = 3 * SIDE * SIDE
Split = tuple[UInt8[np.ndarray, "n 3 32 32"], Int[np.ndarray, " n"]]


@dataclass(frozen=True)
class Version:
    """How one official version keeps its files, and how they are read."""

    folder: str
    train: tuple[str, ...]
    test: str
    names: str
    read: Callable[[Path], Split]
    read_names: Callable[[Path], list[str]]

    def missing(self, folder: Path) -> list[str]:
        """Files of this version that are not in `folder`."""
        return [name for name in (*self.train, self.test, self.names) if not (folder / name).is_file()]


def _pickled(label: str) -> tuple[Callable[[Path], Split], Callable[[Path], list[str]]]:
    def read(path: Path) -> Split:
        batch = read_arrays(path)
        return np.asarray(batch["data"], np.uint8).reshape(-1, 3, SIDE, SIDE), np.asarray(batch[f"{label}s"], np.int64)

    return read, lambda path: list(read_arrays(path)[f"{label}_names"])


def _binary(label_bytes: int) -> tuple[Callable[[Path], Split], Callable[[Path], list[str]]]:
    """Rows of labels (the last is the fine one) and pixels."""

    def read(path: Path) -> Split:
        rows = np.fromfile(path, dtype=np.uint8).reshape(-1, label_bytes + VALUES)
        return rows[:, label_bytes:].reshape(-1, 3, SIDE, SIDE), rows[:, label_bytes - 1].astype(np.int64)

    return read, lambda path: path.read_text(encoding="utf-8").split()


BATCHES = tuple(f"data_batch_{number}" for number in range(1, 6))
BINARIES = tuple(f"{batch}.bin" for batch in BATCHES)
VERSIONS = {
    "cifar10": (
        Version("cifar-10-batches-py", BATCHES, "test_batch", "batches.meta", *_pickled("label")),
        Version("cifar-10-batches-bin", BINARIES, "test_batch.bin", "batches.meta.txt", *_binary(1)),
    ),
    "cifar100": (
        Version("cifar-100-python", ("train",), "test", "meta", *_pickled("fine_label")),
        Version("cifar-100-binary", ("train.bin",), "test.bin", "fine_label_names.txt", *_binary(2)),
    ),
}


def load_cifar10(image_size: int | None, root: Path | None) -> DataSet:
    """CIFAR-10: 50,000 training and 10,000 test images of 32x32 pixels, 10 classes."""
    return _load("cifar10", image_size, root)


def load_cifar100(image_size: int | None, root: Path | None) -> DataSet:
    """CIFAR-100: 50,000 training and 10,000 test images of 32x32 pixels, 100 fine classes."""
    return _load("cifar100", image_size, root)


def _load(name: str, image_size: int | None, root: Path | None) -> DataSet:
    """A copy in `root` (default: the cache) in either official version, or else one downloaded to there.

    Raises InputError where there is neither copy nor network, and where a copy is damaged.
    """
    image_size = image_size or SIDE
    folder, version = _find(name, root or cache_folder())
    key = f"{name}-{fingerprint(folder, scan(folder), image_size)}"
    try:
        train = [version.read(folder / part) for part in version.train]
        test = version.read(folder / version.test)
        classes = tuple(version.read_names(folder / version.names))
    except Exception as error:  # a damaged pickle raises anything
        raise InputError(f"the copy of {name} in {str(folder)!r} is damaged ({error}); replace or remove it") from error
    return DataSet(
        name,
        train=_images(train, classes, image_size, f"{key}-train"),
        test=_images([test], classes, image_size, f"{key}-test"),
    )


def _images(parts: list[Split], classes: tuple[str, ...], image_size: int, key: str) -> Images:
    pixels = torch.from_numpy(np.concatenate([pixels for pixels, _ in parts]))
    labels = torch.from_numpy(np.concatenate([labels for _, labels in parts]))
    return Images(resized(pixels, image_size, key), labels, classes)


def _find(name: str, root: Path) -> tuple[Path, Version]:
    if root.exists() and not root.is_dir():
        raise InputError(f"{root}: expected the folder where {name} lies, got a file; name the folder with --data-root")
    for version in VERSIONS[name]:
        for folder in (root, root / version.folder):
            if not version.missing(folder):
                return folder, version
    official = VERSIONS[name][0]
    for version in VERSIONS[name]:
        if (root / version.folder).is_dir():
            raise InputError(
                f"the copy of {name} in {str(root / version.folder)!r} is not complete: "
                f"{version.missing(root / version.folder)[0]!r} is missing; complete or remove it"
            )
    return once(root / official.folder, partial(_download, name=name, version=official)), official


def _download(scratch: Path, *, name: str, version: Version) -> None:
    from torchvision import datasets  # takes a second, and is rarely needed

    source = {"cifar10": datasets.CIFAR10, "cifar100": datasets.CIFAR100}[name]
    with TemporaryDirectory(dir=scratch.parent) as place:
        try:
            with redirect_stdout(sys.stderr):
                source(place, download=True)
        except (OSError, RuntimeError) as error:
            raise InputError(
                f"{name} is not in {str(scratch.parent)!r} and cannot be downloaded ({error}); put a folder "
                f"{' or '.join(repr(version.folder) for version in VERSIONS[name])} there, or name its --data-root"
            ) from error
        for file in (Path(place) / version.folder).iterdir():
            file.rename(scratch / file.name)

"""A folder of image files: decoded once into the cache, in parallel, and mapped from then on."""

import errno
import os
import shutil
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int, UInt8
from rich.console import Console
from rich.progress import Progress
from torch import Tensor

from sparring.datasets.cache import cache_folder, map_pixels, once, write_pixels
from sparring.datasets.decoding import read_image
from sparring.datasets.images import DataSet, Images
from sparring.datasets.layout import Layout, Part, arrange
from sparring.datasets.scan import File, fingerprint, scan
from sparring.errors import InputError

CHUNK = 512
FOLDER_SIZE = 64
PASSING = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ESTALE, errno.ETIMEDOUT)
"""Troubles of the machine, not of the file."""


def load_folder(
    folder: Path, *, image_size: int = FOLDER_SIZE, max_broken: float = 0.05, labelled: bool = True
) -> DataSet:
    """The images below `folder`, which is only ever read: class folders with or without splits, or plain images.

    Unless `labelled`, sub-folders are no classes (but `train`, `test` and `validation` are splits).

    Raises InputError where there is no image, where more than the share `max_broken` of the files cannot be read, and
    where the class folders of the splits disagree.
    """
    layout = arrange(scan(folder), folder, labelled=labelled)
    files = layout.files
    entry = cache_folder() / "decoded" / fingerprint(folder, files, image_size)
    once(entry, partial(_decode, folder=folder, files=files, image_size=image_size))
    broken = np.load(entry / "skipped.npy")
    log = entry / "skipped.log"
    _check_broken(broken, files, folder, log, max_broken)
    if len(broken):
        layout.notes.append(f"{len(broken):,} of {len(files):,} files are no readable images; {log} names them")
    splits = _cut(layout, map_pixels(entry / "pixels.npy"), broken)
    return DataSet(
        folder.resolve().name,
        train=splits["train"],
        test=splits.get("test"),
        validation=splits.get("validation"),
        note="; ".join(layout.notes),
    )


def _decode(scratch: Path, *, folder: Path, files: Sequence[File], image_size: int) -> None:
    """Fill a cache entry: the pixels of all readable files, and which files were skipped and why."""
    needed, free = len(files) * 3 * image_size**2, shutil.disk_usage(scratch).free
    if needed > free:
        room = f"{needed / 1e9:,.1f} GB needed at --image-size {image_size}, {free / 1e9:,.1f} GB free"
        raise OSError(errno.ENOSPC, room)
    reasons: dict[int, str] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of odd metadata and of large images, once per file
        write_pixels(scratch / "pixels.npy", _blocks(folder, files, image_size, reasons), image_size)
    np.save(scratch / "skipped.npy", np.array(sorted(reasons), dtype=np.int64))
    lines = [f"{str(folder / files[place].path)!r}\t{reason}\n" for place, reason in sorted(reasons.items())]
    (scratch / "skipped.log").write_text("".join(lines), encoding="utf-8", errors="backslashreplace")


def _blocks(
    folder: Path, files: Sequence[File], image_size: int, reasons: dict[int, str]
) -> Iterator[UInt8[np.ndarray, "_ 3 s s"]]:
    """Decode in the order of `files`, a chunk at a time; fills `reasons` with those that cannot be read."""
    root = os.fspath(folder)
    console = Console(stderr=True)
    bar = Progress(console=console, transient=True, disable=not console.is_terminal)
    with bar, ThreadPoolExecutor() as pool:  # Pillow decodes outside Python's lock
        task = bar.add_task("reading images", total=len(files))
        for start in range(0, len(files), CHUNK):
            chunk = [os.path.join(root, file.path) for file in files[start : start + CHUNK]]
            results = list(pool.map(partial(_read_or_reason, image_size=image_size), chunk))
            reasons |= {start + i: result for i, result in enumerate(results) if isinstance(result, str)}
            if images := [result for result in results if not isinstance(result, str)]:
                yield np.stack(images)
            bar.advance(task, len(chunk))


def _read_or_reason(path: str, image_size: int) -> UInt8[np.ndarray, "3 s s"] | str:
    try:
        return read_image(path, image_size)
    except MemoryError:  # the machine's trouble, too
        raise
    except Exception as error:  # a damaged file makes Pillow raise anything
        if isinstance(error, OSError) and error.errno in PASSING:
            raise InputError(f"{path}: expected a file that can be read, got: {error.strerror}; try again") from error
        return " ".join(f"{type(error).__name__}: {error}".split())


def _check_broken(
    broken: Int[np.ndarray, " _"], files: Sequence[File], folder: Path, log: Path, max_broken: float
) -> None:
    share = len(broken) / len(files)
    if share < 1 and share <= max_broken:
        return
    first = str(folder / files[broken[0]].path)
    if share == 1:
        raise InputError(f"no file in {str(folder)!r} is a readable image; the first is {first!r}, {log} says why")
    raise InputError(
        f"{share:.1%} of the files in {str(folder)!r} are no readable images, more than max_broken = {max_broken:.1%}; "
        f"the first is {first!r}, {log} names all; remove them or raise max_broken"
    )


def _cut(layout: Layout, pixels: UInt8[Tensor, "n 3 s s"], broken: Int[np.ndarray, " _"]) -> dict[str, Images]:
    """Each split is a range of the decoded images: a view, so nothing is read."""
    classes = tuple(sorted({name for part in layout.parts.values() for name in part.names or ()}))
    splits, start, first = {}, 0, 0
    for split, part in layout.parts.items():
        readable = np.ones(len(part.files), dtype=bool)
        readable[broken[(broken >= start) & (broken < start + len(readable))] - start] = False
        count = int(readable.sum())
        splits[split] = _images(pixels[first : first + count], part, readable, classes)
        start, first = start + len(readable), first + count
    if not len(splits["train"]):
        raise InputError("none of the training images can be read")
    return {split: images for split, images in splits.items() if len(images)}


def _images(pixels: Tensor, part: Part, readable: np.ndarray, classes: tuple[str, ...]) -> Images:
    files = tuple(file.path for file, kept in zip(part.files, readable, strict=True) if kept)
    if part.names is None:
        return Images(pixels, None, (), files)
    places = {name: place for place, name in enumerate(classes)}
    labels = torch.tensor([places[name] for name in part.names], dtype=torch.int64)
    return Images(pixels, labels[torch.from_numpy(readable)], classes, files)

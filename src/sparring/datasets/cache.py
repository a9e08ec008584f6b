"""Files that are made once, images of another size among them, and mapped at every later start."""

import os
import shutil
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor
from torch.nn.functional import interpolate

from sparring.errors import InputError
from sparring.files import sync
from sparring.memory import bounded

BATCH = 512  # images that are resized at a time
STALE_SECONDS = 24 * 3600


def cache_folder() -> Path:
    """$SPARRING_CACHE, or `sparring` in $XDG_CACHE_HOME or ~/.cache; it need not exist."""
    if own := os.environ.get("SPARRING_CACHE"):
        return Path(own).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "sparring"


def once(entry: Path, build: Callable[[Path], None]) -> Path:
    """The folder `entry`; the first time it is built beside its place and then renamed, so nobody sees half of it.

    Raises InputError where the folder cannot be written.
    """
    _sweep_out(entry)
    if entry.is_dir():
        return entry
    scratch = entry.with_name(f".{entry.name}-{uuid4().hex}")
    made = [folder for folder in entry.parents if not folder.exists()]
    try:
        scratch.mkdir(parents=True)
        build(scratch)
        _publish(scratch, entry)
    except OSError as error:
        raise InputError(
            f"cannot write {str(entry)!r} ({error.strerror or error}); "
            "set SPARRING_CACHE to a folder that can be written and has space"
        ) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        with suppress(OSError):
            for folder in made:
                folder.rmdir()  # if nothing came of it: a misspelt folder is not left behind
    return entry


def _sweep_out(entry: Path) -> None:
    """Remove what processes that were killed have left half built of this entry."""
    with suppress(OSError):
        for scratch in entry.parent.glob(f".{entry.name}-*"):
            written = max(path.stat().st_mtime for path in (scratch, *scratch.iterdir()))
            if time.time() - written > STALE_SECONDS:
                shutil.rmtree(scratch, ignore_errors=True)


def _publish(scratch: Path, entry: Path) -> None:
    for file in scratch.iterdir():
        sync(file)  # or after a power cut the name may be there and the pixels not
    sync(scratch)
    try:
        scratch.rename(entry)
        sync(entry.parent)
    except OSError:
        if not entry.is_dir():  # if it is, another process was first, with the same content
            raise


def write_pixels(path: Path, blocks: Iterable[UInt8[np.ndarray, "_ 3 s s"]], image_size: int) -> None:
    """Write blocks of images one after the other as one .npy array [n, 3, image_size, image_size]."""
    count = 0
    with path.open("wb") as file:
        _write_header(file, count, image_size)
        for block in blocks:
            file.write(np.ascontiguousarray(block).data)
            count += len(block)
        file.seek(0)
        _write_header(file, count, image_size)


def _write_header(file: BinaryIO, count: int, image_size: int) -> None:
    # numpy pads the header so that the first axis may grow: it has the same length before and after
    header = {"descr": "|u1", "fortran_order": False, "shape": (count, 3, image_size, image_size)}
    np.lib.format.write_array_header_1_0(file, header)


def map_pixels(path: Path) -> UInt8[Tensor, "n 3 s s"]:
    """Map what `write_pixels` wrote: nothing is read before it is looked at, and nothing may be written."""
    mapped = bounded(np.load(path, mmap_mode="r"))
    with warnings.catch_warnings():
        # A writable private map would count against memory, and so fail for data that is larger than memory.
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(mapped)


def resized(pixels: UInt8[Tensor, "n 3 h h"], image_size: int, key: str) -> UInt8[Tensor, "n 3 s s"]:
    """`pixels` at `image_size` (bicubic, antialiased); `key` names them and the size in the cache."""
    if pixels.shape[-1] == image_size:
        return pixels
    entry = cache_folder() / "resized" / key
    once(entry, partial(_resize, pixels=pixels, image_size=image_size))
    return map_pixels(entry / "pixels.npy")


def _resize(scratch: Path, *, pixels: Tensor, image_size: int) -> None:
    write_pixels(scratch / "pixels.npy", _blocks(pixels, image_size), image_size)


def _blocks(pixels: Tensor, image_size: int) -> Iterator[UInt8[np.ndarray, "_ 3 s s"]]:
    for batch in pixels.split(BATCH):
        yield interpolate(batch, size=(image_size, image_size), mode="bicubic", antialias=True).numpy()

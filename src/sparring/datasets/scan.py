"""The files of a folder, found in one walk."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from sparring.errors import InputError

FORMAT = 2
"""Part of every fingerprint; raise it when decoding changes, so that old cache entries are left alone."""

LITTER = {"Thumbs.db", "desktop.ini", "__MACOSX", "$RECYCLE.BIN", "@eaDir"}


@dataclass(frozen=True)
class File:
    """One file: its path below the folder in parts, and what changes when it is changed."""

    parts: tuple[str, ...]
    size: int
    modified_ns: int

    @property
    def path(self) -> str:
        """Relative to the folder."""
        return os.path.join(*self.parts)


def scan(folder: Path) -> list[File]:
    """All files below `folder`, in the order of torchvision's ImageFolder; links are followed, hidden files ignored.

    Raises InputError where a folder cannot be read.
    """
    files: list[File] = []
    waiting: list[tuple[str, ...]] = [()]
    seen: set[str] = set()
    while waiting:
        parts = waiting.pop()
        place = os.path.realpath(folder.joinpath(*parts))
        if place not in seen:  # a link to a folder above itself would never end
            seen.add(place)
            waiting += _look_into(place, parts, files)
    return sorted(files, key=lambda file: (file.parts[:-1], file.parts[-1]))


def _look_into(place: str, parts: tuple[str, ...], files: list[File]) -> list[tuple[str, ...]]:
    """Append the files of one folder; return its sub-folders."""
    below = []
    try:
        with os.scandir(place) as entries:
            for entry in entries:
                if entry.name.startswith(".") or entry.name in LITTER:
                    continue
                if entry.is_dir():
                    below.append((*parts, entry.name))
                elif entry.is_file() or entry.is_symlink():
                    files.append(File((*parts, entry.name), *_stamp(entry)))
    except OSError as error:
        raise InputError(f"cannot read the folder {place!r}: {error.strerror}") from error
    return below


def _stamp(entry: os.DirEntry[str]) -> tuple[int, int]:
    try:
        status = entry.stat()
    except FileNotFoundError:  # a link to nowhere: kept, so that it is counted and named as broken
        return -1, 0
    return status.st_size, status.st_mtime_ns


def fingerprint(folder: Path, files: Iterable[File], image_size: int) -> str:
    """A name for what these files decode to: changes with their order, paths, sizes and times, and the image size.

    The folder counts, too: files of fixed sizes and times (bitmaps out of archives) may differ by content alone.
    """
    digest = blake2b(repr((FORMAT, os.path.realpath(folder), image_size)).encode(), digest_size=16)
    for file in files:
        digest.update(repr((file.parts, file.size, file.modified_ns)).encode())
    return digest.hexdigest()

"""The files of a folder, found in one walk."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import PIL

from sparring.errors import InputError

FORMAT = 3
"""Part of every fingerprint; raise it when decoding changes, so that old cache entries are left alone."""

RUN = {"recipe.toml", "metrics.jsonl"}
LITTER = {"Thumbs.db", "desktop.ini", "__MACOSX", "$RECYCLE.BIN", "@eaDir"}


@dataclass(frozen=True)
class File:
    """One file: its path below the folder in parts, and what changes when it is changed."""

    parts: tuple[str, ...]
    size: int
    modified_ns: int
    mode: int = 0
    """Who may read it, too."""

    @property
    def path(self) -> str:
        """Relative to the folder."""
        return os.path.join(*self.parts)


def scan(folder: Path) -> list[File]:
    """All files below `folder`, in the order of torchvision's ImageFolder; links are followed, hidden files ignored.

    Raises InputError where a folder cannot be read.
    """
    files: list[File] = []
    waiting: list[tuple[tuple[str, ...], frozenset[str]]] = [((), frozenset())]
    while waiting:
        parts, above = waiting.pop()
        place = os.path.realpath(folder.joinpath(*parts))
        if place not in above:  # a link to a folder above itself would never end
            waiting += [(below, above | {place}) for below in _look_into(place, parts, files)]
    return sorted(files, key=lambda file: (file.parts[:-1], file.parts[-1]))


def _look_into(place: str, parts: tuple[str, ...], files: list[File]) -> list[tuple[str, ...]]:
    """Append the files of one folder; return its sub-folders."""
    below = []
    try:
        with os.scandir(place) as found:
            entries = list(found)
            if {entry.name for entry in entries} >= RUN:  # what a training left here: its figures are no data
                return []
            for entry in entries:
                if entry.name.startswith(".") or entry.name in LITTER:
                    continue
                if _is_folder(entry):
                    below.append((*parts, entry.name))
                elif entry.is_symlink() or entry.is_file():
                    files.append(File((*parts, entry.name), *_stamp(entry)))
    except OSError as error:
        raise InputError(f"cannot read the folder {place!r}: {error.strerror}") from error
    return below


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _stamp(entry: os.DirEntry[str]) -> tuple[int, int, int]:
    try:
        status = entry.stat()
    except OSError:  # a link to nowhere: kept, so that it is counted and named as broken
        return -1, 0, 0
    return status.st_size, status.st_mtime_ns, status.st_mode


def fingerprint(folder: Path, files: Iterable[File], image_size: int) -> str:
    """A name for what these files decode to: changes with their order, paths, sizes, times, modes, and the image size.

    The folder counts, too: files of fixed sizes and times (bitmaps out of archives) may differ by content alone.
    """
    digest = blake2b(repr((FORMAT, PIL.__version__, os.path.realpath(folder), image_size)).encode(), digest_size=16)
    for file in files:
        digest.update(repr((file.parts, file.size, file.modified_ns, file.mode)).encode())
    return digest.hexdigest()

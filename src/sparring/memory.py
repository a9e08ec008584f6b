"""What the process does with memory it has freed or only mapped, and how much it has held."""

import ctypes
import math
import mmap
import sys
from pathlib import Path
from weakref import WeakSet

import numpy as np

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # as <malloc.h> numbers them
LARGEST = 2**30
LARGE = 2**29  # bytes; what is smaller may stay

_maps: WeakSet[mmap.mmap] = WeakSet()


def keep_freed() -> None:
    """Let glibc keep freed feature maps for the next step instead of giving them back to the system.

    By default it maps every block over 32 MB afresh, so that each step waits for its pages to be cleared; the peak
    grows by a few percent at most. Elsewhere than under glibc nothing happens.

    Source: mallopt(3).
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, LARGEST)
        mallopt(M_TRIM_THRESHOLD, 2 * LARGEST - 1)


def bounded(mapped: np.memmap) -> np.memmap:
    """The same map; if it is large, `release` keeps it from filling the process's memory."""
    if mapped.nbytes >= LARGE and isinstance(mapped.base, mmap.mmap) and hasattr(mapped.base, "madvise"):
        _maps.add(mapped.base)
    return mapped


def release() -> None:
    """Let all large maps forget which pages they hold; to be called after every batch that was read.

    What was read stays in the system's cache as long as nobody else needs the space. Linux may map 2 MB around every
    read, so that 512 images take up to 1 GB until then.
    """
    for each in _maps:
        each.madvise(mmap.MADV_DONTNEED)


def peak() -> float:
    """MiB that this process has held at most, as the system counts; not a number where it does not say."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    found = [int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")]
    return found[0] if found else math.nan

"""Freed blocks are kept for the next step, and the peak is the system's own count."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sparring.datasets.cache import write_pixels

AGAIN = """
import resource, torch
from sparring.memory import keep_freed
if {keep}:
    keep_freed()
faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for step in range(20):
    if step == 15:
        before = faults()
    torch.ones(12_000_000)
print(faults() - before)
"""


def _faults(keep: bool) -> int:
    command = [sys.executable, "-c", AGAIN.format(keep=keep)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's allocator")
def test_a_large_block_that_was_freed_costs_no_new_pages() -> None:
    """Once the heap has grown to what a step needs; 48 MB are 11,719 pages, or 23 huge ones."""
    assert _faults(keep=True) <= _faults(keep=False) / 5


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc")
def test_the_peak_holds_what_was_freed_again() -> None:
    code = "from sparring.memory import peak; a = peak(); b = bytearray(b'1' * 200_000_000); del b; print(peak() - a)"
    grown = float(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout)
    assert grown >= 190  # MiB


READ = """
import numpy as np, sys, torch
from pathlib import Path
from sparring import memory
from sparring.datasets.cache import map_pixels
memory.LARGE = {large}
pixels = map_pixels(Path(sys.argv[1]))
def mapped():
    (line,) = [line for line in open("/proc/self/status") if line.startswith("RssFile")]
    return int(line.split()[1]) / 1024
before = mapped()
kept = [pixels[torch.randint(len(pixels), (32,))] for _ in range(100) if memory.release() is None]
memory.release()
print(mapped() - before, torch.equal(pixels[7], torch.full((3, 64, 64), 7, dtype=torch.uint8)))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc")
@pytest.mark.parametrize("large", [True, False])
def test_a_large_map_lets_go_of_what_was_read_and_a_small_one_keeps_it(tmp_path: Path, large: bool) -> None:
    blocks = (np.broadcast_to(np.uint8(i % 256), (1, 3, 64, 64)) for i in range(6000))  # 74 MB
    write_pixels(tmp_path / "pixels.npy", blocks, 64)
    code = READ.format(large=0 if large else 2**40)
    command = [sys.executable, "-c", code, str(tmp_path / "pixels.npy")]
    left, same = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    assert same == "True"
    assert float(left) < 5 if large else float(left) > 15  # MiB

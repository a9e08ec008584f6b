"""Freed blocks are kept for the next step, and the peak is the system's own count."""

import subprocess
import sys

import pytest

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

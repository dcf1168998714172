"""Memory of blocks that pass through is used again; what is free is given back when a node rests."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pangea.compute.node.storage import memory

PASSING = """
import resource, sys
from pangea.compute.node.storage import memory
if sys.argv[1] == "kept":
    memory.use_few_pools()
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()
for number in range(60):
    if number == 10:
        before = faults()
    blocks = [bytearray(b"x") * (1 << 20) for _ in range(24)]
    del blocks
passed, full = faults() - before, resident()
memory.give_back()
print(passed, full - resident())
"""


def passing(how: str) -> tuple[int, int]:
    """Page faults of a process through whose memory 1,200 MiB pass in blocks, and bytes that it gives back then."""
    words = [sys.executable, "-c", PASSING, how]
    faults, given = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60).stdout.split()
    return int(faults), int(given)


@pytest.mark.skipif(not hasattr(memory._libc, "mallopt"), reason="this C library keeps memory as it likes: glibc is needed")
def test_memory_of_blocks_is_used_again_and_given_back_at_rest() -> None:
    kept, given = passing("kept")
    assert kept < passing("as it comes")[0] / 20, "the kernel clears each page that it gives"
    assert given > 16 << 20

"""What a task's results are named by: the Merkle root over up to 64 runs of them."""

from __future__ import annotations

from array import array
from hashlib import sha256

from pangea.compute.model import frames
from pangea.compute.model.frames import Buffer
from pangea.compute.model.packet import leaf_span
from pangea.compute.verification.commitment import leaf_hash
from pangea.compute.verification.merkle import root


def leaves_of(results: Buffer, *, start: int, runs: int) -> tuple[bytes, ...]:
    """The hash of each run of a task's results.

    Args:
        results: the framed list that `execute` gave, one result a chunk.
        start: number of the task's first chunk.
        runs: how many leaves.

    Raises:
        FrameError: the list is malformed.
    """
    ends = array("Q", [frames.HEADER_BYTES])
    ends.extend(frames.ends(results))
    view, count = memoryview(results), len(ends) - 1
    hashes = []
    for leaf in range(runs):
        first, number = leaf_span(0, count, runs, leaf)
        content = sha256(view[ends[first] : ends[first + number]]).digest()
        hashes.append(leaf_hash(start + first, b"", content))
    return tuple(hashes)


def digest_of(results: Buffer, *, start: int, runs: int) -> bytes:
    """The root over `leaves_of`."""
    return root(leaves_of(results, start=start, runs=runs))

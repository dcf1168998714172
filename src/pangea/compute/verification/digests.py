"""What a task's results are named by: the Merkle root over those of its packs."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from hashlib import sha256
from itertools import accumulate

from pangea.compute.model import frames
from pangea.compute.model.frames import Buffer
from pangea.compute.verification.commitment import leaf_hash
from pangea.compute.verification.merkle import root
from pangea.compute.verification.receipts import Record


def leaves_of(results: Buffer, *, start: int, packs: Sequence[int] = ()) -> tuple[bytes, ...]:
    """The hash of what each pack of a task gave.

    Args:
        results: the framed list that `execute` gave, one result a chunk.
        start: number of the task's first chunk.
        packs: chunks of each; none: all of it is one.

    Raises:
        FrameError: the list is malformed, or has not as many results.
    """
    ends = array("Q", [frames.HEADER_BYTES])
    ends.extend(frames.ends(results))
    view, count = memoryview(results), len(ends) - 1
    hashes = []
    if packs and sum(packs) != count:
        raise frames.FrameError(f"{count:,} results of {sum(packs):,} chunks")
    for first, number in zip(accumulate(packs, initial=0), packs or (count,), strict=False):
        content = sha256(view[ends[first] : ends[first + number]]).digest()
        hashes.append(leaf_hash(start + first, b"", content))
    return tuple(hashes)


def digest_of(results: Buffer, *, start: int, packs: Sequence[int] = ()) -> bytes:
    """The root over `leaves_of`."""
    return root(leaves_of(results, start=start, packs=packs))


def is_named(results: Buffer, record: Record) -> bool:
    """Whether a framed list is what a record of execute names as its output; a stranger's list may be none at all."""
    try:
        return digest_of(results, start=record.start, packs=record.packs) == record.output
    except frames.FrameError:
        return False

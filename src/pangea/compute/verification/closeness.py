"""Compare what two executions of a task gave, where a job states by how much results may differ.

Results are .npy files of float32, in framed lists. Their headers must be the same bytes: a tolerance is for numbers alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from pangea.compute.model import frames
from pangea.compute.model.frames import Buffer
from pangea.compute.model.tolerance import Tolerance

_FLOAT32 = "<f4"


def packs_outside(tolerance: Tolerance, one: Buffer, other: Buffer, packs: Sequence[int] = ()) -> int:
    """How many packs of a task have results, of two executions, that aren't within a tolerance of each other.

    Args:
        tolerance: the job's.
        one: the framed list that execute gave, one result a chunk.
        other: another.
        packs: chunks of each; none: all of it is one.

    Raises:
        FrameError: a list is malformed.
    """
    count = frames.count_of(one)
    if count != frames.count_of(other):
        return max(1, len(packs))
    found = (is_within(tolerance, *pair) for pair in zip(_items(one), _items(other), strict=True))
    return sum(False in [*islice(found, chunks)] for chunks in packs or (count,))


def is_within(tolerance: Tolerance, one: Buffer, other: Buffer) -> bool:
    """Whether two results, each an .npy file, are the same answer: the same bytes, or float32 in the same shape within it."""
    if one == other:
        return True
    from pangea.compute.data.errors import DataError  # whoever runs no shaders needn't load what reads arrays
    from pangea.compute.data.npy import read_header

    a, b = memoryview(one), memoryview(other)
    try:
        header = read_header(a)
    except DataError:
        return False
    start = header.start
    is_alike = len(a) == len(b) == header.stop and a[:start] == b[:start] and header.dtype.descr == _FLOAT32
    return is_alike and tolerance.first_outside(a[start:], b[start:]) is None


def _items(frame: Buffer) -> Iterator[memoryview]:
    view, start = memoryview(frame), frames.HEADER_BYTES
    for end in frames.ends(view):
        yield view[start + frames.ENTRY_OVERHEAD_BYTES : end]
        start = end

"""Packs: runs of consecutive chunks that are executed in order in one fresh sandbox instance.

A pack is the unit of determinism: same module, same chunks, same bytes out, same fuel, wherever it is executed. So where packs
begin and end must not depend on speed, on workers or on faults, only on the manifest and on the sizes of the chunks:

    of the n chunks of a segment, consecutive ones go into one pack until it holds `bytes_min` bytes
    or ceil(n / per_segment) chunks, whichever comes first.

Tasks are runs of whole packs, of any size: a scheduler cuts and joins them at pack boundaries only.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate

from pangea.compute.model.options import JobOptions, SplitStrategy

#: Packs of a segment, at least (if it has so many chunks): where the input is one segment, and where the host cuts it into many.
INPUT_PACKS = 256
SEGMENT_PACKS = 16


@dataclass(frozen=True, slots=True)
class Pack:
    """A run of consecutive chunks of one segment.

    Attributes:
        count: how many.
        size_bytes: the chunks' own bytes.
    """

    count: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class PackRule:
    """How the chunks of a segment become packs.

    Attributes:
        bytes_min: a pack is full when it holds so many.
        per_segment: how many packs a segment's chunks are at least, if they are so many.
        chunks: chunks of each pack, whatever their sizes; 0: as the two above say.
    """

    bytes_min: int
    per_segment: int = INPUT_PACKS
    chunks: int = 0

    @classmethod
    def of(cls, options: JobOptions) -> PackRule:
        """The rule of a job: its manifest says."""
        is_whole = options.split_strategy is SplitStrategy.CUSTOM
        return cls(options.min_chunk_size, INPUT_PACKS if is_whole else SEGMENT_PACKS, options.chunks_per_pack)

    def packs(self, sizes: Iterable[int]) -> list[Pack]:
        """The packs of a segment whose chunks have these sizes, in bytes."""
        totals = array("Q", accumulate(sizes, initial=0))
        return self.cut(len(totals) - 1, totals.__getitem__)

    def cut(self, count: int, size_of: Callable[[int], int]) -> list[Pack]:
        """The packs of a segment of `count` chunks; `size_of(n)` are the bytes of the first n of them together."""
        most = self.chunks or -(-count // self.per_segment)
        packs, start, before = [], 0, 0
        while start < count:
            end = min(count, start + most)
            if not self.chunks:
                end = min(end, bisect_left(range(end), before + self.bytes_min, start + 1, key=size_of))
            size = size_of(end)
            packs.append(Pack(end - start, size - before))
            start, before = end, size
        return packs


def spans(counts: Sequence[int], start: int = 0) -> list[tuple[int, int]]:
    """First chunk and number of chunks of each of these packs, the first of which begins at chunk `start`."""
    firsts = accumulate(counts, initial=start)
    return list(zip(firsts, counts, strict=False))

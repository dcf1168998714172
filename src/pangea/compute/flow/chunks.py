"""Chunks waiting to become tasks: packs of a framed list, sliced without copying."""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from pangea.compute.flow.independence import Place
from pangea.compute.flow.packs import Pack, PackRule
from pangea.compute.model import frames
from pangea.compute.model.frames import Buffer


@dataclass(frozen=True, slots=True)
class TaskSize:
    """The most that the next task may hold; one pack is always allowed."""

    chunks: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Run:
    """Consecutive chunks, as the pieces of a frame.

    Attributes:
        first: index of the first chunk over the whole job.
        count: how many.
        size_bytes: the chunks' own bytes.
        parts: the frame.
        packs: what they were packed into.
    """

    first: int
    count: int
    size_bytes: int
    parts: list[Buffer]
    packs: tuple[Pack, ...] = ()

    def head(self, packs: int) -> Run:
        """Its first packs, so many."""
        kept = self.packs[:packs]
        count, end = sum(pack.count for pack in kept), frames.HEADER_BYTES + sum(map(_entries_bytes, kept))
        parts = [frames.header(count), *between(self.parts, frames.HEADER_BYTES, end)]
        return Run(self.first, count, sum(pack.size_bytes for pack in kept), parts, kept)

    def alone(self, place: Place) -> Run:
        """The chunk at `place`, the last of a pack, as a run of its own."""
        pack = self.packs[place.pack]
        begin = frames.HEADER_BYTES + sum(map(_entries_bytes, self.packs[: place.pack]))
        entries = between(self.parts, begin, begin + _entries_bytes(pack))
        frame = memoryview(b"".join([frames.header(pack.count), *entries]))
        *_, start, end = (frames.HEADER_BYTES, *frames.ends(frame))
        size = end - start - frames.ENTRY_OVERHEAD_BYTES
        return Run(place.chunk, 1, size, [frames.header(1), frame[start:]])


def _entries_bytes(pack: Pack) -> int:
    """Bytes of a pack's entries in a frame."""
    return pack.size_bytes + pack.count * frames.ENTRY_OVERHEAD_BYTES


def take_segments(source: Iterator[Buffer], most: TaskSize) -> list[Buffer]:
    """The next segments, for one task of split: one, or several small ones; none if there are no more."""
    segments: list[Buffer] = []
    size = 0
    while len(segments) < most.chunks and size < most.size_bytes and (segment := next(source, None)) is not None:
        segments.append(segment)
        size += len(segment)
    return segments


def segments_run(first: int, segments: Sequence[Buffer]) -> Run:
    """Segments, the first of which is number `first` of the job, as the input of one task of split: each is a pack."""
    packs = tuple(Pack(1, len(segment)) for segment in segments)
    entries = [part for segment in segments for part in (frames.entry_header(len(segment)), segment)]
    return Run(first, len(packs), sum(pack.size_bytes for pack in packs), [frames.header(len(packs)), *entries], packs)


class ChunkQueue:
    """First in, first out; `take` returns up to a task's worth of whole packs."""

    def __init__(self, rule: PackRule) -> None:
        """Start empty; chunks of one segment are packed by `rule`."""
        self._rule = rule
        self._waiting: deque[tuple[Pack, list[Buffer]]] = deque()
        #: Index of the next chunk to be taken.
        self.first: int = 0
        #: Chunks waiting, and their bytes.
        self.count: int = 0
        self.size_bytes: int = 0

    def __bool__(self) -> bool:
        """Whether a chunk is waiting."""
        return bool(self._waiting)

    def add(self, segment: Buffer) -> None:
        """Append a segment that is one chunk."""
        self._append(Pack(1, len(segment)), [frames.entry_header(len(segment)), segment])

    def add_frame(self, frame: memoryview) -> None:
        """Append the chunks of one segment, a framed list."""
        begin = frames.HEADER_BYTES
        for pack in packs_in(frame, self._rule):
            end = begin + _entries_bytes(pack)
            self._append(pack, [frame[begin:end]])
            begin = end

    def _append(self, pack: Pack, entries: list[Buffer]) -> None:
        self._waiting.append((pack, entries))
        self.count += pack.count
        self.size_bytes += pack.size_bytes

    def take(self, most: TaskSize) -> Run:
        """Remove the next packs: at least one, and together no more than `most`."""
        parts: list[Buffer] = []
        packs: list[Pack] = []
        count = size = 0
        while self._waiting:
            pack, entries = self._waiting[0]
            if packs and (count + pack.count > most.chunks or size + pack.size_bytes > most.size_bytes):
                break
            self._waiting.popleft()
            packs.append(pack)
            parts += entries
            count += pack.count
            size += pack.size_bytes
        run = Run(self.first, count, size, [frames.header(count), *parts], tuple(packs))
        self.first += count
        self.count -= count
        self.size_bytes -= size
        return run


def between(parts: Iterable[Buffer], begin: int, end: int) -> Iterator[Buffer]:
    """Bytes `begin` to `end` of what `parts` are together, in pieces; nothing is copied."""
    at = 0
    for part in parts:
        if at < end and at + len(part) > begin:
            yield memoryview(part)[max(0, begin - at) : end - at]
        at += len(part)


def packs_in(frame: Buffer, rule: PackRule) -> list[Pack]:
    """The packs of a segment whose chunks are this framed list.

    Raises:
        FrameError: it is malformed.
    """
    ends = array("Q", [frames.HEADER_BYTES])
    ends.extend(frames.ends(frame))
    return rule.cut(len(ends) - 1, lambda n: ends[n] - frames.HEADER_BYTES - n * frames.ENTRY_OVERHEAD_BYTES)


def sized(frame: Buffer, counts: tuple[int, ...]) -> tuple[Pack, ...]:
    """Packs of so many chunks each, which together are this framed list.

    Raises:
        FrameError: it is malformed, or has other chunks than these.
    """
    if sum(counts) != frames.count_of(frame):
        raise frames.FrameError(f"{frames.count_of(frame):,} items in packs of {sum(counts):,}")
    ends, packs, start = frames.ends(frame), [], frames.HEADER_BYTES
    for count in counts:
        end = start
        for _ in range(count):
            end = next(ends)
        packs.append(Pack(count, end - start - count * frames.ENTRY_OVERHEAD_BYTES))
        start = end
    for _ in ends:
        raise AssertionError("all items are in packs")
    return tuple(packs)

"""A job's chunks: where they are, and how a task gets its run of them without a copy.

Chunks are numbered as they come: a segment is one (no split), or a split's framed list is many. What split made and doesn't
fit beside the others in memory is read again from its blob.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import accumulate, pairwise

from pangea.compute.flow.packs import Pack, PackRule
from pangea.compute.model import frames
from pangea.compute.model.frames import Buffer

Load = Callable[[], Buffer]


@dataclass(frozen=True, slots=True)
class Frame:
    """A framed list of chunks inside a larger body.

    Attributes:
        begin: where its first entry begins.
        ends: where each entry ends.
    """

    begin: int
    ends: array[int]

    def span(self, start: int, count: int) -> tuple[int, int]:
        """Where entries `start` to `start + count` begin and end."""
        return self.ends[start - 1] if start else self.begin, self.ends[start + count - 1] if start + count else self.begin

    def bytes_of(self, start: int, count: int) -> int:
        """Bytes of those entries themselves."""
        begin, end = self.span(start, count)
        return end - begin - count * frames.ENTRY_OVERHEAD_BYTES


@dataclass(slots=True, eq=False)
class _Piece:
    """Consecutive chunks that came together: a segment, or a framed list of what split made of some."""

    first: int
    count: int
    size_bytes: int
    body: Buffer | None
    load: Load | None = None
    parts: Frame | None = None
    "where the chunks are, if the body is more than one chunk"
    left: int = field(default=0)
    "chunks whose tasks aren't complete"

    def view(self) -> memoryview:
        """The bytes, from wherever they are."""
        if self.body is not None:
            return memoryview(self.body)
        assert self.load is not None, "released without a copy"
        return memoryview(self.load())

    def entries(self, start: int, count: int) -> list[Buffer]:
        """Chunks `start` to `start + count` of the piece as entries of a frame."""
        view = self.view()
        if self.parts is None:
            return [frames.entry_header(len(view)), view]
        begin, end = self.parts.span(start, count)
        return [view[begin:end]]

    def bytes_of(self, start: int, count: int) -> int:
        """Bytes of those chunks themselves."""
        if self.parts is None:
            return self.size_bytes
        return self.parts.bytes_of(start, count)


class Chunks:
    """All chunks of one job that are known so far."""

    def __init__(self, rule: PackRule) -> None:
        """Know none; those of one segment are packed by `rule`."""
        self.rule = rule
        #: Of each pack, the chunk that comes after it.
        self.pack_ends: array[int] = array("Q")
        self._pieces: list[_Piece] = []
        self._firsts: list[int] = []
        self._restored: deque[tuple[int, int]] = deque()
        self.count: int = 0
        self.size_bytes: int = 0
        #: Of chunks not yet in complete tasks.
        self.waiting_count: int = 0
        self.waiting_bytes: int = 0
        #: Of chunks in tasks that were complete before a restart.
        self.restored_bytes: int = 0

    def expect(self, spans: Iterable[tuple[int, int]]) -> None:
        """Say which chunks (first, count), in order, are in complete tasks already, though they aren't cut yet."""
        self._restored.extend(spans)

    def add_segment(self, segment: Buffer) -> None:
        """Append a segment that is a chunk."""
        self.pack_ends.append(self.count + 1)
        self._add(_Piece(self.count, 1, len(segment), segment, left=1))

    def add_frame(self, body: Buffer, frame: Frame, load: Load | None) -> None:
        """Append the chunks of one segment, a framed list in what split made, and how that can be read again."""
        if count := len(frame.ends):
            size = frame.ends[-1] - frame.begin - count * frames.ENTRY_OVERHEAD_BYTES
            packs = self.rule.cut(count, lambda n: frame.bytes_of(0, n))
            self.pack_ends.extend(accumulate((pack.count for pack in packs[1:]), initial=self.count + packs[0].count))
            self._add(_Piece(self.count, count, size, body, load, frame, left=count))

    def _add(self, piece: _Piece) -> None:
        self._pieces.append(piece)
        self._firsts.append(piece.first)
        self.count += piece.count
        self.size_bytes += piece.size_bytes
        self.waiting_count += piece.count
        self.waiting_bytes += piece.size_bytes
        while self._restored and self._restored[0][0] < self.count:
            start, count = self._restored.popleft()
            known = min(count, self.count - start)
            before = self.waiting_bytes
            self.release(start, known)
            self.restored_bytes += before - self.waiting_bytes
            if known < count:
                self._restored.appendleft((start + known, count - known))

    def frame(self, start: int, count: int) -> list[Buffer]:
        """The frame of chunks `start` to `start + count`, in pieces to be written one after the other. May read a file."""
        parts: list[Buffer] = [frames.header(count)]
        for piece, first, number in self._spans(start, count):
            parts += piece.entries(first, number)
        return parts

    def pack_counts(self, first: int) -> tuple[int, ...]:
        """How many chunks each pack has, from pack number `first` on."""
        begin = self.pack_ends[first - 1] if first else 0
        return tuple(end - start for start, end in pairwise([begin, *self.pack_ends[first:]]))

    def packs(self, start: int, count: int) -> list[Pack]:
        """The packs of chunks `start` to `start + count`, which begin and end with one."""
        first, last = bisect_right(self.pack_ends, start), bisect_right(self.pack_ends, start + count)
        bounds = pairwise([start, *self.pack_ends[first:last]])
        return [
            Pack(end - begin, sum(piece.bytes_of(*span) for piece, *span in self._spans(begin, end - begin)))
            for begin, end in bounds
        ]

    def release(self, start: int, count: int) -> None:
        """Note that a task of these chunks is complete: what nobody else needs and can be read again leaves memory."""
        for piece, first, number in self._spans(start, count):
            self.waiting_bytes -= piece.bytes_of(first, number)
            piece.left -= number
            if piece.left <= 0 and piece.load is not None:
                piece.body = None
        self.waiting_count -= count

    def reopen(self, start: int, count: int) -> None:
        """Note that they aren't complete after all."""
        for piece, first, number in self._spans(start, count):
            self.waiting_bytes += piece.bytes_of(first, number)
            piece.left += number
        self.waiting_count += count

    def _spans(self, start: int, count: int) -> Iterator[tuple[_Piece, int, int]]:
        """The pieces that hold these chunks, with the first one's place in each and how many."""
        at = bisect_right(self._firsts, start) - 1
        while count > 0:
            piece = self._pieces[at]
            first = start - piece.first
            number = min(count, piece.count - first)
            yield piece, first, number
            start, count, at = start + number, count - number, at + 1


def frames_in(body: Buffer) -> list[Frame]:
    """The framed lists in a framed list of them, as split gives one for each segment.

    Takes a second for ten million entries: not for the event loop.

    Raises:
        FrameError: a list is malformed.
    """
    view, start, found = memoryview(body), frames.HEADER_BYTES, []
    for end in frames.ends(view):
        at = start + frames.ENTRY_OVERHEAD_BYTES
        found.append(Frame(at + frames.HEADER_BYTES, array("Q", (at + each for each in frames.ends(view[at:end])))))
        start = end
    return found

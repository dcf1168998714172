"""Chunks waiting to be packed into tasks: runs of a framed list, sliced without copying."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from pangea.compute.model import frames
from pangea.compute.model.frames import Buffer
from pangea.compute.orchestrator.packing import TaskSize


@dataclass(frozen=True, slots=True)
class Run:
    """Consecutive chunks, as the pieces of a frame.

    Attributes:
        first: index of the first chunk over the whole job.
        count: how many.
        size_bytes: the chunks' own bytes.
        parts: the frame.
    """

    first: int
    count: int
    size_bytes: int
    parts: list[Buffer]


@dataclass(slots=True)
class _Cursor:
    """Where in a framed list the next chunk begins."""

    frame: memoryview
    ends: Iterator[int]
    start: int
    left: int


class ChunkQueue:
    """First in, first out; `take` returns up to a task's worth."""

    def __init__(self) -> None:
        """Start empty."""
        self._waiting: deque[_Cursor | Buffer] = deque()
        self._taken = 0
        self.size_bytes = 0

    def __bool__(self) -> bool:
        """Whether a chunk is waiting."""
        return bool(self._waiting)

    def add(self, chunk: Buffer) -> None:
        """Append one chunk."""
        self._waiting.append(chunk)
        self.size_bytes += len(chunk)

    def add_frame(self, frame: memoryview) -> None:
        """Append a framed list of chunks."""
        count = frames.count_of(frame)
        if count:
            self._waiting.append(_Cursor(frame, frames.ends(frame), frames.HEADER_BYTES, count))
            self.size_bytes += len(frame) - frames.HEADER_BYTES - count * frames.ENTRY_OVERHEAD_BYTES

    def take(self, most: TaskSize) -> Run:
        """Remove the next run: at least one chunk, and no more than `most`."""
        parts: list[Buffer] = []
        count = size = 0
        while self._waiting and count < most.chunks and (not count or size < most.size_bytes):
            head = self._waiting[0]
            if isinstance(head, _Cursor):
                piece, taken, length = _advance(head, most.chunks - count, most.size_bytes - size)
                parts.append(piece)
                if not head.left:
                    self._waiting.popleft()
            else:
                if count and size + len(head) > most.size_bytes:
                    break
                parts += [frames.entry_header(len(head)), head]
                taken, length = 1, len(head)
                self._waiting.popleft()
            count += taken
            size += length
        run = Run(self._taken, count, size, [frames.header(count), *parts])
        self._taken += count
        self.size_bytes -= size
        return run


def _advance(cursor: _Cursor, chunks: int, size_bytes: int) -> tuple[memoryview, int, int]:
    """Move `cursor` over at least one chunk, and no more than `chunks`, until `size_bytes` are reached."""
    start = end = cursor.start
    taken = 0
    while taken < chunks and cursor.left and (not taken or end - start < size_bytes):
        end = next(cursor.ends)
        taken += 1
        cursor.left -= 1
    cursor.start = end
    return cursor.frame[start:end], taken, end - start - taken * frames.ENTRY_OVERHEAD_BYTES

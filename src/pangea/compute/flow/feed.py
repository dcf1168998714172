"""A job's input on its way to chunks: segments are cut one after the other, and split, or are chunks themselves."""

from __future__ import annotations

from collections.abc import Iterator

from pangea.compute.flow.chunks import ChunkQueue, Run, TaskSize, segments_run, take_segments
from pangea.compute.flow.counts import Counts
from pangea.compute.flow.packs import PackRule
from pangea.compute.model import frames
from pangea.compute.model.frames import Buffer


class Segments:
    """The input of one job, cut one segment after the other.

    Attributes:
        counts: what the job has added up: segments are, here.
        uncut_bytes: of the input.
    """

    def __init__(self, source: Iterator[Buffer], counts: Counts, *, input_bytes: int) -> None:
        """Take segments from `source`, which hold `input_bytes`."""
        self.counts = counts
        self.uncut_bytes: int = input_bytes
        self._source = source

    def next(self) -> Buffer | None:
        """The next one; None if there are no more."""
        segment = next(self._source, None)
        if segment is not None:
            self.counts.segments += 1
            self.uncut_bytes -= len(segment)
        return segment

    def cut(self, most: TaskSize) -> Run | None:
        """The next ones, as the input of one task of split; None if there are no more."""
        first = self.counts.segments
        segments = take_segments(iter(self.next, None), most)
        return segments_run(first, segments) if segments else None

    def skip(self, count: int) -> None:
        """Pass over up to `count`."""
        for _ in range(count):
            if self.next() is None:
                return


class Feed(Segments):
    """The input of one job on its way into tasks of execute.

    Attributes:
        chunks: those that are known, and in no task yet.
        known: how many have been known so far.
        is_complete: whether all chunks are known; whoever splits says so.
    """

    def __init__(self, segments: Iterator[Buffer], rule: PackRule, counts: Counts, *, input_bytes: int) -> None:
        """Cut `segments`, which hold `input_bytes`; chunks of one segment are packed by `rule`."""
        super().__init__(segments, counts, input_bytes=input_bytes)
        self.chunks: ChunkQueue = ChunkQueue(rule)
        self.known: int = 0
        self.is_complete = False
        self._rule = rule

    def pass_on(self) -> bool:
        """Make the next segment a chunk; False if there is none."""
        if (segment := self.next()) is None:
            return False
        self.chunks.add(segment)
        self.known += 1
        return True

    def add(self, results: Buffer) -> None:
        """Take in the chunks that a task of split has made, a framed list of a framed list for each segment.

        Raises:
            FrameError: a list is malformed.
        """
        view, start = memoryview(results), frames.HEADER_BYTES
        for end in frames.ends(view):
            made = view[start + frames.ENTRY_OVERHEAD_BYTES : end]
            self.chunks.add_frame(made)
            self.known += frames.count_of(made)
            start = end

    def drop(self) -> None:
        """Let go of the chunks that wait: nobody needs them."""
        if self.chunks:
            self.chunks = ChunkQueue(self._rule)

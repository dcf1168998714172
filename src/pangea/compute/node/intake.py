"""Cut a job's input, split it, and tell the orchestrator what chunks there are: lazily, in order, and never far ahead.

What split made is kept on disk with its place in the input, so that after a restart the cut goes on where it was.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

from pangea.compute.engine.chunks import ChunkQueue, Run
from pangea.compute.engine.cutting import cut
from pangea.compute.engine.failures import error_of
from pangea.compute.engine.inputs import Inputs, open_inputs
from pangea.compute.model.errors import InputError
from pangea.compute.model.frames import Buffer
from pangea.compute.model.manifest import Content
from pangea.compute.model.outcome import Failure, Finished
from pangea.compute.model.units import KIB, MIB
from pangea.compute.node.bodies import Bodies
from pangea.compute.node.calls import Calls
from pangea.compute.node.chunks import Frame, frames_in
from pangea.compute.node.execution import hash_of, name_of
from pangea.compute.node.jobs import LiveJob
from pangea.compute.node.receipting import Witness, kept
from pangea.compute.node.records import RecordKept, SegmentsSplit, Stored
from pangea.compute.node.tracing import call_here
from pangea.compute.orchestrator.packing import TaskSize, TaskSizer

#: Chunks known and not yet in complete tasks: beyond this, the cut waits.
AHEAD_BYTES_MAX = 64 * MIB
AHEAD_CHUNKS_MAX = 4_000_000
#: Segments taken from the cut in one visit to a thread.
_VISIT_BYTES = 16 * MIB
_VISIT_SEGMENTS = 1_024
#: Larger bodies are looked through in a thread.
SMALL_BYTES = 64 * KIB
#: How long the cut waits for room before it looks again.
_LOOK_SECONDS = 5.0
_ALL = TaskSize(chunks=1 << 30, size_bytes=1 << 40)

P = ParamSpec("P")
T = TypeVar("T")
OnChunks = Callable[[int, int, bool], None]


@dataclass(slots=True)
class _Split:
    """What split made of some segments."""

    first: int
    segments: int
    input_bytes: int
    body: Buffer
    lists: list[Frame]
    stored: Stored
    entry: SegmentsSplit | None
    "for the journal; None if it comes from there"


class Intake:
    """Feeds one job."""

    def __init__(
        self,
        job: LiveJob,
        *,
        calls: Calls,
        bodies: Bodies,
        stored: tuple[SegmentsSplit, ...],
        keep: Callable[[SegmentsSplit | RecordKept], object],
        on_chunks: OnChunks,
        witness: Witness,
    ) -> None:
        """Feed `job`.

        Args:
            job: prepared.
            calls: the engine.
            bodies: where inputs are, and where split outputs go.
            stored: what was split before a restart.
            keep: writes down a split that is done.
            on_chunks: told of each number of new chunks, their bytes, and whether they are the last.
            witness: this node, which signs what it splits.
        """
        assert job.prepared is not None, "the module comes first"
        self._job = job
        self._prepared = job.prepared
        self._calls = calls
        self._bodies = bodies
        self._stored = {each.first_segment: each for each in stored}
        self._keep = keep
        self._on_chunks = on_chunks
        self._witness = witness
        self._segments: Iterator[Buffer] = iter(())
        self._sizer = TaskSizer(
            workers=calls.engine.workers, min_bytes=job.spec.min_task_bytes, memory_bytes=self._prepared.guest.limits.memory
        )
        self._uncut = job.manifest.data_size
        self._is_small = False

    async def run(self) -> None:
        """Feed the job to the end of its input.

        Raises:
            PangeaError: the input can't be read or cut, or split failed. What came before is fed.
        """
        with ExitStack() as resources:
            self._is_small = all(content.data is not None for content in self._job.manifest.inputs)
            inputs = resources.enter_context(await self._aside(_open, self._job.manifest.inputs, self._bodies))
            self._segments = cut(
                inputs,
                self._job.manifest.options,
                custom_max=self._prepared.custom_bytes_max,
                on_choice=lambda strategy, reason: self._note_choice(f"{strategy} ({reason})"),
            )
            await (self._split_all() if self._prepared.has_split else self._pass_all())

    async def _aside(self, work: Callable[P, T], *arguments: P.args, **keywords: P.kwargs) -> T:
        """Do in a thread what may touch a disk; what is in memory and small, at once: a thread takes longer than the work."""
        if self._is_small:
            return work(*arguments, **keywords)
        return await asyncio.to_thread(work, *arguments, **keywords)

    def _note_choice(self, choice: str) -> None:
        if choice not in self._job.choices:
            self._job.choices.append(choice)

    async def _pass_all(self) -> None:
        """Without split each segment is a chunk."""
        while True:
            await self._wait_for_room()
            taken, is_last = await self._aside(self._visit)
            for segment in taken:
                self._job.chunks.add_segment(segment)
            size = sum(map(len, taken))
            self._took(len(taken), size)
            self._tell(len(taken), size, is_last)
            if is_last:
                return

    def _visit(self) -> tuple[list[Buffer], bool]:
        taken: list[Buffer] = []
        size = 0
        for segment in self._segments:
            taken.append(segment)
            size += len(segment)
            if size >= _VISIT_BYTES or len(taken) >= _VISIT_SEGMENTS:
                return taken, False
        return taken, True

    async def _split_all(self) -> None:
        """Have several splits under way at once; take what they made in the order of the segments."""
        under_way: deque[asyncio.Task[_Split]] = deque()
        try:
            is_last = False
            while under_way or not is_last:
                while not is_last and len(under_way) < 2 * self._calls.engine.workers:
                    if under_way and self._is_far_ahead():
                        break
                    await self._wait_for_room()
                    splitting = await self._next_split()
                    if splitting is None:
                        is_last = True
                        break
                    under_way.append(splitting)
                if under_way:
                    self._take(await under_way.popleft(), is_last and not under_way)
                elif is_last:
                    self._tell(0, 0, True)
        finally:
            for task in under_way:
                task.cancel()
            await asyncio.gather(*under_way, return_exceptions=True)

    async def _next_split(self) -> asyncio.Task[_Split] | None:
        """Begin to split the next segments; None if there are none."""
        first = self._job.counts.segments
        known = self._stored.pop(first, None)
        most = TaskSize(chunks=known.segments, size_bytes=1 << 60) if known else self._sizer.next_size(self._uncut)
        segments = await self._aside(self._some, most)
        if not segments:
            return None
        size = sum(map(len, segments))
        self._took(len(segments), 0)
        self._uncut -= size
        work = self._read_back(known, size) if known else self._split(first, segments, size)
        return asyncio.create_task(work)

    def _some(self, most: TaskSize) -> list[Buffer]:
        segments: list[Buffer] = []
        size = 0
        while len(segments) < most.chunks and size < most.size_bytes and (segment := next(self._segments, None)) is not None:
            segments.append(segment)
            size += len(segment)
        return segments

    async def _split(self, first: int, segments: list[Buffer], size: int) -> _Split:
        queue = ChunkQueue()
        for segment in segments:
            queue.add(segment)
        run = queue.take(_ALL)
        options = self._job.manifest.options
        outcome, attempts = await self._calls.call(
            self._prepared.guest, "split", run.count, run.parts, rank=self._job.rank, retry_count=options.retry_count
        )
        self._job.counts.retries += attempts - 1
        if isinstance(outcome, Failure):
            raise error_of(outcome, function="split", chunk_index=None, attempts=attempts)
        self._sizer.observe(chunks=run.count, size_bytes=size, seconds=outcome.seconds)
        self._spent(outcome, first, run)
        body = outcome.results
        lists = await asyncio.to_thread(frames_in, body) if len(body) > SMALL_BYTES else frames_in(body)
        stored = await self._bodies.keep([body])
        self._job.stored.append(stored)
        if self._job.records.is_wanted:
            names = await hash_of(run.parts), name_of(stored)
            self._note(first, run.count, names, outcome.fuel)
        entry = SegmentsSplit(
            job_id=self._job.spec.job_id,
            first_segment=first,
            segments=len(segments),
            chunks=sum(len(each.ends) for each in lists),
            size_bytes=len(body),
            body=stored,
            fuel=outcome.fuel,
            seconds=outcome.seconds,
        )
        return _Split(first, len(segments), size, body, lists, stored, entry)

    def _note(self, first: int, count: int, names: tuple[bytes, bytes], fuel: int) -> None:
        spec = self._job.spec
        record = self._witness.saw(spec, "split", f"s{first}", start=first, count=count, names=names, fuel=fuel)
        self._job.records.splits[first] = record
        self._keep(kept(record))

    def _spent(self, outcome: Finished, first: int, run: Run) -> None:
        job = self._job
        job.counts.spent("split", fuel=outcome.fuel, seconds=outcome.seconds, prints=outcome.prints)
        job.tracer.add(call_here(job, self._witness.peer, "split", first, run.count, run.size_bytes, outcome))

    async def _read_back(self, known: SegmentsSplit, size: int) -> _Split:
        body = await asyncio.to_thread(self._bodies.read, known.body)
        lists = await asyncio.to_thread(frames_in, body)
        self._job.counts.spent("split", fuel=known.fuel, seconds=known.seconds)
        return _Split(known.first_segment, known.segments, size, body, lists, known.body, None)

    def _take(self, split: _Split, is_last: bool) -> None:
        if split.entry is not None:
            self._keep(split.entry)
        load = (lambda: self._bodies.read(split.stored)) if split.stored.blob else None
        chunks = self._job.chunks
        count, size = chunks.count, chunks.size_bytes
        for each in split.lists:
            chunks.add_frame(split.body, each, load)
        self._job.cut_bytes += split.input_bytes
        self._tell(chunks.count - count, chunks.size_bytes - size, is_last)

    def _took(self, segments: int, size: int) -> None:
        self._job.counts.segments += segments
        self._job.cut_bytes += size

    def _tell(self, count: int, size: int, is_last: bool) -> None:
        self._job.is_cut = is_last
        self._on_chunks(count, size, is_last)

    def _is_far_ahead(self) -> bool:
        job = self._job
        return job.chunks.waiting_bytes > AHEAD_BYTES_MAX or job.chunks.waiting_count > AHEAD_CHUNKS_MAX

    async def _wait_for_room(self) -> None:
        """Wait until enough chunks are worked off; the job's own time limit ends it if that never comes."""
        while self._is_far_ahead():
            self._job.room.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_SECONDS):  # wait_for may lose a cancellation that comes as the wait ends
                    await self._job.room.wait()


def _open(contents: tuple[Content, ...], bodies: Bodies) -> Inputs:
    given: list[object] = []
    for content in contents:
        if content.data is not None:
            given.append(content.data)
        elif bodies.blobs.has(content.sha256):
            given.append(bodies.blobs.path(content.sha256))
        else:
            raise InputError(f"the node has no content {content.sha256}", hint="submit the job again, with its input")
    return open_inputs(given).read_once()

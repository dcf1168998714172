"""Cut a job's input, split it, and tell the orchestrator what chunks there are: lazily, in order, and never far ahead.

What split made is kept on disk with its place in the input, so that after a restart the cut goes on where it was.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from typing import ParamSpec, TypeVar

from pangea.compute.engine.failures import error_of
from pangea.compute.engine.task import Task
from pangea.compute.flow.chunks import Run, TaskSize
from pangea.compute.flow.feed import Segments
from pangea.compute.inputs.cutting import cut
from pangea.compute.inputs.inputs import Inputs, open_inputs
from pangea.compute.model.errors import InputError, PangeaError
from pangea.compute.model.frames import Buffer
from pangea.compute.model.manifest import Content
from pangea.compute.model.outcome import Failure, Finished
from pangea.compute.model.units import KIB, MIB
from pangea.compute.node.jobs.call_records import Witness, kept
from pangea.compute.node.jobs.calls import Calls
from pangea.compute.node.jobs.chunks import Frame, frames_in
from pangea.compute.node.jobs.execution import hash_of, name_of
from pangea.compute.node.jobs.jobs import LiveJob
from pangea.compute.node.jobs.tracing import call_here
from pangea.compute.node.storage.records import RecordKept, SegmentsSplit, Stored
from pangea.compute.node.storage.result_store import ResultStore
from pangea.compute.orchestrator.rules.packing import TaskSizer

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

P = ParamSpec("P")
T = TypeVar("T")
OnChunks = Callable[[tuple[int, ...], int, bool], None]


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
    error: PangeaError | None = None
    "how the next segment failed to split: these had been in one task with it"


class Intake:
    """Feeds one job."""

    def __init__(
        self,
        job: LiveJob,
        *,
        calls: Calls,
        result_store: ResultStore,
        stored: tuple[SegmentsSplit, ...],
        keep: Callable[[SegmentsSplit | RecordKept], object],
        on_chunks: OnChunks,
        witness: Witness,
    ) -> None:
        """Feed `job`.

        Args:
            job: prepared.
            calls: the engine.
            result_store: where inputs are, and where split outputs go.
            stored: what was split before a restart.
            keep: writes down a split that is done.
            on_chunks: told of new chunks: how many each pack has, the bytes of all, and whether they are the last.
            witness: this node, which signs what it splits.
        """
        assert job.prepared is not None, "the module comes first"
        self._job = job
        self._prepared = job.prepared
        self._calls = calls
        self._result_store = result_store
        self._stored = {each.first_segment: each for each in stored}
        self._keep = keep
        self._on_chunks = on_chunks
        self._witness = witness
        self._segments = Segments(iter(()), job.counts, input_bytes=job.manifest.data_size)
        self._sizer = TaskSizer(
            workers=calls.engine.workers, min_bytes=job.spec.min_task_bytes, memory_bytes=self._prepared.guest.limits.memory
        )
        self._is_small = False
        #: Packs and bytes that were told of.
        self._told = 0, 0

    async def run(self) -> None:
        """Feed the job to the end of its input.

        Raises:
            PangeaError: the input can't be read or cut, or split failed. What came before is fed.
        """
        with ExitStack() as resources:
            self._is_small = all(content.data is not None for content in self._job.manifest.inputs)
            inputs = resources.enter_context(await self._aside(_open, self._job.manifest.inputs, self._result_store))
            source = cut(
                inputs,
                self._job.manifest.options,
                custom_max=self._prepared.custom_bytes_max,
                on_choice=lambda strategy, reason: self._note_choice(f"{strategy} ({reason})"),
            )
            self._segments = Segments(source, self._job.counts, input_bytes=self._job.manifest.data_size)
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
            self._job.cut_bytes += sum(map(len, taken))
            self._tell(is_last)
            if is_last:
                return

    def _visit(self) -> tuple[list[Buffer], bool]:
        taken: list[Buffer] = []
        size = 0
        while (segment := self._segments.next()) is not None:
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
                    self._tell(True)
        finally:
            for task in under_way:
                task.cancel()
            await asyncio.gather(*under_way, return_exceptions=True)

    async def _next_split(self) -> asyncio.Task[_Split] | None:
        """Begin to split the next segments; None if there are none."""
        known = self._stored.pop(self._job.counts.segments, None)
        left = self._segments.uncut_bytes
        most = TaskSize(chunks=known.segments, size_bytes=1 << 60) if known else self._sizer.next_size(left)
        run = await self._aside(self._segments.cut, most)
        if run is None:
            return None
        return asyncio.create_task(self._read_back(known, run.size_bytes) if known else self._split(run))

    async def _split(self, run: Run) -> _Split:
        options = self._job.manifest.options
        outcome, attempts = await self._calls.call(
            Task(self._prepared.guest_of("split"), "split", run.count, run.parts, run.packs),
            rank=self._job.rank,
            retry_count=options.retry_count,
        )
        self._job.counts.retries += attempts - 1
        if isinstance(outcome, Failure):
            error = error_of(outcome, function="split", chunk_index=None, attempts=attempts)
            if not outcome.index:
                raise error
            before = run.head(outcome.index)  # how many segments make a task may not decide whose chunks are executed
            return replace(await self._split(before), error=error)
        self._sizer.observe(chunks=run.count, size_bytes=run.size_bytes, seconds=outcome.seconds)
        self._spent(outcome, run)
        body = outcome.results
        lists = await asyncio.to_thread(frames_in, body) if len(body) > SMALL_BYTES else frames_in(body)
        stored = await self._result_store.keep([body])
        self._job.stored.append(stored)
        if self._job.records.is_wanted:
            names = await hash_of(run.parts), name_of(stored)
            self._note(run.first, run.count, names, outcome.fuel)
        entry = SegmentsSplit(
            job_id=self._job.spec.job_id,
            first_segment=run.first,
            segments=run.count,
            chunks=sum(len(each.ends) for each in lists),
            size_bytes=len(body),
            body=stored,
            fuel=outcome.fuel,
            seconds=outcome.seconds,
        )
        return _Split(run.first, run.count, run.size_bytes, body, lists, stored, entry)

    def _note(self, first: int, count: int, names: tuple[bytes, bytes], fuel: int) -> None:
        spec = self._job.spec
        record = self._witness.saw(spec, "split", f"s{first}", start=first, count=count, names=names, fuel=fuel)
        self._job.records.splits[first] = record
        self._keep(kept(record))

    def _spent(self, outcome: Finished, run: Run) -> None:
        job = self._job
        job.counts.ended("split", outcome)
        job.tracer.add(call_here(job, self._witness.peer, "split", run.first, run.count, run.size_bytes, outcome))

    async def _read_back(self, known: SegmentsSplit, size: int) -> _Split:
        body = await asyncio.to_thread(self._result_store.read, known.body)
        lists = await asyncio.to_thread(frames_in, body)
        self._job.counts.spent("split", fuel=known.fuel, seconds=known.seconds)
        return _Split(known.first_segment, known.segments, size, body, lists, known.body, None)

    def _take(self, split: _Split, is_last: bool) -> None:
        if split.entry is not None:
            self._keep(split.entry)
        load = (lambda: self._result_store.read(split.stored)) if split.stored.blob else None
        chunks = self._job.chunks
        for each in split.lists:
            chunks.add_frame(split.body, each, load)
        self._job.cut_bytes += split.input_bytes
        self._tell(is_last and split.error is None)
        if split.error is not None:
            raise split.error

    def _tell(self, is_last: bool) -> None:
        chunks, (packs, size) = self._job.chunks, self._told
        self._told = len(chunks.pack_ends), chunks.size_bytes
        self._job.is_cut = is_last
        self._on_chunks(chunks.pack_counts(packs), chunks.size_bytes - size, is_last)

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


def _open(contents: tuple[Content, ...], result_store: ResultStore) -> Inputs:
    given: list[object] = []
    for content in contents:
        if content.data is not None:
            given.append(content.data)
        elif result_store.blobs.has(content.sha256):
            given.append(result_store.blobs.path(content.sha256))
        else:
            raise InputError(f"the node has no content {content.sha256}", hint="submit the job again, with its input")
    return open_inputs(given).read_once()

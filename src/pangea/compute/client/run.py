"""One run of one job on one engine: cut, split, execute, merge, in the order of the reference semantics.

    result = merge([execute(c) for s in cut(data) for c in split(s)])

The driver only moves data: what a task holds is decided in `orchestrator.packing`, what follows its end in
`orchestrator.retry`. Tasks are numbered in the order of their chunks; results are put together by number, so neither
packing nor the order of arrival shows. Of several failures the one with the lowest number is reported: the same job fails
the same way each time.
"""

from __future__ import annotations

import itertools
import queue
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import cast

from pangea.compute.client.rechecking import Part, Rechecks
from pangea.compute.engine import merging
from pangea.compute.engine.chunks import ChunkQueue, Run
from pangea.compute.engine.engine import Engine, TaskFuture
from pangea.compute.engine.failures import error_of, timeout_error
from pangea.compute.engine.prepared import PreparedJob
from pangea.compute.engine.task import Function, Task
from pangea.compute.model import frames
from pangea.compute.model.errors import JobCancelledError, PangeaError
from pangea.compute.model.frames import Buffer
from pangea.compute.model.options import JobOptions
from pangea.compute.model.outcome import Failure, Finished
from pangea.compute.model.trace import Check, Span, Trace, Tracer
from pangea.compute.model.units import KIB, MIB
from pangea.compute.orchestrator.packing import TaskSize, TaskSizer
from pangea.compute.orchestrator.retry import Next, decide

#: Chunks made by split and not yet executed: beyond this, split waits.
_CHUNKS_WAITING_BYTES_MAX = 64 * MIB
_PRINTS_MAX = 64 * KIB
#: How often a wait for tasks looks whether the job was cancelled.
_POLL_SECONDS = 0.1
_ALL = TaskSize(chunks=1 << 30, size_bytes=1 << 40)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is.

    Attributes:
        phase: "compiling …", "running" or "merging".
        chunks: executed so far.
        bytes_done, bytes_total: of the input; done once it is in finished tasks.
        seconds: since the start.
    """

    phase: str
    chunks: int = 0
    bytes_done: int = 0
    bytes_total: int = 0
    seconds: float = 0.0


@dataclass
class Counts:
    """What a run adds up for its report."""

    segments: int = 0
    chunks: int = 0
    tasks: int = 0
    retries: int = 0
    fuel: int = 0
    seconds: dict[str, float] = field(default_factory=lambda: {"split": 0.0, "execute": 0.0, "merge": 0.0})
    prints: str = ""


@dataclass(frozen=True)
class _Item:
    """A task on its way, with what is needed to run it again; or `part` of one that has ended, to be compared."""

    number: int
    task: Task
    run: Run
    attempt: int = 1
    part: Part | None = None

    @property
    def rank(self) -> tuple[bool, int]:
        """Order of failures: chunks are executed in order, and all of them come from segments before one that fails to split."""
        return self.task.function == "split", self.number


class JobRun:
    """Drives one job to its result."""

    def __init__(
        self,
        engine: Engine,
        job: PreparedJob,
        options: JobOptions,
        *,
        segments: Iterator[Buffer],
        input_bytes: int,
        on_progress: Callable[[Progress], None],
        is_cancelled: Callable[[], bool],
        rechecks: Rechecks | None = None,
    ) -> None:
        """Run `job` over `segments`, which together hold `input_bytes`; with `rechecks`, all of it twice, in twice the time."""
        self.counts = Counts()
        self.rechecks = rechecks
        self.workers = engine.workers
        self.input_bytes = input_bytes
        self._engine = engine
        self._job = job
        self._options = options
        self._segments = segments
        self._uncut_bytes = input_bytes
        self._on_progress = on_progress
        self._is_cancelled = is_cancelled
        self._tracer = Tracer()
        self._timeout = options.timeout * (1 if rechecks is None else 2)
        self._started = time.monotonic()
        self._ended: queue.SimpleQueue[tuple[_Item, TaskFuture]] = queue.SimpleQueue()
        self._in_flight: dict[int, tuple[_Item, TaskFuture]] = {}
        self._redo: deque[_Item] = deque()
        self._failed: tuple[_Item, Failure] | None = None
        self._next_number = 0
        self._chunks = ChunkQueue()
        self._split_frames: dict[int, memoryview] = {}
        self._split_order: deque[int] = deque()
        self._results: dict[int, bytes] = {}
        self._bytes_done = 0
        memory = job.guest.limits.memory
        self._splits = TaskSizer(workers=engine.workers, min_bytes=options.min_chunk_size, memory_bytes=memory)
        self._executes = TaskSizer(workers=engine.workers, min_bytes=options.min_chunk_size, memory_bytes=memory)

    @property
    def trace(self) -> Trace:
        """What each task did, so far."""
        trace = Trace.of(self._tracer)
        return trace if self.rechecks is None else trace.checked(Check.AGAIN)

    def result(self) -> bytes:
        """Run the job and return its result.

        Raises:
            JobFailedError: a function failed; LimitExceededError if at a limit (the job's timeout included).
            JobCancelledError: `is_cancelled` said so.
        """
        try:
            self._drive(self._next_item)
            bodies = [self._results.pop(number) for number in sorted(self._results)]
            return self._merged(bodies) if self._job.has_merge else b"".join(merging.items(bodies))
        finally:
            self._engine.cancel([future for _, future in self._in_flight.values()])

    def _drive(self, next_item: Callable[[], _Item | None]) -> None:
        """Keep the workers busy with `next_item` until there is none and all that matters has ended."""
        while True:
            while len(self._in_flight) < 2 * self._engine.workers and (item := self._next(next_item)):
                self._start(item)
            if not any(self._matters(item) for item, _ in self._in_flight.values()):
                break
            self._settle(*self._wait())
        if self._failed:
            self._raise(*self._failed)

    def _matters(self, item: _Item) -> bool:
        """Whether `item` can still change what is reported: after a failure, only what comes before it does."""
        return self._failed is None or (item.part is None and item.rank < self._failed[0].rank)

    def _next(self, next_item: Callable[[], _Item | None]) -> _Item | None:
        while self._redo:
            if self._matters(item := self._redo.popleft()):
                return item
        if self._failed is None:
            return self._next_part() or next_item()
        if self._failed[0].task.function != "split":
            return None
        self._collect_split()  # what waits, or still comes, is from segments before the failed one
        return self._execute_item() if self._chunks else None

    def _next_part(self) -> _Item | None:
        """What is to be computed again goes first: until then its input and its results are held."""
        part = self.rechecks.next() if self.rechecks is not None else None
        return (
            None
            if part is None
            else replace(self._item(part.task.function, Run(part.first, part.task.count, 0, [])), task=part.task, part=part)
        )

    def _start(self, item: _Item) -> None:
        future = self._engine.submit(item.task)
        self._in_flight[item.number] = (item, future)
        # Told of the future, rather than holding it: a circle would keep the task's input until the collector comes by.
        future.add_done_callback(lambda done: self._ended.put((item, cast("TaskFuture", done))))

    def _wait(self) -> tuple[_Item, TaskFuture]:
        while True:
            elapsed = time.monotonic() - self._started
            if self._is_cancelled():
                raise JobCancelledError("the job was cancelled")
            if elapsed > self._timeout:
                raise timeout_error(self._timeout, self.counts.chunks)
            try:
                return self._ended.get(timeout=min(_POLL_SECONDS, self._timeout - elapsed + 0.001))
            except queue.Empty:
                continue

    def _settle(self, item: _Item, future: TaskFuture) -> None:
        del self._in_flight[item.number]
        outcome = future.result()
        task = item.task
        match decide(
            outcome,
            function=task.function,
            count=task.count,
            singly=task.singly,
            attempt=item.attempt,
            retry_count=self._options.retry_count,
        ):
            case Next.ACCEPT | Next.FAIL if item.part is not None:
                assert self.rechecks is not None, "parts are theirs"
                self.rechecks.compare(item.part, outcome)
            case Next.ACCEPT:
                assert isinstance(outcome, Finished)
                self._accept(item, outcome)
                self._trace(item, outcome, future)
            case Next.RUN_SINGLY:
                self._redo.append(replace(item, task=replace(task, singly=True)))
            case Next.RETRY:
                self.counts.retries += 1
                self._redo.append(replace(item, attempt=item.attempt + 1))
            case Next.FAIL:
                assert isinstance(outcome, Failure)
                if self._matters(item):
                    self._failed = (item, outcome)

    def _accept(self, item: _Item, outcome: Finished) -> None:
        function = item.task.function
        self.counts.tasks += 1
        self.counts.fuel += outcome.fuel
        self.counts.seconds[function] += outcome.seconds
        if outcome.prints:
            self.counts.prints = (self.counts.prints + outcome.prints)[:_PRINTS_MAX]
        run = item.run
        if function == "split":
            self._split_frames[item.number] = memoryview(outcome.results)
            self._splits.observe(chunks=run.count, size_bytes=run.size_bytes, seconds=outcome.seconds)
        else:
            self._results[item.number] = outcome.results
        if function == "execute":
            self.counts.chunks += run.count
            self._bytes_done += run.size_bytes
            self._executes.observe(chunks=run.count, size_bytes=run.size_bytes, seconds=outcome.seconds)
        self._on_progress(self._progress("merging" if function == "merge" else "running"))

    def _trace(self, item: _Item, outcome: Finished, future: TaskFuture) -> None:
        task, run = item.task, item.run
        span = Span(
            function=task.function,
            worker=str(future.worker),
            start=run.first,
            count=1 if task.function == "merge" else run.count,
            size_bytes=run.size_bytes,
            began=max(0.0, future.began - self._started),
            ended=max(0.0, future.ended - self._started),
            seconds=future.ended - future.began,
            fuel=outcome.fuel,
            attempts=item.attempt,
        )
        self._tracer.add(span)
        if self.rechecks is not None:
            self.rechecks.expect(task, run.first, outcome.results)

    def _progress(self, phase: str) -> Progress:
        running = sum(item.run.size_bytes for item, _ in self._in_flight.values() if item.task.function == "execute")
        known = self._bytes_done + running + self._chunks.size_bytes  # split may make more of its input than that was
        done = self.input_bytes * self._bytes_done // max(1, self.input_bytes, known)
        return Progress(phase, self.counts.chunks, done, self.input_bytes, time.monotonic() - self._started)

    def _next_item(self) -> _Item | None:
        """The next execute task, or a split task to feed it."""
        self._collect_split()
        if self._job.has_split:
            may_split = self._chunks.size_bytes < _CHUNKS_WAITING_BYTES_MAX
            few_ahead = len(self._split_order) < 2 * self._engine.workers
            if may_split and few_ahead and (run := self._take_segments()):
                item = self._item("split", run)
                self._split_order.append(item.number)
                return item
            return self._execute_item() if self._chunks else None
        self._fill_chunks()
        return self._execute_item() if self._chunks else None

    def _execute_item(self) -> _Item:
        remaining = self._chunks.size_bytes + self._uncut_bytes
        return self._item("execute", self._chunks.take(self._executes.next_size(remaining)))

    def _collect_split(self) -> None:
        """Queue chunks in the order of their segments, whichever split ended first."""
        while self._split_order and self._split_order[0] in self._split_frames:
            answer = self._split_frames.pop(self._split_order.popleft())
            start = frames.HEADER_BYTES
            for end in frames.ends(answer):
                self._chunks.add_frame(answer[start + frames.ENTRY_OVERHEAD_BYTES : end])
                start = end

    def _take_segments(self) -> Run | None:
        """Segments for one split task: one, or several small ones."""
        most, count, waiting = self._splits.next_size(self._uncut_bytes), 0, ChunkQueue()
        while count < most.chunks and waiting.size_bytes < most.size_bytes:
            segment = self._next_segment()
            if segment is None:
                break
            waiting.add(segment)
            count += 1
        return replace(waiting.take(_ALL), first=self.counts.segments - count) if waiting else None

    def _fill_chunks(self) -> None:
        """Without split each segment is a chunk: cut as many as a task may need."""
        most = self._executes.next_size(self._chunks.size_bytes + self._uncut_bytes)
        while self._chunks.size_bytes < most.size_bytes and (segment := self._next_segment()) is not None:
            self._chunks.add(segment)

    def _next_segment(self) -> Buffer | None:
        segment = next(self._segments, None)
        if segment is not None:
            self.counts.segments += 1
            self._uncut_bytes -= len(segment)
        return segment

    def _item(self, function: Function, run: Run) -> _Item:
        number = self._next_number
        self._next_number += 1
        return _Item(number, Task(self._job.guest, function, run.count, run.parts), run)

    def _merged(self, bodies: list[bytes]) -> bytes:
        """Merge all results at once, or, while they are many and merge is associative, in groups on all workers."""
        is_associative = self._job.associative or self._options.associative_merge
        while is_associative and len(bodies) > 1 and (total := sum(map(len, bodies))) > merging.WHOLE_BYTES:
            bodies = self._merge_groups(merging.groups(bodies, workers=self._engine.workers))
            if sum(map(len, bodies)) > total // 2:
                break  # merging doesn't make it smaller: one last call has to do
        merged = self._merge_groups([bodies])
        return bytes(merging.only_result(merged[0]))

    def _merge_groups(self, groups: Sequence[Sequence[Buffer]]) -> list[bytes]:
        waiting, numbers = iter(groups), itertools.count()

        def next_merge() -> _Item | None:
            group = next(waiting, None)
            if group is None:
                return None
            count, parts = merging.merge_input(group)
            number = next(numbers)
            return self._item("merge", Run(number, count, sum(map(len, group)), parts))

        self._drive(next_merge)
        return [self._results.pop(number) for number in sorted(self._results)]

    def _raise(self, item: _Item, failure: Failure) -> None:
        index = None
        if item.task.function == "execute" and (failure.index is not None or item.run.count == 1):
            index = item.run.first + (failure.index or 0)
        error: PangeaError = error_of(failure, function=item.task.function, chunk_index=index, attempts=item.attempt)
        raise error

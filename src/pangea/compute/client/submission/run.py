"""One run of one job on one engine: its course (`flow.course`) says what to call, and hears how each call has ended.

The driver only moves data, keeps the time, and tells of progress. How many packs make a task is `orchestrator.rules.packing`'s
to say.
"""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import cast

from pangea.compute.client.receipts.rechecking import Part, Rechecks
from pangea.compute.engine.engine import Engine, TaskFuture
from pangea.compute.engine.failures import error_of_task, timeout_error
from pangea.compute.engine.prepared import PreparedJob
from pangea.compute.engine.task import Task
from pangea.compute.flow.counts import Counts
from pangea.compute.flow.course import Call, Course
from pangea.compute.flow.feed import Feed
from pangea.compute.flow.independence import Independence
from pangea.compute.flow.packs import PackRule
from pangea.compute.flow.retry import Next
from pangea.compute.flow.sized import Sized
from pangea.compute.model.errors import JobCancelledError
from pangea.compute.model.frames import Buffer
from pangea.compute.model.options import JobOptions
from pangea.compute.model.outcome import Finished, Outcome
from pangea.compute.model.progress import Progress
from pangea.compute.model.trace import Check, Span, Trace, Tracer
from pangea.compute.orchestrator.rules.packing import TaskSizer

#: How often a wait for tasks looks whether the job was cancelled.
_POLL_SECONDS = 0.1


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
        on_print: Callable[[str], None] = lambda _text: None,
    ) -> None:
        """Run `job` over `segments`, which together hold `input_bytes`; with `rechecks`, all of it twice, in twice the time."""
        self.rechecks = rechecks
        self.workers: int = engine.workers
        self.input_bytes = input_bytes
        self.is_shader: bool = job.guest_of("execute").gpu is not None
        self._engine = engine
        self._guest_of = job.guest_of
        self._on_progress = on_progress
        self._on_print = on_print
        self._is_cancelled = is_cancelled
        self._tracer = Tracer()
        self._timeout = options.timeout * (1 if rechecks is None else 2)
        self._started = time.monotonic()
        self._ended: queue.SimpleQueue[tuple[Call, TaskFuture]] = queue.SimpleQueue()
        self._futures: dict[int, TaskFuture] = {}
        sizer = partial(TaskSizer, workers=engine.workers, min_bytes=options.min_chunk_size, memory_bytes=job.guest.limits.memory)
        self._plan = Sized(
            splits=sizer(),
            executes=sizer(),
            has_split=job.has_split,
            has_merge=job.has_merge,
            is_associative=job.associative or options.associative_merge,
        )
        self.counts: Counts = Counts()
        feed = Feed(segments, PackRule.of(options), self.counts, input_bytes=input_bytes)
        self._course = Course(self._plan, feed, has_split=job.has_split, retry_count=options.retry_count)
        self.independence: Independence = self._course.independence

    @property
    def trace(self) -> Trace:
        """What each task did, so far."""
        trace = Trace.of(self._tracer)
        return trace if self.rechecks is None else trace.checked(Check.AGAIN)

    @property
    def bytes_done(self) -> int:
        """Of chunks that have been executed."""
        return self._course.bytes_done

    @property
    def known_chunks(self) -> tuple[int, bool]:
        """How many chunks are known so far, and whether those are all."""
        return self._course.feed.known, self._course.feed.is_complete

    def under_way(self) -> list[tuple[Call, TaskFuture | None]]:
        """Calls that have begun and not ended, the first begun first, each with its task. For any thread: a moment's."""
        calls, futures = self._course.under_way.copy(), self._futures.copy()  # each in one step
        return [(call, futures.get(number)) for number, call in calls.items()]

    @property
    def elapsed(self) -> float:
        """Seconds since it was begun."""
        return time.monotonic() - self._started

    def result(self) -> bytes:
        """Run the job and return its result.

        Raises:
            JobFailedError: a function failed; LimitExceededError if at a limit (the job's timeout included).
            JobCancelledError: `is_cancelled` said so.
        """
        course = self._course
        try:
            while True:
                while (call := course.next(2 * self._engine.workers)) is not None:
                    self._start(call)
                if course.is_over:
                    break
                self._settle(*self._wait())
        finally:
            self._engine.cancel(self._futures.values())
        if course.failed is not None:
            call, failure = course.failed
            raise error_of_task(failure, function=call.function, first=call.run.first, attempts=call.attempt)
        return self._plan.result()

    def _start(self, call: Call) -> None:
        future = self._engine.submit(Task.of(self._guest_of(call.function), call.function, call.run))
        self._futures[call.number] = future
        # Told of the future, rather than holding it: a circle would keep the task's input until the collector comes by.
        future.add_done_callback(lambda done: self._ended.put((call, cast("TaskFuture", done))))

    def _wait(self) -> tuple[Call, TaskFuture]:
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

    def _settle(self, call: Call, future: TaskFuture) -> None:
        del self._futures[call.number]
        outcome: Outcome = future.result()
        if self._course.ended(call, outcome) is not Next.ACCEPT or call.told is not None:
            return
        assert isinstance(outcome, Finished), "only what has ended well is accepted"
        if outcome.prints:
            self._on_print(outcome.prints)
        self._on_progress(self.progress("merging" if call.function == "merge" else "running"))
        self._tracer.add(self._span(call, outcome, future))
        if self.rechecks is not None:
            part = Part.of(call, outcome.results)
            self._course.check(call, partial(self.rechecks.compare, part))

    def _span(self, call: Call, outcome: Finished, future: TaskFuture) -> Span:
        run = call.run
        return Span(
            function=call.function,
            worker=str(future.worker),
            start=run.first,
            count=1 if call.function == "merge" else run.count,
            size_bytes=run.size_bytes,
            began=max(0.0, future.began - self._started),
            ended=max(0.0, future.ended - self._started),
            seconds=future.ended - future.began,
            fuel=outcome.fuel,
            attempts=call.attempt,
        )

    def progress(self, phase: str) -> Progress:
        """How far it is."""
        known = self._course.bytes_known  # split may make more of its input than that was
        done = self.input_bytes * self._course.bytes_done // max(1, self.input_bytes, known)
        return Progress(phase, self.counts.chunks, done, self.input_bytes, time.monotonic() - self._started)

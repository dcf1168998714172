"""A fake engine: runs tasks natively, ends them in any order, and injects faults of the machine.

It has no threads. `JobRun` asks whether the job is cancelled before each wait; the fake takes that as its cue to end one
of the tasks on their way, so that a run over it is a pure function of the choices that `choose` makes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass, field

from pangea.compute.engine.engine import TaskFuture
from pangea.compute.engine.task import Task
from pangea.compute.model import frames
from pangea.compute.model.outcome import Failure, FailureKind, Finished, Outcome


class GuestError(Exception):
    """What a fake guest raises."""


@dataclass
class FakeGuest:
    """The job's functions, native."""

    split: Callable[[bytes], list[bytes]]
    execute: Callable[[bytes], bytes]
    merge: Callable[[list[bytes]], bytes]

    def serial(self, segments: Iterable[bytes], *, has_split: bool, has_merge: bool) -> bytes:
        """The reference semantics: merge([execute(c) for s in segments for c in split(s)])."""
        chunks = [chunk for segment in segments for chunk in (self.split(segment) if has_split else [segment])]
        results = [self.execute(chunk) for chunk in chunks]
        return self.merge(results) if has_merge else b"".join(results)


@dataclass
class FakeEngine:
    """The part of `Engine` that `JobRun` uses.

    Attributes:
        guest: what the tasks call.
        choose: an integer from 0 up to and including its argument: which task ends next, and how long it took.
        faults: how many more tasks may end by a fault of the machine; `choose` decides which.
    """

    guest: FakeGuest
    workers: int
    choose: Callable[[int], int]
    faults: int = 0
    waiting: list[tuple[Task, TaskFuture]] = field(default_factory=list)
    started: list[Task] = field(default_factory=list)

    def submit(self, task: Task) -> TaskFuture:
        """Take a task."""
        assert len(self.waiting) < 2 * self.workers, "more tasks on their way than a run may have"
        future = TaskFuture(task)
        self.waiting.append((task, future))
        self.started.append(task)
        return future

    def cancel(self, futures: Iterable[Future[Outcome]]) -> None:
        """Give up tasks."""
        gone = set(futures)
        self.waiting = [(task, future) for task, future in self.waiting if future not in gone]

    def step(self) -> bool:
        """End one task. False: the job isn't cancelled."""
        assert self.waiting, "the run waits for tasks, and there are none"
        task, future = self.waiting.pop(self.choose(len(self.waiting) - 1))
        future.worker = 1
        future.set_result(self._fault(task) or self._outcome(task))
        return False

    def _fault(self, task: Task) -> Failure | None:
        if not self.faults or not self.choose(1):
            return None
        self.faults -= 1
        kind = (FailureKind.WORKER_LOST, FailureKind.TIMED_OUT)[self.choose(1)]
        return Failure(kind=kind, message=f"{task.function}: {kind}")

    def _outcome(self, task: Task) -> Outcome:
        items = list(frames.unpack(b"".join(task.parts)))
        assert len(items) == task.count
        results: list[bytes] = []
        try:
            if task.function == "merge":
                results = [self.guest.merge(items)]
            for item in items if task.function != "merge" else []:
                results.append(self.guest.execute(item) if task.function == "execute" else frames.pack(self.guest.split(item)))
        except GuestError as error:
            index = None if task.function == "merge" else len(results)
            return Failure(kind=FailureKind.GUEST_ERROR, message=str(error), index=index)
        return Finished(results=frames.pack(results), fuel=len(results), seconds=self.choose(8) / 4)

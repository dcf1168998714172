"""Calls of a job's functions on the engine, from the event loop: nothing here blocks it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import replace

from pangea.compute.engine.engine import Engine
from pangea.compute.engine.task import Function, Guest, Task
from pangea.compute.model.frames import Buffer
from pangea.compute.model.outcome import Failure, FailureKind, Outcome
from pangea.compute.node.slots import Slots
from pangea.compute.orchestrator.retry import Next, decide


class Calls:
    """One node's engine, shared by its jobs."""

    def __init__(self, engine: Engine) -> None:
        """Call on `engine`."""
        self.engine = engine
        #: For split and merge; as many wait at the engine as hide the way there.
        self._slots = Slots(2 * engine.workers)

    async def run(self, task: Task) -> Outcome:
        """How `task` ends; if the caller is cancelled, so is the task."""
        future: Future[Outcome] = self.engine.submit(task)
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            self.engine.cancel([future])
            raise

    async def execute(self, task: Task, *, is_shared: bool = False) -> Outcome:
        """Run a packed task; if a chunk fails, run its chunks singly, so that the failure names it.

        If the task `is_shared` (others may execute it, too, and be compared) one that only ran out of time isn't: whether it
        does depends on the machine, and chunks that run singly use other fuel than in company.
        """
        outcome = await self.run(task)
        if is_shared and task.count > 1 and isinstance(outcome, Failure) and outcome.kind is FailureKind.TIMED_OUT:
            return outcome
        step = decide(outcome, function=task.function, count=task.count, singly=task.singly, attempt=1, retry_count=0)
        return await self.run(replace(task, singly=True)) if step is Next.RUN_SINGLY else outcome

    async def call(
        self, guest: Guest, function: Function, count: int, parts: Sequence[Buffer], *, rank: float, retry_count: int
    ) -> tuple[Outcome, int]:
        """Call split or merge when it is the job's turn; machines' failures are tried again.

        Returns:
            How it ended, and the number of attempts.
        """
        task, attempt = Task(guest, function, count, parts), 1
        while True:
            async with self._slots.hold(rank):
                outcome = await self.run(task)
            step = decide(outcome, function=function, count=count, singly=task.singly, attempt=attempt, retry_count=retry_count)
            if step is not Next.RETRY:
                return outcome, attempt
            attempt += 1


def lost(reason: str) -> Failure:
    """A failure of this machine."""
    return Failure(kind=FailureKind.WORKER_LOST, message=reason)

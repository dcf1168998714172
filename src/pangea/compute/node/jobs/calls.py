"""Calls of a job's functions on the engine, from the event loop: nothing here blocks it."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future

from pangea.compute.engine.engine import Engine
from pangea.compute.engine.task import Task
from pangea.compute.flow.retry import Next, decide
from pangea.compute.model.outcome import Failure, FailureKind, Outcome
from pangea.compute.node.jobs.slots import Slots


class Calls:
    """One node's engine, shared by its jobs."""

    def __init__(self, engine: Engine) -> None:
        """Call on `engine`."""
        self.engine = engine
        #: For split and merge; as many wait at the engine as hide the way there.
        self._slots = Slots(2 * engine.workers)

    async def run(self, task: Task) -> Outcome:
        """How `task` ends; if the caller is cancelled, so is the task.

        What the engine gives up unasked (it closes, or a cluster has cancelled it) is lost: it says nothing of the job.
        """
        future: Future[Outcome] = self.engine.submit(task)
        try:
            outcome = await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            self.engine.cancel([future])
            raise
        is_given_up = isinstance(outcome, Failure) and outcome.kind is FailureKind.CANCELLED
        return lost("the engine has given the task up") if is_given_up else outcome

    async def execute(self, task: Task) -> Outcome:
        """How a task of `execute` or of a delegated merge ends."""
        return await self.run(task)

    async def call(self, task: Task, *, rank: float, retry_count: int) -> tuple[Outcome, int]:
        """Call split or merge, or execute beside the job's tasks, when it is the job's turn; machines' failures are tried again.

        Returns:
            How it ended, and the number of attempts.
        """
        attempt = 1
        while True:
            async with self._slots.hold(rank):
                outcome = await self.run(task)
            if decide(outcome, attempt=attempt, retry_count=retry_count) is not Next.RETRY:
                return outcome, attempt
            attempt += 1


def lost(reason: str) -> Failure:
    """A failure of this machine."""
    return Failure(kind=FailureKind.WORKER_LOST, message=reason)

"""What an engine gives up unasked is this machine's failure: nobody signs it as the job's, and nobody is judged by it."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pangea.compute.engine.engine import CANCELLED, Engine
from pangea.compute.engine.task import Task
from pangea.compute.model.outcome import Failure, FailureKind, Finished, Outcome
from pangea.compute.node.jobs.calls import Calls

TASK = cast(Task, None)
GUEST = Failure(kind=FailureKind.GUEST_ERROR, message="its own")
DONE = Finished(results=b"", fuel=1, seconds=0.0)


def calls_of(*outcomes: Outcome) -> Calls:
    ends = iter(outcomes)

    def submit(_task: Task) -> Future[Outcome]:
        future = Future[Outcome]()
        future.set_result(next(ends))
        return future

    return Calls(cast(Engine, SimpleNamespace(workers=1, submit=submit)))


@pytest.mark.parametrize("outcome", [GUEST, DONE])
def test_all_else_is_passed_on(outcome: Outcome) -> None:
    assert asyncio.run(calls_of(outcome).execute(TASK)) is outcome


def test_what_is_given_up_is_lost_and_tried_again() -> None:
    given_up: Any = asyncio.run(calls_of(CANCELLED).execute(TASK))
    assert given_up.is_machine_fault
    assert given_up.kind is FailureKind.WORKER_LOST
    outcome, attempts = asyncio.run(calls_of(CANCELLED, DONE).call(TASK, rank=0.0, retry_count=3))
    assert (outcome, attempts) == (DONE, 2)

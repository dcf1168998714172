"""Waits that end and are cancelled at the same moment: the cancellation counts, else whoever stops a node waits for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from pangea.compute.network.rpc import rpc
from pangea.compute.node.jobs.jobs import Job
from pangea.compute.node.storage.records import JobAccepted

SECONDS = 60.0
Wait = tuple[Coroutine[Any, Any, object], Callable[[], object]]
"what waits, and what ends the wait"


def call() -> Wait:
    promise = asyncio.get_running_loop().create_future()
    return rpc.answer_of(promise, SECONDS), lambda: promise.set_result("answer")


def change() -> Wait:
    job = Job(JobAccepted(job_id="job", owner="", name="", manifest="{}", accepted_at=0.0, bytes_in=0))
    return job.change(SECONDS), job.touch


@pytest.mark.parametrize("begin", [call, change])
def test_a_cancellation_that_comes_as_the_wait_ends_is_not_lost(begin: Callable[[], Wait]) -> None:
    async def work() -> bool:
        wait, finish = begin()
        task = asyncio.create_task(wait)
        begun = asyncio.Event()
        asyncio.get_running_loop().call_soon(begun.set)  # after the task's own first step
        await begun.wait()
        finish()
        task.cancel()
        await asyncio.wait({task}, timeout=20)
        return task.cancelled()

    assert asyncio.run(work()), "the cancellation was lost"


@pytest.mark.parametrize("begin", [call, change])
def test_a_wait_that_ends_gives_what_it_waited_for(begin: Callable[[], Wait]) -> None:
    async def work() -> object:
        wait, finish = begin()
        asyncio.get_running_loop().call_soon(finish)
        return await wait

    assert asyncio.run(work()) in (("answer", ""), True)


def test_a_wait_has_an_end_though_nothing_happens() -> None:
    async def work() -> tuple[object, object]:
        silent = asyncio.get_running_loop().create_future()
        job = Job(JobAccepted(job_id="job", owner="", name="", manifest="{}", accepted_at=0.0, bytes_in=0))
        return await rpc.answer_of(silent, 0.01), await job.change(0.01)

    assert asyncio.run(work()) == ((None, "didn't answer in 0.01 s"), False)

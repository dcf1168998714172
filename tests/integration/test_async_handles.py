"""Handles of an `AsyncClient`: whatever they are asked, the event loop goes on. Handles that nobody waits for fetch nothing."""

from __future__ import annotations

import asyncio
import inspect
import pickle
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import as_completed, wait
from typing import Any

import pytest

from pangea.compute import AsyncClient, AsyncJobHandle, Client, Job, JobFailedError, asubmit_job
from pangea.compute.client.submission import asubmit
from pangea.compute.client.submission.handle import JobHandle
from pangea.compute.client.submission.remote import RemoteNode
from pangea.compute.errors import JobCancelledError, NotDoneError
from pangea.compute.model.errors import UnavailableError
from pangea.compute.model.progress import JobState
from tests.nodes import NodeProcess

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


def execute(chunk: bytes) -> bytes:
    if chunk == b"fail":
        raise ValueError("told to")
    while chunk == b"hang":
        pass
    return chunk * (5_000_000 if chunk == b"much" else 1)


JOB = Job.from_functions(execute)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with NodeProcess(tmp_path_factory.mktemp("async") / "node") as process:
        yield str(process.data_dir)


def with_client(node: str, program: Callable[[AsyncClient], Awaitable[None]]) -> None:
    async def run() -> None:
        async with AsyncClient(node) as client:
            await program(client)

    asyncio.run(run())


def test_nothing_of_a_handle_blocks_but_what_asks_nobody() -> None:
    public = {name: value for name, value in vars(AsyncJobHandle).items() if not name.startswith("_")}
    blocking = {name for name, value in public.items() if not inspect.iscoroutinefunction(value)}
    assert blocking == {
        "job_id",
        "blocking",
        "dashboard_url",
        "done",
        "on_status",
        "logs",
        "widget",
    }  # the last gives an async iterator
    assert not issubclass(AsyncJobHandle, JobHandle)
    only_blocking = {"client", "add_done_callback", "cancelled", "run_again", "alogs"}
    assert {name for name in vars(JobHandle) if not name.startswith("_")} - only_blocking <= set(public)


def test_all_that_a_handle_can_be_asked(node: str) -> None:
    async def program(client: AsyncClient) -> None:
        handle = await client.submit_job(JOB, b"abc", receipt=True)
        assert isinstance(handle, AsyncJobHandle)
        assert [status.state async for status in handle][-1] is JobState.COMPLETE
        assert await handle == await handle.result(30) == b"abc"
        assert (await handle.status()).state is JobState.COMPLETE
        assert (await handle.outcome(30)).size == 3
        assert (handle.done(), await handle.exception(), await handle.cancel()) == (True, None, False)
        assert (await handle.explain())["status"]["job_id"] == handle.job_id
        assert (await handle.tree())["workers"]
        assert (await handle.trace()).spans
        assert await handle.receipt()
        assert await (await handle.rerun()) == b"abc"
        assert await client.job(handle.job_id) == b"abc"
        assert await pickle.loads(pickle.dumps(handle)) == b"abc"
        assert handle.job_id in repr(handle)

    with_client(node, program)


def test_errors_and_waits_that_are_over(node: str) -> None:
    async def program(client: AsyncClient) -> None:
        bad = await client.submit_job(JOB, b"fail")
        with pytest.raises(JobFailedError, match="told to"):
            await bad
        assert isinstance(await bad.exception(), JobFailedError)
        endless = await client.submit_job(JOB, b"hang", limits={"fuel": 10**14})
        with pytest.raises(NotDoneError, match=r"goes on after 0\.05 s"):
            await endless.result(0.05)
        with pytest.raises(NotDoneError):
            await endless.exception(0.05)
        assert await endless.cancel()
        with pytest.raises(JobCancelledError):
            await endless

    with_client(node, program)


def test_an_attached_handle_that_is_only_asked_for_its_status_fetches_no_result(
    node: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched: list[str] = []
    fetch = RemoteNode.result

    async def counted(self: RemoteNode, outcome: Any) -> bytes:
        fetched.append(outcome.status.job_id)
        return await fetch(self, outcome)

    with Client(node) as client:
        submitted = client.submit_job(JOB, b"much")  # this one fetches its result as soon as there is one: only then count
        job_id = submitted.job_id
        submitted.result(60)
        monkeypatch.setattr(RemoteNode, "result", counted)
        again = client.job(job_id)
        assert again.status().state is JobState.COMPLETE
        assert again.tree()["workers"]
        assert fetched == []
        others = [client.job(job_id) for _ in range(3)]
        assert not wait([others[0]], 60).not_done
        assert list(as_completed([others[1]], 60)) == [others[1]]
        assert others[2].result(60) == b"much" * 5_000_000
        assert fetched == [job_id] * 3


def test_a_closed_client_says_so(node: str) -> None:
    client = Client(node)
    handle = client.submit_job(JOB, b"hang", limits={"fuel": 10**14})
    job_id = handle.job_id
    client.close()
    for ask in (
        lambda: client.submit_job(JOB, b"x"),
        lambda: client.submit(abs, -1),
        lambda: handle.result(30),
        client.info,
        lambda: client.job(job_id).result(30),
    ):
        with pytest.raises(UnavailableError, match=r"client (is|was) closed"):
            ask()
    with Client(node) as other:
        assert other.job(job_id).cancel()


def test_waits_of_asubmit_job_leave_the_loops_executor_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    go, names = threading.Event(), []

    def wait_for_go(*_: object) -> Any:
        names.append(threading.current_thread().name)
        assert go.wait(60)
        return b""

    monkeypatch.setattr(asubmit, "run_job", wait_for_go)

    async def program() -> None:
        jobs = [asyncio.ensure_future(asubmit_job(JOB, b"x")) for _ in range(50)]
        await asyncio.sleep(0)
        assert await asyncio.to_thread(lambda: 1) == 1, "the executor has a thread for others"
        go.set()
        await asyncio.gather(*jobs)

    asyncio.run(program())
    assert names == ["pangea-job"] * 50

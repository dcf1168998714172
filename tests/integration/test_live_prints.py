"""What a job's functions print is told while it runs, embedded and on a node."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from pangea.compute import AsyncClient, Job, JobFailedError, asubmit_job, submit_job
from pangea.compute.errors import JobCancelledError
from tests.nodes import NodeProcess

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]
ENDLESS = {"fuel": 10**15}


@Job.define
def talkative() -> None:
    @Job.split
    def split(data: bytes) -> list[bytes]:
        print("cut", len(data))
        return data.split()

    @Job.execute
    def execute(chunk: bytes) -> bytes:
        print("seen", chunk.decode())
        while chunk == b"endless":
            pass
        return b"%d" % int(chunk)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    with NodeProcess(tmp_path_factory.mktemp("prints") / "node", "--stop-seconds", "0") as process:
        yield process


@pytest.mark.parametrize("is_embedded", [True, False])
def test_all_that_is_printed_is_told_once(node: NodeProcess, is_embedded: bool) -> None:
    told: list[str] = []
    result = submit_job(talkative, b"1 2 3", node=None if is_embedded else str(node.data_dir), on_print=told.append)
    assert "".join(told) == result.report.prints
    assert sorted(result.report.prints.splitlines()) == ["cut 5", "seen 1", "seen 2", "seen 3"]


@pytest.mark.parametrize("is_embedded", [True, False])
def test_it_is_told_while_the_job_runs(node: NodeProcess, is_embedded: bool) -> None:
    async def run() -> None:
        told: asyncio.Queue[str] = asyncio.Queue()
        place = None if is_embedded else str(node.data_dir)
        job = asyncio.ensure_future(asubmit_job(talkative, b"endless", node=place, limits=ENDLESS, on_print=told.put_nowait))
        assert await told.get() == "cut 7\n"  # a job that ends without a word runs into the test's time limit
        assert not job.done()
        job.cancel()
        with pytest.raises(asyncio.CancelledError):
            await job

    asyncio.run(run())


def test_handles_of_an_event_loop_tell_it_too(node: NodeProcess) -> None:
    async def run() -> None:
        async with AsyncClient(str(node.data_dir)) as client:
            handle = await client.submit_job(talkative, b"endless", limits=ENDLESS)
            told = handle.logs(follow=True)
            assert await anext(told) == "cut 7\n"
            assert await handle.cancel()
            assert [text async for text in told] == []
            assert isinstance(await handle.exception(), JobCancelledError)

    asyncio.run(run())


def test_of_a_job_that_fails_nothing_is_lost(tmp_path: Path) -> None:
    with NodeProcess(tmp_path / "node", "--stop-seconds", "0") as process:
        told: list[str] = []
        with pytest.raises(JobFailedError) as failed:
            submit_job(talkative, b"x", node=str(process.data_dir), on_print=told.append)
        assert told == ["cut 1\n"]
        assert "seen x" in failed.value.traceback

        async def run() -> None:
            async with AsyncClient(str(process.data_dir)) as client:
                [status] = await client.list_jobs()
                assert [text async for text in client.job(status.job_id).logs()] == told

        process.stop()
        process.start()
        asyncio.run(run())

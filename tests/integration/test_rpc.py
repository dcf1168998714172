"""Both ends of a link, over real sockets, with a node that exists in memory only."""

from __future__ import annotations

import asyncio
import json
import os
import struct
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from pangea.compute.model.errors import InputError, NotDoneError, PangeaError, UnavailableError, UnknownJobError
from pangea.compute.model.ids import JobId
from pangea.compute.model.manifest import Content, JobManifest
from pangea.compute.model.options import JobOptions
from pangea.compute.model.progress import JobState
from pangea.compute.network.peers.address import NodeAddress
from pangea.compute.network.peers.connection import Connection, connect
from pangea.compute.network.rpc import rpc
from pangea.compute.network.rpc.limits import RESULT_BYTES_MAX, WireLimits
from pangea.compute.network.serving.server import Server, serve_unix
from tests.deadlines import comes_true
from tests.fakes.service import FakeService

SECONDS = 50
ID = "0af2cdd1-3d5c-4a63-8c6b-7f3a4f8f1a11"
DATA = Path(__file__).parent.parent / "data"
MANIFEST = JobManifest(module=Content(b"\0asm"), inputs=(Content(b"in"),), options=JobOptions(job_id=ID))
Scene = Callable[["Stage"], Awaitable[None]]


class Stage:
    """A server and a connected client."""

    def __init__(self, path: Path, service: FakeService, server: Server, connection: Connection, troubles: list[Any]) -> None:
        self.path, self.service, self.server, self.connection, self.troubles = path, service, server, connection, troubles


@asynccontextmanager
async def stage(folder: Path, limits: WireLimits | None = None) -> AsyncIterator[Stage]:
    path, service = folder / "rpc.sock", FakeService()
    troubles: list[BaseException] = []
    async with rpc.event_loop(), serve_unix(path, service.session, limits or WireLimits(), troubles.append) as server:
        connection = await connect(NodeAddress(path=path), timeout=30.0)
        try:
            yield Stage(path, service, server, connection, troubles)
        finally:
            await connection.close()


def play(folder: Path, scene: Scene, limits: WireLimits | None = None) -> None:
    async def all_of_it() -> None:
        async with asyncio.timeout(SECONDS), stage(folder, limits) as on:
            await scene(on)

    asyncio.run(all_of_it())


def test_a_client_of_the_original_schema_submits_polls_fetches_and_cancels(tmp_path: Path) -> None:
    async def scene(on: Stage) -> None:
        client = await asyncio.create_subprocess_exec(
            *(sys.executable, str(DATA / "original_client.py"), str(DATA / "original.capnp"), str(on.path), ID),
            stdout=asyncio.subprocess.PIPE,
        )
        assert client.stdout is not None
        said = [json.loads(await client.stdout.readline()) for _ in range(3)]
        await comes_true(lambda: on.service.waiting)
        on.service.end(ID, b"the result")
        said += [json.loads(line) for line in (await client.stdout.read()).splitlines()]
        assert await client.wait() == 0
        assert said == [
            {"success": True, "jobId": ID},
            {"status": "running", "progress": 0.25, "total": 4, "left": 0},
            {"success": False, "errorMsg": f"NOT_DONE: job {ID} goes on"},
            {"success": True, "result": "the result"},
            {"success": False},
            {"cores": 3, "accepted": False, "verified": False},
            {"success": False, "errorMsg": "UNKNOWN_JOB: no job nothing (look again)"},
        ]
        manifest = on.service.manifests[ID]
        assert (manifest.inputs, manifest.module) == ((Content(b"data"),), Content(b"\0asm"))
        assert (manifest.options.split_strategy, manifest.options.timeout, manifest.options.retry_count) == ("row_based", 7.0, 3)

    play(tmp_path, scene)


async def large_job(on: Stage, size: int, result: int) -> list[dict[str, Any]]:
    """What a client of the original schema says that submits so many bytes, and gets as many as `result` back."""
    client = await asyncio.create_subprocess_exec(
        *(sys.executable, str(DATA / "original_client.py"), str(DATA / "original.capnp"), str(on.path), ID, str(size)),
        stdout=asyncio.subprocess.PIPE,
    )
    on.service.end(ID, bytes(result))
    said, _ = await client.communicate()
    return [json.loads(line) for line in said.splitlines()]


def test_a_client_of_the_original_schema_sends_and_gets_as_much_as_a_message_carries(tmp_path: Path) -> None:
    async def scene(on: Stage) -> None:
        said = await large_job(on, RESULT_BYTES_MAX, RESULT_BYTES_MAX)
        assert said == [{"success": True, "errorMsg": ""}, {"success": True, "errorMsg": "", "size": RESULT_BYTES_MAX}]
        assert on.service.manifests[ID].data_size == RESULT_BYTES_MAX
        said = await large_job(on, 10, RESULT_BYTES_MAX + 1)
        assert said[1]["errorMsg"].startswith(f"QUOTA_EXCEEDED: the result has {RESULT_BYTES_MAX + 1:,} bytes")
        assert not on.server.large_answers.locked()
        assert on.server.budget._left == WireLimits().large_bytes_in_all

    play(tmp_path, scene)


def test_who_may_not_submit_sends_no_large_messages_and_all_together_only_so_many(tmp_path: Path) -> None:
    async def scene(on: Stage) -> None:
        for limit, size in ((WireLimits().message_bytes_max, 9 << 20), (WireLimits().large_bytes_max, 30 << 20)):
            on.service.may = limit > WireLimits().message_bytes_max
            _, writer = await asyncio.open_unix_connection(str(on.path))
            writer.write(struct.pack("<II", 0, size // 8) + bytes(1000))  # the beginning of a message
            with suppress(ConnectionError):
                await writer.drain()
            await comes_true(lambda: on.server.connections == 1)  # hung up on
            assert on.server.connections == 1
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    play(tmp_path, scene, WireLimits(large_bytes_in_all=20 << 20))


def test_every_call_arrives_and_its_answer_comes_back(tmp_path: Path) -> None:
    async def scene(on: Stage) -> None:
        node = on.connection
        assert await node.submit(MANIFEST) == ID
        assert on.service.manifests[ID] == MANIFEST
        assert (await node.status(JobId(ID))).seconds_left is None
        assert [status.job_id for status in await node.list_jobs("0af2", 5)] == [ID]
        assert (await node.explain(JobId(ID)))["tasks"] == []
        assert await node.rerun(JobId(ID)) == ID + "-again"
        assert await node.capacity() == await on.service.capacity()
        assert (await node.info()).peer_id == "12D3"
        with pytest.raises(NotDoneError):
            await node.outcome(JobId(ID), 0.05)
        on.service.end(ID, b"x" * 5000)
        outcome = await node.outcome(JobId(ID), 5.0)
        assert (outcome.size, outcome.data, outcome.report) == (5000, None, {"a": 1})
        assert await node.read_result(JobId(ID), 4990, 100) == b"x" * 10
        assert not await node.cancel(JobId(ID))
        assert on.service.callers[0].owner == f"uid:{os.getuid()}"

    play(tmp_path, scene)


def test_content_is_sent_in_blocks_and_not_again_if_it_is_there(tmp_path: Path) -> None:
    async def scene(on: Stage) -> None:
        blocks = [bytes([index]) * (1 << 20) for index in range(20)]
        name = sha256(b"".join(blocks)).hexdigest()
        upload = await on.connection.upload(name, 20 << 20)
        assert upload is not None
        for block in blocks:
            await upload.write(block)
        await upload.finish()
        assert on.service.content[name] == b"".join(blocks)
        assert await on.connection.upload(name, 20 << 20) is None

    play(tmp_path, scene)


def test_a_refused_block_is_heard_of_before_the_end(tmp_path: Path) -> None:
    async def scene(on: Stage) -> None:
        upload = await on.connection.upload("a" * 64, 6)
        assert upload is not None
        await upload.write(b"refuse")
        with pytest.raises(InputError, match="this block is refused"):
            await upload.finish()

    play(tmp_path, scene)


def test_an_upload_whose_link_breaks_is_dropped(tmp_path: Path) -> None:
    async def scene(on: Stage) -> None:
        other = await connect(NodeAddress(path=on.path), timeout=30.0)
        upload = await other.upload("b" * 64, 100)
        assert upload is not None
        await upload.write(b"half")
        await other.close()
        await comes_true(lambda: on.service.uploads[0].is_aborted)

    play(tmp_path, scene)


def test_changes_are_pushed_until_the_end(tmp_path: Path) -> None:
    async def scene(on: Stage) -> None:
        await on.connection.submit(MANIFEST)
        states = []
        async for status in on.connection.watch(JobId(ID)):
            states.append(status.state)
            on.service.end(ID, b"r")
        assert states == [JobState.RUNNING, JobState.COMPLETE]

    play(tmp_path, scene)


def test_errors_cross_as_codes_and_text(tmp_path: Path) -> None:
    async def scene(on: Stage) -> None:
        with pytest.raises(UnknownJobError, match="no job nothing") as unknown:
            await on.connection.status(JobId("nothing"))
        assert unknown.value.hint == "look again"
        with pytest.raises(PangeaError, match="failed to do this") as bug:
            await on.connection.submit(JobManifest(module=Content(b"\0asm"), inputs=(Content(b""),), name="bug"))
        assert "secret" not in str(bug.value.to_json())
        assert [type(trouble) for trouble in on.troubles] == [ValueError]
        assert (await on.connection.capacity()).cpu_cores == 3  # the link lives

    play(tmp_path, scene)


def test_a_call_given_up_is_given_up_at_the_node(tmp_path: Path) -> None:
    async def scene(on: Stage) -> None:
        await on.connection.submit(MANIFEST)
        call = asyncio.ensure_future(on.connection.outcome(JobId(ID), 60.0))
        await comes_true(lambda: on.service.waiting)
        call.cancel()
        await comes_true(lambda: not on.service.waiting)
        assert call.cancelled()

    play(tmp_path, scene)


def test_a_node_that_goes_away_is_an_error_that_says_so(tmp_path: Path) -> None:
    async def scene(on: Stage) -> None:
        await on.connection.submit(MANIFEST)
        call = asyncio.ensure_future(on.connection.outcome(JobId(ID), 60.0))
        await comes_true(lambda: on.service.waiting)
        await on.server.close()
        with pytest.raises(UnavailableError, match="lost"):
            await call
        assert on.connection.is_lost

    play(tmp_path, scene)


def test_a_socket_may_lie_deeper_than_a_socket_s_name_can_be_long(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100) / ("e" * 100)
    deep.mkdir(parents=True)

    async def scene(on: Stage) -> None:
        assert (await on.connection.capacity()).cpu_cores == 3

    play(deep, scene)

"""Connections that come to nothing: stalled handshakes, floods, callers that never read, callers that vanish.

Each is bounded and closed; whoever is served goes on being served; memory and descriptors come back.
"""

from __future__ import annotations

import asyncio
import gc
import os
import struct
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from pangea.compute.model.errors import PangeaError, UnavailableError
from pangea.compute.model.ids import JobId
from pangea.compute.network.identity import Identity
from pangea.compute.network.peers.address import NodeAddress
from pangea.compute.network.peers.connection import Connection, connect
from pangea.compute.network.rpc import rpc
from pangea.compute.network.rpc.limits import WireLimits
from pangea.compute.network.serving.server import Server, serve_tcp
from tests.deadlines import comes_true, status_of
from tests.examples import long
from tests.fakes.service import FakeService
from tests.integration.test_rpc import ID, MANIFEST, Stage, play
from tests.leaks import settled_descriptors

SECONDS = 50
NODE, FRIEND = Identity.create(), Identity.create()
Scene = Callable[[Server, Connection], Awaitable[None]]


def resident_bytes() -> int:
    return int(status_of(os.getpid())["VmRSS"].split()[0]) * 1024


def serving(scene: Scene, limits: WireLimits) -> None:
    """A node on loopback, and a friend who is connected to it."""

    async def all_of_it() -> None:
        service = FakeService()
        async with (
            asyncio.timeout(SECONDS),
            rpc.event_loop(),
            serve_tcp("127.0.0.1", 0, NODE, {FRIEND.peer_id}.__contains__, service.session, limits, _ignore) as server,
        ):
            asyncio.get_running_loop().set_exception_handler(_ignore_two)  # refused handshakes are told there
            friend = await befriend(server)
            try:
                await scene(server, friend)
            finally:
                await friend.close()

    asyncio.run(all_of_it())


async def befriend(server: Server) -> Connection:
    """A friend whose handshake is done at the server's end, too: until then it may have to give way as any stranger."""
    address = NodeAddress(host="127.0.0.1", port=server.port, peer=NODE.peer_id)
    friend = await connect(address, identity=FRIEND, timeout=30.0)
    assert (await friend.capacity()).cpu_cores == 3
    return friend


def _ignore(_error: BaseException) -> None:
    pass


def _ignore_two(_loop: Any, _context: Any) -> None:
    pass


async def rest_of(reader: asyncio.StreamReader) -> bytes:
    with suppress(ConnectionError):
        return bytes(await reader.read())
    return b""


#: Nothing; half a record of TLS; the beginning of a ClientHello.
STALLS = {
    "nothing": b"",
    "half a record": b"\x16\x03\x01\x02\x00",
    "half a hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
}


@pytest.mark.parametrize("begun", STALLS.values(), ids=STALLS)
def test_row_10_a_handshake_has_its_time_and_no_more(begun: bytes) -> None:
    async def scene(server: Server, friend: Connection) -> None:
        before = settled_descriptors()
        ends = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(10)]
        for _, writer in ends:
            writer.write(begun)
        assert (await friend.capacity()).cpu_cores == 3
        for reader, writer in ends:
            await asyncio.wait_for(rest_of(reader), 25)
            writer.close()
        await comes_true(lambda: settled_descriptors() <= before)
        assert server.connections == 1

    serving(scene, WireLimits(handshake_seconds=0.2))


def test_row_11_of_stalled_handshakes_only_so_many_are_held_and_a_friend_gets_in_all_the_same() -> None:
    async def scene(server: Server, friend: Connection) -> None:
        before = settled_descriptors()
        ends = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(100)]
        gone = asyncio.gather(*(rest_of(reader) for reader, _ in ends[:92]))  # who has waited longest
        await asyncio.wait_for(gone, 25)
        second = await befriend(server)
        assert (await second.capacity()).cpu_cores == (await friend.capacity()).cpu_cores == 3
        await second.close()
        for _, writer in ends:
            writer.close()
        await comes_true(lambda: settled_descriptors() <= before)

    serving(scene, WireLimits(handshake_seconds=20.0, handshakes_max=8))


def test_row_11_friends_come_and_go_however_few_handshakes_may_wait() -> None:
    async def scene(server: Server, friend: Connection) -> None:
        for _ in range(5):
            others = [await befriend(server) for _ in range(4)]
            assert [(await each.capacity()).cpu_cores for each in others] == [3] * 4
            for each in others:
                await each.close()
        assert (await friend.capacity()).cpu_cores == 3

    serving(scene, WireLimits(handshakes_max=1))


def test_row_11_all_connections_of_a_door_take_turns_at_pieces_of_work_and_each_owner_pays() -> None:
    async def scene(server: Server, friend: Connection) -> None:
        second = await befriend(server)
        for each in (friend, second):
            assert (await each.capacity()).cpu_cores == 3
        adapters = [link._adapter for link in server._links]
        assert [(each._queue, each._owner) for each in adapters if each is not None] == [(server.queue, FRIEND.peer_id)] * 2
        await second.close()

    serving(scene, WireLimits())


def test_row_11_a_flood_of_connections_leaves_nothing_behind(tmp_path: Path) -> None:
    async def scene(on: Stage) -> None:
        async def knock(times: int) -> None:
            for _ in range(times):
                reader, writer = await asyncio.open_unix_connection(str(on.path))
                writer.write(struct.pack("<II", 0, 1))
                writer.close()
                with suppress(ConnectionError):
                    await writer.wait_closed()
                del reader, writer

        await on.connection.capacity()  # who has asked for something isn't taken for one of those that are used for nothing
        await knock(300)  # what is made once is made by then
        await comes_true(lambda: on.server.connections == 1)
        gc.collect()
        files, memory = settled_descriptors(), resident_bytes()
        await asyncio.gather(*(knock(100) for _ in range(20)))
        assert (await on.connection.capacity()).cpu_cores == 3
        await comes_true(lambda: on.server.connections == 1)
        gc.collect()
        await comes_true(lambda: settled_descriptors() <= files + 1)
        assert resident_bytes() <= memory + (16 << 20)

    play(tmp_path, scene, WireLimits(connections_max=16))


def deep(levels: int) -> bytes:
    """A message that is a pointer to a pointer to a pointer …: each a struct of one pointer, right behind the last."""
    return struct.pack("<II", 0, levels + 1) + struct.pack("<IHH", 0, 0, 1) * levels + bytes(8)


@pytest.mark.parametrize("levels", [1_000, *long(17, 1_000_000)])
def test_row_9_pointers_nested_deeper_than_any_call_harm_nobody(tmp_path: Path, levels: int) -> None:
    async def scene(on: Stage) -> None:
        memory = resident_bytes()
        reader, writer = await asyncio.open_unix_connection(str(on.path))
        writer.write(deep(levels))
        with suppress(ConnectionError):
            await writer.drain()
            writer.write_eof()
        await asyncio.wait_for(rest_of(reader), SECONDS)
        writer.close()
        assert (await on.connection.capacity()).cpu_cores == 3
        assert resident_bytes() <= memory + (64 << 20)

    play(tmp_path, scene)


#: Asks for a block of 1 MiB a thousand times, and stops reading at the first answer.
GLUTTON = """
import asyncio, sys
from pangea.compute.network.rpc import rpc

async def first(promise):
    await promise

async def ask(path, job_id):
    async with rpc.event_loop():
        stream = await rpc.connect_unix(path, message_bytes_max=8 << 20)
        promises = [stream.service.readResult(job_id, 0, 1 << 20) for _ in range(1_000)]
        await asyncio.wait_for(first(promises[0]), 25)
        print("asked", flush=True)
        sys.stdin.read()

asyncio.run(ask(sys.argv[1], sys.argv[2]))
"""


def test_a_caller_that_never_reads_is_not_waited_for_with_more_than_so_many_answers(tmp_path: Path) -> None:
    async def scene(on: Stage) -> None:
        await on.connection.submit(MANIFEST)
        on.service.end(ID, bytes(1 << 20))
        files, memory = settled_descriptors(), resident_bytes()
        glutton = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", GLUTTON, str(on.path), ID), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        assert glutton.stdout is not None
        assert await asyncio.wait_for(glutton.stdout.readline(), 25) == b"asked\n"
        for _ in range(200):
            assert (await on.connection.capacity()).cpu_cores == 3
        assert resident_bytes() <= memory + (200 << 20)
        glutton.kill()
        await glutton.communicate()
        await comes_true(lambda: on.server.connections == 1)
        await comes_true(lambda: settled_descriptors() <= files + 1)

    play(tmp_path, scene)


def test_who_submits_and_vanishes_leaves_its_job_and_nothing_else(tmp_path: Path) -> None:
    async def scene(on: Stage) -> None:
        files = settled_descriptors()
        for _ in range(20):
            other = await connect(NodeAddress(path=on.path), timeout=30.0)
            call = asyncio.ensure_future(other.submit(MANIFEST))
            wait = asyncio.ensure_future(other.outcome(JobId(ID), 30.0))
            await comes_true(lambda: ID in on.service.manifests)
            await other.close()
            with suppress(PangeaError):
                await call
            with suppress(UnavailableError):
                await wait
        assert on.service.manifests[ID] == MANIFEST
        await comes_true(lambda: on.server.connections == 1)
        await comes_true(lambda: on.service.waiting == 0)
        await comes_true(lambda: settled_descriptors() <= files + 1)

    play(tmp_path, scene)

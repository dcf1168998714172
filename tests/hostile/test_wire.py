"""What strangers send: bombs, halves, floods, silence. Refused cheaply; others notice nothing."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from pangea.compute.model.errors import QuotaError, UnavailableError
from pangea.compute.model.ids import JobId
from pangea.compute.network.peers.address import NodeAddress
from pangea.compute.network.peers.connection import connect
from pangea.compute.network.peers.handshakes import HandshakeListener
from pangea.compute.network.rpc.framing import FrameGuard, WireError
from pangea.compute.network.rpc.limits import WireLimits
from tests.deadlines import comes_true
from tests.integration.test_rpc import ID, MANIFEST, Stage, play
from tests.leaks import open_descriptors, settled_descriptors

WORD = 8


def header(*words: int) -> bytes:
    """The header of a message with segments of these sizes."""
    text = struct.pack(f"<{len(words) + 1}I", len(words) - 1, *words)
    return text + bytes(-len(text) % WORD)


VOIDS = header(2) + struct.pack("<II", 0x0000_0001, 0x0001_0000) + struct.pack("<II", 1, (5_000_000 << 3) & 0xFFFF_FFFF)
BOMBS = {
    "a message of 128 GiB": header(0xFFFF_FFFF, 0xFFFF_FFFF, 0xFFFF_FFFF, 0xFFFF_FFFF),
    "just over the limit": header(WireLimits().large_bytes_max // WORD + 1),
    "a billion segments": struct.pack("<I", 10**9),
    "513 segments": struct.pack("<I", 512),
    "nothing but ones": b"\xff" * 4096,
}


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
def test_row_9_a_message_bomb_ends_its_connection_and_nobody_else_s(tmp_path: Path, bomb: bytes) -> None:
    async def scene(on: Stage) -> None:
        reader, writer = await asyncio.open_unix_connection(str(on.path))
        writer.write(bomb)
        assert await asyncio.wait_for(_rest(reader), 25) == b""
        writer.close()
        assert (await on.connection.capacity()).cpu_cores == 3
        assert on.server.connections == 1

    play(tmp_path, scene)


async def _rest(reader: asyncio.StreamReader) -> bytes:
    with suppress(ConnectionResetError):
        return await reader.read()
    return b""


@pytest.mark.parametrize(
    "bomb", [VOIDS, header(1) + bytes(8), os.urandom(1 << 12), b""], ids=["voids", "zeros", "junk", "nothing"]
)
def test_row_9_what_is_no_call_harms_nobody(tmp_path: Path, bomb: bytes) -> None:
    async def scene(on: Stage) -> None:
        _, writer = await asyncio.open_unix_connection(str(on.path))
        writer.write(bomb)
        with suppress(ConnectionResetError, BrokenPipeError):
            await writer.drain()
        assert (await on.connection.capacity()).cpu_cores == 3
        writer.close()

    play(tmp_path, scene)


def test_row_10_half_a_message_has_its_time_and_no_more(tmp_path: Path) -> None:
    async def scene(on: Stage) -> None:
        reader, writer = await asyncio.open_unix_connection(str(on.path))
        writer.write(header(100) + bytes(10))
        assert await asyncio.wait_for(_rest(reader), 25) == b""
        writer.close()
        assert on.server.connections == 1

    play(tmp_path, scene, WireLimits(message_seconds=0.2))


def test_row_10_a_trickle_does_not_buy_more_time(tmp_path: Path) -> None:
    async def scene(on: Stage) -> None:
        reader, writer = await asyncio.open_unix_connection(str(on.path))

        def trickle() -> None:
            writer.write(b"x")
            timers.append(asyncio.get_running_loop().call_later(0.02, trickle))

        timers: list[asyncio.TimerHandle] = []
        writer.write(header(10_000))
        trickle()
        assert await asyncio.wait_for(_rest(reader), 25) == b""
        timers[-1].cancel()
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    play(tmp_path, scene, WireLimits(message_seconds=0.3))


def test_row_10_an_idle_connection_is_closed_and_one_that_waits_for_a_job_is_not(tmp_path: Path) -> None:
    async def scene(on: Stage) -> None:
        await on.connection.submit(MANIFEST)
        waiting = asyncio.ensure_future(on.connection.outcome(JobId(ID), 30.0))
        reader, writer = await asyncio.open_unix_connection(str(on.path))
        assert await asyncio.wait_for(_rest(reader), 25) == b""
        writer.close()
        on.service.end(ID, b"r")
        assert (await waiting).data == b"r"

    play(tmp_path, scene, WireLimits(idle_seconds=0.2))


def test_row_11_connections_beyond_the_limit_are_closed_at_once(tmp_path: Path) -> None:
    async def scene(on: Stage) -> None:
        ends = [await asyncio.open_unix_connection(str(on.path)) for _ in range(40)]
        closed = 0
        for reader, _ in ends[7:]:
            closed += await asyncio.wait_for(_rest(reader), 25) == b""
        assert closed == 33
        assert on.server.connections == 8
        assert (await on.connection.capacity()).cpu_cores == 3
        for _, writer in ends:
            writer.close()

    play(tmp_path, scene, WireLimits(connections_max=8))


def test_connections_that_come_to_nothing_give_their_places_to_others(tmp_path: Path) -> None:
    async def scene(on: Stage) -> None:
        await on.connection.submit(MANIFEST)
        waits = asyncio.ensure_future(on.connection.outcome(JobId(ID), 30.0))  # silent, but not for nothing
        await comes_true(lambda: on.service.waiting == 1)
        silent = [await asyncio.open_unix_connection(str(on.path)) for _ in range(3)]
        await comes_true(lambda: on.server.connections == 4)
        second = await connect(NodeAddress(path=on.path), timeout=30.0)
        assert (await second.capacity()).cpu_cores == 3
        assert await asyncio.wait_for(_rest(silent[0][0]), 25) == b""  # who has been silent for longest
        assert on.server.connections == 4
        on.service.end(ID, b"done")
        assert (await waits).data == b"done"
        await second.close()
        for _, writer in silent:
            writer.close()

    play(tmp_path, scene, WireLimits(connections_max=4, silent_seconds=-1.0))


def test_an_owner_s_connections_that_have_said_nothing_give_way_at_once_to_its_others(tmp_path: Path) -> None:
    async def scene(on: Stage) -> None:
        assert (await on.connection.capacity()).cpu_cores == 3
        silent = [await asyncio.open_unix_connection(str(on.path)) for _ in range(20)]
        second = await connect(NodeAddress(path=on.path), timeout=30.0)
        assert (await second.capacity()).cpu_cores == 3
        assert on.server.connections == 4
        for used in (on.connection, second):  # who speaks is never among those that go
            assert (await used.capacity()).cpu_cores == 3
        await second.close()
        for _, writer in silent:
            writer.close()

    play(tmp_path, scene, WireLimits(connections_per_owner_max=4))


def test_of_handshakes_that_wait_those_go_whose_address_has_most() -> None:
    door = HandshakeListener.listen_at("127.0.0.1", 0, waiting_max=4, backlog=50)
    with door, ExitStack() as stack:
        ends = []
        for source in ["127.0.0.2", *["127.0.0.1"] * 10]:
            end = stack.enter_context(socket.create_connection(door.getsockname(), source_address=(source, 0)))
            ends.append((end, stack.enter_context(door.accept()[0])))
        friend, *flood = ends
        assert [end.recv(1) for end, _ in flood[:7]] == [b""] * 7
        for end, _ in (friend, *flood[7:]):
            end.setblocking(False)
            with pytest.raises(BlockingIOError):
                end.recv(1)  # still wait


def test_row_11_one_owner_has_no_more_connections_than_its_share(tmp_path: Path) -> None:
    async def scene(on: Stage) -> None:
        second = await connect(NodeAddress(path=on.path), timeout=30.0)
        for used in (on.connection, second):
            assert (await used.capacity()).cpu_cores == 3
        third = await connect(NodeAddress(path=on.path), timeout=30.0)
        with pytest.raises(UnavailableError):
            await third.capacity()
        assert (await second.capacity()).cpu_cores == 3
        await second.close()
        await third.close()

    play(tmp_path, scene, WireLimits(connections_per_owner_max=2))


def test_row_11_a_flood_of_calls_is_refused_call_by_call(tmp_path: Path) -> None:
    async def scene(on: Stage) -> None:
        await on.connection.submit(MANIFEST)
        calls = [asyncio.ensure_future(on.connection.outcome(JobId(ID), 30.0)) for _ in range(50)]
        other = await connect(NodeAddress(path=on.path), timeout=30.0)
        assert (await other.status(JobId(ID))).total_chunks == 4
        await comes_true(lambda: sum(call.done() for call in calls) == 50 - 8)
        assert {type(call.exception()) for call in calls if call.done()} == {QuotaError}
        on.service.end(ID, b"r")  # whoever was let in gets an answer
        for turn in range(8):
            await comes_true(lambda turn=turn: on.service.waiting <= 7 - turn)  # type: ignore[misc]
            on.service.end(ID, b"r")
        answers = await asyncio.gather(*calls, return_exceptions=True)
        assert sum(isinstance(answer, QuotaError) for answer in answers) == 50 - 8
        await other.close()

    play(tmp_path, scene, WireLimits(calls_in_flight_max=8))


def test_row_11_uploads_are_counted(tmp_path: Path) -> None:
    async def scene(on: Stage) -> None:
        for index in range(2):
            assert await on.connection.upload(f"{index}" * 64, 1) is not None
        with pytest.raises(QuotaError, match="uploads are open"):
            await on.connection.upload("2" * 64, 1)

    play(tmp_path, scene, WireLimits(uploads_max=2))


def test_no_descriptor_is_left_of_a_thousand_connections(tmp_path: Path) -> None:
    async def scene(on: Stage) -> None:
        before = settled_descriptors()
        for _ in range(1_000):
            _, writer = await asyncio.open_unix_connection(str(on.path))
            writer.write(header(3))
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()
        await comes_true(lambda: not (on.server.connections > 1))
        await comes_true(lambda: open_descriptors() <= before + 2)
        assert on.server.connections == 1

    play(tmp_path, scene, WireLimits(connections_max=5_000, connections_per_owner_max=5_000))


@pytest.mark.parametrize("step", [1, 3, 8, 1000])
def test_the_guard_follows_messages_however_they_are_cut(step: int) -> None:
    guard = FrameGuard(WireLimits())
    stream = b"".join(header(words) + bytes(WORD * words) for words in (1, 7, 300)) + header(2, 3, 4) + bytes(WORD * 9)
    for at in range(0, len(stream), step):
        guard.feed(memoryview(stream)[at : at + step])
    assert guard.is_between_messages
    with pytest.raises(WireError, match="bytes"):
        guard.feed(memoryview(header(1 << 30)))

"""What is left of connections that are gone, before anybody looks for garbage: nothing that has their buffers and their keys."""

from __future__ import annotations

import asyncio
import errno
import gc
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from pangea.compute.model.errors import PangeaError
from pangea.compute.network.identity import Identity
from pangea.compute.network.peers import handshakes
from pangea.compute.network.peers.address import NodeAddress
from pangea.compute.network.peers.connection import Connection, connect
from pangea.compute.network.peers.handshakes import HandshakeListener
from pangea.compute.network.rpc.limits import WireLimits
from pangea.compute.network.serving.server import Server
from tests.attackers import Attacker
from tests.deadlines import comes_true
from tests.examples import first
from tests.hostile.test_strangers import FRIEND, NODE, befriend, rest_of, serving

_TIMES = 8
#: What has hundreds of kilobytes for each connection, and what would keep it.
HEAVY = {
    "Adapter",
    "GuardedProtocol",
    "FrameGuard",
    "PeerSSLObject",
    "SSLProtocol",
    "_Link",
    "_AsyncIoStream",
    "_PyAsyncIoStreamProtocol",
}


def held() -> Counter[str]:
    """How many there are of each."""
    return Counter(name for each in gc.get_objects() if (name := type(each).__name__) in HEAVY)


@pytest.fixture(autouse=True)
def _no_looking_for_garbage() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()
    gc.collect()


async def touch(server: Server) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.close()


async def talk_plainly(server: Server) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"GET / HTTP/1.0\r\n\r\n")
    await rest_of(reader)
    writer.close()


async def say_nothing(server: Server) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    await rest_of(reader)  # until the handshake's time is over
    writer.close()


async def come_unwelcome(server: Server) -> None:
    with suppress(PangeaError):
        await connect(NodeAddress(host="127.0.0.1", port=server.port, peer=NODE.peer_id), identity=Identity.create())


async def ask_and_leave(server: Server) -> None:
    friend = await befriend(server)
    assert (await friend.capacity()).cpu_cores == 3
    await friend.close()


async def ask_to_join_and_leave(server: Server) -> None:
    peer = Attacker(FRIEND)
    with suppress(PangeaError):
        await peer.join(f"/ip4/127.0.0.1/tcp/{server.port}/p2p/{NODE.peer_id}", site="x" * 65)


@pytest.mark.parametrize(
    "knock",
    first(2, [touch, talk_plainly, say_nothing, come_unwelcome, ask_and_leave, ask_to_join_and_leave]),
    ids=lambda knock: str(knock.__name__),
)
def test_row_11_what_a_connection_held_is_free_when_it_is_gone(knock: Callable[[Server], Awaitable[None]]) -> None:
    async def scene(server: Server, friend: Connection) -> None:
        await knock(server)  # what is made once is made by then
        await comes_true(lambda: server.connections == 1)
        before = held()
        await asyncio.gather(*(knock(server) for _ in range(_TIMES)))
        await comes_true(lambda: not held() - before)
        assert (await friend.capacity()).cpu_cores == 3

    serving(scene, WireLimits(handshake_seconds=1.0) if knock is say_nothing else WireLimits())


def test_row_15_a_door_that_has_nothing_left_to_accept_with_tries_again_later_and_lets_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tries: list[float] = []
    accept = HandshakeListener.accept

    def starved(listener: HandshakeListener) -> Any:
        tries.append(asyncio.get_running_loop().time())
        if len(tries) == 2:  # the friend's own was the first
            raise OSError(errno.ENOMEM, "no buffers")
        return accept(listener)

    monkeypatch.setattr(HandshakeListener, "accept", starved)
    monkeypatch.setattr(handshakes, "_RETRY_SECONDS", 0.2)

    async def scene(server: Server, _friend: Connection) -> None:
        second = await befriend(server)
        assert (await second.capacity()).cpu_cores == 3
        await second.close()
        assert len(tries) == 3
        assert tries[2] - tries[1] > 0.1

    serving(scene, WireLimits())

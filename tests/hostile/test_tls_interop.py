"""Our end of TLS against py-libp2p's own, whole hosts of it: either end learns who the other is, or nothing is said.

Only what frames the handshake is done by hand: libp2p's ends agree on TLS before it and on a muxer after it (multistream
select), and nodes don't speak that.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import ssl
import threading
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Self

import multiaddr
import pytest
import trio
from cryptography.hazmat.primitives import serialization
from libp2p import new_host
from libp2p.crypto import ed25519, secp256k1
from libp2p.network.exceptions import SwarmException
from libp2p.peer.id import ID
from libp2p.peer.peerinfo import PeerInfo
from libp2p.security.tls.transport import PROTOCOL_ID as TLS
from libp2p.security.tls.transport import TLSTransport
from libp2p.stream_muxer.yamux.yamux import PROTOCOL_ID as YAMUX

from pangea.compute.network.identity import Identity, PeerSSLObject, client_context, server_context
from tests.deadlines import until

pytestmark = [pytest.mark.slow]
SECONDS = 50
OURS, THEIRS, STRANGER = Identity.create(), Identity.create(), Identity.create()
HELLO = "/multistream/1.0.0"


def pair_of(identity: Identity) -> Any:
    seed = identity.key.private_bytes(serialization.Encoding.Raw, serialization.PrivateFormat.Raw, serialization.NoEncryption())
    return ed25519.create_new_key_pair(seed)


class LibraryHost:
    """A py-libp2p host that knows TLS and no other security, in a trio thread."""

    def __init__(self, pair: Any) -> None:
        self._host: Any = new_host(key_pair=pair, sec_opt={TLS: TLSTransport(pair)})
        self._is_up = threading.Event()
        self._thread = threading.Thread(target=trio.run, args=[self._live])
        self.port = 0

    async def _live(self) -> None:
        self._token, self._end = trio.lowlevel.current_trio_token(), trio.Event()
        async with self._host.run([multiaddr.Multiaddr("/ip4/127.0.0.1/tcp/0")]):
            self.port = int(self._host.get_addrs()[0].value_for_protocol("tcp"))
            self._is_up.set()
            with trio.move_on_after(10 * SECONDS):
                await self._end.wait()

    def dial(self, port: int, peer_id: str) -> None:
        """Connect to a peer; its errors are raised."""
        there = PeerInfo(ID.from_base58(peer_id), [multiaddr.Multiaddr(f"/ip4/127.0.0.1/tcp/{port}")])

        async def within_time() -> None:
            with trio.fail_after(SECONDS):
                await self._host.connect(there)

        trio.from_thread.run(within_time, trio_token=self._token)

    def peers(self) -> list[str]:
        """Who is connected, as it knows them."""
        connected: list[Any] = trio.from_thread.run_sync(self._host.get_connected_peers, trio_token=self._token)
        return [str(each) for each in connected]

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._is_up.wait(SECONDS)
        return self

    def __exit__(self, *_: object) -> None:
        self._token.run_sync_soon(self._end.set)
        self._thread.join(SECONDS)
        assert not self._thread.is_alive()


@dataclass
class Heard:
    """What our end learned of the other."""

    peer_id: str = ""
    said: list[str] = field(default_factory=list)
    errors: list[Exception] = field(default_factory=list)


@dataclass
class Talk:
    """Multistream select by hand: lines with their length before them."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def say(self, *lines: str) -> None:
        self.writer.write(b"".join(bytes([len(line) + 1]) + line.encode() + b"\n" for line in lines))

    async def hear(self) -> str:
        size = (await self.reader.readexactly(1))[0]
        return (await self.reader.readexactly(size)).decode().rstrip("\n")

    async def secure(self, context: ssl.SSLContext) -> str:
        """Shake hands; who is there."""
        await self.writer.start_tls(context, ssl_handshake_timeout=SECONDS)
        shaken = self.writer.get_extra_info("ssl_object")
        assert isinstance(shaken, PeerSSLObject)
        return shaken.peer_id


async def call(port: int, context: ssl.SSLContext, then: Callable[[], Awaitable[object]]) -> Heard:
    """Dial a listener of libp2p's, as far as a muxer; `then` runs while it is connected."""
    talk, heard = Talk(*await asyncio.open_connection("127.0.0.1", port)), Heard()
    try:
        talk.say(HELLO, TLS)
        assert [await talk.hear(), await talk.hear()] == [HELLO, TLS]
        heard.peer_id = await talk.secure(context)
        talk.say(HELLO, YAMUX)
        heard.said = [await talk.hear(), await talk.hear()]
        await then()
    finally:
        talk.writer.transport.abort()
    return heard


async def answer(context: ssl.SSLContext, dial: Callable[[int], object]) -> Heard:
    """Have our port dialled, and take the first connection as far as the dialler's first words through TLS."""
    heard, done, turn = Heard(), asyncio.Event(), itertools.count()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talk = Talk(reader, writer)
        if next(turn) > 0:  # it tries again
            writer.transport.abort()
            return
        try:
            talk.say(HELLO)
            assert [await talk.hear(), await talk.hear()] == [HELLO, TLS]
            talk.say(TLS)
            heard.peer_id = await talk.secure(context)
            heard.said.append(await talk.hear())
        except (OSError, EOFError) as error:
            heard.errors.append(error)
        finally:
            writer.transport.abort()
            done.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        with contextlib.suppress(SwarmException):  # it misses a muxer, or whom it looked for
            await asyncio.to_thread(dial, server.sockets[0].getsockname()[1])
        await asyncio.wait_for(done.wait(), SECONDS)
    finally:
        server.close()
        await server.wait_closed()
    return heard


@pytest.fixture
def theirs() -> Iterator[LibraryHost]:
    with LibraryHost(pair_of(THEIRS)) as host:
        yield host


def test_our_client_and_libp2p_s_listener_know_each_other(theirs: LibraryHost) -> None:
    async def they_know_us() -> None:
        await asyncio.to_thread(until, lambda: OURS.peer_id in theirs.peers(), what="our connection")

    heard = asyncio.run(call(theirs.port, client_context(OURS, want=THEIRS.peer_id), they_know_us))
    assert heard == Heard(THEIRS.peer_id, [HELLO, YAMUX])


def test_our_client_hangs_up_on_a_listener_that_is_not_the_one_it_wants(theirs: LibraryHost) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match=f"{THEIRS.peer_id} is not welcome"):
        asyncio.run(call(theirs.port, client_context(OURS, want=STRANGER.peer_id), asyncio.Event().wait))


def test_our_client_takes_no_host_whose_key_is_of_another_kind() -> None:
    pair: Any = secp256k1.create_new_key_pair()
    with LibraryHost(pair) as other:
        wanted = client_context(OURS, want=str(ID.from_pubkey(pair.public_key)))
        with pytest.raises(ssl.SSLCertVerificationError, match="isn't an Ed25519 key"):
            asyncio.run(call(other.port, wanted, asyncio.Event().wait))


def test_our_server_and_libp2p_s_dialler_know_each_other(theirs: LibraryHost) -> None:
    context = server_context(OURS, {THEIRS.peer_id}.__contains__)
    heard = asyncio.run(answer(context, lambda port: theirs.dial(port, OURS.peer_id)))
    assert heard == Heard(THEIRS.peer_id, [HELLO])


def test_a_dialler_that_wants_somebody_else_tells_us_nothing(theirs: LibraryHost) -> None:
    heard = asyncio.run(answer(server_context(OURS, lambda _: True), lambda port: theirs.dial(port, STRANGER.peer_id)))
    assert heard.said == []
    assert heard.errors


def test_our_server_hangs_up_on_a_dialler_that_is_not_on_its_list(theirs: LibraryHost) -> None:
    heard = asyncio.run(answer(server_context(OURS, STRANGER.peer_id.__eq__), lambda port: theirs.dial(port, OURS.peer_id)))
    assert (heard.peer_id, heard.said) == ("", [])
    assert "not welcome" in str(heard.errors[0])

"""Who may not speak: every false proof is refused in the handshake, before any method runs."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import socket
import ssl
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from pangea.compute.model.errors import ConfigError, UnavailableError
from pangea.compute.network.identity import Identity, client_context, is_peer_id, is_signed_by, server_context
from pangea.compute.network.peers.address import NodeAddress
from pangea.compute.network.peers.connection import connect
from pangea.compute.network.rpc import rpc
from pangea.compute.network.rpc.limits import WireLimits
from pangea.compute.network.serving.server import Server, serve_tcp
from tests.deadlines import comes_true
from tests.examples import spread
from tests.fakes.service import FakeService
from tests.hostile.forger import FORGERIES, Forgery, forge

SECONDS = 50
NODE, FRIEND, STRANGER = Identity.create(), Identity.create(), Identity.create()
Play = Callable[[Server, FakeService], Any]


def serving(scene: Play, *, allowed: Callable[[str], bool] = FRIEND.peer_id.__eq__) -> None:
    """A node on loopback that lets FRIEND in, and nobody else unless told."""

    async def all_of_it() -> None:
        service, troubles = FakeService(), list[BaseException]()
        async with (
            asyncio.timeout(SECONDS),
            rpc.event_loop(),
            serve_tcp("127.0.0.1", 0, NODE, allowed, service.session, WireLimits(), troubles.append) as server,
        ):
            asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)  # refused handshakes are told there
            await scene(server, service)

    asyncio.run(all_of_it())


async def ask(server: Server, who: Identity, *, want: Identity = NODE) -> int:
    connection = await connect(NodeAddress(host="127.0.0.1", port=server.port, peer=want.peer_id), identity=who, timeout=30.0)
    try:
        return (await connection.capacity()).cpu_cores
    finally:
        await connection.close()


def test_a_friend_is_served_and_known_by_its_peer_id() -> None:
    async def scene(server: Server, service: FakeService) -> None:
        assert await ask(server, FRIEND) == 3
        assert [caller.owner for caller in service.callers] == [FRIEND.peer_id]
        assert not service.callers[0].is_local

    serving(scene)


def test_who_is_not_on_the_list_is_refused() -> None:
    async def scene(server: Server, service: FakeService) -> None:
        with pytest.raises(UnavailableError):
            await ask(server, STRANGER)
        assert service.callers == []

    serving(scene)


def test_a_node_that_is_not_the_one_expected_is_refused_by_the_client() -> None:
    async def scene(server: Server, service: FakeService) -> None:
        with pytest.raises(UnavailableError):
            await ask(server, FRIEND, want=STRANGER)
        assert service.callers == []

    serving(scene)


def presenting(forgery: Forgery) -> ssl.SSLContext:
    """A client that says it is whom the forgery speaks of."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return forgery.load_into(context)


async def is_served(server: Server, context: ssl.SSLContext) -> bool:
    """Whether a client with this context gets an answer."""
    try:
        stream = await rpc.connect_tcp("127.0.0.1", server.port, context=context, message_bytes_max=1 << 20)
    except OSError:
        return False
    try:
        await _awaited(stream.service.getComputeCapacity())
    except rpc.CallError:
        return False
    finally:
        stream.close()
    return True


def anybody(_peer_id: str) -> bool:
    return True


@pytest.mark.parametrize("what", spread(8, FORGERIES))
def test_a_client_with_a_false_proof_is_refused_before_any_method_runs(what: str) -> None:
    async def scene(server: Server, service: FakeService) -> None:
        assert not await is_served(server, presenting(FORGERIES[what][0](FRIEND)))
        assert service.callers == []
        assert await ask(server, FRIEND) == 3

    serving(scene, allowed=anybody)


@pytest.mark.parametrize("what", FORGERIES)
def test_a_server_with_a_false_proof_is_told_nothing_and_the_reason_is_said(what: str) -> None:
    make, reason = FORGERIES[what]
    with pytest.raises(UnavailableError, match=reason):
        heard_by(make(FRIEND))


def test_the_forger_s_honest_work_passes_both_ways() -> None:
    async def scene(server: Server, service: FakeService) -> None:
        assert await is_served(server, presenting(forge(FRIEND)))
        assert [caller.owner for caller in service.callers] == [FRIEND.peer_id]

    serving(scene)
    assert heard_by(forge(FRIEND)), "the client has asked"


def test_a_server_that_proves_another_peer_is_told_nothing() -> None:
    with pytest.raises(UnavailableError, match="is node 12D3KooW"):
        heard_by(forge(FRIEND), want=STRANGER.peer_id)


def heard_by(forgery: Forgery, *, want: str = "") -> bytes:
    """What a server with this certificate hears of a client that looks for whom it speaks of; errors are the client's."""
    heard = bytearray()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            heard.extend(await reader.read(1 << 16))
        writer.close()

    async def all_of_it() -> None:
        context = forgery.load_into(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
        async with asyncio.timeout(SECONDS), rpc.event_loop():
            server = await asyncio.start_server(listen, "127.0.0.1", 0, ssl=context)
            address = NodeAddress(host="127.0.0.1", port=server.sockets[0].getsockname()[1], peer=want or forgery.peer_id)
            try:
                connection = await connect(address, identity=NODE, timeout=30.0)
                with contextlib.suppress(UnavailableError):  # there is no node behind it
                    await connection.capacity()
                await connection.close()
            finally:
                server.close()
                await server.wait_closed()
                await comes_true(lambda: len(asyncio.all_tasks()) == 1)

    try:
        asyncio.run(all_of_it())
    except UnavailableError:
        assert not heard
        raise
    return bytes(heard)


def test_a_client_without_a_certificate_is_refused() -> None:
    nameless = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    nameless.check_hostname, nameless.verify_mode = False, ssl.CERT_NONE

    async def scene(server: Server, service: FakeService) -> None:
        assert not await is_served(server, nameless)
        assert service.callers == []

    serving(scene, allowed=anybody)
    with pytest.raises(ssl.SSLError, match="showed no certificate"):
        shake(nameless, server_context(NODE, anybody))


def test_an_older_tls_is_refused_both_ways() -> None:
    async def scene(server: Server, service: FakeService) -> None:
        context = client_context(FRIEND, want=NODE.peer_id)
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_2
        assert not await is_served(server, context)
        assert service.callers == []

    serving(scene)
    old = server_context(NODE, anybody)
    old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError, match="UNSUPPORTED_PROTOCOL"):
        shake(client_context(FRIEND, want=NODE.peer_id), old)


def shake(client: ssl.SSLContext, server: ssl.SSLContext, *, session: ssl.SSLSession | None = None) -> ssl.SSLObject:
    """Shake hands in memory, and have the client read what the server sends with it; the client's end."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    near = client.wrap_bio(to_client, to_server, session=session)
    far = server.wrap_bio(to_server, to_client, server_side=True)
    waiting = [near.do_handshake, far.do_handshake]
    for _ in range(10):
        for step in list(waiting):
            with contextlib.suppress(ssl.SSLWantReadError):
                step()
                waiting.remove(step)
    assert not waiting
    with contextlib.suppress(ssl.SSLWantReadError):
        near.read(1)
    return near


def test_a_session_that_is_taken_up_again_is_checked_again() -> None:
    allowed = {FRIEND.peer_id}
    client, server = client_context(FRIEND, want=NODE.peer_id), server_context(NODE, allowed.__contains__)
    first = shake(client, server)
    assert shake(client, server, session=first.session).session_reused
    allowed.clear()
    with pytest.raises(ssl.SSLError, match="not welcome"):
        shake(client, server, session=first.session)


class Shifted(datetime.datetime):
    """A clock that is wrong."""

    by = datetime.timedelta()

    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> Self:
        return super().now(tz) + cls.by


@pytest.mark.parametrize("hours", [-2, 2])
def test_clocks_that_are_an_hour_wrong_each_its_way_are_no_refusal(hours: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from pangea.compute.network import identity

    honest = server_context(NODE, anybody), client_context(FRIEND, want=NODE.peer_id)
    monkeypatch.setattr(Shifted, "by", datetime.timedelta(hours=hours))
    monkeypatch.setattr(identity, "datetime", Shifted)
    wrong = server_context(NODE, anybody), client_context(FRIEND, want=NODE.peer_id)
    monkeypatch.undo()
    assert all(shake(*pair) for pair in ((honest[1], wrong[0]), (wrong[1], honest[0])))


async def _awaited(promise: Any) -> Any:
    return await asyncio.wait_for(_itself(promise), 25)


async def _itself(promise: Any) -> Any:
    return await promise


def test_plain_tcp_gets_nothing() -> None:
    async def scene(server: Server, service: FakeService) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET / HTTP/1.0\r\n\r\n")
        await asyncio.wait_for(reader.read(), 25)
        writer.close()
        assert service.callers == []

    serving(scene)


def test_the_peer_id_is_libp2p_s() -> None:
    from libp2p.crypto.ed25519 import create_new_key_pair
    from libp2p.peer.id import ID

    for _ in range(20):
        identity = Identity.create()
        seed = identity.key.private_bytes(
            serialization.Encoding.Raw, serialization.PrivateFormat.Raw, serialization.NoEncryption()
        )
        assert identity.peer_id == str(ID.from_pubkey(create_new_key_pair(seed).public_key))


def test_a_key_is_made_once_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "key"
    first = Identity.load_or_create(path)
    assert Identity.load_or_create(path).peer_id == first.peer_id
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o640)
    with pytest.raises(ConfigError, match="others may read"):
        Identity.load_or_create(path)


def test_a_file_that_holds_no_ed25519_key_is_refused(tmp_path: Path) -> None:
    other = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    for content in (b"", b"junk", other):
        path = tmp_path / "key"
        path.write_bytes(content)
        path.chmod(0o600)
        with pytest.raises(ConfigError, match="no Ed25519 key"):
            Identity.load_or_create(path)


def test_a_key_of_small_order_signs_nothing() -> None:
    # The neutral element as a key: this signature fits every message, if nobody looks.
    peer = "12D3KooW9tGaPdJo5jmCpadQ971nfiq4kLcQjeBPYTfutBTtckPH"
    signature = b"\1" + bytes(31) + bytes(32)
    assert not is_peer_id(peer)
    assert not any(is_signed_by(peer, message, signature) for message in (b"one", b"two"))


def test_all_who_make_an_identity_at_once_have_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has looked before any has made one."""
    path = tmp_path / "identity.key"
    together = threading.Barrier(8)
    exists = Path.exists

    def looks(self: Path) -> bool:
        found = exists(self)
        if self == path:
            together.wait(10)
        return found

    monkeypatch.setattr(Path, "exists", looks)
    with ThreadPoolExecutor(8) as pool:
        made = {each.peer_id for each in pool.map(lambda _: Identity.load_or_create(path), range(8))}
    assert len(made) == 1
    assert [each.name for each in tmp_path.iterdir()] == ["identity.key"]


#: Asks for a server's first service: a whole message of the RPC protocol (rpc.capnp: `Message.bootstrap`, question 0).
BOOTSTRAP = struct.pack("<II IHH HHI IHH QQ", 0, 5, 0, 1, 1, 8, 0, 0, 0, 1, 1, 0, 0)


def ask_and_vanish(port: int) -> None:
    """One question, and the end of the connection right behind it, without the goodbye of TLS."""
    context, come, go = client_context(FRIEND, want=NODE.peer_id), ssl.MemoryBIO(), ssl.MemoryBIO()
    channel = context.wrap_bio(come, go)
    with socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as wire:
        while True:
            try:
                channel.do_handshake()
                break
            except ssl.SSLWantReadError:
                wire.sendall(go.read())
                come.write(wire.recv(1 << 16))
        channel.write(BOOTSTRAP)
        wire.sendall(go.read())


async def vanish_often(server: Server, service: FakeService) -> None:
    """The end comes while a message is in the decoder's hands, and it reads from nobody."""
    for _ in range(20):
        await asyncio.to_thread(ask_and_vanish, server.port)
    assert await ask(server, FRIEND) == 3
    assert len(service.callers) > 1


def test_who_asks_and_vanishes_does_not_crash_the_node() -> None:
    """In a process of its own: what it guards against is a segmentation fault."""
    play = "from tests.hostile.test_identity import vanish_often, serving; serving(vanish_often)"
    done = subprocess.run([sys.executable, "-c", play], capture_output=True, timeout=2 * SECONDS, check=False)
    assert (done.returncode, done.stderr) == (0, b"")

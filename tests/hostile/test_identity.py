"""Who may not speak: every false proof is refused in the handshake, before any method runs."""

from __future__ import annotations

import asyncio
import datetime
import ssl
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from pangea.compute.model.errors import ConfigError, UnavailableError
from pangea.compute.network import rpc
from pangea.compute.network.address import NodeAddress
from pangea.compute.network.connection import connect
from pangea.compute.network.identity import Identity, certificate_of, client_context
from pangea.compute.network.limits import WireLimits
from pangea.compute.network.server import Server, serve_tcp
from tests.fakes.service import FakeService

EXTENSION = x509.ObjectIdentifier("1.3.6.1.4.1.53594.1.1")
SECONDS = 20
NODE, FRIEND, STRANGER = Identity.create(), Identity.create(), Identity.create()
Play = Callable[[Server, FakeService], Any]


def serving(scene: Play) -> None:
    """A node on loopback that lets FRIEND in, and nobody else."""

    async def all_of_it() -> None:
        service, troubles = FakeService(), list[BaseException]()
        allowed = {FRIEND.peer_id}.__contains__
        async with (
            asyncio.timeout(SECONDS),
            rpc.event_loop(),
            serve_tcp("127.0.0.1", 0, NODE, allowed, service.session, WireLimits(), troubles.append) as server,
        ):
            asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)  # refused handshakes are told there
            await scene(server, service)

    asyncio.run(all_of_it())


async def ask(server: Server, who: Identity, *, want: Identity = NODE) -> int:
    connection = await connect(NodeAddress(host="127.0.0.1", port=server.port, peer=want.peer_id), identity=who, timeout=5.0)
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


def forged(change: str) -> tuple[bytes, bytes]:
    """A certificate with something wrong about it, and its key."""
    honest = x509.load_pem_x509_certificate(certificate_of(FRIEND)[0])
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)
    is_old = change == "expired"
    builder = (
        x509.CertificateBuilder()
        .subject_name(honest.subject)
        .issuer_name(honest.issuer)
        .serial_number(5)
        .public_key(key.public_key())
        .not_valid_before(now - datetime.timedelta(days=2))
        .not_valid_after(now + datetime.timedelta(days=-1 if is_old else 1))
    )
    if change == "stolen extension":
        builder = builder.add_extension(honest.extensions.get_extension_for_oid(EXTENSION).value, critical=False)
    if change == "expired":
        builder = builder.add_extension(_signed_for(key.public_key()), critical=False)
    certificate = builder.sign(key, hashes.SHA256())
    text = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return certificate.public_bytes(serialization.Encoding.PEM), text


def _signed_for(public: Any) -> x509.UnrecognizedExtension:
    """A true extension: FRIEND's signature over this very key."""
    from libp2p.security.tls.certificate import LIBP2P_CERT_PREFIX, encode_signed_key

    der = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    raw = FRIEND.key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    signed = encode_signed_key(bytes((8, 1, 0x12, 0x20)) + raw, FRIEND.key.sign(LIBP2P_CERT_PREFIX + der))
    return x509.UnrecognizedExtension(EXTENSION, signed)


@pytest.mark.parametrize("change", ["no certificate", "no extension", "stolen extension", "expired"])
def test_a_false_proof_is_refused_before_any_method_runs(change: str) -> None:
    async def scene(server: Server, service: FakeService) -> None:
        context = client_context(FRIEND, want=NODE.peer_id)
        if change == "no certificate":
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        else:
            certificate, key = forged(change)
            with tempfile.NamedTemporaryFile() as file:
                file.write(key + certificate)
                file.flush()
                context.load_cert_chain(file.name)
        stream = await rpc.connect_tcp("127.0.0.1", server.port, context=context, message_bytes_max=1 << 20)
        with pytest.raises(rpc.CallError):
            await _awaited(stream.service.getComputeCapacity())
        stream.close()
        assert service.callers == []
        assert await ask(server, FRIEND) == 3

    serving(scene)


async def _awaited(promise: Any) -> Any:
    return await asyncio.wait_for(_itself(promise), 5)


async def _itself(promise: Any) -> Any:
    return await promise


def test_plain_tcp_gets_nothing() -> None:
    async def scene(server: Server, service: FakeService) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET / HTTP/1.0\r\n\r\n")
        await asyncio.wait_for(reader.read(), 5)
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

"""A libp2p host that two methods make useful: `connect` and `ask`. The only importer of libp2p beside identity; runs on trio.

What of py-libp2p 0.8.1 is worked around here, and why, is in docs/discovery.md. Nothing of the library is replaced.
"""

from __future__ import annotations

import hashlib
import logging
import os
import socket
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any
from weakref import WeakSet

import ifaddr
import trio
from cryptography.hazmat.primitives import serialization
from libp2p import new_host
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.crypto.x25519 import create_new_key_pair as create_noise_key_pair
from libp2p.custom_types import TProtocol
from libp2p.kad_dht.common import BUCKET_SIZE
from libp2p.kad_dht.common import PROTOCOL_ID as IPFS_DHT
from libp2p.kad_dht.kad_dht import DHTMode, KadDHT
from libp2p.network.config import ConnectionConfig
from libp2p.peer.id import ID
from libp2p.peer.peerinfo import PeerInfo
from libp2p.peer.peerstore import PeerStore
from libp2p.records.validator import NamespacedValidator
from libp2p.security.noise.transport import PROTOCOL_ID as NOISE_PROTOCOL
from libp2p.security.noise.transport import Transport as NoiseTransport
from libp2p.stream_muxer.yamux.yamux import PROTOCOL_ID as YAMUX_PROTOCOL
from libp2p.stream_muxer.yamux.yamux import Yamux
from libp2p.tools.anyio_service import background_trio_service
from libp2p.transport.tcp.tcp import TCP
from multiaddr import Multiaddr

from pangea.compute.model.errors import UnavailableError
from pangea.compute.network.discovery.records import ADDRESSES_MAX, MESSAGE_BYTES_MAX, host_ip
from pangea.compute.network.discovery.settings import DiscoveryLimits, DiscoverySettings
from pangea.compute.network.identity import Identity

PROTOCOL = TProtocol("/pangea/peers/1")
#: The DHT is this network's own: with IPFS's id each would fill the other's tables.
DHT_PROTOCOL = TProtocol("/pangea/kad/1.0.0")
HOUR_SECONDS = 3_600
#: Seconds that libp2p keeps an address; rounds renew it.
_ADDRESS_SECONDS = 600
#: Peers whose addresses libp2p keeps.
_PEERS_MAX = 1_024
_LENGTH_BYTES = 4
_RESET_SECONDS = 1.0
#: Answers a peer's question, or raises: then the stream is reset.
Answer = Callable[[str, bytes], bytes]


class Host:
    """A node's libp2p host.

    Args:
        identity: the node's.
        settings, limits: of its discovery.
        answer: what to say to a peer that asks.
    """

    def __init__(self, identity: Identity, settings: DiscoverySettings, limits: DiscoveryLimits, answer: Answer) -> None:
        seed = identity.key.private_bytes(
            serialization.Encoding.Raw, serialization.PrivateFormat.Raw, serialization.NoEncryption()
        )
        pair: Any = create_new_key_pair(seed)
        self._settings, self._limits, self._answer = settings, limits, answer
        self._listen = Multiaddr(f"/ip{6 if ':' in settings.host else 4}/{settings.host}/tcp/{settings.port}")
        self._answering: set[str] = set()
        self._port, self._tcp = 0, _Tcp(limits)
        self._noise = NoiseTransport(pair, noise_privkey=create_noise_key_pair().private_key)
        #: Where others reach it: multiaddrs; known once it listens.
        self.addresses: tuple[str, ...] = ()
        most = limits.connections_max
        self._host: Any = new_host(
            key_pair=pair,
            listen_addrs=[self._listen],
            # By default the library also takes plaintext, in which anybody may claim any id.
            sec_opt={NOISE_PROTOCOL: self._noise},
            muxer_opt={TProtocol(YAMUX_PROTOCOL): Yamux},
            peerstore_opt=_Addresses(identity.peer_id, self._is_connected),
            addrs_factory=lambda _listening: list(map(Multiaddr, self.addresses)),
            connection_config=ConnectionConfig(
                max_connections=most,
                high_watermark=most,
                low_watermark=0,
                min_connections=0,
                outbound_upgrade_timeout=limits.exchange_seconds,
            ),
            transports=[self._tcp],
        )
        self._host.set_stream_handler(PROTOCOL, self._serve)
        self._dht: Any = self._new_dht() if settings.dht else None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Listen, and take part in the DHT if that is wanted.

        Raises:
            UnavailableError: the address can't be had.
        """
        settings = self._settings
        _check_free(settings.host, settings.port)
        async with self._tcp.closing_all(), self._host.run(listen_addrs=[self._listen]):
            listening = self._host.get_transport_addrs()
            if not listening:
                raise _taken(settings.host, settings.port)
            # Else the library dials every address that it hears of, up to half its connections. Whom to visit is the rounds'.
            await self._host.get_network().auto_connector.stop()
            self._port = int(listening[0].value_for_protocol("tcp"))
            self.refresh_addresses()
            if self._dht is None:
                yield
            else:
                async with background_trio_service(self._dht):
                    yield

    def refresh_addresses(self) -> None:
        """Look again where this machine is: networks come and go."""
        kinds = {each: 6 if ":" in each else 4 for each in addresses_of(self._settings.host)}
        self.addresses = tuple(f"/ip{kind}/{each}/tcp/{self._port}" for each, kind in kinds.items())

    def tidy(self) -> None:
        """Forget what the library would keep for ever of every peer that ever came, and what strangers put into the DHT."""
        self._host.get_network().auto_connector.clear_all_cooldowns()
        self._noise.clear_static_key_cache()
        if self._dht is not None:
            records, hour = self._dht.provider_store.providers, int(time.time()) // HOUR_SECONDS
            for key in set(records) - {_key(hour + step) for step in (-1, 0, 1)}:
                del records[key]

    async def connect(self, peer: str, addresses: Sequence[str]) -> None:
        """Have a connection to `peer`; its addresses are tried one after the other, as the library dials one only.

        Raises:
            Exception: of many kinds: it can't be had.
        """
        name, failure = ID.from_base58(peer), None
        if self._is_connected(name):
            return
        for address in addresses:
            self._host.get_peerstore().clear_addrs(name)
            self._host.get_network().unblock_peer(name)
            try:
                await self._host.connect(PeerInfo(name, [Multiaddr(address)]))
            except Exception as error:  # whatever a stranger's bytes make the library raise
                failure = error
            else:
                return
        raise failure or ConnectionError(f"no address of {peer} is known")

    async def ask(self, peer: str, message: bytes) -> bytes:
        """Ask a connected peer, and have its answer.

        Raises:
            Exception: of many kinds: it doesn't answer, or not like one of ours.
        """
        stream = await self._host.new_stream(ID.from_base58(peer), [PROTOCOL])
        try:
            await stream.write(_framed(message))
            answer = await _read_framed(stream)
        except BaseException:
            with trio.CancelScope(deadline=trio.current_time() + _RESET_SECONDS, shield=True):
                await stream.reset()
            raise
        await stream.close()
        return answer

    async def hang_up(self, peer: str) -> None:
        """Close the connections to `peer`."""
        await self._host.disconnect(ID.from_base58(peer))

    async def _serve(self, stream: Any) -> None:
        """Answer one question; whatever goes wrong ends this stream and nothing else."""
        peer = str(stream.muxed_conn.peer_id)
        if peer in self._answering or len(self._answering) >= self._limits.questions_max:
            await stream.reset()
            return
        self._answering.add(peer)
        try:
            with trio.fail_after(self._limits.exchange_seconds):
                question = await _read_framed(stream)
                await stream.write(_framed(self._answer(peer, question)))
                await stream.close()
        except Exception:  # a stranger's doing, counted by whoever judged the question
            with trio.move_on_after(_RESET_SECONDS):
                await stream.reset()
        finally:
            self._answering.discard(peer)

    def _is_connected(self, peer: ID) -> bool:
        return any(not each.is_closed for each in self._host.get_network().get_connections(peer))

    # The DHT. Records in it are only leads: whom they name is visited like anybody else.

    def _new_dht(self) -> Any:
        """A DHT that keeps no values, and in which nobody can hold a place for ever."""
        nothing = NamespacedValidator({}, strict_validation=True)
        host: Any = _OwnDht(self._host)
        dht = KadDHT(host, DHTMode.SERVER, validator=nothing, validator_changed=True, strict_validation=True)
        self._host.set_stream_handler(DHT_PROTOCOL, self._bounded(dht.handle_stream))
        return dht

    def _bounded(self, handle: Callable[[Any], Awaitable[None]]) -> Callable[[Any], Awaitable[None]]:
        async def bounded(stream: Any) -> None:
            with trio.move_on_after(self._limits.dht_stream_seconds) as scope:
                await handle(_Measured(stream, self._limits.dht_stream_bytes_max))
            if scope.cancelled_caught:
                await stream.reset()

        return bounded

    @property
    def dht_table_size(self) -> int:
        """Peers in the DHT's routing table."""
        return int(self._dht.get_routing_table_size()) if self._dht else 0

    async def put_into_dht(self, peer: str, addresses: Sequence[str]) -> None:
        """Give the DHT a peer that was met: left to itself it may know its bootstrap peer only."""
        if self._dht is None or not addresses:
            return
        known = [Multiaddr(address) for address in addresses]
        name = ID.from_base58(peer)
        self._host.get_peerstore().add_addrs(name, known, _ADDRESS_SECONDS)
        await self._dht.routing_table.add_peer(PeerInfo(name, known))

    async def provide(self, hour: int) -> bool:
        """Say in the DHT that this node is there in `hour` (since 1970); whether somebody heard it."""
        store, key = self._dht.provider_store, _key(hour)
        heard = bool(await store.provide(key))
        store.providing_keys.intersection_update({key})
        return heard

    async def find(self, hour: int) -> dict[str, tuple[str, ...]]:
        """Who said in the DHT that they were there in `hour`: a sample, at most about 20 for each hour."""
        store, key = self._dht.provider_store, _key(hour)
        kept = store.providers.pop(key, {})  # a record that is here ends the library's search
        try:
            found = await store.find_providers(key, count=1_000)  # repeats count
        finally:
            store.providers[key] = dict(list((kept | store.providers.get(key, {})).items())[:BUCKET_SIZE])
        return {str(each.peer_id): _plain(each.addrs) for each in found}


def _key(hour: int) -> bytes:
    """The DHT's key of all nodes in one hour: the few places in it are taken for two days, by dead nodes, too."""
    return bytes((0x12, 0x20)) + hashlib.sha256(f"pangea-nodes-1/{hour}".encode()).digest()


class _OwnDht:
    """A host as the library's DHT sees it, which knows one protocol id: outside, that is this network's own."""

    def __init__(self, host: Any) -> None:
        self._host = host
        self._peers = _OwnProtocols(host.get_peerstore())

    def __getattr__(self, name: str) -> Any:
        return getattr(self._host, name)

    def get_peerstore(self) -> Any:
        return self._peers

    def set_stream_handler(self, protocol: TProtocol, handler: Any) -> None:
        self._host.set_stream_handler(_outside(protocol), handler)

    def remove_stream_handler(self, protocol: TProtocol) -> None:
        self._host.remove_stream_handler(_outside(protocol))

    async def new_stream(self, peer: ID, protocols: Sequence[TProtocol]) -> Any:
        return await self._host.new_stream(peer, [_outside(each) for each in protocols])


class _OwnProtocols:
    """A peerstore in which who speaks this network's DHT protocol speaks the library's."""

    def __init__(self, peers: Any) -> None:
        self._peers = peers

    def __getattr__(self, name: str) -> Any:
        return getattr(self._peers, name)

    def get_protocols(self, peer: ID) -> list[str]:
        spoken = [each for each in self._peers.get_protocols(peer) if each != IPFS_DHT]
        return [str(IPFS_DHT) if each == DHT_PROTOCOL else str(each) for each in spoken]


def _outside(protocol: TProtocol) -> TProtocol:
    return DHT_PROTOCOL if protocol == IPFS_DHT else protocol


class _Tcp(TCP):
    """TCP that gives back what a closed connection held, and takes only so many from one address.

    The library counts connections that ever came in, and refuses all others beyond its maximum.
    """

    def __init__(self, limits: DiscoveryLimits) -> None:
        super().__init__()
        self._from = Counter[str]()
        self._most = limits.connections_per_address_max
        self._streams = WeakSet[Any]()

    @asynccontextmanager
    async def closing_all(self) -> AsyncIterator[None]:
        """Leave no connection open in the end: the library doesn't get to it when it is cancelled."""
        try:
            yield
        finally:
            for stream in self._streams:
                stream.socket.close()

    async def dial(self, maddr: Multiaddr) -> Any:
        connection: Any = await super().dial(maddr)
        self._streams.add(connection.stream.stream)
        return connection

    def create_listener(self, handler_function: Any) -> Any:
        async def handle(stream: Any) -> None:
            self._streams.add(stream.stream)
            try:
                address = str(stream.stream.socket.getpeername()[0])
            except OSError:  # gone already
                address = ""
            if self._from[address] >= self._most:
                await stream.close()
                return
            self._from[address] += 1
            try:
                with trio.CancelScope() as scope:
                    await handler_function(_Watched(stream, scope.cancel))
            finally:
                self._from[address] -= 1
                self._from += Counter()  # drops those at zero

        return super().create_listener(handle)


class _Watched:
    """A stream whose closing ends its handler, which would otherwise wait until the host stops."""

    def __init__(self, stream: Any, on_close: Callable[[], None]) -> None:
        self._stream, self._on_close = stream, on_close

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    async def close(self) -> None:
        try:
            await self._stream.close()
        finally:
            self._on_close()


class _Measured:
    """A stream from which only so much is read."""

    def __init__(self, stream: Any, bytes_max: int) -> None:
        self._stream, self._room = stream, bytes_max

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    async def read(self, n: int | None = None) -> bytes:
        if n is not None and n > self._room:
            raise ConnectionError("the peer sends more than it may")
        data: bytes = await self._stream.read(n)
        self._room -= len(data)
        return data


class _Addresses(PeerStore):
    """Addresses of peers, bounded. The library's own bound is on peers, and drops the host's own key first."""

    def __init__(self, own: str, is_connected: Callable[[ID], bool]) -> None:
        super().__init__(max_peers=2**62)
        self._own, self._is_connected = ID.from_base58(own), is_connected

    def add_addrs(self, peer_id: ID, addrs: Sequence[Any], ttl: int = 0) -> None:
        super().add_addrs(peer_id, addrs, ttl)
        kept = self.peer_data_map[peer_id].addrs
        del kept[:-ADDRESSES_MAX]
        if len(self.peer_data_map) > _PEERS_MAX:
            strangers = (each for each in self.peer_data_map if each not in {self._own, peer_id} and not self._is_connected(each))
            if (oldest := next(strangers, None)) is not None:
                self.clear_peerdata(oldest)


def _framed(message: bytes) -> bytes:
    return len(message).to_bytes(_LENGTH_BYTES, "big") + message


async def _read_framed(stream: Any) -> bytes:
    length = int.from_bytes(await _read_exactly(stream, _LENGTH_BYTES), "big")
    if length > MESSAGE_BYTES_MAX:
        raise ConnectionError(f"the peer's message claims {length} bytes, at most {MESSAGE_BYTES_MAX} are allowed")
    return await _read_exactly(stream, length)


async def _read_exactly(stream: Any, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = await stream.read(size - len(data))
        if not more:
            raise ConnectionError(f"the peer's message ends after {len(data)} of {size} bytes")
        data += more
    return data


def _plain(addresses: Sequence[Multiaddr]) -> tuple[str, ...]:
    """Those that can be dialled, without the peer id at their end."""
    texts = [str(each).partition("/p2p/")[0] for each in addresses[:ADDRESSES_MAX]]
    return tuple(text for text in texts if host_ip(text))


def _check_free(host: str, port: int) -> None:
    """Refuse a port that somebody listens at: the library would share it (SO_REUSEPORT)."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
            probe.listen()
    except OSError as error:
        raise _taken(host, port) from error


def _taken(host: str, port: int) -> UnavailableError:
    return UnavailableError(
        f"peer discovery can't listen at {host}:{port}", hint="is the port taken, or the address another machine's?"
    )


def addresses_of(host: str) -> list[str]:
    """The IP addresses that listening at `host` means; loopback ones only where there are no others."""
    if host not in {"0.0.0.0", "::"}:  # noqa: S104
        return [host]
    found = [each.ip for adapter in ifaddr.get_adapters() for each in adapter.ips]
    texts = [each for each in found if isinstance(each, str)]  # IPv6 ones are tuples
    if host == "::":
        texts += [each[0] for each in found if isinstance(each, tuple) and not each[0].lower().startswith("fe80")]
    outward = [each for each in texts if not each.startswith("127.") and each != "::1"]
    return (outward or texts)[:ADDRESSES_MAX]


def quieten() -> None:
    """Keep the library from writing on stderr what strangers do; LIBP2P_DEBUG brings it back."""
    if os.environ.get("LIBP2P_DEBUG"):
        return
    for name in ("libp2p", "zeroconf"):
        logger = logging.getLogger(name)
        logger.addHandler(logging.NullHandler())
        logger.setLevel(logging.CRITICAL)

"""Strangers in discovery: whatever they say, how much and how slowly, the others find each other and keep little of it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
import trio
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.kad_dht.pb.kademlia_pb2 import Message
from libp2p.peer.id import ID
from libp2p.security.insecure.transport import PLAINTEXT_PROTOCOL_ID, InsecureTransport
from libp2p.security.security_multistream import SecurityMultistream
from multiaddr import Multiaddr

from pangea.compute.network.discovery import host as discovery_host
from pangea.compute.network.discovery.host import DHT_PROTOCOL, PROTOCOL, Host
from pangea.compute.network.discovery.records import MESSAGE_BYTES_MAX, TOLD_MAX, Statement, sign, write_message
from pangea.compute.network.discovery.service import Discovery, DiscoveryLimits
from pangea.compute.network.identity import Identity
from tests.deadlines import comes_true
from tests.examples import spread
from tests.peers import LOOPBACK, QUICK, SECONDS, Stranger, knows, peer, saying, sites

#: Some 10^4 of them, in as many messages as that takes.
FAKES = 10_000


def forged(count: int, **more: Any) -> list[tuple[Statement, float]]:
    """Honest statements of nodes that don't exist, at an address where nobody listens."""
    made = []
    for number in range(count):
        fake = Identity.create()
        made.append(
            (
                sign(fake, saying(fake, f"fake {number}"), hosts=("/ip4/127.0.0.1/tcp/9",), speaks_dht=False, at=number, **more),
                0.0,
            )
        )
    return made


def meeting(answer: Callable[[Stranger], bytes], check: Callable[[Discovery, Stranger], Any]) -> None:
    """A node starts from a stranger, and from an honest peer; `check` has until its end to see what came of it."""

    async def scene() -> None:
        strangers: list[Stranger] = []
        strangers.append(Stranger(lambda _peer, _question: answer(strangers[0])))
        with strangers[0].running() as stranger:
            async with peer("honest") as friend, peer("node", start=(stranger.start, *friend.addresses)) as node:
                await knows_at_least(node, "honest")
                await check(node, stranger)
                await knows_at_least(friend, "node")

    asyncio.run(scene())


async def knows_at_least(discovery: Discovery, *wanted: str) -> None:
    await comes_true(lambda: set(wanted) <= set(sites(discovery)), seconds=SECONDS)


def known_as(stranger: Stranger, own: Statement, *told: Any) -> bytes:
    """A message in which `own` is said to be the teller's own word."""
    return json.dumps({"me": [own.text, own.signature], "known": list(told)}).encode()


GARBAGE: dict[str, Callable[[Stranger], bytes]] = {
    "nothing": lambda _it: b"",
    "no JSON": lambda _it: b"\xff" * 1_000,
    "nested without end": lambda _it: b"[" * MESSAGE_BYTES_MAX,
    "a number of sixty thousand digits": lambda _it: b"9" * 60_000,
    "half a surrogate pair": lambda it: known_as(it, replace(it.statement(), text='{"peer":"\ud800"}', signature="\ud800")),
    "more than a message may have": lambda it: write_message(it.statement(), []) + b" " * MESSAGE_BYTES_MAX,
    "more peers than it may tell of": lambda it: known_as(it, it.statement(), *[["", "", 0]] * (TOLD_MAX + 1)),
    "somebody else's statement as its own": lambda _it: known_as(_it, forged(1)[0][0]),
    "its own statement, altered": lambda it: known_as(
        it, replace(it.statement(), text=it.statement().text.replace("7000", "7001"))
    ),
    "a statement that nobody signed": lambda it: known_as(it, replace(it.statement(), signature="00" * 64)),
}


@pytest.mark.parametrize("what", spread(3, GARBAGE))
def test_who_answers_garbage_isnt_known(what: str) -> None:
    async def check(node: Discovery, _stranger: Stranger) -> None:
        await comes_true(lambda: node.figures().counts.get("failed", 0) >= 2, seconds=SECONDS)
        assert sites(node) == ["honest"]

    meeting(GARBAGE[what], check)


@pytest.mark.parametrize("what", spread(3, GARBAGE))
def test_who_asks_garbage_is_refused(what: str) -> None:
    async def check(node: Discovery, stranger: Stranger) -> None:
        with pytest.raises(Exception):  # noqa: B017, PT011  # the stream is reset; the library says it in many ways
            await stranger.tell(node, GARBAGE[what](stranger))
        assert sites(node) == ["honest"]

    meeting(lambda _it: b"", check)


def test_an_honest_stranger_is_known_so_these_tests_can_fail() -> None:
    async def check(node: Discovery, stranger: Stranger) -> None:
        await knows(node, "honest", "stranger")
        await stranger.tell(node, write_message(stranger.statement("came by itself", at=2), []))

    meeting(lambda it: write_message(it.statement("stranger"), []), check)


@pytest.mark.long
def test_ten_thousand_fakes_of_one_source_take_few_places() -> None:
    fakes = forged(FAKES // 20)  # signing them takes most of the time; each is told again and again

    async def check(node: Discovery, stranger: Stranger) -> None:
        for first in range(0, FAKES, TOLD_MAX):
            batch = [fakes[number % len(fakes)] for number in range(first, first + TOLD_MAX)]
            await stranger.tell(node, write_message(stranger.statement("stranger", at=2 + first), batch))
        assert set(sites(node)) >= {"honest", "stranger"}
        assert len(node.known()) <= 2 + QUICK.per_source_max
        assert len([site for site in sites(node) if site.startswith("fake")]) > 1

    meeting(lambda it: write_message(it.statement("stranger"), []), check)


def test_what_is_said_of_others_must_be_signed_by_them() -> None:
    victim = Identity.create()
    real = sign(victim, saying(victim, "victim"), hosts=(), speaks_dht=False, at=5)
    false = replace(real, text=real.text.replace("7000", "6666"))

    async def check(node: Discovery, stranger: Stranger) -> None:
        await stranger.tell(node, write_message(stranger.statement(at=2), [(false, 0.0)]))
        await comes_true(lambda: node.figures().counts.get("forged", 0) >= 1)
        assert victim.peer_id not in {each.peer for each in node.known()}
        await stranger.tell(node, write_message(stranger.statement(at=3), [(real, 0.0)]))
        await knows_at_least(node, "victim")
        assert not next(each for each in node.known() if each.peer == victim.peer_id).is_met

    meeting(lambda it: write_message(it.statement(), []), check)


class Silent(Host):
    """Takes every question, and answers none."""

    async def _serve(self, stream: Any) -> None:
        await trio.sleep_forever()


class Claiming(Host):
    """Claims to answer with four gigabytes, and sends without end."""

    async def _serve(self, stream: Any) -> None:
        await stream.write(b"\xff" * 4)
        while True:
            await stream.write(bytes(65_536))


class Trickling(Host):
    """Answers a byte now and then."""

    async def _serve(self, stream: Any) -> None:
        await stream.write((1_000).to_bytes(4, "big"))
        while True:
            await stream.write(b" ")
            await trio.sleep(0.05)


def test_no_more_is_read_than_a_message_may_have() -> None:
    class Endless:
        asked = 0

        async def read(self, n: int) -> bytes:
            self.asked += n
            return b"\xff" * n

    stream = Endless()

    async def scene() -> None:
        await discovery_host._read_framed(stream)

    with pytest.raises(ConnectionError, match="claims 4294967295 bytes, at most 65536"):
        trio.run(scene)
    assert stream.asked == 4


@pytest.mark.parametrize("kind", [Silent, Claiming, Trickling])
def test_who_never_answers_costs_one_deadline_and_nobody_else_anything(kind: type[Host]) -> None:
    async def scene() -> None:
        with Stranger(lambda _peer, _question: b"", kind).running() as stranger:
            quick = replace(QUICK, exchange_seconds=0.5)
            async with (
                peer("honest", limits=quick) as friend,
                peer("node", start=(stranger.start, *friend.addresses), limits=quick) as node,
            ):
                await knows(node, "honest")
                await comes_true(lambda: node.figures().counts.get("failed", 0) >= 1, seconds=SECONDS)
                assert sites(node) == ["honest"]

    asyncio.run(scene())


def test_questions_that_never_end_block_nobody() -> None:
    async def scene() -> None:
        limits = replace(QUICK, questions_max=2, exchange_seconds=SECONDS)
        with Stranger(lambda _peer, _question: b"").running() as stranger:
            async with peer("node", limits=limits) as node:
                name, address = stranger_view(node)
                await stranger.do(stranger.host.connect, name, [address])
                for _ in range(4):  # one is taken and waits for its question, the others are reset
                    with contextlib.suppress(Exception):
                        await stranger.do(stranger.host._host.new_stream, ID.from_base58(name), [PROTOCOL])
                with pytest.raises(Exception):  # noqa: B017, PT011  # one at a time
                    await stranger.tell(node, write_message(stranger.statement(), []))
                async with peer("honest", start=node.addresses) as friend:
                    async with asyncio.timeout(SECONDS / 3):
                        await knows(friend, "node")

    asyncio.run(scene())


@pytest.mark.parametrize(
    "limits", [replace(QUICK, questions_max=0), replace(QUICK, again_seconds=SECONDS)], ids=["at a time", "of one peer"]
)
def test_questions_are_bounded(limits: DiscoveryLimits) -> None:
    async def scene() -> None:
        with Stranger(lambda _peer, _question: b"").running() as stranger:
            async with peer("node", limits=limits) as node:
                questions = [write_message(stranger.statement(at=at), []) for at in (1, 2)]
                with contextlib.suppress(Exception):
                    await stranger.tell(node, questions[0])
                with pytest.raises(Exception):  # noqa: B017, PT011  # reset
                    await stranger.tell(node, questions[1])

    asyncio.run(scene())


def test_who_fails_is_left_alone_for_longer_and_longer() -> None:
    async def scene() -> None:
        limits = replace(QUICK, backoff_seconds_min=0.5, backoff_seconds_max=60.0, backoff_bootstrap_seconds_max=60.0)
        nobody = Identity.create().peer_id
        async with (
            peer("honest") as friend,
            peer("node", start=(f"/ip4/127.0.0.1/tcp/9/p2p/{nobody}", *friend.addresses), limits=limits) as node,
        ):
            await comes_true(lambda: node.figures().counts.get("visits", 0) >= 8, seconds=SECONDS)
            assert 1 <= node.figures().counts["failed"] <= 3

    asyncio.run(scene())


def stranger_view(node: Discovery) -> tuple[str, str]:
    address, _, name = node.addresses[0].partition("/p2p/")
    return name, address


class Plain(Host):
    """Offers plaintext only, in which it may claim any id."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        plain = InsecureTransport(create_new_key_pair())
        self._host.get_network().upgrader.security_multistream = SecurityMultistream({PLAINTEXT_PROTOCOL_ID: plain})


def test_nobody_is_spoken_to_in_plaintext() -> None:
    async def scene() -> None:
        with Stranger(lambda _peer, _question: b"", Plain).running() as stranger:
            async with peer("node", start=(stranger.start,)) as node:
                await comes_true(lambda: node.figures().counts.get("failed", 0) >= 1, seconds=SECONDS)
                name, address = stranger_view(node)
                with pytest.raises(Exception, match="unable to connect"):
                    await stranger.do(stranger.host.connect, name, [address])

    asyncio.run(scene())


async def first_words(ends: contextlib.AsyncExitStack, host: str, port: int) -> bytes:
    """What a node says to whoever dials it and says nothing; the connection is open until `ends` end."""
    reader, writer = await asyncio.open_connection(host, port)
    ends.push_async_callback(writer.wait_closed)
    ends.callback(writer.close)
    return await asyncio.wait_for(reader.read(100), SECONDS)


def test_connections_from_one_address_are_bounded_and_given_back() -> None:
    async def scene() -> None:
        limits = replace(QUICK, connections_per_address_max=3)
        async with peer("node", limits=limits) as node:
            _, address = stranger_view(node)
            _, _, host, _, port = address.split("/")
            for _ in range(3):
                async with contextlib.AsyncExitStack() as ends:
                    for _ in range(3):
                        async with asyncio.timeout(SECONDS):  # the node hears a moment later that those before have gone
                            while not (said := await first_words(ends, host, int(port))):
                                pass
                        assert said == b"\x13/multistream/1.0.0\n"
                    assert await first_words(ends, host, int(port)) == b""  # hung up on at once
            for _ in range(5):  # more than the library would ever take: it counts those that are gone
                async with peer("guest", start=node.addresses) as guest:
                    await knows_at_least(guest, "node")

    asyncio.run(scene())


# The DHT.

PING = Message(type=Message.MessageType.PING).SerializeToString()


def test_the_dht_keeps_no_values_and_reads_no_more_than_it_needs() -> None:
    async def scene() -> None:
        with Stranger(lambda _peer, _question: b"").running() as stranger:
            async with peer("node", settings=replace(LOOPBACK, dht=True)) as node:
                name, address = stranger_view(node)
                await stranger.do(stranger.host.connect, name, [address])
                message = Message()
                message.type, message.key = Message.MessageType.PUT_VALUE, b"junk"
                message.record.key, message.record.value = b"junk", b"x" * 1_000
                assert await stranger.do(dht_answer, stranger.host, name, message.SerializeToString()) == b""
                assert await stranger.do(dht_answer, stranger.host, name, PING)
                filling = (
                    b"\x7a" + varint(QUICK.dht_stream_bytes_max) + bytes(QUICK.dht_stream_bytes_max)
                )  # a field of no meaning
                assert await stranger.do(dht_answer, stranger.host, name, PING + filling) == b""

    asyncio.run(scene())


def varint(number: int) -> bytes:
    head = b""
    while number > 0x7F:
        head, number = head + bytes((number & 0x7F | 0x80,)), number >> 7
    return head + bytes((number,))


async def dht_answer(host: Host, name: str, message: bytes) -> bytes:
    """What the DHT of a connected peer answers; b"" if it resets the stream."""
    try:
        stream = await host._host.new_stream(ID.from_base58(name), [DHT_PROTOCOL])
        await stream.write(varint(len(message)) + message)
        return bytes(await stream.read(1_000))
    except Exception:
        return b""


def test_peers_of_the_library_are_bounded_and_its_own_key_is_kept() -> None:
    own = Identity.create()
    store = discovery_host._Addresses(own.peer_id, lambda _peer: False)
    store.put(ID.from_base58(own.peer_id), "is", "own")
    for number in range(discovery_host._PEERS_MAX + 100):
        store.add_addrs(ID(number.to_bytes(32, "big")), [Multiaddr("/ip4/1.2.3.4/tcp/1")] * 50, 60)
    assert len(store.peer_data_map) <= discovery_host._PEERS_MAX + 1
    assert store.get(ID.from_base58(own.peer_id), "is") == "own"
    assert max(len(data.addrs) for data in store.peer_data_map.values()) <= 8


def test_streams_of_the_dht_end_in_time() -> None:
    async def scene() -> None:
        limits = replace(QUICK, dht_stream_seconds=0.5)
        with Stranger(lambda _peer, _question: b"").running() as stranger:
            async with peer("node", settings=replace(LOOPBACK, dht=True), limits=limits) as node:
                name, address = stranger_view(node)
                await stranger.do(stranger.host.connect, name, [address])
                for _ in range(12):  # as many as the library serves at a time
                    with contextlib.suppress(Exception):
                        await stranger.do(stranger.host._host.new_stream, ID.from_base58(name), [DHT_PROTOCOL])
                async with asyncio.timeout(SECONDS):
                    while not (answer := await stranger.do(dht_answer, stranger.host, name, PING)):
                        pass
                assert answer

    asyncio.run(scene())


def with_host(check: Callable[[Host, Host], Awaitable[None]]) -> None:
    async def scene() -> None:
        hosts = [Host(Identity.create(), replace(LOOPBACK, dht=True), QUICK, lambda _peer, _question: b"") for _ in range(2)]
        with trio.fail_after(SECONDS):
            async with hosts[0].running(), hosts[1].running():
                await check(*hosts)

    trio.run(scene)


def test_the_library_connects_to_nobody_by_itself() -> None:
    async def check(host: Host, other: Host) -> None:
        host._host.get_peerstore().add_addrs(other._host.get_id(), [Multiaddr(each) for each in other.addresses], 60)
        await host._host.get_network().auto_connector.maybe_connect()
        assert host._host.get_connected_peers() == []

    with_host(check)


def test_each_address_of_a_peer_is_tried_even_after_a_failure() -> None:
    async def check(host: Host, other: Host) -> None:
        name = str(other._host.get_id())
        with pytest.raises(Exception, match="unable to connect"):
            await host.connect(name, ["/ip4/127.0.0.1/tcp/9"])
        await host.connect(name, ["/ip4/127.0.0.1/tcp/9", *other.addresses])
        assert [str(each) for each in host._host.get_connected_peers()] == [name]

    with_host(check)


def test_what_the_library_keeps_of_strangers_is_forgotten() -> None:
    async def check(host: Host, other: Host) -> None:
        await host.connect(str(other._host.get_id()), other.addresses)
        await host.hang_up(str(other._host.get_id()))
        store = host._host.get_network().auto_connector._recent_disconnects
        host._dht.provider_store.providers[b"foreign"] = {}
        await host.provide(int(time.time()) // 3_600)
        assert store
        host.tidy()
        assert not store
        assert len(host._dht.provider_store.providers) == 1

    with_host(check)

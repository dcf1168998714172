"""Nodes that find each other: real libp2p hosts, on loopback."""

from __future__ import annotations

import asyncio
import multiprocessing
import socket
import subprocess
import sys
import threading
from contextlib import AsyncExitStack
from dataclasses import replace
from multiprocessing.queues import Queue

import pytest

from pangea.compute.model.errors import ConfigError, NotDoneError, UnavailableError
from pangea.compute.network.discovery import rounds as discovery_rounds
from pangea.compute.network.discovery.service import Advertisement, DiscoverySettings, discover
from pangea.compute.network.identity import Identity
from tests.deadlines import comes_true
from tests.examples import long
from tests.peers import LOOPBACK, QUICK, SECONDS, knows, peer, saying
from tests.ports import Port

WITH_DHT = replace(LOOPBACK, dht=True)


async def find_each_other(settings: DiscoverySettings, count: int) -> list[int]:
    """Have `count` nodes find each other; the sizes of their DHT tables once each has all the others there, or 0s."""
    names = [str(number) for number in range(count)]
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(peer(names[0], settings=settings))
        others = [await stack.enter_async_context(peer(name, start=first.addresses, settings=settings)) for name in names[1:]]
        for name, each in zip(names, [first, *others], strict=True):
            await knows(each, *(other for other in names if other != name))
        if settings.dht:
            await comes_true(
                lambda: all(each.figures().dht_table_size == count - 1 for each in [first, *others]), seconds=SECONDS
            )
        return [each.figures().dht_table_size for each in [first, *others]]


@pytest.mark.parametrize("count", [2, *long(5)])
def test_nodes_find_each_other_by_exchange_alone(count: int) -> None:
    assert asyncio.run(find_each_other(LOOPBACK, count)) == [0] * count


@pytest.mark.parametrize("count", [2, *long(5)])
def test_nodes_find_each_other_and_fill_the_table_of_the_dht(count: int) -> None:
    assert asyncio.run(find_each_other(WITH_DHT, count)) == [count - 1] * count


@pytest.mark.long
def test_the_table_of_the_dht_is_filled_by_exchange_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    async def nothing(_self: discovery_rounds.Rounds) -> None:
        """The DHT isn't asked for anything."""

    monkeypatch.setattr(discovery_rounds.Rounds, "use_dht", nothing)
    assert asyncio.run(find_each_other(WITH_DHT, 5)) == [4] * 5


def test_a_peer_is_found_by_its_record_in_the_dht_alone() -> None:
    async def scene() -> None:
        quiet = replace(QUICK, visits_max=4, met_enough=0)  # hearsay isn't followed: who is met was led to
        async with (
            peer("a", settings=WITH_DHT, limits=quiet) as first,
            peer("b", start=first.addresses, settings=WITH_DHT, limits=quiet) as second,
        ):
            await knows(second, "a")
            async with peer("c", start=first.addresses, settings=WITH_DHT, limits=quiet) as third:
                await comes_true(lambda: third.figures().met >= 2, seconds=SECONDS)
                assert third.figures().met == 2  # and nobody else

    asyncio.run(scene())


def test_what_a_node_says_of_itself_reaches_the_others_as_it_says_it() -> None:
    async def scene() -> None:
        node = Identity.create()
        said = Advertisement(
            rpc=(f"tcp://10.1.2.3:7000/{node.peer_id}",),
            takes_children=True,
            depth=3,
            is_root=False,
            site="left rack",
            free_places=5,
        )
        async with discover(node, LOOPBACK, said, limits=QUICK) as first, peer(start=first.addresses) as second:
            found = (await second.wait_for(1, SECONDS))[0]
            assert (found.peer, found.advertisement, found.is_met) == (node.peer_id, said, True)
            assert 0 <= found.heard_seconds_ago < SECONDS
            later = replace(said, takes_children=False, depth=4, free_places=0)
            await asyncio.to_thread(first.advertise, later)  # any thread may
            await comes_true(lambda: second.known()[0].advertisement == later)

    asyncio.run(scene())


def test_changes_are_told_on_the_event_loop() -> None:
    async def scene() -> None:
        told: list[threading.Thread] = []
        async with (
            peer("a", on_change=lambda: told.append(threading.current_thread())) as first,
            peer("b", start=first.addresses),
        ):
            await knows(first, "b")
        assert set(told) == {threading.current_thread()}

    asyncio.run(scene())


@pytest.mark.long
def test_a_peer_that_is_gone_is_forgotten_and_found_anew_at_another_port() -> None:
    async def scene() -> None:
        node, limits = Identity.create(), replace(QUICK, stale_seconds=1.0)
        async with peer("a", limits=limits) as first, peer("c", start=first.addresses, limits=limits) as third:
            async with peer("b", start=first.addresses, identity=node, limits=limits) as second:
                before = second.addresses
                await knows(third, "a", "b")
            await knows(first, "c")
            await knows(third, "a")
            async with peer("b again", start=first.addresses, identity=node, limits=limits) as second:
                assert second.addresses != before
                await knows(third, "a", "b again")
                await comes_true(lambda: third.figures().met == 2)

    asyncio.run(scene())


@pytest.mark.long
def test_a_bootstrap_peer_may_come_later() -> None:
    async def scene() -> None:
        node = Identity.create()
        with Port() as port:
            async with peer("a", start=(f"/dns4/localhost/tcp/{port.number}/p2p/{node.peer_id}",)) as first:
                with pytest.raises(NotDoneError, match="0 of 1 peers"):
                    await first.wait_for(1, 0.5)
                async with peer("b", identity=node, settings=replace(LOOPBACK, port=port.number)):
                    await knows(first, "b")

    asyncio.run(scene())


def test_a_peer_that_failed_is_visited_at_once_when_it_comes_by_itself() -> None:
    async def scene() -> None:
        node, patient = Identity.create(), replace(QUICK, backoff_seconds_min=60.0, backoff_bootstrap_seconds_max=60.0)
        async with peer("a", start=(f"/ip4/127.0.0.1/tcp/9/p2p/{node.peer_id}",), limits=patient) as first:
            await comes_true(lambda: first.figures().counts.get("failed"))
            async with peer("b", start=first.addresses, identity=node):
                await comes_true(lambda: first.figures().counts.get("visits"), seconds=SECONDS)
                assert first.figures().counts["failed"] >= 1  # 60 s after that it would have been its turn

    asyncio.run(scene())


def test_a_port_that_is_taken_is_named() -> None:
    async def scene() -> None:
        async with peer() as first:
            port = int(first.addresses[0].split("/")[4])
            with pytest.raises(UnavailableError, match=rf"can't listen at 127.0.0.1:{port}"):
                async with peer(settings=replace(LOOPBACK, port=port)):
                    raise AssertionError("two listen at one port")

    asyncio.run(scene())


def test_what_may_not_be_set_or_said_is_named() -> None:
    async def scene() -> None:
        node, other = Identity.create(), Identity.create()
        for settings, match in (
            (replace(LOOPBACK, bootstrap=("/ip4/1.2.3.4/tcp/1",)), "is not the multiaddr of a peer"),
            (replace(LOOPBACK, bootstrap=LOOPBACK.bootstrap + ("x",) * 65), "65 bootstrap peers"),
            (replace(LOOPBACK, host="localhost"), "is not an IP address"),
            (replace(LOOPBACK, port=65_536), "65536 is not a port"),
        ):
            with pytest.raises(ConfigError, match=match):
                async with discover(node, settings, Advertisement()):
                    raise AssertionError(match)
        async with peer(identity=node) as first:
            with pytest.raises(ConfigError, match="is not an RPC address of"):
                first.advertise(saying(other))
            with pytest.raises(ConfigError, match="depth is 65"):
                first.advertise(replace(saying(node), depth=65))

    asyncio.run(scene())


def test_a_breakdown_is_told_and_meets_whoever_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        troubles, changes = list[BaseException](), list[int]()
        async with peer(on_trouble=troubles.append, on_change=lambda: changes.append(1)) as first:
            waiting = asyncio.create_task(first.wait_for(1, SECONDS))
            await asyncio.to_thread(lambda: None)
            monkeypatch.setattr(discovery_rounds.Rounds, "_choose", lambda _self: 1 // 0)
            with pytest.raises(UnavailableError, match="peer discovery has stopped"):
                await waiting
            for ask in (first.known, first.figures, lambda: first.advertise(Advertisement())):
                with pytest.raises(UnavailableError, match="peer discovery has stopped"):
                    ask()
            await comes_true(lambda: troubles)
            assert [type(each) for each in troubles] == [ZeroDivisionError]
            assert changes

    asyncio.run(scene())


def test_nothing_is_left_of_it() -> None:
    async def scene() -> None:
        async with peer() as first:
            assert "pangea-discovery" in {thread.name for thread in threading.enumerate()}
        assert "pangea-discovery" not in {thread.name for thread in threading.enumerate()}
        with pytest.raises(UnavailableError, match="is closed"):
            first.known()

    asyncio.run(scene())


def test_without_discovery_libp2p_is_not_loaded() -> None:
    code = "import sys, pangea.compute.network.discovery.service; "
    code += "print(*{'libp2p', 'trio', 'zeroconf', 'multiaddr'} & set(sys.modules))"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=SECONDS, check=True).stdout == "\n"
    )


# mDNS.


def multicast_works() -> str:
    """Why mDNS can't be tried on loopback, or ""."""
    try:
        with (
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
        ):
            receiver.bind(("", 0))
            receiver.settimeout(1)
            membership = socket.inet_aton("224.0.0.251") + socket.inet_aton("127.0.0.1")
            receiver.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
            sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))
            sender.sendto(b"?", ("224.0.0.251", receiver.getsockname()[1]))
            receiver.recv(1)
    except OSError as error:
        return f"no multicast on loopback ({error}): ip link set lo multicast on"
    return ""


MDNS = replace(LOOPBACK, mdns=True, mdns_interfaces=("127.0.0.1",))


#: Processes that begin anew load all of libp2p, on whatever machine.
SPAWN_SECONDS = 60.0


def look_around(site: str, found: Queue[str], over: Queue[str]) -> None:
    async def scene() -> None:
        async with peer(site, settings=MDNS) as here:
            await here.wait_for(1, SPAWN_SECONDS)
            found.put(f"{site} found {here.known()[0].advertisement.site}")
            await asyncio.to_thread(over.get, timeout=SPAWN_SECONDS)

    asyncio.run(scene())


@pytest.mark.timeout(240)
def test_two_processes_find_each_other_on_the_local_network() -> None:
    if why := multicast_works():
        pytest.skip(why)
    spawn = multiprocessing.get_context("spawn")
    found, over = spawn.Queue(), spawn.Queue()
    processes = [spawn.Process(target=look_around, args=(site, found, over), daemon=True) for site in ("left", "right")]
    for process in processes:
        process.start()
    try:
        assert {found.get(timeout=SPAWN_SECONDS) for _ in processes} == {"left found right", "right found left"}
    finally:
        for _ in processes:
            over.put("over")
        for process in processes:
            process.join(SPAWN_SECONDS)
            assert process.exitcode == 0
        found.close()
        over.close()


@pytest.mark.long
def test_without_a_local_network_discovery_starts_and_says_so() -> None:
    async def scene() -> None:
        troubles = list[BaseException]()
        nowhere = replace(LOOPBACK, mdns=True, mdns_interfaces=("192.0.2.77",))  # no machine has this address
        async with (
            peer("a", settings=nowhere, on_trouble=troubles.append) as first,
            peer("b", start=first.addresses) as second,
        ):
            await knows(second, "a")
            await comes_true(lambda: troubles)
            assert "can't be looked for (mDNS)" in str(troubles[0])

    asyncio.run(scene())

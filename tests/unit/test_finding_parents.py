"""Whom a node asks to be its parent, in which order, and what becomes of a round in which nobody takes it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random
from typing import Any, cast

import pytest

from pangea.compute.model.errors import PeerError
from pangea.compute.model.ids import PeerId
from pangea.compute.network.discovery.service import Advertisement, Found
from pangea.compute.network.identity import Identity
from pangea.compute.network.peers.address import NodeAddress
from pangea.compute.network.peers.hello import Hello
from pangea.compute.node.tree import joining as room
from pangea.compute.node.tree.joining import Joining
from pangea.compute.node.tree.neighbours import Neighbours
from pangea.compute.orchestrator.limits import DEPTH_MAX
from tests.deadlines import comes_true

ME = Identity.create()
PEERS = [Identity.create().peer_id for _ in range(12)]


class Child:
    """One below."""

    def __init__(self, peer: str) -> None:
        self.peer = PeerId(peer)


class Membership:
    """Links of a node, as `Joining` sees them."""

    def __init__(self, *children: str) -> None:
        self.parent: object | None = None
        self.children = [Child(peer) for peer in children]
        self.on_parent_lost: Callable[[], None] = lambda: None


def address(number: int) -> NodeAddress:
    return NodeAddress.parse(f"tcp://127.0.0.1:{7000 + number}/{PEERS[number]}")


def found(number: int, *, rpc: Sequence[str] | None = None, **says: Any) -> Found:
    addresses = tuple(rpc) if rpc is not None else (f"tcp://127.0.0.1:{7000 + number}/{PEERS[number]}",)
    advertisement = Advertisement(**{"rpc": addresses, "takes_children": True, "free_places": 1, **says})
    return Found(peer=PEERS[number], advertisement=advertisement, heard_seconds_ago=0.0, is_met=True)


def joining(family: Membership, *known: Found, fixed: Sequence[NodeAddress] = (), hello: Hello | None = None) -> Joining:
    said = hello or Hello()
    return Joining(ME, cast(Neighbours, family), fixed=fixed, found=lambda: known, hello=lambda: said, random=Random(1))


def ports(addresses: Sequence[NodeAddress]) -> list[int]:
    return [each.port - 7000 for each in addresses]


def test_its_own_site_comes_first_then_who_is_nearest_to_the_root() -> None:
    known = [found(0, depth=0), found(1, depth=2, site="here"), found(2, depth=1, site="here"), found(3, depth=1, site="there")]
    assert ports(joining(Membership(), *known, hello=Hello(site="here")).candidates()) == [2, 1, 0, 3]


def test_who_takes_nobody_is_full_or_would_be_too_deep_is_not_asked() -> None:
    known = [
        found(0, takes_children=False),
        found(1, free_places=0),
        found(2, depth=DEPTH_MAX - 1),
        found(3, depth=DEPTH_MAX - 2),
    ]
    assert ports(joining(Membership(), *known, hello=Hello(height=1)).candidates()) == [3]


def test_row_18_neither_itself_nor_a_child_is_asked_to_be_its_parent() -> None:
    own = replace(found(0), peer=ME.peer_id)
    assert ports(joining(Membership(PEERS[1]), own, found(1), found(2)).candidates()) == [2]


def test_addresses_that_are_none_are_passed_over() -> None:
    known = [found(0, rpc=["nonsense", f"tcp://127.0.0.1:7000/{PEERS[0]}", "tcp://127.0.0.1:99999/x"])]
    assert ports(joining(Membership(), *known).candidates()) == [0]


class Dialled:
    """Stands in for the network: who takes a node, and whom it has asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, takers: set[int]) -> None:
        self.asked: list[int] = []
        self.takers = takers
        self.membership: Membership | None = None
        monkeypatch.setattr(room, "dial", self.dial)

    async def dial(self, where: NodeAddress, *_: Any, **__: Any) -> None:
        number = where.port - 7000
        self.asked.append(number)
        if number not in self.takers:
            raise PeerError("full")
        assert self.membership is not None
        self.membership.parent = object()


def run_until(joining: Joining, look: Callable[[], object]) -> None:
    async def work() -> None:
        task = asyncio.create_task(joining.run())
        await comes_true(look)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(work())


def test_fixed_addresses_come_first_in_their_order_and_the_first_that_takes_it_is_the_last_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dialled, family = Dialled(monkeypatch, {2, 5}), Membership()
    dialled.membership = family
    run_until(joining(family, found(5), fixed=[address(1), address(0), address(2)]), lambda: family.parent)
    assert dialled.asked == [1, 0, 2]


def test_who_claims_to_be_the_best_parent_and_leads_nowhere_keeps_nobody_from_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """One statement has eight addresses, and a round as many."""
    dialled, family = Dialled(monkeypatch, {9}), Membership()
    dialled.membership = family
    monkeypatch.setattr(room, "RETRY_SECONDS", 0.0)
    nowhere = [f"tcp://127.0.0.1:{7100 + number}/{PEERS[0]}" for number in range(8)]
    run_until(
        joining(family, found(0, rpc=nowhere, site="here"), found(9, depth=3), hello=Hello(site="here")), lambda: family.parent
    )
    assert sorted(dialled.asked[:8]) == list(range(100, 108))
    assert dialled.asked[8:] == [9]


def test_whom_it_asked_in_vain_before_it_had_a_parent_is_as_good_as_others_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    dialled, family = Dialled(monkeypatch, {1}), Membership()
    dialled.membership = family
    one = joining(family, found(0, depth=0), found(1, depth=1))
    run_until(one, lambda: family.parent)
    assert dialled.asked == [0, 1]
    assert ports(one.candidates()) == [0, 1]


@pytest.mark.parametrize("host", ["2130706433", "127.1", "0x7f000001", "0", "localhost"])
def test_a_stranger_s_name_for_this_very_machine_is_not_dialled(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    dialled, family = Dialled(monkeypatch, {0, 1}), Membership()
    dialled.membership = family
    knocks = f"tcp://{host}:7000/{PEERS[0]}"
    assert NodeAddress.parse(knocks).host == host
    run_until(joining(family, found(0, rpc=[knocks]), found(1, depth=1)), lambda: family.parent)
    assert dialled.asked == [1]


def test_a_stranger_s_name_is_dialled_as_what_it_was_looked_up_as(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else it may be something else by then."""
    dialled, family = Dialled(monkeypatch, set()), Membership()
    monkeypatch.setattr(room, "RETRY_SECONDS", 100.0)
    asked = list[NodeAddress]()

    async def dial(where: NodeAddress, *_: Any, **__: Any) -> None:
        asked.append(where)
        await dialled.dial(where)

    async def looked_up(_self: object, host: str, port: int, **_: Any) -> list[Any]:
        assert host == "peers.example"
        return [
            (0, 0, 0, "", (each, port)) for each in ("127.0.0.1", "192.0.2.1", "::ffff:127.0.0.1", "2001:db8::1", "192.0.2.2")
        ]

    monkeypatch.setattr(room, "dial", dial)
    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", looked_up)
    run_until(joining(family, found(0, rpc=[f"tcp://peers.example:7000/{PEERS[0]}"])), lambda: len(asked) == 2)
    assert [(each.host, each.peer) for each in asked] == [("192.0.2.1", PEERS[0]), ("2001:db8::1", PEERS[0])]


def test_all_fixed_addresses_are_asked_and_of_the_found_only_some(monkeypatch: pytest.MonkeyPatch) -> None:
    dialled, family = Dialled(monkeypatch, set()), Membership()
    monkeypatch.setattr(room, "RETRY_SECONDS", 100.0)
    one = joining(family, *(found(number) for number in range(4, 12)), fixed=[address(number) for number in range(4)])
    run_until(one, lambda: len(dialled.asked) >= room._ASKED_MAX)
    assert len(dialled.asked) == room._ASKED_MAX
    assert dialled.asked[:4] == [0, 1, 2, 3]


def test_while_nobody_takes_it_it_asks_ever_more_rarely(monkeypatch: pytest.MonkeyPatch) -> None:
    dialled, family, waits = Dialled(monkeypatch, set()), Membership(), list[float]()

    class NoWait:
        def __init__(self, seconds: float) -> None:
            waits.append(seconds)

        async def __aenter__(self) -> None:
            if len(waits) > 8:
                await asyncio.Event().wait()
            raise TimeoutError

        async def __aexit__(self, *_: object) -> None:
            pass

    class Time:
        def __getattr__(self, name: str) -> Any:
            return NoWait if name == "timeout" else getattr(asyncio, name)

    monkeypatch.setattr(room, "asyncio", Time())
    run_until(joining(family, fixed=[address(0)]), lambda: len(waits) > 8)
    low, high = [seconds / 1.5 for seconds in waits], [seconds / 0.5 for seconds in waits]
    due = [min(room.RETRY_SECONDS_MAX, room.RETRY_SECONDS * 2**round_) for round_ in range(1, 10)]
    assert all(least <= expected <= most for least, expected, most in zip(low, due, high, strict=True))
    assert len(dialled.asked) == 9


def test_when_its_parent_is_lost_it_looks_for_another_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    dialled, family = Dialled(monkeypatch, {0, 1}), Membership()
    dialled.membership = family
    one = joining(family, fixed=[address(0), address(1)])
    monkeypatch.setattr(room, "RETRY_SECONDS_MAX", 3_600.0)  # when it would look anyway

    async def work() -> None:
        task = asyncio.create_task(one.run())
        await comes_true(lambda: family.parent)
        dialled.takers, family.parent = {1}, None
        family.on_parent_lost()
        await comes_true(lambda: family.parent)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(work())
    assert dialled.asked == [0, 0, 1]

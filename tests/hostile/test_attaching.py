"""Who may be a child, and what a child may ask: too many, too deep, twice, banned or unknown; hoarders get a stranger's share."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from pangea.compute.engine.engine import Engine
from pangea.compute.model.errors import PangeaError, PeerError, UnavailableError
from pangea.compute.model.ids import PeerId
from pangea.compute.network.identity import Identity
from pangea.compute.network.peers.address import NodeAddress
from pangea.compute.network.peers.connection import connect
from pangea.compute.network.rpc import codec, peer_messages, rpc
from pangea.compute.node.tree import membership
from pangea.compute.orchestrator.limits import DEPTH_MAX, SLOW_START
from tests.attackers import Attacker
from tests.deadlines import comes_true
from tests.hostile.test_peers import DATA, OTHER, Mute, Play, given, player
from tests.victims import Victim


@pytest.fixture(name="play")
def _play(tmp_path: Path, engine: Engine) -> Play:
    return player(tmp_path, engine)


# Hoarding and attaching.


@pytest.mark.parametrize("cores", [10**6 + 1, 10**9, 2**63, -1, True, 1.5, "many", None])
def test_more_cores_than_there_are_machines_are_refused(play: Play, cores: Any) -> None:
    async def scene(on: Victim) -> None:
        with pytest.raises(PeerError, match=r"cores|numbers are whole"):
            await Attacker().join(on.address, cores=cores)
        assert on.children == []

    play(scene)


def test_row_17_a_hoarder_gets_no_more_than_a_stranger_s_share_and_holds_nobody_up(play: Play) -> None:
    async def scene(on: Victim) -> None:
        hoarder = await Attacker().join(on.address, cores=10**6)
        on.own.gate.clear()
        job = await on.submit(DATA * 4)
        await hoarder.gets()
        await hoarder.note({"kind": "beat", "cores": 10**9, "window": 10**18, "nodes": 10**9, "height": 64})
        assert await on.result(job) == DATA * 4
        assert len({each.packet.task_id for each in hoarder.asked}) <= SLOW_START + 8

    play(scene)


def test_row_17_a_key_that_attaches_twice_is_one_child(play: Play) -> None:
    async def scene(on: Victim) -> None:
        first = await Attacker().join(on.address)
        await comes_true(lambda: on.children)
        second = await Attacker(first.identity).join(on.address)
        await comes_true(lambda: first.is_lost)
        await comes_true(lambda: on.children == [second.peer])
        on.own.gate.clear()
        job = await on.submit(DATA)
        await second.gets()
        assert not first.asked
        assert await on.result(job) == DATA

    play(scene)


def test_a_connection_that_attaches_twice_ends(play: Play) -> None:
    async def scene(on: Victim) -> None:
        child = await Attacker().join(on.address)
        await comes_true(lambda: on.children)
        with suppress(PangeaError):  # it may be gone before the answer is
            await child.raw("attachPeer", Mute(), json.dumps({"cores": 1}))
        await comes_true(lambda: on.server.connections == 0)
        assert child.is_lost
        assert on.children == []

    play(scene)


def test_who_is_banned_is_refused_in_the_handshake_and_a_pardon_lets_it_in(play: Play) -> None:
    async def scene(on: Victim) -> None:
        child = await Attacker().join(on.address)
        await comes_true(lambda: on.children)
        await on.me.ban(child.peer, "by hand")
        await comes_true(lambda: child.is_lost)
        with pytest.raises(UnavailableError):
            await child.join(on.address)
        assert await on.me.unban(child.peer)
        await child.join(on.address)
        await comes_true(lambda: on.children == [child.peer])

    play(scene)


def test_who_was_banned_since_its_handshake_can_not_attach(play: Play) -> None:
    async def scene(on: Victim) -> None:
        early, address = Attacker(), NodeAddress.parse(on.address)
        connection = await connect(address, identity=early.identity)
        await connection.capacity()  # the handshake is over
        await on.me.ban(early.peer, "by hand")
        with pytest.raises(PeerError, match="is banned here"):
            await attach(connection)
        await connection.close()

    play(scene)


async def attach(connection: Any, hello: str = '{"cores": 1}') -> Any:
    """Ask for a link on a client's connection."""
    answer, trouble = await rpc.answer_of(connection._service.attachPeer(Mute(), hello), 5.0)
    assert not trouble, trouble
    codec.raise_failure(str(answer.failure.json))
    return answer


def test_a_stranger_that_is_not_admitted_is_refused_in_the_handshake(play: Play) -> None:
    friend = Identity.create()

    async def scene(on: Victim) -> None:
        stranger = Attacker()
        with pytest.raises(UnavailableError):
            await stranger.join(on.address)
        assert on.server.connections == 0
        await Attacker(friend).join(on.address)
        await comes_true(lambda: on.children == [friend.peer_id])

    play(scene, admit=(friend.peer_id,))


def test_who_may_submit_may_not_therefore_work(play: Play) -> None:
    client = Identity.create()

    async def scene(on: Victim) -> None:
        with pytest.raises(PeerError, match="--admit names who may"):
            await Attacker(client).join(on.address)
        assert on.children == []

    play(scene, admit=(), allow=(client.peer_id,))


def test_a_node_takes_only_so_many_children(play: Play) -> None:
    async def scene(on: Victim) -> None:
        children = [await Attacker().join(on.address) for _ in range(3)]
        with pytest.raises(PeerError, match="this node has 3 children, the most it takes"):
            await Attacker().join(on.address)
        await Attacker(children[0].identity).join(on.address)  # it is one of them
        await comes_true(lambda: len(on.children) == 3)

    play(scene, children_max=3)


def test_who_has_done_nothing_gives_its_place_to_who_asks_for_it(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene(on: Victim) -> None:
        first, second, third = [await Attacker().join(on.address) for _ in range(3)]
        known = on.node.driver.core.core.children
        await comes_true(lambda: len(on.children) == 3)
        known[PeerId(first.identity.peer_id)].answered = 1  # it has worked
        monkeypatch.setattr(membership, "IDLE_SECONDS", -1.0)
        fourth = await Attacker().join(on.address)
        left = {PeerId(each.identity.peer_id) for each in (first, third, fourth)}
        await comes_true(lambda: set(on.children) == left)
        for each in known.values():
            each.answered = 1
        with pytest.raises(PeerError, match="all of them work or have just come"):
            await Attacker().join(on.address)
        assert second.identity.peer_id not in on.children

    play(scene, children_max=3)


def test_row_18_a_child_on_top_of_too_deep_a_tree_is_refused(play: Play) -> None:
    async def scene(on: Victim) -> None:
        with pytest.raises(PeerError, match="deeper than"):
            await Attacker().join(on.address, height=DEPTH_MAX)
        await Attacker().join(on.address, height=DEPTH_MAX - 1)

    play(scene)


# What children may not ask.


def test_row_12_who_may_work_may_not_submit_or_look_or_command(play: Play) -> None:
    async def scene(on: Victim) -> None:
        job = await on.submit(DATA)
        worker = Attacker()
        await worker.join(on.address)
        connection = await connect(NodeAddress.parse(on.address), identity=worker.identity)
        manifest = await on.node.manifest_of(on.node.book.get(job))  # type: ignore[arg-type]
        refused: tuple[Callable[[], Awaitable[Any]], ...] = (
            lambda: connection.submit(manifest.with_job_id("")),
            lambda: connection.upload("0" * 64, 10),
            lambda: connection.status(job),
            lambda: connection.outcome(job, 1.0),
            lambda: connection.read_result(job, 0, 10),
            lambda: connection.read_receipt(job, 0, 10),
            lambda: connection.cancel(job),
            lambda: connection.explain(job),
            lambda: connection.rerun(job),
            lambda: connection.tree(job),
            connection.peers,
            lambda: connection.ban(PeerId(OTHER.peer_id), "I say so"),
            lambda: connection.unban(PeerId(OTHER.peer_id)),
        )
        for ask in refused:
            with pytest.raises(PangeaError) as told:
                await ask()
            assert told.value.code in ("BAD_PEER", "UNKNOWN_JOB")
        assert await connection.list_jobs() == []
        assert not on.is_banned(OTHER.peer_id)
        await connection.close()
        assert await on.result(job) == DATA

    play(scene)


def test_a_connection_that_is_no_link_speaks_to_no_node(play: Play) -> None:
    async def scene(on: Victim) -> None:
        connection = await connect(NodeAddress.parse(on.address), identity=Identity.create())
        service = connection._service
        for promise in (
            service.tellPeer('{"kind": "recall", "count": 1}'),
            service.fetchContent(bytes(32), 0, 1),
            service.cosignLog("old 0"),
            service.returnTaskResult({"taskId": "t", "status": "done", "merkleRoot": bytes(32), "resultHash": "00" * 32}, []),
        ):
            answer, trouble = await rpc.answer_of(promise, 5.0)
            assert not trouble, trouble
            with pytest.raises(PeerError, match="no link between nodes"):
                codec.raise_failure(str(answer.failure.json))
        await connection.close()

    play(scene)


def test_tasks_come_from_parents_and_answers_from_children_only(play: Play) -> None:
    async def scene(on: Victim) -> None:
        child, job, asked = await given(on)
        assert child.link is not None
        request = child.link._far().delegateTask_request()
        one = asked[0]
        peer_messages.delegation_to_wire(one.spec, one.budget, child.jobs[job], request.delegation)
        peer_messages.packet_to_wire(1, one.packet, one.spec, one.budget, b"", request.task)
        with pytest.raises(PeerError, match="from a parent only"):
            await child.link._call(request.send())
        assert len(on.node.driver.delegated) == 0
        assert await on.result(job) == DATA

    play(scene)

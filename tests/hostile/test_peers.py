"""Children that cheat, flood, hoard and stall, over the real wire: the job is exact all the same, and who forges is shut out."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from pangea.compute.engine.engine import Engine
from pangea.compute.model import frames
from pangea.compute.model.errors import PangeaError, PeerError, UnavailableError
from pangea.compute.model.ids import JobId, PeerId, TaskId
from pangea.compute.model.outcome import FailureKind
from pangea.compute.model.packet import TaskResult, TaskStatus
from pangea.compute.network.identity import Identity
from pangea.compute.network.peers import peering
from pangea.compute.network.peers.peering import ChildService, PeerLink
from pangea.compute.network.rpc import notes
from pangea.compute.network.rpc.service import BLOCK_BYTES
from pangea.compute.node.tree import neighbours
from pangea.compute.orchestrator.core.messages import Beat, Cancel, Exclude, Lease, Recall, Reveal
from tests.attackers import Asked, Attacker
from tests.deadlines import comes_true
from tests.examples import first, long, spread
from tests.hostile.test_strangers import resident_bytes
from tests.leaks import settled_descriptors
from tests.victims import Victim, play

DATA = bytes(range(256)) * 16
Play = Callable[..., None]


def player(folder: Path, engine: Engine) -> Play:
    """What plays a scene at a node."""

    def run(scene: Callable[[Victim], Awaitable[None]], **settings: Any) -> None:
        play(folder, engine, scene, **settings)

    return run


@pytest.fixture(name="play")
def _play(tmp_path: Path, engine: Engine) -> Play:
    return player(tmp_path, engine)


async def given(on: Victim, *, data: bytes = DATA, **options: Any) -> tuple[Attacker, JobId, list[Asked]]:
    """A child with tasks of a job that is under way."""
    child = await Attacker().join(on.address)
    await comes_true(lambda: child.peer in on.children)  # a job of one task that is begun before stays where it is
    on.own.gate.clear()
    job = await on.submit(data, **options)
    return child, job, await child.gets()


async def assert_it_costs_the_link(on: Victim, make: Callable[[Attacker, Asked], TaskResult]) -> None:
    """Whoever says this is shut out, and the job is as if it had never been said."""
    child, job, asked = await given(on)
    with pytest.raises(PangeaError):
        await child.says((asked[0].attempt, make(child, asked[0])))
    await comes_true(lambda: child.is_lost and child.peer not in on.children)
    assert on.is_banned(child.peer)
    with pytest.raises(UnavailableError):
        await child.join(on.address)
    assert await on.result(job) == DATA


async def assert_nothing_changes(on: Victim, child: Attacker, job: JobId, *said: tuple[int, TaskResult]) -> None:
    """What is said is taken for nothing, and held against nobody."""
    await child.says(*said)
    assert await on.result(job) == DATA
    assert not on.is_banned(child.peer)


# Answers.


OTHER = Identity.create()
FORGERIES: dict[str, Callable[[Attacker, Asked], TaskResult]] = {
    "another's name": lambda child, asked: child.result(asked, worker=PeerId(OTHER.peer_id)),
    "no signature": lambda child, asked: child.result(asked, signature=b""),
    "a signature of nothing": lambda child, asked: child.result(asked, signature=bytes(64)),
    "more fuel": lambda child, asked: replace(child.result(asked), fuel=10**6),
    "another digest": lambda child, asked: replace(child.result(asked), digest=bytes(32)),
    "for another task": lambda child, asked: replace(
        child.result(replace(asked, packet=replace(asked.packet, task_id=TaskId("another")))), task_id=asked.packet.task_id
    ),
    "for another input": lambda child, asked: child.result(replace(asked, packet=replace(asked.packet, input=bytes(32)))),
    "for other chunks": lambda child, asked: child.result(replace(asked, packet=replace(asked.packet, start=10**6))),
    "for another job": lambda child, asked: child.result(replace(asked, spec=replace(asked.spec, job_id=JobId("another")))),
    "for another module": lambda child, asked: child.result(replace(asked, spec=replace(asked.spec, module="0" * 64))),
    "for another owner": lambda child, asked: child.result(replace(asked, budget=replace(asked.budget, ancestors=(child.peer,)))),
    "a failure nobody has signed": lambda child, asked: replace(
        child.result(asked), status=TaskStatus.FAILED, failure=FailureKind.GUEST_ERROR, digest=b""
    ),
    "a promise nobody has made": lambda child, asked: replace(
        child.result(asked), status=TaskStatus.COMMITTED, commitment=bytes(32)
    ),
}


@pytest.mark.parametrize("make", spread(4, FORGERIES.values()), ids=FORGERIES)
def test_row_20_a_forged_answer_costs_its_bearer_the_link(play: Play, make: Callable[[Attacker, Asked], TaskResult]) -> None:
    play(lambda on: assert_it_costs_the_link(on, make))


def test_row_19_a_manager_can_not_alter_what_a_leaf_has_signed(play: Play) -> None:
    """The child passes on an honest leaf's answer, but for one figure."""
    leaf = Attacker()

    def tampered(manager: Attacker, asked: Asked) -> TaskResult:
        return replace(leaf.result(asked, [b"what the leaf found"]), digest=bytes(32))

    play(lambda on: assert_it_costs_the_link(on, tampered))


def test_row_20_an_answer_to_a_task_that_was_another_s_changes_nothing(play: Play) -> None:
    async def scene(on: Victim) -> None:
        honest, job, asked = await given(on)
        thief = await Attacker().join(on.address)
        await assert_nothing_changes(on, thief, job, *((each.attempt, thief.result(each)) for each in asked))
        assert not thief.fetches, "its results are nobody's business"
        assert not on.is_banned(honest.peer)

    play(scene)


def test_row_20_answers_to_attempts_that_never_were_change_nothing(play: Play) -> None:
    async def scene(on: Victim) -> None:
        child, job, asked = await given(on)
        result = child.result(asked[0])
        await assert_nothing_changes(on, child, job, *((number, result) for number in (0, 10**6, 2**64 - 1)))

    play(scene)


def test_row_20_an_answer_to_one_task_is_none_to_another(play: Play) -> None:
    async def scene(on: Victim) -> None:
        child, job, _ = await given(on, data=DATA * 4)
        first, second = (await child.gets(2))[:2]
        await child.says((second.attempt, child.result(first)))
        assert await on.result(job) == DATA * 4
        assert not on.is_banned(child.peer)

    play(scene)


def test_row_20_what_was_answered_to_an_old_job_is_worth_nothing_to_a_new_one(play: Play) -> None:
    async def scene(on: Victim) -> None:
        child, first, asked = await given(on)
        second = await on.submit(DATA)
        await on.me.cancel(first)
        old = child.result(asked[0])
        await comes_true(lambda: any(each.spec.job_id == second for each in child.asked))
        new = next(each for each in child.asked if each.spec.job_id == second)
        await child.says((new.attempt, old), (asked[0].attempt, old))  # as it is: it names a task that nobody waits for
        assert not on.is_banned(child.peer)
        with pytest.raises(PangeaError):
            await child.says((new.attempt, replace(old, task_id=new.packet.task_id)))
        assert on.is_banned(child.peer)
        assert await on.result(second) == DATA

    play(scene)


def test_row_20_late_answers_and_duplicates_change_nothing(play: Play) -> None:
    async def scene(on: Victim) -> None:
        child, job, asked = await given(on, data=DATA, verification_mode="none")
        chunks = [DATA[at : at + 16] for at in range(0, len(DATA), 16)]
        said = [
            (each.attempt, child.result(each, chunks[each.packet.start : each.packet.start + each.packet.count]))
            for each in asked
        ]
        await child.says(*said, *said)
        await child.says(*said)
        assert await on.result(job) == DATA
        await child.says(*said)
        status = await on.me.status(job)
        assert (status.completed_chunks, status.total_chunks) == (len(chunks), len(chunks))
        assert not on.is_banned(child.peer)

    play(scene)


async def never(_sha256: bytes, _offset: int, _count: int) -> bytes:
    await asyncio.Event().wait()
    raise AssertionError("never")


async def nothing(_sha256: bytes, _offset: int, _count: int) -> bytes:
    return b""


async def other(_sha256: bytes, _offset: int, count: int) -> bytes:
    return bytes(count)


async def more(_sha256: bytes, _offset: int, count: int) -> bytes:
    return bytes(count + 1)


async def coming(_sha256: bytes, _offset: int, _count: int) -> None:
    """It is on its way, for ever."""


async def refuses(_sha256: bytes, _offset: int, _count: int) -> bytes:
    raise UnavailableError("not now", retry=True)


@pytest.mark.parametrize("fetching", first(2, [never, nothing, other, more, coming, refuses]))
def test_row_14_results_that_are_never_given_are_no_answer(play: Play, monkeypatch: pytest.MonkeyPatch, fetching: Any) -> None:
    monkeypatch.setattr(peering, "CALL_SECONDS", 0.5)

    async def scene(on: Victim) -> None:
        child, job, asked = await given(on, verification_mode="none")
        child.fetching = fetching
        await child.says(*((each.attempt, child.result(each)) for each in asked))
        await comes_true(lambda: child.fetches)
        assert await on.result(job) == DATA
        assert not on.is_banned(child.peer)  # who is only slow, or damaged, isn't a liar

    play(scene)


def test_row_19_results_that_are_not_what_was_signed_are_no_answer(play: Play) -> None:
    async def scene(on: Victim) -> None:
        child, job, asked = await given(on, verification_mode="none")
        body = frames.pack([b"something else"] * asked[0].packet.count)
        child.has[sha256(body).digest()] = body
        lie = replace(child.result(asked[0]), body=sha256(body).digest(), body_bytes=len(body))  # the signature doesn't cover it
        await child.says((asked[0].attempt, lie))
        await child.says((asked[-1].attempt, lie), contents={lie.body: body})
        assert await on.result(job) == DATA

    play(scene)


@pytest.mark.parametrize("count", first(1, [0, 1, 500]))
def test_row_8_another_number_of_results_than_chunks_is_no_answer(play: Play, count: int) -> None:
    async def scene(on: Victim) -> None:
        child, job, asked = await given(on, data=DATA, verification_mode="none", min_chunk_size=16, max_chunk_size=16)
        few = [each for each in asked if each.packet.count != count]
        await child.says(*((each.attempt, child.result(each, [b"x"] * count)) for each in few))
        assert await on.result(job) == DATA

    play(scene)


def test_row_8_results_larger_than_any_guest_could_make_are_not_fetched(play: Play) -> None:
    async def scene(on: Victim) -> None:
        child, job, asked = await given(on, verification_mode="none")
        await child.says(*((each.attempt, child.result(each, body_bytes=asked[0].spec.memory + 1)) for each in asked))
        assert await on.result(job) == DATA
        assert not child.fetches

    play(scene)


# Messages.


NONSENSE: dict[str, str] = {
    "a mebibyte": "x" * (1 << 20),
    "more than a mebibyte": json.dumps({"kind": "beat", "x": "y" * (1 << 20)}),
    "deep": "[" * 100_000,
    "another kind": '{"kind": "steal"}',
    "a kind that is a list": '{"kind": [1]}',
    "a beat of nothing": '{"kind": "beat"}',
    "negative cores": '{"kind": "beat", "cores": -1, "window": 1, "nodes": 1, "height": 0}',
    "a lease of numbers": '{"kind": "lease", "jobs": [1]}',
    "a lease of everything": json.dumps({"kind": "lease", "jobs": ["j"] * 20_001}),
    "a path of absurd size": json.dumps({"kind": "path", "path": ["p"] * 10_000}),
    "a path to a terminal": json.dumps({"kind": "path", "path": ["\x1b[2J"]}),
    "a crowd of absurd size": json.dumps({"kind": "below", "places": [["p", "q", ""]] * 5_000}),
    "a crowd of no places": '{"kind": "below", "places": [[1, 2, 3]]}',
}


@pytest.mark.parametrize("text", spread(6, NONSENSE.values()), ids=NONSENSE)
def test_row_9_notes_of_nonsense_are_refused_with_a_typed_error(play: Play, text: str) -> None:
    async def scene(on: Victim) -> None:
        child, job, _ = await given(on)
        with pytest.raises(PeerError):
            await child.note(text)
        assert await on.result(job) == DATA
        assert on.children == [child.peer]

    play(scene)


def test_what_only_parents_say_means_nothing_from_a_child(play: Play) -> None:
    async def scene(on: Victim) -> None:
        child, job, asked = await given(on)
        numbers = tuple(each.attempt for each in asked)
        for message in (
            *(Cancel(attempts=numbers), Reveal(attempts=numbers), Recall(count=100), Lease(jobs=())),
            Exclude(job_id=job, workers=(on.node.peer,)),
        ):
            await child.tells(message)
        assert await on.result(job) == DATA

    play(scene)


@pytest.mark.parametrize("beats", [1_000, *long(10_000)])
def test_row_11_thousands_of_beats_hold_up_nobody(play: Play, beats: int) -> None:
    async def scene(on: Victim) -> None:
        child, job, _ = await given(on)
        assert child.link is not None
        beat = notes.note_of(Beat(cores=1, window=2, nodes=1, height=0))
        for _ in range(beats // 250):
            calls = [child.link._service.tellPeer(beat) for _ in range(250)]
            for call in calls:
                await call
        assert await on.result(job) == DATA
        assert on.children == [child.peer]

    play(scene)


class Mute(ChildService):
    """Takes calls, and never answers one."""

    async def _is_attached(self) -> None:
        await asyncio.Event().wait()


def test_row_10_who_never_answers_is_hung_up_on(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peering, "CALL_SECONDS", 0.5)
    monkeypatch.setattr(peering, "ChildService", Mute)

    async def scene(on: Victim) -> None:
        job = await on.submit(DATA)
        mute = await Attacker().join(on.address)
        await comes_true(lambda: mute.is_lost)
        assert on.children == []
        assert await on.result(job) == DATA

    play(scene)


OUTBOX = 100


def test_row_10_a_child_that_takes_nothing_has_only_so_much_kept_for_it(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "OUTBOX_MAX", OUTBOX)

    async def scene(on: Victim) -> None:
        child, job, _ = await given(on)
        monkeypatch.setattr(PeerLink, "send", forever)
        for number in range(200):
            on.node.driver.neighbours.send(child.peer, Recall(count=number))
        assert on.node.driver.neighbours.find(child.peer) is None
        await comes_true(lambda: child.is_lost)
        assert await on.result(job) == DATA

    play(scene)


async def forever(_link: PeerLink, _parcel: Any) -> None:
    await asyncio.Event().wait()


# Contents.


def test_content_that_was_named_to_a_child_is_given_and_nothing_beyond_its_end(play: Play) -> None:
    async def scene(on: Victim) -> None:
        child, job, asked = await given(on)
        module = bytes.fromhex(asked[0].spec.module)
        size = child.jobs[job].module_bytes
        block = await child.block(module)
        assert sha256(block).digest() == module
        assert await child.block(module, size - 3, 10) == block[-3:]
        for offset in (size, size + 1, 2**63, 2**64 - 1):
            assert await child.block(module, offset, 10) == b""
        for count in (BLOCK_BYTES + 1, 2**32 - 1):
            with pytest.raises(PeerError, match="at most"):
                await child.raw("fetchContent", module, 0, count)
        for name in (b"", bytes(31), bytes(33), bytes(1 << 16)):
            with pytest.raises(PeerError):
                await child.block(name)
        assert await on.result(job) == DATA

    play(scene)


def test_row_12_content_that_was_never_named_to_a_child_is_not_given(play: Play) -> None:
    async def scene(on: Victim) -> None:
        child, job, asked = await given(on)
        outsider = await Attacker().join(on.address, cores=0)
        module = bytes.fromhex(asked[0].spec.module)
        for peer, name in ((child, bytes(32)), (child, sha256(DATA).digest()), (outsider, module)):
            with pytest.raises(PangeaError):
                await peer.block(name)
        assert await on.result(job) == DATA
        with pytest.raises(PangeaError):  # the job is over: it is nobody's business any more
            await child.block(module)

    play(scene)


# What is left behind.


@pytest.mark.parametrize(("first", "later"), [(4, 8), *long((10, 25))])
def test_row_11_a_crowd_that_comes_lies_and_goes_leaves_nothing_behind(play: Play, first: int, later: int) -> None:
    async def one(on: Victim) -> None:
        child = await Attacker().join(on.address)
        with pytest.raises(PangeaError):
            await child.note("x" * 1000)
        with pytest.raises(PangeaError):
            await child.block(bytes(32))
        child.leave()

    async def scene(on: Victim) -> None:
        for _ in range(first):
            await asyncio.gather(*(one(on) for _ in range(8)))
        await comes_true(lambda: on.server.connections == 0)
        files, memory = settled_descriptors(), resident_bytes()
        job = await on.submit(DATA)
        for _ in range(later):
            await asyncio.gather(*(one(on) for _ in range(8)))
        assert await on.result(job) == DATA
        await comes_true(lambda: on.server.connections == 0 and on.children == [])
        await comes_true(lambda: settled_descriptors() <= files + 2)
        assert resident_bytes() <= memory + (24 << 20)
        assert len(on.node.driver.contents._known) == 0

    play(scene)


@pytest.mark.parametrize("mode", ["none", "adaptive"])
def test_an_answer_with_more_fuel_than_its_calls_may_use_is_none(play: Play, mode: str) -> None:
    async def scene(on: Victim) -> None:
        data = bytes(16) * 1000
        child, job, asked = await given(on, data=data, verification_mode=mode)
        assert len(asked) > 1
        for each in asked:
            await child.says((each.attempt, child.result(each, [bytes(16)] * each.packet.count, fuel=2**63 - 1)))
        assert await on.result(job) == data
        ended = next(each.ended for each in on.node.book if each.given == job)
        assert ended is not None
        assert ended.fuel < 10**12

    play(scene)

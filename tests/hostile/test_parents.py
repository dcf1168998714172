"""Parents that send what they shouldn't, over the real wire: refused with a typed error or an answer; nothing of it is left."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from pangea.compute.engine.engine import Engine
from pangea.compute.model import frames
from pangea.compute.model.errors import PangeaError, PeerError, UnavailableError
from pangea.compute.model.ids import JobId, PeerId, TaskId
from pangea.compute.model.outcome import FailureKind
from pangea.compute.model.packet import Budget, JobSpec, TaskPacket, TaskResult, TaskStatus
from pangea.compute.model.units import GIB
from pangea.compute.network.identity import Identity, is_signed_by
from pangea.compute.network.peers import peering
from pangea.compute.network.rpc import peer_messages
from pangea.compute.node.storage.contents import CONTENT_BYTES_MAX
from pangea.compute.node.tree.attestation import is_authentic
from pangea.compute.orchestrator.core.messages import Beat, Cancel, Recall, Reveal
from pangea.compute.orchestrator.limits import DEPTH_MAX
from tests.attackers import Asked, FalseParent
from tests.deadlines import comes_true
from tests.examples import first, spread
from tests.hostile.test_strangers import resident_bytes
from tests.victims import ECHO, Victim, play

CHUNKS = [b"one", b"two"]
BODY = frames.pack(CHUNKS)
Scene = Callable[[Victim, FalseParent], Awaitable[None]]
Play = Callable[..., None]


def player(folder: Path, engine: Engine) -> Play:
    """What plays a scene at a node that works for a false parent."""

    def run(scene: Scene, **settings: Any) -> None:
        async def all_of_it(on: Victim) -> None:
            async with FalseParent().serving() as parent:
                await on.join(parent.multiaddr)
                await comes_true(lambda: parent.peer in on.node.driver.core.core.parents)
                await scene(on, parent)

        play(folder, engine, all_of_it, **settings)

    return run


@pytest.fixture(name="play")
def _play(tmp_path: Path, engine: Engine) -> Play:
    return player(tmp_path, engine)


async def answer(parent: FalseParent, asked: Asked) -> TaskResult:
    """What the node answers to a task."""
    await comes_true(lambda: any(number == asked.attempt for number, _ in parent.answers))
    return next(result for number, result in parent.answers if number == asked.attempt)


async def assert_works(on: Victim, parent: FalseParent) -> None:
    """The node does an honest task rightly, after whatever has come before; then nothing is left of it but its job."""
    (asked,) = await parent.gives(CHUNKS, ECHO, job="honest")
    result = await answer(parent, asked)
    assert result.status is TaskStatus.DONE
    assert is_authentic(result, asked.packet, asked.spec, parent.peer, is_signed_by)
    assert parent.inputs[result.body] == BODY
    parent.leave()
    await comes_true(lambda: len(on.node.driver.delegated) == 0 and not on.node.driver.core.core.jobs)
    await comes_true(lambda: not on.node.driver.contents._known)


def test_an_honest_task_is_done_and_nothing_is_left_once_the_parent_is_gone(play: Play) -> None:
    play(assert_works)


ABSURD: dict[str, dict[str, Any]] = {
    "other bytes than the hash says": {"contents": {sha256(BODY).digest(): b"other"}},
    "no chunks": {"packet": {"count": 0}},
    "packs of more than its chunks": {"packet": {"packs": (1, 1, 1)}},
    "another function": {"packet": {"function": "split"}},
    "an input larger than any": {"packet": {"input_bytes": CONTENT_BYTES_MAX + 1}, "contents": {}},
    "a module whose hash isn't hexadecimal": {"spec": {"module": "../" * 20}},
    "redundancy beyond all": {"spec": {"redundancy": 10**6}},
    "a timeout that is none": {"spec": {"timeout": float("nan")}},
    "no ancestors": {"budget": Budget(depth=1, fan_out=1, seconds=60.0)},
    "nine ancestors": {"budget": Budget(depth=0, fan_out=1, seconds=60.0, ancestors=tuple(map(PeerId, "abcdefghi")))},
    "nine hops": {"budget": Budget(depth=DEPTH_MAX + 1, fan_out=1, seconds=60.0, ancestors=(PeerId("a"),))},
    "a module beyond all bounds": {"envelope": {"module_bytes": 1 << 62}},
    "a long name": {"envelope": {"name": "n" * 300}},
}


@pytest.mark.parametrize("how", spread(4, ABSURD.values()), ids=ABSURD)
def test_row_18_an_absurd_delegation_is_refused_with_a_typed_error(play: Play, how: dict[str, Any]) -> None:
    async def scene(on: Victim, parent: FalseParent) -> None:
        with pytest.raises(PeerError):
            await parent.gives(CHUNKS, ECHO, **how)
        assert len(on.node.driver.delegated) == 0
        await assert_works(on, parent)

    play(scene)


def test_specs_that_make_no_sense_are_refused_before_anything_is_noted(play: Play) -> None:
    async def scene(on: Victim, parent: FalseParent) -> None:
        for signed in (b"{}", b"[]", b"null", b"x", b"[" * 10_000, b"\xff"):
            with pytest.raises(PeerError):
                await _with(parent, "signedSpec", signed)
        for spec in ("{}", "[]", '{"job_id": "x"}', "[" * 10_000):
            with pytest.raises(PeerError):
                await _with(parent, "spec", spec)
        assert len(on.node.driver.delegated) == 0
        await assert_works(on, parent)

    play(scene)


async def _with(parent: FalseParent, field: str, value: str | bytes) -> None:
    """A delegation with one field of its own."""
    asked = Asked(1, *_plain(parent))
    assert parent.link is not None
    request = parent.link._far().delegateTask_request()
    job = peer_messages.JobHeader(name="j", module_bytes=1)
    peer_messages.delegation_to_wire(asked.spec, asked.budget, job, request.delegation)
    setattr(request.delegation, field, value)
    peer_messages.packet_to_wire(1, asked.packet, asked.spec, asked.budget, b"", request.task)
    await parent.link._call(request.send())


def _plain(parent: FalseParent) -> Any:
    packet = TaskPacket(task_id=TaskId("t"), start=0, count=1, size_bytes=1, input=bytes(32), input_bytes=1)
    spec = JobSpec(job_id=JobId("j"), module="0" * 64, signed=bytes(32))
    return packet, spec, Budget(depth=1, fan_out=1, seconds=1.0, ancestors=(parent.peer,))


#: Somebody above the parent.
OWNER = Identity.create()
LOOPS: dict[str, Callable[[Victim, FalseParent], Budget]] = {
    "the node is the owner": lambda on, parent: Budget(depth=1, fan_out=1, seconds=9.0, ancestors=(on.node.peer, parent.peer)),
    "the node is in between": lambda on, parent: Budget(
        depth=1, fan_out=1, seconds=9.0, ancestors=(PeerId(OWNER.peer_id), on.node.peer, parent.peer)
    ),
    "too deep together": lambda _, parent: Budget(
        depth=2, fan_out=1, seconds=9.0, ancestors=(PeerId(OWNER.peer_id), *map(PeerId, "bcdefg"), parent.peer)
    ),
    "too many children": lambda _, parent: Budget(depth=1, fan_out=65, seconds=9.0, ancestors=(parent.peer,)),
    "no time": lambda _, parent: Budget(depth=1, fan_out=1, seconds=0.0, ancestors=(parent.peer,)),
    "no time at all": lambda _, parent: Budget(depth=1, fan_out=1, seconds=float("nan"), ancestors=(parent.peer,)),
}


@pytest.mark.parametrize("budget", spread(3, LOOPS.values()), ids=LOOPS)
def test_row_18_a_loop_or_a_bomb_is_refused_task_by_task_and_leaves_nothing(
    play: Play, budget: Callable[[Victim, FalseParent], Budget]
) -> None:
    async def scene(on: Victim, parent: FalseParent) -> None:
        for index in range(30):
            given = budget(on, parent)
            signs = {on.node.peer: on.node.driver._witness.sign, OWNER.peer_id: OWNER.sign}
            sign = signs.get(given.ancestors[0])
            (asked,) = await parent.gives(CHUNKS, ECHO, job=f"job-{index}", budget=given, sign=sign)
            assert (await answer(parent, asked)).status is TaskStatus.REFUSED
        assert len(on.node.driver.delegated) == 0
        assert not on.node.driver.contents._known
        await assert_works(on, parent)

    play(scene)


def test_row_18_a_node_s_own_job_does_not_come_back_to_it(play: Play) -> None:
    async def scene(on: Victim, parent: FalseParent) -> None:
        on.own.gate.clear()
        job = await on.submit(b"x" * 160)
        await comes_true(lambda: (None, job) in on.node.driver.core.core.jobs)  # its module is prepared first
        (asked,) = await parent.gives(CHUNKS, ECHO, job=job)
        assert (await answer(parent, asked)).status is TaskStatus.REFUSED
        assert await on.result(job) == b"x" * 160
        await assert_works(on, parent)

    play(scene)


PATHS: tuple[Callable[[Victim, FalseParent], tuple[PeerId, ...]], ...] = (
    lambda on, parent: (parent.peer, on.node.peer),
    lambda on, parent: (on.node.peer, parent.peer),
)


@pytest.mark.parametrize("path", PATHS)
def test_row_18_a_parent_that_turns_out_to_be_below_is_left(
    play: Play, path: Callable[[Victim, FalseParent], tuple[PeerId, ...]]
) -> None:
    async def scene(on: Victim, parent: FalseParent) -> None:
        assert parent.link is not None
        with suppress(UnavailableError):  # it hangs up at once
            await parent.link.move(path(on, parent))
        await comes_true(lambda: parent.is_lost and on.node.driver.neighbours.parent is None)
        assert not on.node.driver.core.core.parents

    play(scene)


UNUSABLE: dict[str, dict[str, Any]] = {
    "an input that is never given": {"contents": {}, "packet": {"input": bytes(32)}},
    "another number of chunks": {"packet": {"count": 3, "packs": (1, 1, 1)}},
    "a module that is never given": {"spec": {"module": "0" * 64}},
    "a module that is none": {},
    "a module of another size": {"envelope": {"module_bytes": 5}},
}


@pytest.mark.parametrize("how", first(2, map(pytest.param, UNUSABLE.items())), ids=UNUSABLE)
def test_what_can_not_be_done_is_this_machine_s_failure_and_no_more(play: Play, how: tuple[str, dict[str, Any]]) -> None:
    what, given = how

    async def scene(on: Victim, parent: FalseParent) -> None:
        module = b"no module" if what == "a module that is none" else ECHO[:-1] + b"!" if "size" in what else ECHO
        (asked,) = await parent.gives(CHUNKS, module, **given)
        result = await answer(parent, asked)
        assert (result.status, result.failure) == (TaskStatus.FAILED, FailureKind.WORKER_LOST)
        await assert_works(on, parent)

    play(scene)


def test_row_8_inputs_of_gigabytes_that_are_only_said_take_no_memory(play: Play) -> None:
    async def scene(on: Victim, parent: FalseParent) -> None:
        before = resident_bytes()
        for index in range(6):
            await parent.gives(CHUNKS, ECHO, contents={}, packet={"input": bytes([index]) * 32, "input_bytes": 4 * GIB - 1})
        await comes_true(lambda: len(parent.answers) == 6)
        assert resident_bytes() < before + (64 << 20)
        await assert_works(on, parent)

    play(scene)


def test_what_only_children_say_means_nothing_from_a_parent(play: Play) -> None:
    async def scene(on: Victim, parent: FalseParent) -> None:
        assert parent.link is not None
        await parent.tells(Beat(cores=10**6, window=10**6, nodes=10**6, height=64))
        (asked,) = await parent.gives(CHUNKS, ECHO)
        with pytest.raises(PeerError, match="from a child only"):
            await parent.says((asked.attempt, parent.result(asked)))
        await parent.raw("tellPeer", '{"kind": "below", "places": [["p", "q", "site"]]}')
        assert on.node.driver.core.core.cores_below == 0
        assert on.node.driver.neighbours.below() == ()
        await assert_works(on, parent)

    play(scene)


def test_a_parent_s_orders_about_tasks_it_never_gave_change_nothing(play: Play) -> None:
    async def scene(on: Victim, parent: FalseParent) -> None:
        for message in (Cancel(attempts=(1, 2**63 - 1)), Reveal(attempts=(1,)), Recall(count=2**63 - 1)):
            await parent.tells(message)
        await assert_works(on, parent)

    play(scene)


def test_row_19_a_second_parent_can_not_have_what_the_first_was_answered(play: Play) -> None:
    async def scene(on: Victim, parent: FalseParent) -> None:
        (asked,) = await parent.gives(CHUNKS, ECHO)
        result = await answer(parent, asked)
        assert await parent.block(result.body) == BODY
        async with FalseParent().serving() as second:
            await on.join(second.multiaddr)
            await comes_true(lambda: second.link is not None)
            with pytest.raises(PangeaError):
                await second.block(result.body)
        await assert_works(on, parent)

    play(scene)


def test_a_result_that_is_the_same_bytes_as_its_input_can_be_fetched_for_as_long_as_the_job_lives(play: Play) -> None:
    async def scene(on: Victim, parent: FalseParent) -> None:
        for index in range(2):
            (asked,) = await parent.gives(CHUNKS, ECHO)
            result = await answer(parent, asked)
            assert result.body == asked.packet.input
            assert await parent.block(result.body) == BODY, f"after answer {index}"
        await assert_works(on, parent)

    play(scene)


def test_row_20_the_same_task_again_and_again_is_done_once(play: Play) -> None:
    async def scene(on: Victim, parent: FalseParent) -> None:
        on.own.gate.clear()
        on.node.driver.delegated.calls = on.own
        (asked,) = await parent.gives(CHUNKS, ECHO)
        for _ in range(50):
            parent._number = 0
            await parent.gives(CHUNKS, ECHO)
        on.own.gate.set()
        await answer(parent, asked)
        assert on.node.driver.core.core.delegated == 0
        assert len(parent.answers) == 1
        await assert_works(on, parent)

    play(scene)


def test_row_10_a_parent_that_never_answers_is_left(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peering, "CALL_SECONDS", 0.5)

    async def scene(on: Victim, parent: FalseParent) -> None:
        async def silence(_self: Any) -> None:
            await asyncio.Event().wait()

        monkeypatch.setattr("pangea.compute.network.serving.adapter.Adapter._is_attached", silence)
        (asked,) = await parent.gives(CHUNKS, ECHO)  # its answer is what isn't answered
        assert asked.attempt == 1
        await comes_true(lambda: parent.is_lost and on.node.driver.neighbours.parent is None)
        assert len(on.node.driver.delegated) == 0

    play(scene)

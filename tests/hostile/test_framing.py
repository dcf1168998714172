"""What others could have an honest node do, so that it looks like a liar, gives secrets away or stands still."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import pytest

from pangea.compute.engine.engine import Engine
from pangea.compute.model import frames
from pangea.compute.model.errors import PangeaError, PeerError, UnavailableError
from pangea.compute.model.ids import PeerId, TaskId
from pangea.compute.model.packet import Budget, TaskResult, TaskStatus
from pangea.compute.network.identity import Identity, is_signed_by
from pangea.compute.network.rpc import peer_messages
from pangea.compute.node.tree import delegated
from pangea.compute.node.tree.attestation import is_authentic
from pangea.compute.orchestrator.core.messages import Reveal
from pangea.compute.orchestrator.rules.trust import Verdict
from tests.attackers import Asked, Attacker, FalseParent
from tests.deadlines import comes_true
from tests.examples import first
from tests.hostile import test_parents
from tests.hostile.test_parents import CHUNKS, answer, assert_works
from tests.hostile.test_peers import DATA
from tests.victims import ECHO, HEAVY, Victim, play

Play = Callable[[Callable[[Victim, FalseParent], Awaitable[None]]], None]
OTHERS = [b"three", b"four"]


@pytest.fixture(name="play_below")
def _play_below(tmp_path: Path, engine: Engine) -> Play:
    """Plays a scene at a node that works for a false parent."""
    return test_parents.player(tmp_path, engine)


async def child_of(on: Victim, *, cores: int = 1) -> Attacker:
    child = await Attacker().join(on.address, cores=cores)
    await comes_true(lambda: child.peer in on.children)
    return child


def is_signed_for(result: TaskResult, asked: Asked) -> bool:
    return is_authentic(result, asked.packet, asked.spec, asked.owner, is_signed_by)


# What a node signs.


def test_a_parent_that_gives_a_task_s_id_to_another_input_has_the_first_one_s_answer_signed_for_the_first(
    play_below: Play,
) -> None:
    async def scene(on: Victim, parent: FalseParent) -> None:
        on.own.gate.clear()
        on.node.driver.delegated.calls = on.own
        (first,) = await parent.gives(CHUNKS, ECHO)
        parent._number = 0
        (second,) = await parent.gives(OTHERS, ECHO)
        assert (first.packet.task_id, first.attempt) == (second.packet.task_id, second.attempt)
        on.own.gate.set()
        result = await answer(parent, first)
        assert result.status is TaskStatus.DONE
        assert is_signed_for(result, first)
        assert not is_signed_for(result, second), "whoever wants that is shown a proof that the node has lied"
        await assert_works(on, parent)

    play_below(scene)


def test_two_jobs_whose_tasks_have_one_id_are_answered_and_promised_each_for_itself(play_below: Play) -> None:
    async def scene(on: Victim, parent: FalseParent) -> None:
        on.own.gate.clear()
        on.node.driver.delegated.calls = on.own
        same = {"task_id": TaskId("0af2cdd1-3d5c-4a63-8c6b-7f3a4f8f1a11:7"), "commit_first": True}
        (first,) = await parent.gives(CHUNKS, ECHO, packet=same)
        (second,) = await parent.gives(OTHERS, ECHO, job="7c0c5b63-9d0c-4d5e-9a77-1f3a35ab0b77", packet=same)
        on.own.gate.set()
        for asked, chunks in ((first, CHUNKS), (second, OTHERS)):
            promise = await answer(parent, asked)
            assert promise.status is TaskStatus.COMMITTED
            assert is_signed_for(promise, asked), "whoever passes that on is taken for a forger"
            parent.answers.remove((asked.attempt, promise))
            await parent.tells(Reveal(attempts=(asked.attempt,)))
            result = await answer(parent, asked)
            assert is_signed_for(result, asked)
            assert parent.inputs[result.body] == frames.pack(chunks)
        await assert_works(on, parent)

    play_below(scene)


def test_a_machine_that_was_wrong_once_is_no_liar_because_a_manager_repeats_what_it_said(tmp_path: Path, engine: Engine) -> None:
    async def scene(on: Victim) -> None:
        manager, worker = await child_of(on), Attacker()
        on.own.gate.clear()
        job = await on.submit(DATA)
        asked = await manager.gets()
        said = [(each.attempt, worker.result(each)) for each in asked]
        manager.has |= worker.has
        await manager.says(*said)
        await comes_true(lambda: on.has_taken_in(worker.peer))
        on.own.gate.set()
        await comes_true(lambda: any(each.packet.only == worker.peer for each in manager.asked))
        (question,) = [each for each in manager.asked if each.packet.only]
        known = next(result for each, (_, result) in zip(asked, said, strict=True) if each.packet.input == question.packet.input)
        on.own.gate.clear()  # or the job is over before it is answered
        with suppress(PangeaError):
            await manager.says((question.attempt, known))
        on.own.gate.set()
        assert await on.result(job) == DATA
        assert on.node.trust.verdict(worker.peer) == Verdict.FAULTY

    play(tmp_path, engine, scene)


def test_an_id_that_two_jobs_of_a_parent_s_have_is_held_against_nobody(play_below: Play) -> None:
    async def scene(on: Victim, parent: FalseParent) -> None:
        on.own.gate.clear()
        on.node.driver.delegated.calls = on.own
        (first,) = await parent.gives(CHUNKS, ECHO)
        owner = Identity.create()
        above = Budget(depth=4, fan_out=4, seconds=60.0, ancestors=(PeerId(owner.peer_id), parent.peer))
        (second,) = await parent.gives(OTHERS, ECHO, budget=above, sign=owner.sign)
        assert (await answer(parent, second)).status is TaskStatus.REFUSED
        assert not on.is_banned(parent.peer)
        on.own.gate.set()
        assert (await answer(parent, first)).status is TaskStatus.DONE
        await assert_works(on, parent)

    play_below(scene)


# What it gives away.


def test_a_parent_that_knows_the_hash_of_another_s_content_does_not_get_it(play_below: Play) -> None:
    async def scene(on: Victim, parent: FalseParent) -> None:
        child = await child_of(on)
        on.own.gate.clear()
        job = await on.submit(DATA * 64, min_chunk_size=1 << 17, max_chunk_size=1 << 17)
        (asked, *_) = await child.gets()
        secret, size = asked.packet.input, asked.packet.input_bytes
        assert sha256(await child.block(secret)).digest() == secret, "it is its task's"
        module = bytes.fromhex(asked.spec.module)
        named = {"input": secret, "input_bytes": size}
        await parent.gives([b"x"], ECHO, contents={}, packet=named, spec={"estimated_flops": HEAVY})
        parent.has.clear()  # it knows their hashes, and nothing else
        for name in (secret, module):
            with pytest.raises(PangeaError):
                await parent.block(name, 0, 100)
        on.own.gate.set()
        child.leave()
        assert await on.result(job) == DATA * 64

    play_below(scene)


def test_what_a_parent_names_is_not_passed_on_from_what_others_have_here(play_below: Play) -> None:
    async def scene(on: Victim, parent: FalseParent) -> None:
        child = await child_of(on, cores=64)
        on.own.gate.clear()
        job = await on.submit(DATA, min_chunk_size=512, max_chunk_size=512)  # small: it travels in the message
        (asked, *_) = await child.gets()
        on.node.driver.contents.put(job, asked.packet.input, child.inputs[asked.packet.input])
        before = len(child.asked)
        child.inputs.clear()
        packet = {"input": asked.packet.input, "input_bytes": asked.packet.input_bytes, "count": asked.packet.count}
        packet |= {"task_id": TaskId("theirs"), "packs": asked.packet.packs}
        await parent.gives([b"x"], ECHO, contents={}, packet=packet, spec={"estimated_flops": HEAVY})
        await comes_true(lambda: any(each.packet.task_id == "theirs" for each in child.asked[before:]))
        assert asked.packet.input not in child.inputs
        on.own.gate.set()
        child.leave()
        assert await on.result(job) == DATA

    play_below(scene)


# What fills it.


def test_a_parent_s_inputs_that_came_along_have_so_much_memory_and_no_more(
    play_below: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delegated, "INPUT_BYTES_MAX", 100_000)

    async def scene(on: Victim, parent: FalseParent) -> None:
        on.own.gate.clear()
        on.node.driver.delegated.calls = on.own
        given = [asked for index in range(8) for asked in await parent.gives([b"%d" % index * 30_000], ECHO)]
        for asked in given[3:]:
            assert (await answer(parent, asked)).status is TaskStatus.REFUSED
        assert on.node.driver.contents.put_bytes(parent.peer) <= 100_000
        on.own.gate.set()
        for asked in given[:3]:
            assert (await answer(parent, asked)).status is TaskStatus.DONE
        assert on.node.driver.contents.put_bytes(parent.peer) == 0
        (asked,) = await parent.gives([b"x" * 30_000], ECHO)
        assert (await answer(parent, asked)).status is TaskStatus.DONE
        await assert_works(on, parent)

    play_below(scene)


def test_what_passes_on_its_way_up_is_kept_while_there_is_room_and_no_longer(play_below: Play) -> None:
    async def scene(on: Victim, parent: FalseParent) -> None:
        child = await child_of(on, cores=8)
        on.own.gate.clear()
        on.node.driver.delegated.calls = on.own
        for index in range(8):
            await parent.gives([b"%d" % index, b"."], ECHO, spec={"estimated_flops": HEAVY})
        asked, *_ = await child.gets()
        small, large = (child.result(asked, [b"x" * size, b""]) for size in (30_000, 70_000))
        with pytest.raises(PeerError, match="larger ones are fetched"):
            await child.says((asked.attempt, large), contents={large.body: child.has[large.body]})
        before = on.node.driver.contents.put_bytes(parent.peer)
        await child.says((asked.attempt, small), contents={small.body: child.has[small.body]})
        await comes_true(lambda: small.body in parent.inputs)
        contents = on.node.driver.contents
        assert contents.put_bytes(parent.peer) < before
        assert contents._cached >= 30_000
        child.leave()

    play_below(scene)


# What stops it.


async def says_it_took(child: Attacker, seconds: float, asked: Asked) -> None:
    """Answer, with a figure that a `TaskResult` of ours never has on the wire."""
    assert child.link is not None
    request = child.link._far().returnTaskResult_request()
    peer_messages.result_to_wire(asked.attempt, child.result(asked), b"", request.result)
    request.result.seconds = seconds
    await child.link._call(request.send())


@pytest.mark.parametrize("seconds", first(2, [1e308, 1e300, 1e17, -1.0, float("inf"), float("nan")]))
def test_a_child_that_says_how_long_it_took_in_no_number_stops_nothing(play_below: Play, seconds: float) -> None:
    async def scene(on: Victim, parent: FalseParent) -> None:
        child = await child_of(on)
        on.own.gate.clear()
        on.node.driver.delegated.calls = on.own
        given: list[Asked] = []
        for index in range(4):
            given += await parent.gives([b"%d" % index, b"."], ECHO, spec={"estimated_flops": HEAVY})
        for asked in await child.gets():
            with pytest.raises(PeerError, match="an answer that took"):
                await says_it_took(child, seconds, asked)
        child.leave()
        on.own.gate.set()
        for asked in given:
            assert (await answer(parent, asked)).status is TaskStatus.DONE
        await assert_works(on, parent)

    play_below(scene)


def test_a_name_without_an_encoding_is_refused_for_it_could_not_be_passed_on(play_below: Play) -> None:
    async def scene(on: Victim, parent: FalseParent) -> None:
        for name in ("job_id", "runtime", "operation_type"):
            said = {"job_id": "j", "module": "0" * 64, name: "half a pair: \ud800"}
            with pytest.raises(PeerError, match=f"a job whose {name} is"):
                await test_parents._with(parent, "spec", json.dumps(said))
        await assert_works(on, parent)

    play_below(scene)


def test_a_parent_that_says_a_child_is_above_is_left_and_the_child_stays(play_below: Play) -> None:
    async def scene(on: Victim, parent: FalseParent) -> None:
        child = await child_of(on)
        assert parent.link is not None
        with suppress(UnavailableError):
            await parent.link.move((child.peer, parent.peer))
        await comes_true(lambda: parent.is_lost)
        await asyncio.sleep(0)
        assert not any(child.peer in path for path in child.paths), "it would take itself for part of a loop, and leave"
        assert child.peer in on.children
        assert not child.is_lost

    play_below(scene)

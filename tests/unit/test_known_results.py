"""A digest that is known already stands for the results of its own task, and of no other, whatever the job checks."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pangea.compute.model.ids import JobId, PeerId, TaskId
from pangea.compute.model.outcome import FailureKind
from pangea.compute.model.packet import TaskPacket, TaskResult, TaskStatus
from pangea.compute.network.rpc.peer_messages import Envelope
from pangea.compute.node.jobs.call_records import Witness
from pangea.compute.node.jobs.jobs import LiveJob, TaskDone, input_key
from pangea.compute.node.jobs.starting import spec_of
from pangea.compute.node.storage.blobs import BlobStore
from pangea.compute.node.storage.contents import Contents
from pangea.compute.node.storage.records import Stored
from pangea.compute.node.storage.result_store import ResultStore
from pangea.compute.node.tree.peer_codec import PeerCodec
from pangea.compute.orchestrator.core.messages import Answers
from pangea.compute.verification.digests import leaves_of
from pangea.compute.verification.merkle import root
from pangea.compute.verification.signed_spec import SignedSpec
from tests.desk import job

ME, CHILD = PeerId("me"), PeerId("child")


def framed(results: list[bytes]) -> bytes:
    return struct.pack("<I", len(results)) + b"".join(struct.pack("<I", len(each)) + each for each in results)


def packet_of(start: int, count: int) -> TaskPacket:
    return TaskPacket(
        task_id=TaskId(f"job:{start}"), start=start, count=count, size_bytes=count, packs=(1,) * count, input=bytes(32)
    )


def answer(packet: TaskPacket, results: list[bytes], **changes: Any) -> tuple[TaskResult, bytes]:
    """What an honest worker says of these results, but for the changes; and the results."""
    body = framed(results)
    leaves = leaves_of(body, start=packet.start, packs=packet.packs)
    fields: dict[str, Any] = {"digest": root(leaves), "leaves": leaves, "body": sha256(body).digest(), "body_bytes": len(body)}
    return TaskResult(task_id=packet.task_id, worker=CHILD, **{**fields, **changes}), body


class Bench:
    """What a node hears of one child's answers to an own job."""

    def __init__(self, folder: Path, *packets: TaskPacket) -> None:
        manifest = job()
        self.live = LiveJob(manifest=manifest, spec=spec_of(manifest), rank=0.0, since=0.0)
        limits = manifest.options.limits.with_fuel_for(python=False)
        self.live.signed = SignedSpec(
            job_id=self.live.spec.job_id,
            owner=ME,
            nonce="0" * 32,
            module=self.live.spec.module,
            runtime=self.live.spec.runtime,
            meter="meter",
            inputs="0" * 64,
            options=replace(manifest.options, limits=limits),
        )
        self.live.inputs.update({input_key(packet): (bytes(32), 1) for packet in packets})
        own = SimpleNamespace(source=None, spec=self.live.spec)
        attempts = {
            number: SimpleNamespace(peer=SimpleNamespace(id=CHILD), task=SimpleNamespace(packet=packet, job=own))
            for number, packet in enumerate(packets)
        }
        self.attempts = attempts
        self.children: dict[PeerId, Any] = {}
        live: Mapping[JobId, LiveJob] = {self.live.spec.job_id: self.live}
        self.codec = PeerCodec(
            Witness(ME, lambda _data: b""),
            SimpleNamespace(core=SimpleNamespace(attempts=attempts, children=self.children)),  # type: ignore[arg-type]
            live,
            SimpleNamespace(),  # type: ignore[arg-type]
            ResultStore(BlobStore(folder / "blobs")),
            Contents(lambda *_: pytest.fail("nothing is to be fetched")),
            check=lambda *_: True,
        )

    def knows(self, packet: TaskPacket, result: TaskResult) -> None:
        """These results are here and were looked at."""
        stored = Stored(data=b"", blob="", size=result.body_bytes)
        done = TaskDone(stored, 1, 1.0, "", of=(packet.function, packet.start, packet.count), leaves=result.leaves)
        self.live.done[result.digest] = done

    def hears(self, number: int, result: TaskResult) -> bool:
        """Whether an answer is taken without a look at its results."""
        envelope = Envelope(message=Answers(results=((number, result),)))
        ready, later = self.codec.unpack(CHILD, [(number, result)], envelope)
        for each in later:
            each.close()  # type: ignore[attr-defined]
        assert len(ready) + len(later) == 1
        return bool(ready)


def test_the_same_answer_to_the_same_task_needs_no_second_look(tmp_path: Path) -> None:
    packet = packet_of(0, 3)
    bench, (result, _) = Bench(tmp_path, packet), answer(packet, [b"a", b"b", b"c"])
    assert not bench.hears(0, result)
    bench.knows(packet, result)
    assert bench.hears(0, result)


@pytest.mark.parametrize("other", [packet_of(3, 3), packet_of(0, 2), packet_of(3, 1)], ids=["later", "fewer", "another"])
def test_the_digest_of_one_task_is_no_answer_to_another(tmp_path: Path, other: TaskPacket) -> None:
    packet = packet_of(0, 3)
    bench, (known, _) = Bench(tmp_path, packet, other), answer(packet, [b"a", b"b", b"c"])
    bench.knows(packet, known)
    honest, _ = answer(other, [b"x"] * other.count)
    for lie in ({"digest": known.digest}, {"digest": known.digest, "leaves": known.leaves}):
        swapped, _ = answer(other, [b"x"] * other.count, **lie)
        assert not bench.hears(1, swapped)
    assert not bench.hears(1, honest)


def test_leaves_that_are_not_those_of_the_digest_are_looked_at(tmp_path: Path) -> None:
    packet = packet_of(0, 3)
    bench, (known, _) = Bench(tmp_path, packet), answer(packet, [b"a", b"b", b"c"])
    bench.knows(packet, known)
    assert not bench.hears(0, answer(packet, [b"a", b"b", b"c"], leaves=known.leaves[:2])[0])


def test_what_is_looked_at_has_as_many_results_as_its_task_has_chunks(tmp_path: Path) -> None:
    async def scene() -> None:
        packet = packet_of(0, 3)
        bench = Bench(tmp_path, packet)
        few = packet_of(0, 2)
        result, body = answer(few, [b"a", b"b"])
        _, (later,) = bench.codec.unpack(
            CHILD, [(0, result)], Envelope(message=Answers(results=((0, result),)), contents={result.body: body})
        )
        _, heard = await later
        assert heard.status is TaskStatus.FAILED
        assert "2 results of job:0, not 3" in heard.message
        assert not bench.live.done

    asyncio.run(scene())


@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), ValueError("odd"), MemoryError()])
def test_whatever_keeps_results_from_being_taken_in_ends_the_attempt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    async def broken(_parts: object) -> Stored:
        raise error

    async def scene() -> None:
        packet = packet_of(0, 2)
        bench = Bench(tmp_path, packet)
        monkeypatch.setattr(bench.codec._result_store, "keep", broken)
        result, body = answer(packet, [b"a", b"b"])
        envelope = Envelope(message=Answers(results=((0, result),)), contents={result.body: body})
        _, (later,) = bench.codec.unpack(CHILD, [(0, result)], envelope)
        number, heard = await later
        assert (number, heard.status, heard.failure) == (0, TaskStatus.FAILED, FailureKind.WORKER_LOST)
        assert type(error).__name__ in heard.message

    asyncio.run(scene())


def test_a_child_is_given_the_inputs_of_its_own_tasks_and_their_module_while_it_has_them(tmp_path: Path) -> None:
    mine, other = packet_of(0, 3), packet_of(3, 3)
    bench = Bench(tmp_path, mine, other)
    bench.live.inputs.update({input_key(mine): (b"m" * 32, 9), input_key(other): (b"o" * 32, 9)})
    bench.children[CHILD] = SimpleNamespace(attempts={0: bench.attempts[0]})
    module = bytes.fromhex(bench.live.spec.module)
    job_id = bench.live.spec.job_id
    names = (b"m" * 32, module, b"o" * 32, b"x" * 32)
    assert [bench.codec.owner_for(CHILD, name) for name in names] == [job_id, job_id, None, None]
    bench.children[CHILD].attempts.clear()
    assert bench.codec.owner_for(CHILD, b"m" * 32) is None
    assert bench.codec.owner_for(CHILD, module) is None


@pytest.mark.parametrize("size", [10, 100_000], ids=["travels along", "is fetched"])
def test_a_merge_step_that_is_made_anew_has_its_new_input(tmp_path: Path, size: int) -> None:
    async def scene() -> None:
        bench, named = Bench(tmp_path), []
        for result in (b"l" * size, b"r" * size):  # a lie, which is withdrawn, and what is right
            body = framed([result])
            stored = await bench.codec._result_store.keep([body])
            digest = sha256(result).digest()
            bench.live.done[digest] = TaskDone(stored, 1, 1.0, "")
            packet = TaskPacket(task_id=TaskId("job:m1.0"), function="merge", start=0, count=1, size_bytes=size, inputs=(digest,))
            given, data = await bench.codec._named(bench.live, packet)
            frame = b"".join(await bench.codec.frame(bench.live, packet))
            assert given.input == sha256(frame).digest(), "its workers would merge what was withdrawn, and be called liars for it"
            if data is None:
                data = bytes(await bench.codec._contents.whole(bench.live.spec.job_id, given.input))
            assert data == frame
            named.append(given.input)
        assert len(set(named)) == 2

    asyncio.run(scene())

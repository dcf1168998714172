"""Answers to a task with a tolerance, as the owner's driver has them compared."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

from pangea.compute.data.array import Array
from pangea.compute.model import frames
from pangea.compute.model.ids import PeerId, TaskId
from pangea.compute.model.packet import TaskPacket, TaskResult
from pangea.compute.model.tolerance import Tolerance
from pangea.compute.node.jobs.comparing import compared, is_the_same
from pangea.compute.node.jobs.jobs import LiveJob, TaskDone
from pangea.compute.node.storage.records import Stored
from pangea.compute.node.storage.result_store import ResultStore
from pangea.compute.verification.digests import leaves_of
from pangea.compute.verification.merkle import root

PACKET = TaskPacket(task_id=TaskId("j:0"), start=0, count=2, size_bytes=8, packs=(1, 1))


class Desk:
    """A job's answers."""

    def __init__(self, tolerance: Tolerance | None) -> None:
        self.live: Any = SimpleNamespace(prepared=SimpleNamespace(tolerance=tolerance), answers={}, done={})
        self.store = ResultStore(cast(Any, None))

    def answer(self, *numbers: float) -> TaskResult:
        """An answer that is in hand."""
        body = frames.pack([Array.of([number], "float32").to_npy() for number in numbers])
        leaves = leaves_of(body, start=0, packs=PACKET.packs)
        result = TaskResult(task_id=PACKET.task_id, worker=PeerId("w"), digest=root(leaves), leaves=leaves, fuel=9)
        self.live.done[result.digest] = TaskDone(Stored(data=body, blob="", size=len(body)), 9, 0.0, "")
        return result

    async def told(self, *results: TaskResult, packet: TaskPacket = PACKET) -> list[TaskResult]:
        """What the orchestrator hears of answers that come at once."""
        live = cast(LiveJob, self.live)
        return list(await asyncio.gather(*(compared(live, packet, each, self.store) for each in results)))


def test_each_answer_is_compared_with_those_before_it_pack_by_pack() -> None:
    desk = Desk(Tolerance(absolute=0.5))
    first, near, far = desk.answer(1.0, 2.0), desk.answer(1.25, 2.0), desk.answer(9.0, 2.25)
    told = asyncio.run(desk.told(first, near, far))
    assert told[0].apart == ()
    assert told[1].apart == ((first.digest, 0),)
    assert told[2].apart == ((first.digest, 1), (near.digest, 1))
    assert is_the_same(told[1], told[0])
    assert is_the_same(told[0], told[1])
    assert not is_the_same(told[2], told[0])


def test_the_same_bytes_again_are_compared_with_all_others_and_not_with_themselves() -> None:
    desk = Desk(Tolerance(absolute=0.5))
    first, second = desk.answer(1.0, 2.0), desk.answer(1.25, 2.0)
    told = asyncio.run(desk.told(first, second, first))
    assert told[2].apart == ((second.digest, 0),)
    assert is_the_same(told[0], told[2])


def test_of_an_exact_job_and_of_merges_nothing_is_compared() -> None:
    exact, desk = Desk(None), Desk(Tolerance(absolute=0.5))
    told = asyncio.run(exact.told(exact.answer(1.0, 2.0), exact.answer(1.25, 2.0)))
    assert [each.apart for each in told] == [(), ()]
    merge = TaskPacket(task_id=TaskId("j:m1.0"), function="merge", start=0, count=1, size_bytes=8)
    told = asyncio.run(desk.told(desk.answer(1.0, 2.0), desk.answer(1.25, 2.0), packet=merge))
    assert [each.apart for each in told] == [(), ()]

"""Answers to tasks of a job with a tolerance: each is compared with those in hand before the orchestrator hears of it.

The orchestrator knows answers by their digests. What it is told beside is how far an answer is from earlier ones to its task.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

from pangea.compute.model.packet import TaskPacket, TaskResult
from pangea.compute.node.jobs.jobs import LiveJob
from pangea.compute.node.storage.result_store import ResultStore
from pangea.compute.verification.closeness import packs_outside


async def compared(live: LiveJob, packet: TaskPacket, result: TaskResult, result_store: ResultStore) -> TaskResult:
    """An answer to a task, kept already, with what the orchestrator needs to know of it and the others to that task.

    Of two answers that come at once one is noted first, and the other is compared with it.

    Raises:
        PangeaError: an answer can't be read.
    """
    tolerance = live.prepared.tolerance if live.prepared is not None else None
    if tolerance is None or packet.function != "execute":
        return result
    known = live.answers.setdefault(packet.task_id, [])
    others = [digest for digest in known if digest != result.digest]
    if result.digest not in known:
        known.append(result.digest)
    if not others:
        return result

    def outside(digest: bytes) -> int:
        one, other = (result_store.read(live.done[each].stored) for each in (result.digest, digest))
        return packs_outside(tolerance, one, other, packet.packs)

    apart = await asyncio.to_thread(lambda: tuple((digest, outside(digest)) for digest in others))
    return replace(result, apart=apart)


def is_the_same(one: TaskResult, other: TaskResult) -> bool:
    """Whether two executions of a task gave the same answer; the later is compared."""
    is_near = one.digest == other.digest or (other.digest, 0) in one.apart or (one.digest, 0) in other.apart
    return is_near and (one.fuel, one.failure) == (other.fuel, other.failure)

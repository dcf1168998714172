"""Have a job's own check look at an answer of another node, in this node's sandbox."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from pangea.compute.engine.task import Task
from pangea.compute.flow import merging, own_check
from pangea.compute.flow.packs import Pack
from pangea.compute.model.frames import Buffer
from pangea.compute.model.ids import PeerId
from pangea.compute.model.outcome import Failure
from pangea.compute.model.packet import TaskPacket, TaskResult
from pangea.compute.model.units import CHUNK_BYTES_MAX, human_bytes
from pangea.compute.node.jobs.calls import Calls, lost
from pangea.compute.node.jobs.execution import SMALL_BYTES, failed
from pangea.compute.node.jobs.jobs import LiveJob
from pangea.compute.node.storage.result_store import ResultStore
from pangea.compute.orchestrator.judging.own_check import PASSES, REFUSED
from pangea.compute.verification.receipts import Sign


async def check(
    job: LiveJob,
    packet: TaskPacket,
    chunks: Sequence[Buffer],
    *,
    calls: Calls,
    result_store: ResultStore,
    worker: PeerId,
    sign: Sign,
) -> TaskResult:
    """What the job's own check says of an answer; its fuel and its time go to the job's account, apart from its tasks'.

    Args:
        job: it has a check.
        packet: what to look at: the answer's digest is its one input, its chunks and packs are those of the task.
        chunks: the framed list of the task's chunks, in pieces.
        calls: the engine.
        result_store: has the results.
        worker: this node.
        sign: makes the seed that nobody else could know.
    """
    assert job.prepared is not None, "a job with tasks has a module"
    assert job.prepared.checker is not None, "a job that is checkable has a check"
    (digest,) = packet.inputs
    stored = job.done[digest].stored
    seed = own_check.seed_of(job.spec.job_id, digest, sign)
    counts = packet.packs or (packet.count,)

    def given() -> tuple[int, bytes, list[Pack]]:
        pairs = list(own_check.pairs(seed, merging.items([b"".join(chunks)]), merging.items([result_store.read(stored)])))
        return max(map(len, pairs), default=0), *own_check.frame_of(pairs, counts)

    is_small = stored.size + sum(map(len, chunks)) <= SMALL_BYTES
    largest, frame, packs = given() if is_small else await asyncio.to_thread(given)
    if largest > CHUNK_BYTES_MAX:
        message = f"a chunk and its result are {human_bytes(largest)}; a check is given {human_bytes(CHUNK_BYTES_MAX)} at most"
        return failed(packet, lost(message), worker)
    outcome = await calls.execute(Task(job.prepared.checker, "execute", packet.count, [frame], packs))
    job.check_fuel += outcome.fuel
    if isinstance(outcome, Failure):
        first = packet.start + (outcome.index or 0)
        return failed(packet, replace(outcome, message=f"on chunk {first:,} it ends with: {outcome.message}"), worker)
    job.check_seconds += outcome.seconds
    refused = own_check.first_refused(outcome.results)
    return TaskResult(
        task_id=packet.task_id,
        worker=worker,
        digest=PASSES if refused is None else REFUSED,
        fuel=outcome.fuel,
        seconds=outcome.seconds,
        message="" if refused is None else f"chunk {packet.start + refused:,} doesn't pass",
    )

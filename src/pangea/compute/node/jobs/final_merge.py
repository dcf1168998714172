"""The end of a job on its owner: the last merge, to the one result that the client gets, and the check that goes before it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from hashlib import sha256

from pangea.compute.engine.failures import error_of
from pangea.compute.engine.task import Task
from pangea.compute.flow import merging
from pangea.compute.model.frames import Buffer
from pangea.compute.model.outcome import Failure
from pangea.compute.node.jobs.call_records import Witness
from pangea.compute.node.jobs.calls import Calls
from pangea.compute.node.jobs.execution import hash_of
from pangea.compute.node.jobs.jobs import LiveJob
from pangea.compute.node.jobs.tracing import call_here
from pangea.compute.node.storage.records import Stored
from pangea.compute.node.storage.result_store import ResultStore


async def merge(job: LiveJob, bodies: Sequence[Stored], *, calls: Calls, keeper: ResultStore, witness: Witness) -> Stored:
    """Merge results.

    Args:
        job: whose they are.
        bodies: framed lists of results, in order.
        calls: the engine.
        keeper: where they are, and where the result goes: durably.
        witness: this node, which signs what it merges.

    Raises:
        JobFailedError: merge failed.
        QuotaError: there is no room for the result.
    """
    assert job.prepared is not None, "a job with results has a module"
    read = [keeper.read(body) if body.data is not None else await asyncio.to_thread(keeper.read, body) for body in bodies]
    if not job.prepared.has_merge:
        parts = await asyncio.to_thread(lambda: list(merging.items(read)))
        return await keeper.keep(parts, durable=True)
    return await keeper.keep([await _merged(job, read, calls, witness)], durable=True)


async def _merged(job: LiveJob, bodies: Sequence[Buffer], calls: Calls, witness: Witness) -> Buffer:
    assert job.prepared is not None, "a job with results has a module"
    count, parts = merging.merge_input([each for body in bodies for each in merging.results_in(body)])
    task = Task(job.prepared.guest_of("merge"), "merge", count, parts)
    outcome, attempts = await calls.call(task, rank=job.rank, retry_count=job.spec.retry_count)
    job.counts.retries += attempts - 1
    if isinstance(outcome, Failure):
        raise error_of(outcome, function="merge", chunk_index=None, attempts=attempts)
    job.counts.ended("merge", outcome)
    job.tracer.add(call_here(job, witness.peer, "merge", 0, 1, sum(map(len, parts)), outcome))
    result = merging.only_result(outcome.results)
    if job.records.is_wanted:
        names = await hash_of(parts), await hash_of([result])
        job.records.last = witness.saw(job.spec, "merge", "merge", start=0, count=1, names=names, fuel=outcome.fuel)
    return result


async def execute_alone(job: LiveJob, chunk: int, calls: Calls) -> None:
    """Execute a chunk by itself, for the check that chunks don't influence each other. Nobody pays for it."""
    assert job.prepared is not None, "a job with chunks has a module"
    parts = await asyncio.to_thread(job.chunks.frame, chunk, 1)
    task = Task(job.prepared.guest_of("execute"), "execute", 1, parts)
    outcome, _ = await calls.call(task, rank=job.rank, retry_count=job.spec.retry_count)
    job.independence.ended(outcome)


async def compare_alone(job: LiveJob, bodies: ResultStore) -> None:
    """Finish that check, now that all tasks are complete.

    Raises:
        PangeaError: a result can't be read.
    """
    place = job.independence.place
    if place is None or job.alone is None:
        return
    await job.alone
    task = next(each for each in job.kept.values() if 0 <= place.chunk - each.packet.start < each.packet.count)
    body = await asyncio.to_thread(bodies.read, job.done[task.digest].stored)
    job.independence.packed(task.packet.start, task.packet.count, body)


def name_of(result: Stored) -> bytes:
    """The digest of a job's result: its SHA-256."""
    return bytes.fromhex(result.blob) if result.data is None else sha256(result.data).digest()

"""The last merge of a job: all results, in order, to the one that the client gets."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from hashlib import sha256

from pangea.compute.engine import merging
from pangea.compute.engine.failures import error_of
from pangea.compute.model.frames import Buffer
from pangea.compute.model.outcome import Failure
from pangea.compute.node.bodies import Bodies
from pangea.compute.node.calls import Calls
from pangea.compute.node.jobs import LiveJob
from pangea.compute.node.records import Stored


async def merge(job: LiveJob, bodies: Sequence[Stored], *, calls: Calls, keeper: Bodies) -> Stored:
    """Merge results.

    Args:
        job: whose they are.
        bodies: framed lists of results, in order.
        calls: the engine.
        keeper: where they are, and where the result goes: durably.

    Raises:
        JobFailedError: merge failed.
        QuotaError: there is no room for the result.
    """
    assert job.prepared is not None, "a job with results has a module"
    read = [keeper.read(body) if body.data is not None else await asyncio.to_thread(keeper.read, body) for body in bodies]
    if not job.prepared.has_merge:
        parts = await asyncio.to_thread(lambda: list(merging.items(read)))
        return await keeper.keep(parts, durable=True)
    return await keeper.keep([await _merged(job, read, calls)], durable=True)


async def _merged(job: LiveJob, bodies: Sequence[Buffer], calls: Calls) -> Buffer:
    while job.spec.associative and len(bodies) > 1 and (total := sum(map(len, bodies))) > merging.WHOLE_BYTES:
        grouped = merging.groups(bodies, workers=calls.engine.workers)
        bodies = await asyncio.gather(*(_call(job, group, calls) for group in grouped))
        if sum(map(len, bodies)) > total // 2:
            break  # merging doesn't make it smaller: one last call has to do
    return merging.only_result(await _call(job, bodies, calls))


async def _call(job: LiveJob, bodies: Sequence[Buffer], calls: Calls) -> Buffer:
    assert job.prepared is not None, "a job with results has a module"
    count, parts = merging.merge_input(bodies)
    outcome, attempts = await calls.call(
        job.prepared.guest, "merge", count, parts, rank=job.rank, retry_count=job.spec.retry_count
    )
    job.counts.retries += attempts - 1
    if isinstance(outcome, Failure):
        raise error_of(outcome, function="merge", chunk_index=None, attempts=attempts)
    job.counts.spent("merge", fuel=outcome.fuel, seconds=outcome.seconds, prints=outcome.prints)
    return outcome.results


def name_of(result: Stored) -> bytes:
    """The digest of a job's result: its SHA-256."""
    return bytes.fromhex(result.blob) if result.data is None else sha256(result.data).digest()

"""The last merge of a job: all results, in order, to the one that the client gets."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from hashlib import sha256

from pangea.compute.engine import merging
from pangea.compute.engine.failures import error_of
from pangea.compute.model.frames import Buffer
from pangea.compute.model.outcome import Failure, Finished
from pangea.compute.node.bodies import Bodies
from pangea.compute.node.calls import Calls
from pangea.compute.node.execution import hash_of
from pangea.compute.node.jobs import LiveJob
from pangea.compute.node.receipting import Merge, Witness, level_of
from pangea.compute.node.records import Stored
from pangea.compute.node.tracing import call_here
from pangea.compute.verification.digests import digest_of
from pangea.compute.verification.receipts import Record


async def merge(job: LiveJob, bodies: Sequence[Stored], *, calls: Calls, keeper: Bodies, witness: Witness) -> Stored:
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
    return await keeper.keep([await _Merging(job, calls, witness).merged(read)], durable=True)


class _Merging:
    """The merges of one job on this machine, level by level."""

    def __init__(self, job: LiveJob, calls: Calls, witness: Witness) -> None:
        self._job = job
        self._calls = calls
        self._witness = witness
        #: Merge steps that were tasks are the levels before.
        self._level = max((level_of(each.packet.task_id) for each in job.records.accepted), default=0)
        job.records.merges.clear()

    async def merged(self, bodies: Sequence[Buffer]) -> Buffer:
        while self._job.spec.associative and len(bodies) > 1 and (total := sum(map(len, bodies))) > merging.WHOLE_BYTES:
            grouped = merging.groups(bodies, workers=self._calls.engine.workers)
            self._level += 1
            made = await asyncio.gather(*(self._call(index, group) for index, group in enumerate(grouped)))
            bodies = [body for body, _ in made]
            self._job.records.merges.append([merge for _, merge in made if merge is not None])
            if sum(map(len, bodies)) > total // 2:
                break  # merging doesn't make it smaller: one last call has to do
        body, merge = await self._call(None, bodies)
        self._job.records.merges.append([merge] if merge is not None else [])
        return merging.only_result(body)

    async def _call(self, index: int | None, bodies: Sequence[Buffer]) -> tuple[Buffer, Merge | None]:
        """One merge, the last one if it has no index; and its record, if there is to be a receipt."""
        job = self._job
        assert job.prepared is not None, "a job with results has a module"
        count, parts = merging.merge_input(bodies)
        outcome, attempts = await self._calls.call(
            job.prepared.guest, "merge", count, parts, rank=job.rank, retry_count=job.spec.retry_count
        )
        job.counts.retries += attempts - 1
        if isinstance(outcome, Failure):
            raise error_of(outcome, function="merge", chunk_index=None, attempts=attempts)
        job.counts.spent("merge", fuel=outcome.fuel, seconds=outcome.seconds, prints=outcome.prints)
        size = sum(map(len, parts))
        job.tracer.add(call_here(job, self._witness.peer, "merge", index or 0, 1, size, outcome))
        if not job.records.is_wanted:
            return outcome.results, None
        return outcome.results, (await self._record(index, parts, outcome), len(bodies))

    async def _record(self, index: int | None, parts: Sequence[Buffer], outcome: Finished) -> Record:
        spec = self._job.spec
        if index is None:
            name, output = "merge", await hash_of([merging.only_result(outcome.results)])
        else:
            name = f"m{self._level}.{index}"
            output = await asyncio.to_thread(digest_of, outcome.results, start=index, runs=1)
        names = await hash_of(parts), output
        return self._witness.saw(spec, "merge", name, start=index or 0, count=1, names=names, fuel=outcome.fuel)


def name_of(result: Stored) -> bytes:
    """The digest of a job's result: its SHA-256."""
    return bytes.fromhex(result.blob) if result.data is None else sha256(result.data).digest()

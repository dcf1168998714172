"""A node in small, which keeps receipts: it cuts, splits, executes and merges on a real engine and signs with real keys."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from hashlib import sha256
from itertools import count
from typing import Any

from pangea.compute import runtime
from pangea.compute.engine import merging
from pangea.compute.engine.chunks import ChunkQueue
from pangea.compute.engine.cutting import cut, open_inputs
from pangea.compute.engine.engine import Engine
from pangea.compute.engine.prepared import prepare
from pangea.compute.engine.task import Function, Task
from pangea.compute.model import frames
from pangea.compute.model.frames import Buffer
from pangea.compute.model.ids import JobId, PeerId, TaskId
from pangea.compute.model.options import JobOptions
from pangea.compute.model.outcome import Failure
from pangea.compute.model.packet import leaf_runs
from pangea.compute.network.identity import Identity
from pangea.compute.orchestrator.packing import TaskSize
from pangea.compute.verification.digests import digest_of
from pangea.compute.verification.receipt_job import Checking, ReceiptInput, ReceiptJob, governing
from pangea.compute.verification.receipt_tree import Receipt, build
from pangea.compute.verification.receipts import Record

JOB_ID = JobId("2f1c7a3e-0c4b-4f44-9d6f-0d3f0a6f5b11")


@cache
def identity(number: int) -> Identity:
    """The key of one of the test's nodes; 0 is the owner's."""
    return Identity.create()


def signed(record: Record, by: Identity) -> Record:
    """`record` as the worker `by` signs it."""
    own = replace(record, worker=PeerId(by.peer_id))
    return replace(own, signature=by.sign(own.statement()))


@dataclass
class SigningNode:
    """Runs one job, and signs as several workers in turn.

    Attributes:
        split_size, execute_size, fan_in: segments, chunks and results of a task; no merge steps if `fan_in` is 0.
        lie: what a worker makes of its true record before it signs.
        bodies: what workers make of the true results of an execution.
        singly: run chunks one by one, as a slow worker does.
    """

    engine: Engine
    archive: bytes
    inputs: Sequence[bytes]
    options: dict[str, Any] = field(default_factory=dict)
    split_size: int = 1
    execute_size: int = 2
    fan_in: int = 0
    workers: int = 2
    job_id: JobId = JOB_ID
    paths: Sequence[str] = ()
    lie: Callable[[Record], Record] = lambda record: record
    bodies: Callable[[bytes], bytes] = lambda body: body
    singly: bool = False

    def receipt(self) -> Receipt:
        """Run the job and account for it."""
        options = JobOptions.of(self.options)
        self.job = prepare(self.archive, options.limits, self.engine, lambda _what: None, name="test", associative=False)
        self._turn = count(1)
        segments = list(cut(open_inputs([*self.inputs]), options, custom_max=1 << 30))
        splits, queue, chunks = self._split(segments)
        executes, bodies = self._execute(queue, chunks)
        merges, result = self._merge(executes, bodies)
        self.result = result
        records = [*splits, *executes, *(record for record, _ in merges)]
        paths = [*self.paths] or [""] * len(self.inputs)
        job = ReceiptJob(
            job_id=self.job_id,
            owner=PeerId(identity(0).peer_id),
            name="test",
            module=sha256(self.archive).hexdigest(),
            runtime=runtime.sha256(),
            inputs=tuple(
                ReceiptInput(sha256=sha256(data).hexdigest(), size=len(data), path=path)
                for data, path in zip(self.inputs, paths, strict=True)
            ),
            options=governing(options, limits=self.job.guest.limits, associative=options.associative_merge),
            segments=len(segments),
            chunks=chunks,
            fuel=sum(record.fuel for record in records),
            result_sha256=sha256(result).hexdigest(),
            result_size=len(result),
            checking=Checking(mode="adaptive", target=0.999, reached=0.9995, executions=len(executes) + 1, audits=1),
        )
        return build(job, splits=splits[::-1], executes=executes[::-1], merges=merges, sign=identity(0).sign, module=self.archive)

    def receipt_as_signed(self) -> Receipt:
        """The same, with the result that the last merge's worker says."""
        receipt = self.receipt()
        last = receipt.tree.record
        assert last is not None
        changed = replace(receipt, job=replace(receipt.job, result_sha256=last.output.hex()))
        return replace(changed, signature=identity(0).sign(changed.statement()))

    def _split(self, segments: Sequence[Buffer]) -> tuple[list[Record], ChunkQueue, int]:
        queue, records, chunks = ChunkQueue(), [], 0
        if not self.job.has_split:
            for segment in segments:
                queue.add(segment)
            return [], queue, len(segments)
        for start in range(0, len(segments), self.split_size):
            some = segments[start : start + self.split_size]
            body, fuel = self._run("split", len(some), [frames.pack(some)])
            for each in merging.items([body]):
                queue.add_frame(each)
                chunks += frames.count_of(each)
            records.append(self._record(f"s{start}", "split", start, len(some), [frames.pack(some)], sha256(body).digest(), fuel))
        return records, queue, chunks

    def _execute(self, queue: ChunkQueue, chunks: int) -> tuple[list[Record], list[bytes]]:
        records, bodies = [], []
        for start in range(0, chunks, self.execute_size):
            run = queue.take(TaskSize(chunks=self.execute_size, size_bytes=1 << 40))
            true, fuel = self._run("execute", run.count, run.parts)
            body = self.bodies(true)
            digest = digest_of(body, start=start, runs=leaf_runs(run.count))
            records.append(self._record(str(start), "execute", start, run.count, run.parts, digest, fuel))
            bodies.append(body)
        return records, bodies

    def _merge(self, records: list[Record], bodies: list[bytes]) -> tuple[list[tuple[Record, tuple[bytes, ...]]], bytes]:
        if not self.job.has_merge:
            return [], b"".join(merging.items(bodies))
        below, merges = [*zip(records, bodies, strict=True)], []
        for level in count(1):
            is_last = not self.fan_in or len(below) <= self.fan_in
            size = max(1, len(below)) if is_last else self.fan_in
            above = []
            for index, first in enumerate(range(0, max(1, len(below)), size)):
                group = below[first : first + size]
                number, parts = merging.merge_input([body for _, body in group])
                body, fuel = self._run("merge", number, parts)
                name = "merge" if is_last else f"m{level}.{index}"
                only = sha256(merging.only_result(body)).digest()
                output = only if is_last else digest_of(body, start=index, runs=1)
                record = self._record(name, "merge", index, 1, parts, output, fuel)
                merges.append((record, tuple(each.hash() for each, _ in group)))
                above.append((record, body))
            if is_last:
                return merges, bytes(merging.only_result(above[0][1]))
            below = above
        raise AssertionError("there is always a last level")

    def _run(self, function: Function, number: int, parts: Sequence[Buffer]) -> tuple[bytes, int]:
        task = Task(self.job.guest, function, number, parts, self.singly and function == "execute")
        outcome = self.engine.submit(task).result(50)
        if isinstance(outcome, Failure) and function == "execute":
            outcome = self.engine.submit(replace(task, singly=True)).result(50)
        assert not isinstance(outcome, Failure), outcome
        return outcome.results, outcome.fuel

    def _record(
        self, name: str, function: str, start: int, number: int, parts: Sequence[Buffer], output: bytes, fuel: int
    ) -> Record:
        worker = identity(1 + next(self._turn) % self.workers)
        record = Record(
            job_id=self.job_id,
            owner=PeerId(identity(0).peer_id),
            task_id=TaskId(f"{self.job_id}:{name}"),
            function=function,
            module=sha256(self.archive).hexdigest(),
            runtime=runtime.sha256(),
            start=start,
            count=number,
            input=sha256(b"".join(parts)).digest(),
            output=output,
            fuel=fuel,
            worker=PeerId(worker.peer_id),
        )
        return signed(self.lie(record), worker)

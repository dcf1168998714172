"""A node in small, which keeps receipts: it cuts, splits, executes and merges on a real engine and signs with real keys."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from hashlib import sha256
from itertools import count
from typing import Any

from pangea.compute import runtime
from pangea.compute.engine.engine import Engine
from pangea.compute.engine.prepared import prepare
from pangea.compute.engine.task import Task
from pangea.compute.flow import merging
from pangea.compute.flow.chunks import ChunkQueue, TaskSize
from pangea.compute.flow.packs import Pack, PackRule
from pangea.compute.inputs.cutting import cut, open_inputs
from pangea.compute.model import frames
from pangea.compute.model.frames import Buffer
from pangea.compute.model.ids import Function, JobId, PeerId, TaskId
from pangea.compute.model.options import JobOptions
from pangea.compute.model.outcome import Failure
from pangea.compute.network.identity import Identity
from pangea.compute.verification.digests import digest_of
from pangea.compute.verification.receipt_job import Checking, ReceiptInput, ReceiptJob
from pangea.compute.verification.receipt_options import governing
from pangea.compute.verification.receipt_tree import Node, Receipt, build
from pangea.compute.verification.receipts import Record
from pangea.compute.verification.signed_spec import nonce_of
from tests.specs import meter

JOB_ID = JobId("2f1c7a3e-0c4b-4f44-9d6f-0d3f0a6f5b11")


@cache
def identity(number: int) -> Identity:
    """The key of one of the test's nodes; 0 is the owner's."""
    return Identity.create()


def signed(record: Record, by: Identity) -> Record:
    """`record` as the worker `by` signs it."""
    own = replace(record, worker=PeerId(by.peer_id))
    return replace(own, signature=by.sign(own.statement()))


def with_spec(job: ReceiptJob, owner: Identity) -> ReceiptJob:
    """A job whose spec its owner has signed."""
    return replace(job, spec_signature=job.spec().signed(owner.sign).signature)


def respecified(receipt: Receipt, job: ReceiptJob) -> Receipt:
    """The receipt of another job, whose spec the owner and all workers have signed; the root is still the old one."""
    known = {identity(number).peer_id: identity(number) for number in range(9)}
    about = with_spec(job, identity(0))
    spec = about.spec().hash()

    def again(record: Record) -> Record:
        return signed(replace(record, spec=spec), known[record.worker])

    def of(node: Node) -> Node:
        return Node(None if node.record is None else again(node.record), tuple(map(of, node.children)))

    return replace(receipt, job=about, splits=tuple(map(again, receipt.splits)), tree=of(receipt.tree))


@dataclass
class SigningNode:
    """Runs one job, and signs as several workers in turn.

    Attributes:
        split_size, execute_size, fan_in: segments, chunks and results of a task; no merge steps if `fan_in` is 0.
        lie: what a worker makes of its true record before it signs.
        bodies: what workers make of the true results of an execution.
        claims: options that the receipt says the job had, in place of its own.
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
    claims: dict[str, Any] = field(default_factory=dict)

    def receipt(self) -> Receipt:
        """Run the job and account for it."""
        options = JobOptions.of(self.options)
        self.job = prepare(self.archive, options.limits, self.engine, lambda _what: None, name="test", associative=False)
        self._turn = count(1)
        about = self._about(options)
        self._spec = about.spec().hash()
        self._rule = PackRule.of(options)
        segments = list(cut(open_inputs([*self.inputs]), options, custom_max=1 << 30))
        splits, queue, chunks = self._split(segments)
        executes, bodies = self._execute(queue)
        merges, result = self._merge(executes, bodies)
        self.result = result
        records = [*splits, *executes, *(record for record, _ in merges)]
        job = replace(
            about,
            segments=len(segments),
            chunks=chunks,
            fuel=sum(record.fuel for record in records),
            result_sha256=sha256(result).hexdigest(),
            result_size=len(result),
            checking=replace(about.checking, executions=len(executes) + 1),
        )
        return build(job, splits=splits[::-1], executes=executes[::-1], merges=merges, sign=identity(0).sign, module=self.archive)

    def _about(self, options: JobOptions) -> ReceiptJob:
        """The job, before it ran, with its spec signed."""
        paths = [*self.paths] or [""] * len(self.inputs)
        job = ReceiptJob(
            job_id=self.job_id,
            owner=PeerId(identity(0).peer_id),
            name="test",
            module=sha256(self.archive).hexdigest(),
            runtime=runtime.sha256(),
            meter=meter(),
            nonce=nonce_of(self.job_id, identity(0).sign),
            spec_signature=b"",
            inputs=tuple(
                ReceiptInput(sha256=sha256(data).hexdigest(), size=len(data), path=path)
                for data, path in zip(self.inputs, paths, strict=True)
            ),
            options=governing(
                JobOptions.of(self.options | self.claims), limits=self.job.guest.limits, associative=options.associative_merge
            ),
            segments=0,
            chunks=0,
            fuel=0,
            result_sha256="",
            result_size=0,
            checking=Checking(mode="adaptive", target=0.999, reached=0.9995, executions=0, audits=1),
        )
        return with_spec(job, identity(0))

    def receipt_as_signed(self) -> Receipt:
        """The same, with the result that the last merge's worker says."""
        receipt = self.receipt()
        last = receipt.tree.record
        assert last is not None
        changed = replace(receipt, job=replace(receipt.job, result_sha256=last.output.hex()))
        return replace(changed, signature=identity(0).sign(changed.statement()))

    def _split(self, segments: Sequence[Buffer]) -> tuple[list[Record], ChunkQueue, int]:
        queue, records, chunks = ChunkQueue(self._rule), [], 0
        if not self.job.has_split:
            for segment in segments:
                queue.add(segment)
            return [], queue, len(segments)
        for start in range(0, len(segments), self.split_size):
            some = segments[start : start + self.split_size]
            packs = [Pack(1, len(each)) for each in some]
            body, fuel = self._run("split", len(some), [frames.pack(some)], packs)
            for each in merging.items([body]):
                queue.add_frame(each)
                chunks += frames.count_of(each)
            records.append(self._record(f"s{start}", "split", start, len(some), [frames.pack(some)], sha256(body).digest(), fuel))
        return records, queue, chunks

    def _execute(self, queue: ChunkQueue) -> tuple[list[Record], list[bytes]]:
        records, bodies = [], []
        while queue:
            run = queue.take(TaskSize(chunks=self.execute_size, size_bytes=1 << 40))
            true, fuel = self._run("execute", run.count, run.parts, run.packs)
            body = self.bodies(true)
            packs = tuple(pack.count for pack in run.packs)
            digest = digest_of(body, start=run.first, packs=packs)
            records.append(self._record(str(run.first), "execute", run.first, run.count, run.parts, digest, fuel, packs))
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
                number, parts = merging.merge_input([each for _, body in group for each in merging.results_in(body)])
                body, fuel = self._run("merge", number, parts)
                name = "merge" if is_last else f"m{level}.{index}"
                only = sha256(merging.only_result(body)).digest()
                output = only if is_last else digest_of(body, start=index)
                record = self._record(name, "merge", index, 1, parts, output, fuel)
                merges.append((record, tuple(each.hash() for each, _ in group)))
                above.append((record, body))
            if is_last:
                return merges, bytes(merging.only_result(above[0][1]))
            below = above
        raise AssertionError("there is always a last level")

    def _run(self, function: Function, number: int, parts: Sequence[Buffer], packs: Sequence[Pack] = ()) -> tuple[bytes, int]:
        outcome = self.engine.submit(Task(self.job.guest, function, number, parts, packs)).result(50)
        assert not isinstance(outcome, Failure), outcome
        return outcome.results, outcome.fuel

    def _record(
        self,
        name: str,
        function: str,
        start: int,
        number: int,
        parts: Sequence[Buffer],
        output: bytes,
        fuel: int,
        packs: tuple[int, ...] = (),
    ) -> Record:
        worker = identity(1 + next(self._turn) % self.workers)
        record = Record(
            job_id=self.job_id,
            owner=PeerId(identity(0).peer_id),
            task_id=TaskId(f"{self.job_id}:{name}"),
            function=function,
            module=sha256(self.archive).hexdigest(),
            runtime=runtime.sha256(),
            spec=self._spec,
            start=start,
            count=number,
            packs=packs if len(packs) > 1 else (),
            input=sha256(b"".join(parts)).digest(),
            output=output,
            fuel=fuel,
            worker=PeerId(worker.peer_id),
        )
        return signed(self.lie(record), worker)

"""From a finished job's calls to its receipt: which record stands for which call, and how they hang together."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import TYPE_CHECKING

from pangea.compute.model.errors import UnavailableError
from pangea.compute.model.ids import PeerId, TaskId
from pangea.compute.model.manifest import Content
from pangea.compute.node.records import RecordKept, Stored
from pangea.compute.orchestrator.finishing import Accepted
from pangea.compute.orchestrator.report import JobReport
from pangea.compute.verification import receipt_file
from pangea.compute.verification.receipt_job import Checking, ReceiptInput, ReceiptJob, governing
from pangea.compute.verification.receipt_tree import build
from pangea.compute.verification.receipts import Record, Sign

if TYPE_CHECKING:
    from pangea.compute.model.packet import JobSpec
    from pangea.compute.node.jobs import LiveJob

#: A merge and the number of neighbours that it merged.
Merge = tuple[Record, int]


@dataclass(slots=True, eq=False)
class Records:
    """What was signed about one job's calls.

    Attributes:
        is_wanted: whether there will be a receipt; without one only what workers send is kept, for the account.
        tasks: of tasks, by task, digest and fuel, and by worker.
        splits: of splits, by first segment.
        merges: of merges on this machine, level by level.
        accepted: what the result is made of.
    """

    is_wanted: bool = False
    tasks: dict[tuple[TaskId, bytes, int], dict[PeerId, Record]] = field(default_factory=dict)
    splits: dict[int, Record] = field(default_factory=dict)
    merges: list[list[Merge]] = field(default_factory=list)
    accepted: list[Accepted] = field(default_factory=list)

    def note(self, record: Record) -> None:
        """Keep what a worker has signed about a task."""
        self.tasks.setdefault((record.task_id, record.output, record.fuel), {})[record.worker] = record

    def of(self, task_id: TaskId, digest: bytes, fuel: int, worker: PeerId | None = None) -> Record | None:
        """A record of a task with this answer: `worker`'s, if there is one."""
        found = self.tasks.get((task_id, digest, fuel), {})
        return found.get(worker) if worker in found else next(iter(found.values()), None)

    def restore(self, kept: RecordKept, spec: JobSpec, owner: PeerId) -> None:
        """Take back what was written down before a restart."""
        values = json.loads(kept.record)
        record = Record(
            job_id=spec.job_id,
            owner=owner,
            task_id=TaskId(kept.task_id),
            function=str(values["function"]),
            module=spec.module,
            runtime=spec.runtime,
            start=int(values["start"]),
            count=int(values["count"]),
            input=bytes.fromhex(values["input"]),
            output=bytes.fromhex(values["output"]),
            fuel=int(values["fuel"]),
            worker=PeerId(values["worker"]),
            signature=bytes.fromhex(values["signature"]),
        )
        if record.function == "split":
            self.splits[record.start] = record
        else:
            self.note(record)


def kept(record: Record) -> RecordKept:
    """A record as it is written down."""
    plain = {name: getattr(record, name) for name in ("function", "start", "count", "fuel", "worker")}
    hashes = {name: getattr(record, name).hex() for name in ("input", "output", "signature")}
    return RecordKept(job_id=record.job_id, task_id=record.task_id, record=json.dumps(plain | hashes))


@dataclass(frozen=True, slots=True)
class Witness:
    """A node that signs what it does itself for its own jobs."""

    peer: PeerId
    sign: Sign

    def saw(
        self, spec: JobSpec, function: str, name: str, *, start: int, count: int, names: tuple[bytes, bytes], fuel: int
    ) -> Record:
        """A signed record of a call: `name` is the task's within the job, `names` are the hashes of its input and its output."""
        record = Record(
            job_id=spec.job_id,
            owner=self.peer,
            task_id=TaskId(f"{spec.job_id}:{name}"),
            function=function,
            module=spec.module,
            runtime=spec.runtime,
            start=start,
            count=count,
            input=names[0],
            output=names[1],
            fuel=fuel,
            worker=self.peer,
        )
        return replace(record, signature=self.sign(record.statement()))


def receipt_of(live: LiveJob, report: JobReport, result: Stored, module: bytes, witness: Witness) -> bytes:
    """The receipt of a finished job, as a file.

    Raises:
        UnavailableError: a call has no record.
    """
    records = live.records
    levels = _levels(records)
    merges, below = _tree_merges(levels)
    local, _ = _chained(records.merges, below)
    splits = [record for _, record in sorted(records.splits.items())]
    calls = [*splits, *levels[0], *(record for record, _ in merges + local)]
    job = _job_of(live, report, result, witness.peer, fuel=sum(record.fuel for record in calls))
    receipt = build(job, splits=splits, executes=levels[0], merges=merges + local, sign=witness.sign, module=module)
    return receipt_file.dumps(receipt)


def _levels(records: Records) -> list[list[Record]]:
    """Records of execute, then of each level of merge steps, each in order."""
    levels: dict[int, list[Record]] = {0: []}
    for each in records.accepted:
        record = records.of(each.packet.task_id, each.digest, each.fuel, each.worker)
        if record is None:
            raise UnavailableError(f"nobody has signed task {each.packet.task_id}")
        levels.setdefault(level_of(each.packet.task_id), []).append(record)
    return [sorted(level, key=lambda record: record.start) for _, level in sorted(levels.items())]


def level_of(task_id: str) -> int:
    """0 for execute; `<job>:m<level>.<index>` for merge steps."""
    name = task_id.rpartition(":")[2]
    return int(name[1:].partition(".")[0]) if name.startswith("m") else 0


def _tree_merges(levels: list[list[Record]]) -> tuple[list[tuple[Record, tuple[bytes, ...]]], list[bytes]]:
    """Merge steps that were tasks, with their children; and the hashes of the highest level."""
    merges: list[tuple[Record, tuple[bytes, ...]]] = []
    below = [record.hash() for record in levels[0]]
    for level in levels[1:]:
        count, total = len(level), len(below)
        spans = [(index * total // count, (index + 1) * total // count) for index in range(count)]
        merges += [(record, tuple(below[first:end])) for record, (first, end) in zip(level, spans, strict=True)]
        below = [record.hash() for record in level]
    return merges, below


def _chained(levels: list[list[Merge]], below: list[bytes]) -> tuple[list[tuple[Record, tuple[bytes, ...]]], list[bytes]]:
    """Merges on this machine, with their children: each took the next so many of the level below."""
    merges: list[tuple[Record, tuple[bytes, ...]]] = []
    for level in levels:
        at = 0
        for record, count in level:
            merges.append((record, tuple(below[at : at + count])))
            at += count
        below = [record.hash() for record, _ in level]
    return merges, below


def _job_of(live: LiveJob, report: JobReport, result: Stored, me: PeerId, *, fuel: int) -> ReceiptJob:
    assert live.prepared is not None, "a finished job has a module"
    options, guest = live.manifest.options, live.prepared.guest
    return ReceiptJob(
        job_id=live.spec.job_id,
        owner=me,
        name=live.manifest.name,
        module=live.spec.module,
        runtime=live.spec.runtime,
        inputs=tuple(ReceiptInput(sha256=_name_of(each), size=each.size) for each in live.manifest.inputs),
        options=governing(options, limits=guest.limits, associative=live.spec.associative),
        segments=live.counts.segments,
        chunks=live.chunks.count,
        fuel=fuel,
        result_sha256=result.blob or sha256(result.data or b"").hexdigest(),
        result_size=result.size,
        checking=Checking(
            mode=str(report.mode),
            target=options.confidence,
            reached=report.confidence,
            executions=round(report.executions),
            audits=report.audits,
        ),
    )


def _name_of(content: Content) -> str:
    return content.sha256 or sha256(content.data or b"").hexdigest()

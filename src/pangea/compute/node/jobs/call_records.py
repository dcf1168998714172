"""What is signed about a job's calls, and where that is kept while the job lives."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace

from pangea.compute.model.ids import PeerId, TaskId
from pangea.compute.model.packet import JobSpec
from pangea.compute.node.storage.records import RecordKept
from pangea.compute.orchestrator.lifecycle.finishing import Accepted
from pangea.compute.verification.receipts import Record, Sign


@dataclass(slots=True, eq=False)
class Records:
    """What was signed about one job's calls.

    Attributes:
        is_wanted: whether there will be a receipt; without one only what workers send is kept, for the account.
        tasks: of tasks, by task, digest and fuel, and by worker.
        splits: of splits, by first segment.
        last: of the last merge, on this machine.
        accepted: what the result is made of.
    """

    is_wanted: bool = False
    tasks: dict[tuple[TaskId, bytes, int], dict[PeerId, Record]] = field(default_factory=dict)
    splits: dict[int, Record] = field(default_factory=dict)
    last: Record | None = None
    accepted: list[Accepted] = field(default_factory=list)

    def note(self, record: Record) -> None:
        """Keep what a worker has signed about a task."""
        self.tasks.setdefault((record.task_id, record.output, record.fuel), {})[record.worker] = record

    def of(self, task_id: TaskId, digest: bytes, fuel: int, worker: PeerId | None = None) -> Record | None:
        """A record of a task with this answer: `worker`'s, if there is one."""
        found = self.tasks.get((task_id, digest, fuel), {})
        return found.get(worker) if worker in found else next(iter(found.values()), None)

    def by(self, task_id: TaskId, digest: bytes, fuel: int, worker: PeerId) -> Record | None:
        """What one worker has signed about a task."""
        return self.tasks.get((task_id, digest, fuel), {}).get(worker)

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
            spec=spec.signed,
            start=int(values["start"]),
            count=int(values["count"]),
            packs=tuple(map(int, values["packs"])),
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
    plain = {name: getattr(record, name) for name in ("function", "start", "count", "packs", "fuel", "worker")}
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
            spec=spec.signed,
            start=start,
            count=count,
            input=names[0],
            output=names[1],
            fuel=fuel,
            worker=self.peer,
        )
        return replace(record, signature=self.sign(record.statement()))

"""What an orchestrator wants done: imperatives. The driver does them, in order."""

from __future__ import annotations

from dataclasses import dataclass

from pangea.compute.model.ids import JobId, PeerId, TaskId
from pangea.compute.model.packet import JobSpec, TaskPacket
from pangea.compute.model.trace import Provenance
from pangea.compute.orchestrator.core.messages import Message
from pangea.compute.orchestrator.core.report import JobReport
from pangea.compute.orchestrator.rules.trust import TrustRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """Say this to a peer. Messages to one peer keep their order; they may be lost with the link."""

    peer: PeerId
    message: Message


@dataclass(frozen=True, slots=True, kw_only=True)
class StartTask:
    """Have the engine execute this; answer with `TaskExecuted`."""

    attempt: int
    spec: JobSpec
    packet: TaskPacket


@dataclass(frozen=True, slots=True, kw_only=True)
class StopTask:
    """Stop an attempt; no answer is wanted."""

    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepResult:
    """A task of an own job is complete: with this answer on disk, a restart needn't do it again."""

    job_id: JobId
    packet: TaskPacket
    digest: bytes
    fuel: int
    provenance: Provenance


@dataclass(frozen=True, slots=True, kw_only=True)
class DropResult:
    """A complete task is in doubt after all: what `KeepResult` kept doesn't count."""

    job_id: JobId
    task_id: TaskId


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeJob:
    """Merge these results, in order; answer with `JobMerged`. An owner's last step, on its own machine."""

    spec: JobSpec
    digests: tuple[bytes, ...]
    counts: tuple[int, ...]
    "how many chunks (or merged results) each stands for"


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishJob:
    """The job is done: give the client its result and the report."""

    job_id: JobId
    digest: bytes
    report: JobReport


@dataclass(frozen=True, slots=True, kw_only=True)
class FailJob:
    """The job has no result: tell the client why."""

    job_id: JobId
    cause: str
    "`timeout`, `cancelled`, `task`, `retries`, `verification`, `busy`, or the driver's own"
    message: str
    report: JobReport


@dataclass(frozen=True, slots=True, kw_only=True)
class DropJob:
    """A parent's job is over here: what was kept for it may go."""

    parent: PeerId
    job_id: JobId


@dataclass(frozen=True, slots=True, kw_only=True)
class DropPeer:
    """Close the link and refuse the key from now on."""

    peer: PeerId
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What a worker is shut out for: its signed answer to this task isn't what this node found by executing it."""

    job_id: JobId
    packet: TaskPacket
    digest: bytes
    "that it signed; empty if it signed a failure"
    fuel: int


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepTrust:
    """Write down what is known of a worker: it must survive a restart."""

    worker: PeerId
    runtime: str
    record: TrustRecord
    why: str = ""
    "what it was banned for, just now"
    evidence: Evidence | None = None
    "that anybody can check"


Command = Send | StartTask | StopTask | KeepResult | DropResult | MergeJob | FinishJob | FailJob | DropJob | DropPeer | KeepTrust

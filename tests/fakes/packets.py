"""Task packets and their answers: what is right is a pure function of the packet, so everybody can tell what is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

from pangea.compute.model.ids import JobId, PeerId, TaskId
from pangea.compute.model.outcome import FailureKind
from pangea.compute.model.packet import Budget, JobSpec, TaskPacket, TaskResult, TaskStatus
from pangea.compute.orchestrator.core.messages import Message, Reveal
from pangea.compute.orchestrator.limits import DEPTH_MAX, FAN_OUT_MAX
from pangea.compute.orchestrator.rules.score import SECONDS_PER_FUEL
from pangea.compute.verification.commitment import commitment
from pangea.compute.verification.merkle import root

ME = PeerId("me")
JOB = JobId("job")
#: So many floating-point operations that any job is heavy enough to be delegated.
HEAVY_FLOPS = 1e15
CHUNK_BYTES = 10_000


@dataclass(frozen=True, slots=True)
class Ask:
    """One task that a neighbour was given."""

    attempt: int
    packet: TaskPacket
    spec: JobSpec
    budget: Budget

    @property
    def task_id(self) -> TaskId:
        return self.packet.task_id


def spec_of(job: str = JOB, **fields: Any) -> JobSpec:
    """A job heavy enough for a tree, with a long life."""
    defaults: dict[str, Any] = {"module": "module", "estimated_flops": HEAVY_FLOPS, "timeout": 10_000.0}
    return JobSpec(job_id=JobId(job), **{**defaults, **fields})


def packet_of(start: int = 0, count: int = 1, *, job: str = JOB, **fields: Any) -> TaskPacket:
    """A task of some chunks."""
    return TaskPacket(
        task_id=TaskId(f"{job}:{start}"),
        start=start,
        count=count,
        size_bytes=CHUNK_BYTES * count,
        packs=(1,) * count,
        **fields,
    )


def budget_of(*ancestors: str, depth: int | None = None, fan_out: int = FAN_OUT_MAX, seconds: float = 10_000.0) -> Budget:
    """A budget as it is after so many hops."""
    left = DEPTH_MAX - len(ancestors) if depth is None else depth
    return Budget(depth=left, fan_out=fan_out, seconds=seconds, ancestors=tuple(PeerId(name) for name in ancestors))


def right_leaves(packet: TaskPacket) -> tuple[bytes, ...]:
    """What every honest machine finds."""
    if packet.function == "merge":
        return (sha256(b"merge" + b"".join(packet.inputs)).digest(),)
    return tuple(sha256(f"{packet.function} {start}+{count}".encode()).digest() for start, count in packet.spans())


def right(packet: TaskPacket, worker: str, *, network: str = "", chunk_seconds: float = 1.5) -> TaskResult:
    """The answer of an honest worker."""
    leaves, seconds = right_leaves(packet), chunk_seconds * packet.count
    return TaskResult(
        task_id=packet.task_id,
        worker=PeerId(worker),
        network=network,
        digest=root(leaves),
        leaves=leaves,
        fuel=round(seconds / SECONDS_PER_FUEL),
        seconds=seconds,
    )


def wrong(result: TaskResult, *, leaf: int = 0, lie: bytes = b"a lie") -> TaskResult:
    """The same with one leaf replaced by a lie; equal lies look equal."""
    leaves = (*result.leaves[:leaf], sha256(lie + result.leaves[leaf]).digest(), *result.leaves[leaf + 1 :])
    return replace(result, leaves=leaves, digest=root(leaves))


def failed(packet: TaskPacket, worker: str, kind: FailureKind, message: str = "") -> TaskResult:
    """An answer without a result."""
    return TaskResult(
        task_id=packet.task_id, worker=PeerId(worker), status=TaskStatus.FAILED, failure=kind, message=message or kind.value
    )


def shown(messages: Sequence[Message]) -> list[int]:
    """The attempts that a child is to show, if it is told nothing else."""
    assert all(isinstance(message, Reveal) for message in messages)
    return [number for message in messages if isinstance(message, Reveal) for number in message.attempts]


def sealed(result: TaskResult) -> TaskResult:
    """What a worker sends before it may show a result."""
    seal = commitment(result.worker, result.task_id, result.digest, result.fuel)
    return TaskResult(
        task_id=result.task_id, status=TaskStatus.COMMITTED, worker=result.worker, network=result.network, commitment=seal
    )


def merge_of(digests: tuple[bytes, ...]) -> bytes:
    """What `MergeJob` comes to."""
    return sha256(b"".join(digests)).digest()

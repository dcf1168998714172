"""What a worker's signature stands for, and whether it is there: the same statement that a job's receipt is made of."""

from __future__ import annotations

from dataclasses import replace

from pangea.compute.model.ids import PeerId
from pangea.compute.model.outcome import MACHINE_FAULTS
from pangea.compute.model.packet import JobSpec, TaskPacket, TaskResult, TaskStatus
from pangea.compute.verification.commitment import joined
from pangea.compute.verification.receipts import CheckSignature, Record, Sign

_PROMISE = b"pangea promise 1"


def record_of(result: TaskResult, packet: TaskPacket, spec: JobSpec, owner: PeerId) -> Record:
    """The record that an answer claims; `packet` names its input."""
    return Record(
        job_id=spec.job_id,
        owner=owner,
        task_id=packet.task_id,
        function=packet.function,
        module=spec.module,
        runtime=spec.runtime,
        spec=spec.signed,
        start=packet.start,
        count=packet.count,
        packs=packet.packs if len(packet.packs) > 1 else (),
        input=packet.input,
        output=result.digest,
        fuel=result.fuel,
        worker=result.worker,
        failure="" if result.failure is None else result.failure.value,
        signature=result.signature,
    )


def is_attestation(result: TaskResult) -> bool:
    """Whether an answer says anything that its worker has to stand for: a result, a promise of one, a failure of the job."""
    if result.status is TaskStatus.FAILED:
        return result.failure is not None and result.failure not in MACHINE_FAULTS
    return result.status in (TaskStatus.DONE, TaskStatus.COMMITTED)


def signed(result: TaskResult, packet: TaskPacket, spec: JobSpec, owner: PeerId, sign: Sign) -> TaskResult:
    """The answer with this node's signature."""
    return replace(result, signature=sign(_statement(result, packet, spec, owner)))


def is_authentic(result: TaskResult, packet: TaskPacket, spec: JobSpec, owner: PeerId, check: CheckSignature) -> bool:
    """Whether the worker that an answer names has signed it, for this very task, input and job."""
    return not is_attestation(result) or check(result.worker, _statement(result, packet, spec, owner), result.signature)


def _statement(result: TaskResult, packet: TaskPacket, spec: JobSpec, owner: PeerId) -> bytes:
    if result.status is not TaskStatus.COMMITTED:
        return record_of(result, packet, spec, owner).statement()
    texts = (owner, spec.job_id, packet.task_id, result.worker)
    return joined(_PROMISE, *(text.encode("utf-8", "surrogatepass") for text in texts), packet.input, result.commitment)

"""From a finished job's calls to its receipt: which record stands for which call, and how they hang together."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from itertools import islice

from pangea.compute.model.errors import UnavailableError
from pangea.compute.model.ids import PeerId
from pangea.compute.node.jobs.call_records import Records, Witness
from pangea.compute.node.jobs.jobs import LiveJob
from pangea.compute.node.jobs.ordering import name_of
from pangea.compute.node.storage.records import Stored
from pangea.compute.node.storage.result_store import ResultStore
from pangea.compute.orchestrator.core.report import JobReport
from pangea.compute.verification import receipt_file
from pangea.compute.verification.receipt_job import Checking, ReceiptInput, ReceiptJob
from pangea.compute.verification.receipt_options import governing
from pangea.compute.verification.receipt_tree import OUTPUTS_BYTES_MAX, build
from pangea.compute.verification.receipts import Record
from pangea.compute.verification.signed_spec import SignedSpec, inputs_hash, nonce_of

#: A call, and the number of neighbours that it merged.
Call = tuple[Record, int]


def receipt_of(
    live: LiveJob, report: JobReport, result: Stored, module: bytes, witness: Witness, result_store: ResultStore
) -> bytes:
    """The receipt of a finished job, as a file. May read results: not for the event loop.

    Raises:
        UnavailableError: a call has no record.
    """
    records = live.records
    levels = _levels(records)
    merges = _merges(levels, records)
    executes = [record for record, _ in levels[0]]
    splits = [record for _, record in sorted(records.splits.items())]
    calls = [*splits, *executes, *(record for record, _ in merges)]
    job = _job_of(live, report, result, witness.peer, fuel=sum(record.fuel for record in calls))
    receipt = build(job, splits=splits, executes=executes, merges=merges, sign=witness.sign, module=module)
    if live.spec.tolerance:
        receipt = replace(receipt, outputs=_outputs_of(live, receipt.executes(), result_store))
    return receipt_file.dumps(receipt)


def _outputs_of(live: LiveJob, executes: list[Record], result_store: ResultStore) -> tuple[bytes, ...]:
    """What the executions gave; nothing if that is too much for a receipt."""
    stored = [live.done[record.output].stored for record in executes]
    if sum(each.size for each in stored) > OUTPUTS_BYTES_MAX:
        return ()
    return tuple(bytes(result_store.read(each)) for each in stored)


def _levels(records: Records) -> list[list[Call]]:
    """Records of execute, then of each level of merge steps, each in order."""
    levels: dict[int, list[Call]] = {0: []}
    for each in records.accepted:
        record = records.of(each.packet.task_id, each.digest, each.fuel, each.worker)
        if record is None:
            raise UnavailableError(f"nobody has signed task {each.packet.task_id}")
        levels.setdefault(level_of(each.packet.task_id), []).append((record, len(each.packet.inputs)))
    return [sorted(level, key=lambda call: call[0].start) for _, level in sorted(levels.items())]


def level_of(task_id: str) -> int:
    """0 for execute; `<job>:m<level>.<index>` for merge steps."""
    name = task_id.rpartition(":")[2]
    return int(name[1:].partition(".")[0]) if name.startswith("m") else 0


def _merges(levels: list[list[Call]], records: Records) -> list[tuple[Record, tuple[bytes, ...]]]:
    """All merges with their children: each took the next so many of the level below, the last one all of the highest."""
    merges: list[tuple[Record, tuple[bytes, ...]]] = []
    below = iter([record.hash() for record, _ in levels[0]])
    for level in levels[1:]:
        merges += [(record, tuple(islice(below, count))) for record, count in level]
        below = iter([record.hash() for record, _ in level])
    return merges if records.last is None else [*merges, (records.last, tuple(below))]


def _job_of(live: LiveJob, report: JobReport, result: Stored, me: PeerId, *, fuel: int) -> ReceiptJob:
    assert live.signed is not None, "a finished job has a spec"
    options = live.manifest.options
    return ReceiptJob(
        job_id=live.spec.job_id,
        owner=me,
        name=live.manifest.name,
        module=live.spec.module,
        runtime=live.spec.runtime,
        meter=live.signed.meter,
        nonce=live.signed.nonce,
        spec_signature=live.signed.signature,
        order=live.signed.order,
        inputs=tuple(ReceiptInput(sha256=name_of(each), size=each.size) for each in live.manifest.inputs),
        options=live.signed.options,
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
            tolerance=live.spec.tolerance,
        ),
    )


def sign_spec(live: LiveJob, meter: str, witness: Witness) -> SignedSpec:
    """The spec of a job whose module is prepared: what its workers may go by. The same after a restart of the same version."""
    assert live.prepared is not None, "its kind decides on the fuel"
    spec = SignedSpec(
        job_id=live.spec.job_id,
        owner=witness.peer,
        nonce=nonce_of(live.spec.job_id, witness.sign),
        module=live.spec.module,
        runtime=live.spec.runtime,
        meter=meter,
        inputs=inputs_hash((name_of(each), each.size) for each in live.manifest.inputs),
        options=governing(live.manifest.options, limits=live.prepared.guest.limits, associative=live.spec.associative),
        order=live.manifest.order,
    )
    return spec.signed(witness.sign)

"""The account of a finished job, for its client."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from pangea.compute.engine.engine import Engine
from pangea.compute.engine.failures import error_of_task, timeout_error
from pangea.compute.flow import accounting
from pangea.compute.model.errors import JobCancelledError, JobFailedError, PangeaError
from pangea.compute.model.ids import PeerId
from pangea.compute.model.report import sandboxes_of
from pangea.compute.node.jobs.jobs import Kept, LiveJob
from pangea.compute.orchestrator.core.commands import FailJob, FinishJob
from pangea.compute.orchestrator.core.report import JobReport


def report_of(live: LiveJob, command: FinishJob, me: PeerId, *, engine: Engine, seconds: float) -> dict[str, Any]:
    """The report of node `me` as JSON, with the orchestrator's own account under `checks`."""
    assessment = command.report
    report = accounting.report_of(
        live.counts,
        live.independence,
        live.manifest.options,
        live.choices,
        job_id=live.spec.job_id,
        where=f"node {me}, {sandboxes_of(engine.workers, engine.place)}",
        verification=_verification(assessment),
        seconds=seconds,
        startup_seconds=0.0,
        workers=engine.workers,
        chunks=live.chunks.count,
        retries=live.counts.retries + assessment.retries,
        bytes_in=live.manifest.data_size,
        bytes_out=live.result.size if live.result is not None else 0,
    )
    own_check = {"own_check_fuel": live.check_fuel, "own_check_seconds": live.check_seconds}
    return {**report.to_json(), "checks": _checks(assessment) | own_check, "done_by": worker_rows(live, me)}


def worker_rows(live: LiveJob, me: PeerId) -> list[dict[str, Any]]:
    """Who did what: for each worker the accepted tasks that carry its name, most first."""
    rows: dict[PeerId, dict[str, Any]] = {}
    for task in live.kept.values():
        worker = worker_of(live, task, me)
        row = rows.setdefault(
            worker, {"peer": worker, "branch": live.branches.get(worker, ""), "tasks": 0, "chunks": 0, "fuel": 0, "seconds": 0.0}
        )
        row["tasks"] += 1
        row["chunks"] += task.packet.count
        row["fuel"] += task.fuel
        row["seconds"] += live.done[task.digest].seconds
    return sorted(rows.values(), key=lambda row: -int(row["tasks"]))


def worker_of(live: LiveJob, task: Kept, me: PeerId) -> PeerId:
    """Whose answer an accepted task has; of one from before a restart, whoever's signature was kept, else this node."""
    if task.provenance is not None:
        return task.provenance.worker
    record = live.records.of(task.packet.task_id, task.digest, task.fuel)
    return record.worker if record is not None else me


def _verification(report: JobReport) -> str:
    if report.confidence is None and report.local and report.executions == report.local:
        return f"{report.mode}: computed by this node alone, so there was nobody to check"
    notes = "; ".join(report.notes)
    confidence = f", confidence {report.confidence:.6g} that all is right" if report.confidence is not None else ""
    if report.confidence is not None and report.confidence < report.target:
        confidence += f" ({report.target:.6g} was asked for)"
    return f"{report.mode}: {report.executions_per_task:.2f} executions per task{confidence}{f' ({notes})' if notes else ''}"


def _fields(report: JobReport) -> dict[str, Any]:
    return {field.name: getattr(report, field.name) for field in fields(report)}


def _checks(report: JobReport) -> dict[str, Any]:
    return {**_fields(report), "mode": str(report.mode), "executions_per_task": report.executions_per_task}


def error_for(live: LiveJob, command: FailJob) -> PangeaError:
    """Why a job failed, as its client is told."""
    if command.cause == "broken" and live.error is not None:
        return live.error
    if command.cause == "cancelled":
        return JobCancelledError("the job was cancelled")
    if command.cause == "timeout":
        return timeout_error(live.spec.timeout, live.chunks.count - live.chunks.waiting_count)
    if command.cause in ("task", "retries") and live.failures:
        packet, failure = live.failures[min(live.failures)]
        attempts = live.spec.retry_count + 1 if command.cause == "retries" else 1
        return error_of_task(failure, function="execute", first=packet.start, attempts=attempts)
    return JobFailedError(command.message, kind=command.cause)


def error_record(error: PangeaError) -> dict[str, object]:
    """An error as it is written down, with the guest's own traceback."""
    record: dict[str, object] = error.to_json()
    if isinstance(error, JobFailedError):
        record["traceback"] = error.traceback
    return record

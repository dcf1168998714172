"""Entries to rows and back. Every row carries a checksum: a flipped bit must not pass for a result."""

from __future__ import annotations

import json
import sqlite3
import zlib
from typing import assert_never

from pangea.compute.model.errors import ManifestError
from pangea.compute.node.records import (
    Entry,
    JobAccepted,
    JobEnded,
    JobForgotten,
    JobsRestarted,
    SegmentsSplit,
    Stored,
    StoredJob,
    TaskDropped,
    TaskKept,
    TrustKept,
)

_JOB = "job_id, owner, name, manifest, accepted_at, bytes_in, blobs"
_END = "job_id, state, ended_at, data, blob, size, error, report, fuel, chunks"
_SPLIT = "job_id, first_segment, segments, chunks, size_bytes, data, blob, size, fuel, seconds"
_TASK = "job_id, task_id, start, count, size_bytes, digest, data, blob, size, fuel, seconds, prints"

Value = str | bytes | int | float | None
DAMAGED = {"code": "DAMAGED", "message": "the node's record of this job is damaged on disk", "hint": "submit the job again"}


def insert(database: sqlite3.Connection, entry: Entry) -> None:
    """Write one entry into the open transaction.

    Raises:
        ManifestError: a job with this id is there already, and isn't the same.
    """
    match entry:
        case JobAccepted():
            _insert_job(database, entry)
        case SegmentsSplit():
            _put(database, "splits", _SPLIT, _split_row(entry))
        case TaskKept():
            _put(database, "tasks", _TASK, _task_row(entry))
        case TaskDropped(job_id=job_id, task_id=task_id):
            database.execute("DELETE FROM tasks WHERE job_id = ? AND task_id = ?", (job_id, task_id))
        case JobEnded():
            _insert_end(database, entry)
        case JobForgotten(job_id=job_id):
            database.execute("DELETE FROM jobs WHERE job_id = ?", (job_id,))
        case JobsRestarted(job_ids=job_ids):
            database.executemany("UPDATE jobs SET restarts = restarts + 1 WHERE job_id = ?", [(each,) for each in job_ids])
        case TrustKept(worker=worker, runtime=runtime, record=record):
            database.execute("INSERT OR REPLACE INTO trust VALUES (?, ?, ?)", (worker, runtime, record))
        case _:
            assert_never(entry)


def _insert_job(database: sqlite3.Connection, entry: JobAccepted) -> None:
    row = _job_row(entry)
    known = database.execute(f"SELECT {_JOB} FROM jobs WHERE job_id = ?", (entry.job_id,)).fetchone()
    if known is None:
        _put(database, "jobs", _JOB, row)
    elif (known[1], known[3]) != (row[1], row[3]):
        raise ManifestError(f"there is another job {entry.job_id} on this node", hint="leave job_id out", field="jobId")


def _insert_end(database: sqlite3.Connection, entry: JobEnded) -> None:
    """An end counts once, however often it is written: fuel must not be billed twice."""
    (job,) = database.execute("SELECT owner FROM jobs WHERE job_id = ?", (entry.job_id,)).fetchone() or (None,)
    (is_ended,) = database.execute("SELECT count(*) FROM ends WHERE job_id = ?", (entry.job_id,)).fetchone()
    if job is None or is_ended:
        return
    _put(database, "ends", _END, _end_row(entry))
    database.execute("DELETE FROM splits WHERE job_id = ?", (entry.job_id,))
    database.execute("DELETE FROM tasks WHERE job_id = ?", (entry.job_id,))
    database.execute(
        "INSERT INTO ledger VALUES (?, 1, ?) ON CONFLICT (owner) DO UPDATE SET jobs = jobs + 1, fuel = fuel + excluded.fuel",
        (job, entry.fuel),
    )


def _put(database: sqlite3.Connection, table: str, columns: str, row: tuple[Value, ...]) -> None:
    marks = ", ".join("?" * len(row))
    values: tuple[Value, ...] = (*row, crc_of(row))
    exists = ""
    if table != "jobs":  # what comes after its job was forgotten is nobody's
        exists, values = "WHERE EXISTS (SELECT 1 FROM jobs WHERE job_id = ?)", (*values, row[0])
    database.execute(f"INSERT OR REPLACE INTO {table} ({columns}, crc) SELECT {marks}, ? {exists}", values)


def crc_of(row: tuple[Value, ...]) -> int:
    """The checksum of a row's values, in order (CRC-32)."""
    crc = 0
    for value in row:
        data = value if isinstance(value, bytes) else repr(value).encode()
        crc = zlib.crc32(data, zlib.crc32(b"%d:" % len(data), crc))
    return crc


def load_jobs(database: sqlite3.Connection) -> tuple[list[StoredJob], int]:
    """All jobs; and how many rows were damaged. Damaged tasks are left out: they are done again. A damaged job has failed."""
    damaged = 0
    splits: dict[str, list[SegmentsSplit]] = {}
    for *row, crc in database.execute(f"SELECT {_SPLIT}, crc FROM splits ORDER BY first_segment"):
        if crc_of(tuple(row)) == crc:
            splits.setdefault(row[0], []).append(_split_of(row))
        else:
            damaged += 1
    tasks: dict[str, list[TaskKept]] = {}
    for *row, crc in database.execute(f"SELECT {_TASK}, crc FROM tasks ORDER BY start"):
        if crc_of(tuple(row)) == crc:
            tasks.setdefault(row[0], []).append(_task_of(row))
        else:
            damaged += 1
    ends: dict[str, JobEnded] = {}
    for *row, crc in database.execute(f"SELECT {_END}, crc FROM ends"):
        is_whole = crc_of(tuple(row)) == crc
        damaged += not is_whole
        ends[row[0]] = _end_of(row, with_data=False) if is_whole else _damaged_end(row[0])
    jobs = []
    for *row, restarts, crc in database.execute(f"SELECT {_JOB}, restarts, crc FROM jobs ORDER BY accepted_at"):
        is_whole = crc_of(tuple(row)) == crc
        damaged += not is_whole
        job_id = str(row[0])
        jobs.append(
            StoredJob(
                accepted=_job_of(row) if is_whole else _damaged_job(row),
                restarts=restarts,
                splits=tuple(splits.get(job_id, ())),
                tasks=tuple(tasks.get(job_id, ())),
                ended=ends.get(job_id) or (None if is_whole else _damaged_end(job_id)),
            )
        )
    return jobs, damaged


def load_end(database: sqlite3.Connection, job_id: str) -> JobEnded | None:
    """How a job ended, with an inline result."""
    row = database.execute(f"SELECT {_END}, crc FROM ends WHERE job_id = ?", (job_id,)).fetchone()
    if row is None:
        return None
    return _end_of(row[:-1], with_data=True) if crc_of(tuple(row[:-1])) == row[-1] else _damaged_end(job_id)


def _job_row(entry: JobAccepted) -> tuple[Value, ...]:
    blobs = json.dumps(entry.blobs)
    return (entry.job_id, entry.owner, entry.name, entry.manifest, float(entry.accepted_at), entry.bytes_in, blobs)


def _job_of(row: list[object] | tuple[object, ...]) -> JobAccepted:
    job_id, owner, name, manifest, accepted_at, bytes_in, blobs = row
    return JobAccepted(
        job_id=str(job_id),
        owner=str(owner),
        name=str(name),
        manifest=str(manifest),
        accepted_at=float(accepted_at),  # type: ignore[arg-type]
        bytes_in=int(bytes_in),  # type: ignore[call-overload]
        blobs=tuple(json.loads(str(blobs))),
    )


def _damaged_job(row: list[object]) -> JobAccepted:
    return JobAccepted(job_id=str(row[0]), owner=str(row[1]), name="", manifest="", accepted_at=0.0, bytes_in=0)


def _end_row(entry: JobEnded) -> tuple[Value, ...]:
    body = entry.body or Stored(data=None, blob="", size=0)
    return (
        *(entry.job_id, entry.state, float(entry.ended_at), body.data, body.blob, entry.size, entry.error, entry.report),
        *(entry.fuel, entry.chunks),
    )


def _end_of(row: list[object] | tuple[object, ...], *, with_data: bool) -> JobEnded:
    job_id, state, ended_at, data, blob, size, error, report, fuel, chunks = row
    body = None
    if blob or (with_data and data is not None):
        body = Stored(data=data if isinstance(data, bytes) else None, blob=str(blob), size=int(size))  # type: ignore[call-overload]
    return JobEnded(
        job_id=str(job_id),
        state=str(state),
        ended_at=float(ended_at),  # type: ignore[arg-type]
        body=body,
        size=int(size),  # type: ignore[call-overload]
        error=str(error),
        report=str(report),
        fuel=int(fuel),  # type: ignore[call-overload]
        chunks=int(chunks),  # type: ignore[call-overload]
    )


def _damaged_end(job_id: str) -> JobEnded:
    return JobEnded(
        job_id=job_id, state="failed", ended_at=0.0, body=None, size=0, error=json.dumps(DAMAGED), report="", fuel=0, chunks=0
    )


def _split_row(entry: SegmentsSplit) -> tuple[Value, ...]:
    return (
        *(entry.job_id, entry.first_segment, entry.segments, entry.chunks, entry.size_bytes),
        *(entry.body.data, entry.body.blob, entry.body.size, entry.fuel, float(entry.seconds)),
    )


def _split_of(row: list[Value]) -> SegmentsSplit:
    job_id, first_segment, segments, chunks, size_bytes, data, blob, size, fuel, seconds = row
    return SegmentsSplit(
        job_id=job_id,  # type: ignore[arg-type]
        first_segment=first_segment,  # type: ignore[arg-type]
        segments=segments,  # type: ignore[arg-type]
        chunks=chunks,  # type: ignore[arg-type]
        size_bytes=size_bytes,  # type: ignore[arg-type]
        body=Stored(data=data, blob=blob, size=size),  # type: ignore[arg-type]
        fuel=fuel,  # type: ignore[arg-type]
        seconds=seconds,  # type: ignore[arg-type]
    )


def _task_row(entry: TaskKept) -> tuple[Value, ...]:
    return (
        *(entry.job_id, entry.task_id, entry.start, entry.count, entry.size_bytes, entry.digest),
        *(entry.body.data, entry.body.blob, entry.body.size, entry.fuel, float(entry.seconds), entry.prints),
    )


def _task_of(row: list[Value]) -> TaskKept:
    job_id, task_id, start, count, size_bytes, digest, data, blob, size, fuel, seconds, prints = row
    return TaskKept(
        job_id=job_id,  # type: ignore[arg-type]
        task_id=task_id,  # type: ignore[arg-type]
        start=start,  # type: ignore[arg-type]
        count=count,  # type: ignore[arg-type]
        size_bytes=size_bytes,  # type: ignore[arg-type]
        digest=digest,  # type: ignore[arg-type]
        body=Stored(data=data, blob=blob, size=size),  # type: ignore[arg-type]
        fuel=fuel,  # type: ignore[arg-type]
        seconds=seconds,  # type: ignore[arg-type]
        prints=prints,  # type: ignore[arg-type]
    )

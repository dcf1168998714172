"""Entries to rows and back. Every row carries a checksum: a flipped bit must not pass for a result."""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Iterator
from typing import Any, assert_never

from pangea.compute.model.errors import ManifestError
from pangea.compute.node.storage.records import (
    Entry,
    JobAccepted,
    JobEnded,
    JobForgotten,
    JobsRestarted,
    RecordKept,
    SegmentsSplit,
    Stored,
    StoredJob,
    TaskDropped,
    TaskKept,
    TrustKept,
)

# The columns that a row's checksum is made of, in its order.
_JOB = "job_id, owner, name, accepted_at, bytes_in, blobs, manifest_crc"
_END = "job_id, state, ended_at, blob, size, error, report, fuel, chunks, data_crc"
_SPLIT = "job_id, first_segment, segments, chunks, size_bytes, data, blob, size, fuel, seconds"
_TASK = "job_id, task_id, start, count, size_bytes, digest, data, blob, size, fuel, seconds, prints"
_RECORD = "job_id, task_id, record"
_TRUST = "worker, runtime, record"
_TRACE = "job_id, trace"

Value = str | bytes | int | float | None
Row = tuple[Any, ...]
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
            _insert_of_job(database, "splits", _SPLIT, _split_row(entry))
        case TaskKept():
            _insert_of_job(database, "tasks", _TASK, _task_row(entry))
        case TaskDropped(job_id=job_id, task_id=task_id):
            database.execute("DELETE FROM tasks WHERE job_id = ? AND task_id = ?", (job_id, task_id))
        case RecordKept(job_id=job_id, task_id=task_id, record=record):
            _insert_of_job(database, "records", _RECORD, (job_id, task_id, record))
        case JobEnded():
            _insert_end(database, entry)
        case JobForgotten(job_id=job_id):
            database.execute("DELETE FROM jobs WHERE job_id = ?", (job_id,))
        case JobsRestarted(job_ids=job_ids):
            database.executemany("UPDATE jobs SET restarts = restarts + 1 WHERE job_id = ?", [(each,) for each in job_ids])
        case TrustKept(worker=worker, runtime=runtime, record=record):
            row = (worker, runtime, record)
            database.execute(f"INSERT OR REPLACE INTO trust ({_TRUST}, crc) VALUES (?, ?, ?, ?)", (*row, crc_of(row)))
        case _:
            assert_never(entry)


def _insert_job(database: sqlite3.Connection, entry: JobAccepted) -> None:
    known = database.execute("SELECT owner, manifest FROM jobs WHERE job_id = ?", (entry.job_id,)).fetchone()
    if known is None:
        row, given = _job_row(entry), (entry.given, _given_crc(entry.job_id, entry.given))
        marks = ", ".join("?" * (len(row) + 4))
        values = (*row, crc_of(row), entry.manifest, *given)
        database.execute(f"INSERT INTO jobs ({_JOB}, crc, manifest, given, given_crc) VALUES ({marks})", values)
    elif known != (entry.owner, entry.manifest):
        raise ManifestError(f"there is another job {entry.job_id} on this node", hint="leave job_id out", field="jobId")


def _insert_end(database: sqlite3.Connection, entry: JobEnded) -> None:
    """An end counts once, however often it is written: fuel must not be billed twice."""
    (owner,) = database.execute("SELECT owner FROM jobs WHERE job_id = ?", (entry.job_id,)).fetchone() or (None,)
    (is_ended,) = database.execute("SELECT count(*) FROM ends WHERE job_id = ?", (entry.job_id,)).fetchone()
    if owner is None or is_ended:
        return
    row, data = _end_row(entry), entry.body.data if entry.body is not None else None
    marks = ", ".join("?" * (len(row) + 2))
    database.execute(f"INSERT INTO ends ({_END}, crc, data) VALUES ({marks})", (*row, crc_of(row), data))
    if entry.trace:
        values = (entry.job_id, entry.trace)
        database.execute(f"INSERT OR REPLACE INTO traces ({_TRACE}, crc) VALUES (?, ?, ?)", (*values, crc_of(values)))
    database.execute("DELETE FROM splits WHERE job_id = ?", (entry.job_id,))
    database.execute("DELETE FROM tasks WHERE job_id = ?", (entry.job_id,))
    database.execute("DELETE FROM records WHERE job_id = ?", (entry.job_id,))
    database.execute(
        "INSERT INTO ledger VALUES (?, 1, ?) ON CONFLICT (owner) DO UPDATE SET jobs = jobs + 1, fuel = fuel + excluded.fuel",
        (owner, entry.fuel),
    )


def _insert_of_job(database: sqlite3.Connection, table: str, columns: str, row: tuple[Value, ...]) -> None:
    """What comes after its job has ended, or was forgotten, is nobody's."""
    database.execute(
        f"INSERT OR REPLACE INTO {table} ({columns}, crc) SELECT {', '.join('?' * len(row))}, ?"
        " WHERE EXISTS (SELECT 1 FROM jobs WHERE job_id = ?) AND NOT EXISTS (SELECT 1 FROM ends WHERE job_id = ?)",
        (*row, crc_of(row), row[0], row[0]),
    )


def crc_of(row: tuple[Value, ...]) -> int:
    """The checksum of a row's values, in order (CRC-32)."""
    crc = 0
    for value in row:
        data = value if isinstance(value, bytes) else repr(value).encode()
        crc = zlib.crc32(data, zlib.crc32(b"%d:" % len(data), crc))
    return crc


def load_jobs(database: sqlite3.Connection) -> tuple[list[StoredJob], int]:
    """All jobs; and how many rows were damaged. Damaged tasks are left out: they are done again. A damaged job has failed.

    Of ended jobs, manifest and inline result stay on disk.
    """
    damaged = _Damaged()
    ends: dict[str, JobEnded] = {}
    for *row, crc in database.execute(f"SELECT {_END}, crc FROM ends"):
        is_whole = damaged.is_whole(tuple(row), crc)
        ends[str(row[0])] = _end_of(row, None) if is_whole else _damaged_end(str(row[0]))
    splits: dict[str, list[SegmentsSplit]] = {}
    for row in damaged.whole(database.execute(f"SELECT {_SPLIT}, crc FROM splits ORDER BY first_segment")):
        splits.setdefault(row[0], []).append(_split_of(row))
    tasks: dict[str, list[TaskKept]] = {}
    for row in damaged.whole(database.execute(f"SELECT {_TASK}, crc FROM tasks ORDER BY start")):
        tasks.setdefault(row[0], []).append(_task_of(row))
    records: dict[str, list[RecordKept]] = {}
    for job_id, task_id, record in damaged.whole(database.execute(f"SELECT {_RECORD}, crc FROM records")):
        records.setdefault(job_id, []).append(RecordKept(job_id=job_id, task_id=task_id, record=record))
    jobs = []
    rows = database.execute(f"SELECT {_JOB}, given, given_crc, restarts, crc FROM jobs ORDER BY accepted_at").fetchall()
    for *row, given, given_crc, restarts, crc in rows:
        ended = ends.get(str(row[0]))
        manifest = "" if ended is not None else load_manifest(database, row[0])
        is_whole = damaged.is_whole(tuple(row), crc, also=manifest is not None and _given_crc(row[0], given) == given_crc)
        jobs.append(
            StoredJob(
                accepted=_job_of(row, manifest, given) if is_whole and manifest is not None else _damaged_job(row),
                restarts=restarts if isinstance(restarts, int) else 0,
                splits=tuple(splits.get(row[0], ())),
                tasks=tuple(tasks.get(row[0], ())),
                records=tuple(records.get(row[0], ())),
                ended=ended or (None if is_whole else _damaged_end(_harmless(row[0]))),
            )
        )
    return jobs, damaged.rows


class _Damaged:
    """Tells damaged rows from whole ones, and counts them."""

    def __init__(self) -> None:
        self.rows = 0

    def is_whole(self, row: Row, crc: object, *, also: bool = True) -> bool:
        is_whole = also and crc_of(row) == crc
        self.rows += not is_whole
        return is_whole

    def whole(self, rows: sqlite3.Cursor) -> Iterator[Row]:
        return (tuple(row) for *row, crc in rows if self.is_whole(tuple(row), crc))


def load_end(database: sqlite3.Connection, job_id: str) -> JobEnded | None:
    """How a job ended, with an inline result; None if it hasn't, or the record is damaged."""
    found = database.execute(f"SELECT {_END}, crc, data FROM ends WHERE job_id = ?", (job_id,)).fetchone()
    if found is None:
        return None
    *row, crc, data = found
    is_whole = crc_of(tuple(row)) == crc and crc_of((job_id, data)) == row[-1]
    return _end_of(row, data) if is_whole else None


def load_trace(database: sqlite3.Connection, job_id: str) -> bytes:
    """What an ended job's tasks did; b"" if nothing was kept, or it is damaged."""
    found = database.execute(f"SELECT {_TRACE}, crc FROM traces WHERE job_id = ?", (job_id,)).fetchone()
    return found[1] if found is not None and crc_of(found[:2]) == found[2] else b""


def load_manifest(database: sqlite3.Connection, job_id: object) -> str | None:
    """A job's manifest as JSON; None if there is none, or it is damaged."""
    found = database.execute("SELECT manifest, manifest_crc FROM jobs WHERE job_id = ?", (job_id,)).fetchone()
    return found[0] if found is not None and crc_of((job_id, found[0])) == found[1] else None  # type: ignore[arg-type]


def load_trust(database: sqlite3.Connection) -> tuple[list[TrustKept], int]:
    """What is known of workers; and how many rows were damaged."""
    damaged = _Damaged()
    rows = damaged.whole(database.execute(f"SELECT {_TRUST}, crc FROM trust"))
    return [TrustKept(worker=worker, runtime=runtime, record=record) for worker, runtime, record in rows], damaged.rows


def text_of(data: bytes) -> str:
    """Text as it is on disk: damage may have made it something else than UTF-8, which the checksum then tells."""
    return data.decode(errors="surrogateescape")


def _harmless(text: object) -> str:
    """Damaged text without what can't be sent to anybody."""
    return str(text).encode(errors="replace").decode()


def _job_row(entry: JobAccepted) -> tuple[Value, ...]:
    blobs, manifest_crc = json.dumps(entry.blobs), crc_of((entry.job_id, entry.manifest))
    return (entry.job_id, entry.owner, entry.name, float(entry.accepted_at), entry.bytes_in, blobs, manifest_crc)


def _given_crc(job_id: str, given: str) -> int:
    return crc_of((job_id, given)) if given else 0


def _job_of(row: list[Any], manifest: str, given: str) -> JobAccepted:
    job_id, owner, name, accepted_at, bytes_in, blobs, _ = row
    return JobAccepted(
        job_id=job_id,
        owner=owner,
        name=name,
        manifest=manifest,
        accepted_at=accepted_at,
        bytes_in=bytes_in,
        blobs=tuple(json.loads(blobs)),
        given=given,
    )


def _damaged_job(row: list[Any]) -> JobAccepted:
    return JobAccepted(job_id=_harmless(row[0]), owner=_harmless(row[1]), name="", manifest="", accepted_at=0.0, bytes_in=0)


def _end_row(entry: JobEnded) -> tuple[Value, ...]:
    body = entry.body or Stored(data=None, blob="", size=0)
    return (
        *(entry.job_id, entry.state, float(entry.ended_at), body.blob, entry.size, entry.error, entry.report),
        *(entry.fuel, entry.chunks, crc_of((entry.job_id, body.data))),
    )


def _end_of(row: list[Any], data: bytes | None) -> JobEnded:
    job_id, state, ended_at, blob, size, error, report, fuel, chunks, _ = row
    return JobEnded(
        job_id=job_id,
        state=state,
        ended_at=ended_at,
        body=Stored(data=data, blob=blob, size=size) if blob or data is not None else None,
        size=size,
        error=error,
        report=report,
        fuel=fuel,
        chunks=chunks,
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


def _split_of(row: Row) -> SegmentsSplit:
    job_id, first_segment, segments, chunks, size_bytes, data, blob, size, fuel, seconds = row
    return SegmentsSplit(
        job_id=job_id,
        first_segment=first_segment,
        segments=segments,
        chunks=chunks,
        size_bytes=size_bytes,
        body=Stored(data=data, blob=blob, size=size),
        fuel=fuel,
        seconds=seconds,
    )


def _task_row(entry: TaskKept) -> tuple[Value, ...]:
    return (
        *(entry.job_id, entry.task_id, entry.start, entry.count, entry.size_bytes, entry.digest),
        *(entry.body.data, entry.body.blob, entry.body.size, entry.fuel, float(entry.seconds), entry.prints),
    )


def _task_of(row: Row) -> TaskKept:
    job_id, task_id, start, count, size_bytes, digest, data, blob, size, fuel, seconds, prints = row
    return TaskKept(
        job_id=job_id,
        task_id=task_id,
        start=start,
        count=count,
        size_bytes=size_bytes,
        digest=digest,
        body=Stored(data=data, blob=blob, size=size),
        fuel=fuel,
        seconds=seconds,
        prints=prints,
    )

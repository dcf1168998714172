"""What the journal holds: facts about jobs, in the past tense."""

from __future__ import annotations

from dataclasses import dataclass, field

from pangea.compute.model.units import KIB

#: ResultStore up to this size are kept in the journal's row, larger ones in a blob.
INLINE_BYTES_MAX = 64 * KIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """Bytes on disk.

    Attributes:
        data: themselves, if they are small; else
        blob: the name of the blob that has them.
        size: how many.
    """

    data: bytes | None = field(repr=False)
    blob: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class JobAccepted:
    """A client's job was taken: from now on it ends exactly once.

    Attributes:
        job_id: what this node calls it, and all that is signed about it.
        given: the id that its owner gave it, which may be another owner's, too; empty: the same.
        manifest: JSON of `JobManifest`, large content by hash.
        accepted_at: seconds since 1970.
        bytes_in: of all inputs.
        blobs: names of the content that the manifest refers to.
    """

    job_id: str
    owner: str
    name: str
    manifest: str = field(repr=False)
    accepted_at: float
    bytes_in: int
    blobs: tuple[str, ...] = ()
    given: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentsSplit:
    """Consecutive segments were split; `body` is the framed list of what split made of each."""

    job_id: str
    first_segment: int
    segments: int
    chunks: int
    size_bytes: int
    body: Stored
    fuel: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskKept:
    """A task of chunks `start` to `start + count` is complete; `body` is the framed list of results."""

    job_id: str
    task_id: str
    start: int
    count: int
    size_bytes: int
    digest: bytes
    body: Stored
    fuel: int
    seconds: float
    prints: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskDropped:
    """A complete task is in doubt after all."""

    job_id: str
    task_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JobEnded:
    """A job has its result, failed, or was cancelled. What was kept for its tasks isn't needed any more.

    Attributes:
        state: a final `JobState`.
        ended_at: seconds since 1970.
        body: the result, of a complete job (None too if it has been left on disk).
        size: bytes of the result.
        error: JSON of the error, or "".
        report: JSON of the report, or "".
        fuel: fuel units of all tasks that counted: goes to the owner's account.
        chunks: executed.
        trace: what each task did, as `tracing.packed_trace` makes it; b"" if it has been left on disk.
    """

    job_id: str
    state: str
    ended_at: float
    body: Stored | None
    size: int
    error: str
    report: str = field(repr=False)
    fuel: int
    chunks: int
    trace: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobForgotten:
    """Nobody can ask for the job any more."""

    job_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JobsRestarted:
    """The node came back with these jobs unfinished."""

    job_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustKept:
    """What is known of a worker, as JSON."""

    worker: str
    runtime: str
    record: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordKept:
    """What a worker has signed about a call that counts, as JSON of `receipting.RecordText`."""

    job_id: str
    task_id: str
    record: str


Entry = JobAccepted | SegmentsSplit | TaskKept | TaskDropped | JobEnded | JobForgotten | JobsRestarted | TrustKept | RecordKept


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredJob:
    """A job as the journal has it; an ended one without its tasks, and without an inline result."""

    accepted: JobAccepted
    restarts: int = 0
    splits: tuple[SegmentsSplit, ...] = ()
    "in order"
    tasks: tuple[TaskKept, ...] = ()
    "in order"
    records: tuple[RecordKept, ...] = ()
    ended: JobEnded | None = None


def size_of(entry: Entry) -> int:
    """About how many bytes of memory an entry holds."""
    match entry:
        case SegmentsSplit(body=body) | JobEnded(body=Stored() as body):
            return body.size if body.data is not None else 0
        case TaskKept(body=body, prints=prints):
            return len(prints) + (body.size if body.data is not None else 0)
        case JobAccepted(manifest=manifest):
            return len(manifest)
        case RecordKept(record=record):
            return len(record)
        case _:
            return 0

"""The jobs of a node: what is known of each, and the changes that watchers wait for."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from pangea.compute.engine.prepared import PreparedJob
from pangea.compute.model.errors import PangeaError
from pangea.compute.model.ids import JobId, PeerId, TaskId
from pangea.compute.model.manifest import JobManifest
from pangea.compute.model.outcome import Failure
from pangea.compute.model.packet import JobSpec, TaskPacket
from pangea.compute.model.status import JobState, JobStatus
from pangea.compute.model.trace import Standing, Tracer
from pangea.compute.node.chunks import Chunks
from pangea.compute.node.receipting import Records
from pangea.compute.node.records import JobAccepted, JobEnded, Stored, StoredJob

#: Progress needs so much of the job, and so many seconds, before anything can be estimated from it.
_SHARE_MIN = 0.01
_SECONDS_MIN = 0.5
_PRINTS_MAX = 64 << 10
#: Of jobs that have ended, so many are in memory whole; of the others, result and report are read from the journal …
RECENT_MAX = 64
#: … and of those with an inline result above this size.
RECENT_BYTES_MAX = 4096


@dataclass(slots=True, eq=False)
class Counts:
    """What a job adds up."""

    segments: int = 0
    tasks: int = 0
    retries: int = 0
    fuel: int = 0
    seconds: dict[str, float] = field(default_factory=lambda: {"split": 0.0, "execute": 0.0, "merge": 0.0})
    prints: str = ""

    def spent(self, function: str, *, fuel: int, seconds: float, prints: str = "") -> None:
        """Add a task that counts."""
        self.tasks += 1
        self.fuel += fuel
        self.seconds[function] += seconds
        if prints and len(self.prints) < _PRINTS_MAX:
            self.prints = (self.prints + prints)[:_PRINTS_MAX]


@dataclass(frozen=True, slots=True)
class TaskDone:
    """What a finished attempt left, until its task is accepted or forgotten.

    Attributes:
        at: when it was here, in seconds since the job was begun; 0 if that was before a restart.
    """

    stored: Stored
    fuel: int
    seconds: float
    prints: str
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class Kept:
    """An accepted task. `standing` is what speaks for it; None if it was accepted before a restart."""

    packet: TaskPacket
    digest: bytes
    fuel: int
    standing: Standing | None = None


@dataclass(slots=True, eq=False)
class LiveJob:
    """A job under way.

    Attributes:
        manifest: what was submitted.
        spec: the same, as the orchestrator sees it.
        rank: lower goes first.
        since: when it was begun, on the loop's clock.
        prepared: its module, once compiled.
        chunks: cut so far.
        cut_bytes: of input in segments whose chunks are known.
        is_cut: whether that is all of them.
        done: results by digest.
        kept: accepted tasks.
        tracer: notes what was split and merged here; tasks are in `kept`.
        running: attempts at the engine.
        failures: of attempts that count, by first chunk of the task.
        error: why the driver itself can't go on.
        stored: all that was kept for it, to be let go at its end.
        inputs: SHA-256 and size of the inputs of tasks that were delegated.
        records: what was signed about its calls.
        branches: the child that each worker's answers come through.
        room: set when chunks were worked off, so that the cut may go on.
    """

    manifest: JobManifest
    spec: JobSpec
    rank: float
    since: float
    counts: Counts = field(default_factory=Counts)
    prepared: PreparedJob | None = None
    chunks: Chunks = field(default_factory=Chunks)
    cut_bytes: int = 0
    is_cut: bool = False
    is_merging: bool = False
    choices: list[str] = field(default_factory=list)
    done: dict[bytes, TaskDone] = field(default_factory=dict)
    kept: dict[TaskId, Kept] = field(default_factory=dict)
    tracer: Tracer = field(default_factory=Tracer)
    running: dict[int, asyncio.Task[None]] = field(default_factory=dict)
    helpers: set[asyncio.Task[None]] = field(default_factory=set)
    failures: dict[int, tuple[TaskPacket, Failure]] = field(default_factory=dict)
    error: PangeaError | None = None
    result: Stored | None = None
    stored: list[Stored] = field(default_factory=list)
    inputs: dict[TaskId, tuple[bytes, int]] = field(default_factory=dict)
    records: Records = field(default_factory=Records)
    branches: dict[PeerId, PeerId] = field(default_factory=dict)
    room: asyncio.Event = field(default_factory=asyncio.Event)

    def elapsed(self) -> float:
        """Seconds since it was begun; on the loop."""
        return asyncio.get_running_loop().time() - self.since

    @property
    def share(self) -> float:
        """Of the input that is in complete tasks, 0 to 1."""
        known, total = self.chunks.size_bytes, self.manifest.data_size
        if not self.chunks.count:
            return 0.0
        of_known = 1 - (self.chunks.waiting_bytes / known if known else self.chunks.waiting_count / self.chunks.count)
        of_input = self.cut_bytes / total if total else 1.0
        return min(1.0, of_known * of_input)

    def seconds_left(self, now: float) -> float | None:
        """An estimate from what is done since the job was begun here; None while that is too little."""
        done = self.chunks.size_bytes - self.chunks.waiting_bytes
        gained = self.share * (1 - self.chunks.restored_bytes / done) if done else self.share
        elapsed = now - self.since
        if gained < _SHARE_MIN or elapsed < _SECONDS_MIN or self.counts.tasks < 2:
            return None
        return elapsed * (1.0 - self.share) / gained


class Job:
    """One job of this node, from its acceptance until it is forgotten."""

    __slots__ = ("_changed", "accepted", "ended", "fresh", "is_ending", "is_slim", "live", "receipt", "restarts")

    def __init__(self, accepted: JobAccepted, *, restarts: int = 0, ended: JobEnded | None = None) -> None:
        """A job that is on disk."""
        self.accepted = accepted
        self.restarts = restarts
        self.ended = ended
        self.is_ending = ended is not None
        "whether its end is decided; `ended` once that is written down"
        self.is_slim = False
        self.receipt = receipt_in(ended)
        self.live: LiveJob | None = None
        self.fresh: JobManifest | None = None
        "what was just accepted, until it begins: it needn't be read again"
        self._changed: asyncio.Event | None = None

    @property
    def id(self) -> JobId:
        """Its UUID."""
        return JobId(self.accepted.job_id)

    @property
    def owner(self) -> str:
        """Who submitted it."""
        return self.accepted.owner

    def manifest(self) -> JobManifest:
        """As it was accepted."""
        return self.fresh or JobManifest.from_json(json.loads(self.accepted.manifest))

    def touch(self) -> None:
        """Tell all who wait for a change."""
        waiting, self._changed = self._changed, None
        if waiting is not None:
            waiting.set()

    async def change(self, seconds: float) -> bool:
        """Wait for the next change, up to `seconds`; whether there was one."""
        self._changed = self._changed or asyncio.Event()
        try:
            async with asyncio.timeout(seconds):  # wait_for may lose a cancellation that comes as the wait ends
                await self._changed.wait()
        except TimeoutError:
            return False
        return True

    def slim(self) -> None:
        """Leave on disk what only whoever fetches the result needs: a node keeps thousands of ended jobs."""
        ended = self.ended
        if ended is None:
            return
        body = None if ended.body is not None and ended.body.data is not None else ended.body
        if ended.report or body is not ended.body:
            self.ended, self.is_slim = replace(ended, report="", body=body), True

    def status(self, now: float) -> JobStatus:
        """How it stands. `now` is the loop's clock."""
        common: dict[str, Any] = {
            "job_id": self.id,
            "name": self.accepted.name,
            "owner": self.owner,
            "accepted_at": self.accepted.accepted_at,
            "bytes_in": self.accepted.bytes_in,
            "restarts": self.restarts,
        }
        if self.ended is not None:
            return _final(self.ended, common)
        live = self.live
        if live is None:
            return JobStatus(**common)
        running = sum(1 for task in live.running.values() if not task.done())
        return JobStatus(
            **common,
            state=JobState.MERGING if live.is_merging else JobState.RUNNING,
            progress=min(live.share, 0.999),
            completed_chunks=live.chunks.count - live.chunks.waiting_count,
            total_chunks=live.chunks.count,
            is_total_known=live.is_cut,
            seconds_left=live.seconds_left(now),
            fuel=live.counts.fuel,
            running_tasks=running,
            waiting_tasks=max(0, len(live.helpers)),
        )


def receipt_in(ended: JobEnded | None) -> tuple[str, int] | None:
    """Name and size of the blob that has a job's receipt, as its report says."""
    if ended is None or '"receipt": {' not in ended.report:
        return None
    found = json.loads(ended.report)["receipt"]
    return str(found["sha256"]), int(found["size"])


def _final(ended: JobEnded, common: dict[str, Any]) -> JobStatus:
    state = JobState(ended.state)
    return JobStatus(
        **common,
        state=state,
        progress=1.0 if state is JobState.COMPLETE else 0.0,
        completed_chunks=ended.chunks,
        total_chunks=ended.chunks,
        is_total_known=state is JobState.COMPLETE,
        seconds_left=0.0 if state is JobState.COMPLETE else None,
        ended_at=ended.ended_at,
        bytes_out=ended.size,
        fuel=ended.fuel,
        error=json.loads(ended.error) if ended.error else None,
    )


class JobBook:
    """All jobs of a node, and the fuel of each owner."""

    def __init__(self) -> None:
        """An empty one."""
        self._jobs: dict[JobId, Job] = {}
        self._unfinished: dict[JobId, Job] = {}
        self._recent: deque[Job] = deque()
        self.fuel: dict[str, int] = {}

    @classmethod
    def restored(cls, stored: list[StoredJob], ledger: dict[str, tuple[int, int]]) -> JobBook:
        """The jobs that the journal has."""
        book = cls()
        for each in sorted(stored, key=lambda job: job.accepted.accepted_at):
            job = Job(each.accepted, restarts=each.restarts, ended=each.ended)
            job.slim()
            book.add(job)
        book.fuel = {owner: fuel for owner, (_, fuel) in ledger.items()}
        return book

    def __iter__(self) -> Iterator[Job]:
        """In the order of their acceptance."""
        return iter(list(self._jobs.values()))

    def __len__(self) -> int:
        """How many there are, ended ones included."""
        return len(self._jobs)

    def get(self, job_id: str) -> Job | None:
        """The job, if it is known."""
        return self._jobs.get(JobId(job_id))

    def add(self, job: Job) -> None:
        """Take in an accepted job."""
        self._jobs[job.id] = job
        if job.ended is None:
            self._unfinished[job.id] = job

    def end(self, job: Job, ended: JobEnded, *, is_on_disk: bool) -> None:
        """A job has ended; what isn't on disk stays in memory."""
        job.ended, job.receipt = ended, receipt_in(ended)
        self._unfinished.pop(job.id, None)
        if is_on_disk and ended.size > RECENT_BYTES_MAX:
            job.slim()
        elif is_on_disk:
            self._recent.append(job)
            if len(self._recent) > RECENT_MAX:
                self._recent.popleft().slim()

    def remove(self, job: Job) -> None:
        """Forget a job."""
        self._jobs.pop(job.id, None)
        self._unfinished.pop(job.id, None)

    def latest(self) -> Iterator[Job]:
        """The last accepted first."""
        return reversed(list(self._jobs.values()))

    def unfinished(self, owner: str | None = None) -> list[Job]:
        """Jobs that haven't ended, of `owner` or of all."""
        return [job for job in self._unfinished.values() if owner in (None, job.owner)]

    def charge(self, owner: str, fuel: int) -> None:
        """Add to an owner's account."""
        self.fuel[owner] = self.fuel.get(owner, 0) + fuel

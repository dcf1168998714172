"""The jobs of a node: what is known of each, and the changes that watchers wait for."""

from __future__ import annotations

import asyncio
import json
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from pangea.compute.engine.prepared import PreparedJob
from pangea.compute.flow.counts import Counts
from pangea.compute.flow.independence import Independence
from pangea.compute.flow.packs import PackRule
from pangea.compute.model.errors import PangeaError
from pangea.compute.model.ids import JobId, PeerId, TaskId
from pangea.compute.model.manifest import JobManifest
from pangea.compute.model.outcome import Failure
from pangea.compute.model.packet import JobSpec, TaskPacket, TaskResult
from pangea.compute.model.progress import JobState
from pangea.compute.model.status import JobStatus
from pangea.compute.model.trace import Provenance, Tracer
from pangea.compute.node.jobs.call_records import Records
from pangea.compute.node.jobs.chunks import Chunks
from pangea.compute.node.storage.quotas import Reservation
from pangea.compute.node.storage.records import JobAccepted, JobEnded, Stored, StoredJob
from pangea.compute.verification.signed_spec import SignedSpec

#: Progress needs so much of the job, and so many seconds, before anything can be estimated from it.
_SHARE_MIN = 0.01
_SECONDS_MIN = 0.5
#: Of jobs that have ended, so many are in memory whole; of the others, result and report are read from the journal …
RECENT_MAX = 64
#: Of the time between two jobs' ends, so much counts for the age of the earlier, in seconds.
GAP_SECONDS_MAX = 86_400.0
#: … and of those with an inline result above this size.
RECENT_BYTES_MAX = 4096
#: A task's id, and what it merges: a merge step that is made anew, since a result was withdrawn, has the same id.
InputKey = tuple[TaskId, tuple[bytes, ...]]


def input_key(packet: TaskPacket) -> InputKey:
    """What tells a packet's input from all others of its job."""
    return packet.task_id, packet.inputs


@dataclass(frozen=True, slots=True)
class TaskDone:
    """What a finished attempt left, until its task is accepted or forgotten.

    Attributes:
        at: when it was here, in seconds since the job was begun; 0 if that was before a restart.
        of: what it is the result of, function, first chunk and chunks; None if that was before a restart.
        leaves: what its digest is the root of.
    """

    stored: Stored
    fuel: int
    seconds: float
    prints: str
    at: float = 0.0
    of: tuple[str, int, int] | None = None
    leaves: tuple[bytes, ...] = ()

    def is_of(self, packet: TaskPacket, result: TaskResult) -> bool:
        """Whether an answer to `packet` is this very result, looked at already: its digest alone may be another task's."""
        return (packet.function, packet.start, packet.count, result.leaves) == (*(self.of or ("", -1, -1)), self.leaves)


@dataclass(frozen=True, slots=True)
class Kept:
    """An accepted task. `provenance` is what speaks for it; None if it was accepted before a restart."""

    packet: TaskPacket
    digest: bytes
    fuel: int
    provenance: Provenance | None = None


@dataclass(slots=True, eq=False)
class LiveJob:
    """A job under way.

    Attributes:
        manifest: what was submitted.
        spec: the same, as the orchestrator sees it.
        rank: lower goes first.
        since: when it was begun, on the loop's clock.
        prepared: its module, once compiled.
        signed: its spec, once it is prepared, signed by this node.
        chunks: cut so far.
        independence: the check that chunks don't influence each other, and
        alone: the execution that it needs, once that has begun.
        cut_bytes: of input in segments whose chunks are known.
        is_cut: whether that is all of them.
        done: results by digest.
        kept: accepted tasks.
        tracer: notes what was split and merged here; tasks are in `kept`.
        running: attempts at the engine.
        failures: of attempts that count, by first chunk of the task.
        error: why the driver itself can't go on.
        stored: all that was kept for it, to be let go at its end.
        inputs: SHA-256 and size of the inputs of tasks that were delegated, by `input_key`.
        answers: of a job with a tolerance, the digests of all answers to each task.
        records: what was signed about its calls.
        branches: the child that each worker's answers come through.
        check_fuel, check_seconds: what the job's own check has used, in units and in seconds in the sandbox.
        room: set when chunks were worked off, so that the cut may go on.
    """

    manifest: JobManifest
    spec: JobSpec
    rank: float
    since: float
    counts: Counts = field(default_factory=Counts)
    prepared: PreparedJob | None = None
    signed: SignedSpec | None = None
    chunks: Chunks = field(init=False)
    independence: Independence = field(default_factory=Independence)
    alone: asyncio.Task[None] | None = None
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
    inputs: dict[InputKey, tuple[bytes, int]] = field(default_factory=dict)
    answers: dict[TaskId, list[bytes]] = field(default_factory=dict)
    records: Records = field(default_factory=Records)
    branches: dict[PeerId, PeerId] = field(default_factory=dict)
    check_fuel: int = 0
    check_seconds: float = 0.0
    room: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        """Begin without chunks."""
        self.chunks = Chunks(PackRule.of(self.manifest.options))

    def packed(self, packet: TaskPacket) -> TaskPacket:
        """A packet with its packs: one from before a restart doesn't name them."""
        if packet.packs or packet.function != "execute":
            return packet
        return replace(packet, packs=tuple(pack.count for pack in self.chunks.packs(packet.start, packet.count)))

    def input_of(self, packet: TaskPacket) -> tuple[bytes, int] | None:
        """SHA-256 and size of what a packet works on, if it was delegated."""
        return self.inputs.get(input_key(packet))

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

    __slots__ = (
        *("_changed", "accepted", "ended", "fresh", "has_slot", "holding", "is_ending", "is_slim"),
        *("kept_since", "live", "receipt", "restarts"),
    )

    def __init__(self, accepted: JobAccepted, *, restarts: int = 0, ended: JobEnded | None = None) -> None:
        """A job that is on disk."""
        self.accepted = accepted
        self.restarts = restarts
        self.ended = ended
        self.is_ending: bool = ended is not None
        "whether its end is decided; `ended` once that is written down"
        self.is_slim: bool = False
        self.receipt: tuple[str, int] | None = receipt_in(ended)
        self.live: LiveJob | None = None
        self.fresh: JobManifest | None = None
        "what was just accepted, until it begins: it needn't be read again"
        self.holding: Reservation | None = None
        "what its owner holds for it until it has ended"
        self.has_slot = False
        "whether it is one of those that the orchestrator has in hand"
        self.kept_since: float = 0.0
        "when it ended, on the loop's clock; before that began, less than nothing"
        self._changed: asyncio.Event | None = None

    @property
    def id(self) -> JobId:
        """Its UUID on this node."""
        return JobId(self.accepted.job_id)

    @property
    def given(self) -> JobId:
        """What its owner calls it: the only id that anybody is told."""
        return JobId(self.accepted.given or self.accepted.job_id)

    def told(self, text: str) -> str:
        """Text for its owner, in which the job is called by the id that it was given."""
        return text.replace(self.id, self.given)

    @property
    def owner(self) -> str:
        """Who submitted it."""
        return self.accepted.owner

    def contents(self) -> list[str]:
        """Names of the blobs that are its owner's for its sake: inputs and module, result, receipt."""
        names = list(self.accepted.blobs)
        if self.receipt is not None:
            names.append(self.receipt[0])
        if self.ended is not None and self.ended.body is not None and self.ended.body.blob:
            names.append(self.ended.body.blob)
        return names

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

    @property
    def state(self) -> JobState:
        """Where it is in its life."""
        if self.ended is not None:
            return JobState(self.ended.state)
        if self.live is None:
            return JobState.PENDING
        return JobState.MERGING if self.live.is_merging else JobState.RUNNING

    def status(self, now: float) -> JobStatus:
        """How it stands. `now` is the loop's clock."""
        common: dict[str, Any] = {
            "job_id": self.given,
            "name": self.accepted.name,
            "owner": self.owner,
            "accepted_at": self.accepted.accepted_at,
            "bytes_in": self.accepted.bytes_in,
            "restarts": self.restarts,
        }
        if self.ended is not None:
            return _final(replace(self.ended, error=self.told(self.ended.error)), common)
        live = self.live
        if live is None:
            return JobStatus(**common)
        running = sum(1 for task in live.running.values() if not task.done())
        return JobStatus(
            **common,
            state=self.state,
            progress=min(live.share, 0.999),
            completed_chunks=live.chunks.count - live.chunks.waiting_count,
            total_chunks=live.chunks.count,
            is_total_known=live.is_cut,
            seconds_left=live.seconds_left(now),
            fuel=live.counts.fuel,
            running_tasks=running,
            waiting_tasks=max(0, len(live.helpers)),
        )


def ages(ends: Iterable[float], clock: float) -> dict[float, float]:
    """How long ago jobs have ended that ended at these times, in seconds by the machine's clock, which may have been set since.

    From one end to the next, and from the last to now, no more than a day counts: a clock that was wrong by years, then or now,
    makes nothing look old that isn't, and a node that is used keeps what it has for as long as it is told.
    """
    found: dict[float, float] = {}
    age, later = 0.0, clock
    for end in sorted(ends, reverse=True):
        age += min(max(0.0, later - end), GAP_SECONDS_MAX)
        found[end], later = age, end
    return found


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
        #: By owner, then by the id that it gave.
        self._of: dict[str, dict[JobId, Job]] = {}
        self._unfinished: dict[JobId, Job] = {}
        self._recent: deque[Job] = deque()
        self._contents: Counter[tuple[str, str]] = Counter()
        self.fuel: dict[str, int] = {}

    def restore(self, stored: list[StoredJob], ledger: dict[str, tuple[int, int]], *, clock: float, now: float) -> None:
        """Take in the jobs that the journal has. `clock` is the machine's, in seconds since 1970; `now` the loop's."""
        kept = ages([each.ended.ended_at for each in stored if each.ended is not None], clock)
        for each in sorted(stored, key=lambda job: job.accepted.accepted_at):
            job = Job(each.accepted, restarts=each.restarts, ended=each.ended)
            job.kept_since = now - kept[job.ended.ended_at] if job.ended is not None else now
            job.slim()
            self.add(job)
        self.fuel = {owner: fuel for owner, (_, fuel) in ledger.items()}

    def __iter__(self) -> Iterator[Job]:
        """In the order of their acceptance."""
        return iter(list(self._jobs.values()))

    def __len__(self) -> int:
        """How many there are, ended ones included."""
        return len(self._jobs)

    def get(self, job_id: str) -> Job | None:
        """The job, if it is known."""
        return self._jobs.get(JobId(job_id))

    def of(self, owner: str, given: str) -> Job | None:
        """An owner's job by the id that it was given; others' jobs aren't there."""
        return self._of.get(owner, {}).get(JobId(given))

    def add(self, job: Job) -> None:
        """Take in an accepted job."""
        self._jobs[job.id] = self._of.setdefault(job.owner, {})[job.given] = job
        self._contents.update((job.owner, name) for name in job.contents())
        if job.ended is None:
            self._unfinished[job.id] = job

    def end(self, job: Job, ended: JobEnded, *, is_on_disk: bool) -> None:
        """A job has ended; what isn't on disk stays in memory."""
        before = len(job.contents())
        job.ended, job.receipt = ended, receipt_in(ended)
        if job.id in self._jobs:
            self._contents.update((job.owner, name) for name in job.contents()[before:])
        self._let_go(job)
        if is_on_disk and ended.size > RECENT_BYTES_MAX:
            job.slim()
        elif is_on_disk:
            self._recent.append(job)
            if len(self._recent) > RECENT_MAX:
                self._recent.popleft().slim()

    def remove(self, job: Job) -> None:
        """Forget a job."""
        if self._jobs.pop(job.id, None) is not None:
            own = self._of[job.owner]
            del own[job.given]
            if not own:
                del self._of[job.owner]
            for name in job.contents():
                self._contents[job.owner, name] -= 1
                if not self._contents[job.owner, name]:
                    del self._contents[job.owner, name]
        self._let_go(job)

    def _let_go(self, job: Job) -> None:
        self._unfinished.pop(job.id, None)
        if job.holding is not None:
            job.holding.release()

    def has_content(self, owner: str, name: str) -> bool:
        """Whether a blob is part of one of an owner's jobs."""
        return (owner, name) in self._contents

    def latest(self, owner: str) -> Iterator[Job]:
        """An owner's, the last accepted first, as they are now."""
        return reversed(list(self._of.get(owner, {}).values()))

    def unfinished(self, owner: str | None = None) -> list[Job]:
        """Jobs that haven't ended, of `owner` or of all."""
        return [job for job in self._unfinished.values() if owner in (None, job.owner)]

    def charge(self, owner: str, fuel: int) -> None:
        """Add to an owner's account."""
        self.fuel[owner] = self.fuel.get(owner, 0) + fuel

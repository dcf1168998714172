"""What an orchestrator knows of each peer, attempt, task and job. Only this package's functions change it."""

from __future__ import annotations

from array import array
from collections import deque
from dataclasses import dataclass, field
from enum import Enum, auto

from pangea.compute.model.frames import HEADER_BYTES
from pangea.compute.model.ids import JobId, PeerId, TaskId
from pangea.compute.model.packet import Budget, JobSpec, TaskPacket, TaskResult
from pangea.compute.orchestrator.core.commands import Evidence
from pangea.compute.orchestrator.core.messages import Beat
from pangea.compute.orchestrator.core.transitions import TaskState
from pangea.compute.orchestrator.rules.audit import Vote
from pangea.compute.orchestrator.rules.packing import TaskSizer
from pangea.compute.orchestrator.rules.score import Role, Score

#: Whose job it is (None: a client of this node), and which: a node may get one job from two parents.
JobKey = tuple[PeerId | None, JobId]


#: Tasks with known answers that are kept to be planted.
_KNOWN_ANSWERS_MAX = 64


@dataclass(slots=True, eq=False)
class Peer:
    """A neighbour that takes work from us; this node itself is one, too."""

    id: PeerId
    network: str
    round_trip: float
    "seconds"
    cores: int
    "free for our work, in its whole subtree"
    counted: int = 0
    "of its cores, so many as its answers bear out: it may claim any number"
    wants: int = 0
    "tasks that keep it busy, as it says"
    nodes: int = 1
    height: int = 0
    attempts: dict[int, Attempt] = field(default_factory=dict)
    "under way there, oldest first"
    credibility: float = 1.0
    "0 to 1: as a worker of our own jobs"
    reliability: float = 1.0
    "0 to 1: share of attempts that were answered in time, recent ones counting more"
    turnaround: float = 0.0
    "seconds from delegating to answer, smoothed; 0 until the first"
    answered: int = 0
    last_heard: float = 0.0
    last_told: float = 0.0
    refuses_until: float = 0.0
    recalled_at: float = float("-inf")
    is_silent: bool = False
    "not heard for a lease: gets nothing until it speaks"
    is_idle: bool = False
    "whether it is among `Core.idle`"
    window: int = 0
    "attempts it may have under way"
    overdue: int = 0
    "of its attempts"
    committed: int = 0
    "of its attempts: done there, to be shown when all are"
    lapses: int = 0
    "sealed answers in a row that others had to give in its place; what it was given before the latest is part of that"
    lapsed_at: float = float("-inf")
    is_near: bool = True
    "whether the way there stays within this node's site"
    adapters: int = 0
    "for shaders, in its whole subtree, as it says"


@dataclass(slots=True, eq=False)
class Parent:
    """A neighbour that gives us work."""

    id: PeerId
    last_heard: float
    last_told: float = float("-inf")
    beat_at: float = float("-inf")
    knows: Beat | None = None
    "what it was last told of our subtree"
    outbox: list[tuple[int, TaskResult]] = field(default_factory=list)
    "answers not yet passed on"
    flush_is_armed: bool = False


@dataclass(slots=True, eq=False)
class Attempt:
    """One try at a task, by one peer. Its number is the token: news of another number is ignored."""

    number: int
    task: Task
    peer: Peer
    since: float
    expires: float
    is_overdue: bool = False
    "has taken so long that it no longer counts: somebody else tries, too"
    is_committed: bool = False
    took: float | None = None
    "seconds until it was committed to: what comes then waits for others"
    asked_to_show: float | None = None
    "when it was asked to show what it has committed to"
    coming: TaskResult | None = None
    "what it has shown, whose results are on their way here"


@dataclass(slots=True, eq=False)
class Case:
    """What an owner knows about one task's answers."""

    votes: list[Vote] = field(default_factory=list)
    needed: int = 1
    "votes that a drawn check demands"
    commitments: dict[int, bytes] = field(default_factory=dict)
    "by attempt"
    passed: list[PeerId] = field(default_factory=list)
    "workers whom this task has already been credited to"
    probes: int = 0
    "of the owner's own executions under way"
    failure: TaskResult | None = None
    confidence: float | None = None
    why: str = ""
    is_parked: bool = False
    "whether it is among `Ownership.parked`"
    accused: tuple[PeerId, ...] = ()
    "voters that stand before the referee because of this task"
    is_disputed: bool = False
    is_sampled: bool = False
    sampled: int = 0
    "leaves in the sample"
    must_audit: bool = False
    passing: tuple[bytes, ...] = ()
    "digests of answers whose results have passed the job's own check"
    refused: dict[bytes, str] = field(default_factory=dict)
    "what it says of answers that have not, by digest"
    is_uncheckable: bool = False
    "whether this node's own machine can't check its results"
    is_beyond_us: bool = False
    "whether this node's own machine can't execute it"
    is_anchored: bool = False
    "whether it counts among the tasks that this node found others right about"
    is_foreseen: bool = False
    "whether its worker could know that it would be executed here: no anchor, then"
    pair: tuple[PeerId, PeerId] | None = None
    "the two that agree, if nobody else has spoken"
    drawn: PeerId | None = None
    "the branch that is to give the next vote, while the task is queued …"
    drawn_until: float = 0.0
    "… and no longer than until then"


@dataclass(frozen=True, slots=True, kw_only=True)
class Inquiry:
    """A worker was wrong about a task. It is out of everything already, and asked once more before it is said to have lied.

    Attributes:
        said: its answer.
        truth: this node's own execution of the whole task; None if it has executed but a leaf.
        evidence: what it signed.
    """

    said: Vote
    truth: Vote | None
    evidence: Evidence


@dataclass(slots=True, eq=False)
class Task:
    """One task on this node."""

    packet: TaskPacket
    job: Job
    since: float
    state: TaskState = TaskState.PENDING
    origin: int = 0
    "the parent's number for it; 0 for an own task"
    attempts: list[Attempt] = field(default_factory=list)
    tries: int = 0
    "that machines failed"
    failed_on: tuple[PeerId, ...] = ()
    unfit: tuple[PeerId, ...] = ()
    "machines of a kind that it can't be done on, as they say"
    complaint: str = ""
    "what the machine that failed it last said"
    not_before: float = 0.0
    is_queued: bool = False
    case: Case | None = None
    "of an own task"
    probe_of: Task | None = None
    "the task that this one checks, wholly or in part; only this node's engine gets it"
    leaf: int | None = None
    "which part; None: all of it"
    inquiry: Inquiry | None = None
    "why one worker is asked to execute it once more; nobody else gets it"
    is_planted: bool = False
    "whether the answer to it is known: it is the task's that it probes, given to a child all the same"
    held: TaskResult | None = None
    "committed to, not yet revealed"

    @property
    def is_shader(self) -> bool:
        """Whether it takes an adapter."""
        return self.job.spec.has_shader(self.packet.function)

    def on_time(self) -> int:
        """Attempts whose answer may still be expected."""
        return sum(1 for attempt in self.attempts if not attempt.is_overdue)

    def __repr__(self) -> str:
        """Short: it appears in messages about bugs."""
        return f"<task {self.packet.task_id} {self.state.value}>"


@dataclass(slots=True, eq=False)
class Job:
    """One job on this node: its own, or a part of a parent's."""

    spec: JobSpec
    source: PeerId | None
    budget: Budget
    arrived: float
    deadline: float
    rank: float
    serial: int
    role: Role = Role.WORKER
    score: Score | None = None
    tasks: dict[TaskId, Task] = field(default_factory=dict)
    "live ones; an own job keeps its complete ones, too"
    ready: deque[Task] = field(default_factory=deque)
    "to be placed, in order"
    used: dict[PeerId, None] = field(default_factory=dict)
    "present children that have worked on it"
    shunned: dict[PeerId, None] = field(default_factory=dict)
    pending_bytes: int = 0
    "of tasks in `ready`"
    is_listed: bool = False
    own: Ownership | None = None

    @property
    def key(self) -> JobKey:
        """Its key in `Core.jobs`."""
        return self.source, self.spec.job_id


class Phase(Enum):
    """How far the owner is with a job."""

    EXECUTING = auto()
    #: Merge steps are tasks of their own (associative merges only).
    MERGING = auto()
    #: The results are being merged here: nothing can be withdrawn any more.
    MERGED = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """Why a job fails.

    Attributes:
        cause, message: as `FailJob` says them.
        start: first chunk of the task that failed. Earlier ones go on: of several failures the first counts, so that the
            same job fails the same way each time.
    """

    cause: str
    message: str
    start: int


@dataclass(slots=True, eq=False)
class Ownership:
    """An owner's side of a job."""

    sizer: TaskSizer
    phase: Phase = Phase.EXECUTING
    chunks: int = 0
    "that can be read"
    size_bytes: int = 0
    "of these"
    is_last: bool = False
    "whether no more will come"
    pack_ends: array[int] = field(default_factory=lambda: array("Q"))
    "of each pack, the chunk that comes after it"
    sizes: dict[bytes, int] = field(default_factory=dict)
    "bytes of results, as entries of framed lists, by digest"
    next_chunk: int = 0
    "first one not yet in a task"
    finished: deque[tuple[int, int]] = field(default_factory=deque)
    "first chunk and number of chunks of tasks that were complete before a restart and lie ahead of the cut"
    open: int = 0
    "tasks not complete"
    parked: deque[Task] = field(default_factory=deque)
    "that wait for their voters' credibility to grow"
    votes_of: dict[PeerId, list[Task]] = field(default_factory=dict)
    last_alone: dict[PeerId, Task] = field(default_factory=dict)
    "each worker's latest task that only it vouches for"
    branches_of: dict[PeerId, PeerId] = field(default_factory=dict)
    "the branch each worker was last heard through"
    shunned_through: dict[PeerId, PeerId] = field(default_factory=dict)
    "the branch that was last told to shun each"
    known: dict[tuple[PeerId, str], int] = field(default_factory=dict)
    "each worker's anchors in a function before it first voted in this job"
    anchors: dict[str, list[int]] = field(default_factory=dict)
    "by function, of each task that it found workers right about since it last found a lie: how well the least known is known"
    lies: int = 0
    "found in this job: so often its row of anchors has begun anew"
    between: dict[tuple[PeerId, PeerId], int] = field(default_factory=dict)
    "tasks for which nobody but these two have spoken, and they agree"
    results: list[Task] = field(default_factory=list)
    "in the order that they are merged in; filled when a level is complete"
    level: int = 0
    "of merging; 0 for execute"
    accused: dict[PeerId, list[Task]] = field(default_factory=dict)
    "workers before the referee, and the other disputes that wait for what it finds"
    executions: float = 0.0
    local: int = 0
    "of them by this node"
    remote: int = 0
    "of them by others"
    audits: int = 0
    disputes: int = 0
    withdrawn: int = 0
    retries: int = 0
    backups: int = 0
    sealed_breaks: int = 0
    is_hostile: bool = False
    "whether so many of its workers were caught that nobody is believed any more"
    withheld: int = 0
    "answers that were committed to and not shown"
    known_answers: deque[tuple[Task, int]] = field(default_factory=lambda: deque(maxlen=_KNOWN_ANSWERS_MAX))
    "tasks that only this node has executed, and to how many workers each was given all the same"
    planted: int = 0
    "answers to those …"
    planted_wrong: int = 0
    "… and how many were wrong"
    bans: list[PeerId] = field(default_factory=list)
    was_audited_for_want_of_workers: int = 0
    was_audited_for_want_of_proof: int = 0
    checks: int = 0
    "of answers, by the job's own check"
    refusals: int = 0
    "answers that it refused"
    was_uncheckable: int = 0
    "answers that it could not look at"
    was_beyond_us: int = 0
    "checks that this node's own machine could not make"
    was_drawn_for: list[str] = field(default_factory=list)
    "functions whose tasks were drawn from already"
    was_drawn_here: int = 0
    "tasks that were drawn at the end, to be executed by this node"
    failure: Ending | None = None
    is_closed: bool = False
    "whether closing checks have been made"
    is_doubted: bool = False
    "the merged result was not the expected one"
    is_as_expected: bool = False
    "the merged result is the expected one"

    @property
    def remaining_bytes(self) -> int:
        """Bytes not yet in a task."""
        return max(0, self.size_bytes * (self.chunks - self.next_chunk) // max(self.chunks, 1))

    def has_more(self) -> bool:
        """Whether there might be something for somebody beyond what waits in queues."""
        return self.may_cut() or bool(self.parked)

    def may_cut(self) -> bool:
        """Whether there is a fresh chunk, and anybody who wants its result."""
        return self.next_chunk < self.chunks and self.failure is None

    def note_size(self, result: TaskResult) -> None:
        """Keep how many bytes an answer's results have, as entries of a framed list."""
        self.sizes[result.digest] = max(0, result.body_bytes - HEADER_BYTES)

    def note_known(self, task: Task) -> None:
        """If only this node has answered a task that is accepted, others may be given it all the same (`planting`)."""
        packet, spec, votes = task.packet, task.job.spec, case_of(task).votes
        is_alone = len(votes) == 1 and votes[0].is_trusted and not case_of(task).passed
        if is_alone and packet.function == "execute" and not (packet.commit_first or spec.tolerance or spec.expected):
            self.known_answers.append((task, 0))

    def note_failure(self, ending: Ending) -> None:
        """Keep the failure that comes first in the input."""
        if self.failure is None or ending.start < self.failure.start:
            self.failure = ending

    def open_task(self, job: Job, packet: TaskPacket, now: float) -> Task:
        """A new own task, to be placed by the caller."""
        task = Task(packet, job, now, case=Case())
        job.tasks[packet.task_id] = task
        self.open += 1
        return task


def own_of(task: Task) -> Ownership:
    """The owner's side of an own task's job."""
    if task.job.own is None:
        raise AssertionError(f"{task!r} belongs to a parent")
    return task.job.own


def case_of(task: Task) -> Case:
    """The case of an own task."""
    if task.case is None:
        raise AssertionError(f"{task!r} has no case")
    return task.case

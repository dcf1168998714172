"""What an orchestrator knows: peers, jobs, tasks, attempts. Only this package's functions change it."""

from __future__ import annotations

from bisect import insort
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pangea.compute.model.ids import JobId, PeerId, TaskId
from pangea.compute.model.options import Priority
from pangea.compute.model.packet import Budget, JobSpec, TaskPacket, TaskResult
from pangea.compute.orchestrator.audit import Vote
from pangea.compute.orchestrator.commands import Command, Send
from pangea.compute.orchestrator.limits import CHECK_SECONDS
from pangea.compute.orchestrator.messages import Beat, Message
from pangea.compute.orchestrator.score import Role, Score, Weights
from pangea.compute.orchestrator.timers import Timer, Timers
from pangea.compute.orchestrator.transitions import TaskState
from pangea.compute.orchestrator.trust import TrustBook

if TYPE_CHECKING:
    from random import Random

    from pangea.compute.orchestrator.ownership import Ownership

#: Ageing, without ever re-sorting: a job goes before another if it arrived earlier, counting these seconds of head start.
#: So a low job waits two minutes for later high ones, then goes first.
PRIORITY_SECONDS = {Priority.HIGH: 0.0, Priority.NORMAL: 30.0, Priority.LOW: 120.0}

#: Whose job it is (None: a client of this node), and which: a node may get one job from two parents.
JobKey = tuple[PeerId | None, JobId]


@dataclass(slots=True, eq=False)
class Peer:
    """A neighbour that takes work from us; this node itself is one, too."""

    id: PeerId
    network: str
    round_trip: float
    "seconds"
    cores: int
    "free for our work, in its whole subtree"
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
    is_hungry: bool = False
    "whether it is among `Core.hungry`"
    window: int = 0
    "attempts it may have under way"
    overdue: int = 0
    "of its attempts"
    committed: int = 0
    "of its attempts: done there, to be revealed when all are"
    is_near: bool = True
    "whether the way there stays within this node's site"


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
    is_revealed: bool = False
    "whether it was asked to show what it has committed to"


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
    pair: tuple[PeerId, PeerId] | None = None
    "the two that agree, if nobody else has spoken"
    drawn: PeerId | None = None
    "the branch that is to give the next vote, while the task is queued …"
    drawn_until: float = 0.0
    "… and no longer than until then"


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
    not_before: float = 0.0
    is_queued: bool = False
    case: Case | None = None
    "of an own task"
    probe_of: Task | None = None
    "the task that this one checks, wholly or in part; only this node's engine gets it"
    leaf: int | None = None
    "which part; None: all of it"
    held: TaskResult | None = None
    "committed to, not yet revealed"

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


@dataclass(slots=True, eq=False)
class Core:
    """All that an orchestrator knows. The rooms of this package are functions over it."""

    me: Peer
    random: Random
    trust: TrustBook
    children: dict[PeerId, Peer] = field(default_factory=dict)
    "least recently heard first"
    cores_below: int = 0
    "of all children together, as they say"
    parents: dict[PeerId, Parent] = field(default_factory=dict)
    jobs: dict[JobKey, Job] = field(default_factory=dict)
    by_origin: dict[tuple[PeerId, int], Task] = field(default_factory=dict)
    attempts: dict[int, Attempt] = field(default_factory=dict)
    "all live ones, oldest first"
    listed: list[tuple[float, int, Job]] = field(default_factory=list)
    "jobs with something to place, by rank"
    local: deque[Task] = field(default_factory=deque)
    "the owner's own checks: for this node's engine only, before all else"
    hungry: list[tuple[float, int, Peer]] = field(default_factory=list)
    "heap of (-mark, serial, peer): children with room"
    unfed: list[Peer] = field(default_factory=list)
    "children with room for which there was nothing suitable; they are tried again at the next check"
    weights: Weights = field(default_factory=Weights)
    timers: Timers = field(init=False)
    out: list[Command] = field(default_factory=list)
    now: float = 0.0
    serial: int = 0
    task_seconds: float = 1.0
    "of an attempt in the sandbox, as workers say, smoothed"
    due: list[Job] = field(default_factory=list)
    "own jobs that may have come to an end"
    dropped: list[PeerId] = field(default_factory=list)
    "children caught lying"
    check_is_armed: bool = False
    beat_due: float | None = None
    delegated: int = 0
    "tasks held for parents"

    def __post_init__(self) -> None:
        """Make the timers, which need to know what is live."""
        self.timers = Timers(self._is_live)

    def next_serial(self) -> int:
        """A number never given before on this node."""
        self.serial += 1
        return self.serial

    def send(self, peer: PeerId, message: Message) -> None:
        """Say something to a peer."""
        self.out.append(Send(peer=peer, message=message))
        known = self.children.get(peer) or self.parents.get(peer)
        if known is not None:
            known.last_told = self.now

    def list_job(self, job: Job) -> None:
        """Note that a job has something to place."""
        if not job.is_listed:
            job.is_listed = True
            insort(self.listed, (job.rank, job.serial, job))

    def unlist_job(self, job: Job) -> None:
        """Note that a job has nothing to place."""
        if job.is_listed:
            job.is_listed = False
            self.listed.remove((job.rank, job.serial, job))

    def enqueue(self, task: Task, *, first: bool = False) -> None:
        """Put a task where it waits for a peer."""
        if task.is_queued:
            return
        task.is_queued = True
        if task.probe_of is not None:
            self.local.append(task)
            return
        job = task.job
        (job.ready.appendleft if first else job.ready.append)(task)
        job.pending_bytes += task.packet.size_bytes
        self.list_job(job)

    def unqueue(self, task: Task) -> None:
        """Note that a task was taken from its queue (by whoever calls)."""
        task.is_queued = False
        if task.probe_of is None:
            task.job.pending_bytes -= task.packet.size_bytes

    def arm_check(self) -> None:
        """Have something look for what is late, soon."""
        if not self.check_is_armed:
            self.check_is_armed = True
            self.timers.arm(self.now + CHECK_SECONDS, Timer.CHECK)

    def _is_live(self, timer: Timer, key: object) -> bool:
        if timer is Timer.ATTEMPT:
            return key in self.attempts
        if timer is Timer.BEAT:
            return key == self.beat_due
        if timer is Timer.DEADLINE:
            return isinstance(key, Job) and self.jobs.get(key.key) is key
        if timer is Timer.RETRY:
            if not isinstance(key, Task) or self.jobs.get(key.job.key) is not key.job:
                return False  # the owner's own checks aren't among its tasks, but end with it
            return key.state in (TaskState.PENDING, TaskState.VERIFYING) and not key.is_queued
        if timer is Timer.FLUSH:
            return isinstance(key, Parent) and self.parents.get(key.id) is key and key.flush_is_armed
        return True

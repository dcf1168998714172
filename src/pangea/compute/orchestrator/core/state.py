"""All that an orchestrator knows, together. Only this package's functions change it."""

from __future__ import annotations

from bisect import insort
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pangea.compute.model.ids import PeerId
from pangea.compute.model.options import Priority
from pangea.compute.orchestrator.core.commands import Command, Send
from pangea.compute.orchestrator.core.messages import Message
from pangea.compute.orchestrator.core.records import Attempt, Job, JobKey, Parent, Peer, Task
from pangea.compute.orchestrator.core.timers import Timer, Timers
from pangea.compute.orchestrator.core.transitions import TaskState
from pangea.compute.orchestrator.limits import BEAT_SECONDS, CHECK_SECONDS, IDLE_BEAT_SECONDS
from pangea.compute.orchestrator.rules.score import Weights
from pangea.compute.orchestrator.rules.trust import TrustBook

if TYPE_CHECKING:
    from random import Random

#: Ageing, without ever re-sorting: a job goes before another if it arrived earlier, counting these seconds of head start.
#: So a low job waits two minutes for later high ones, then goes first.
PRIORITY_SECONDS = {Priority.HIGH: 0.0, Priority.NORMAL: 30.0, Priority.LOW: 120.0}


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
    idle: list[tuple[float, int, Peer]] = field(default_factory=list)
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
    "children that are shut out, and go"
    suspects: list[PeerId] = field(default_factory=list)
    "children that are shut out, and are asked something before they go: what they had is to be placed again"
    ways: dict[PeerId, PeerId] = field(default_factory=dict)
    "workers further below that have answered to a parent's tasks, and the child that each was heard through, the latest last"
    check_is_armed: bool = False
    beat_due: float | None = None
    delegated: int = 0
    "tasks held for parents"
    is_own_turn: bool = False
    "whether the last task that was placed was a parent's, so that own clients' jobs are looked at first"
    is_paused: bool = False
    "whether nothing new is taken from parents"

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

    def in_line(self) -> list[Job]:
        """Jobs with something to place: by rank; but after a parent's, before its next one, this node's own clients'."""
        jobs = [job for *_, job in self.listed]
        return sorted(jobs, key=lambda job: job.own is None) if self.is_own_turn else jobs

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

    def arm_beat(self) -> None:
        """Beat when the quietest parent has heard nothing for a while; more rarely while there is nothing to do."""
        if self.parents:
            quiet_since = min(parent.last_told for parent in self.parents.values())
            pause = BEAT_SECONDS if self.jobs else IDLE_BEAT_SECONDS
            self.beat_at(max(self.now, quiet_since + pause))

    def beat_at(self, when: float) -> None:
        """Beat then, and no longer when it was due before."""
        self.beat_due = when
        self.timers.arm(when, Timer.BEAT, when)

    def _is_live(self, timer: Timer, key: object) -> bool:
        if timer in (Timer.ATTEMPT, Timer.COMING):
            return key in self.attempts
        if timer is Timer.REVEAL:
            attempt = self.attempts.get(key) if isinstance(key, int) else None
            return attempt is not None and attempt.coming is None
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

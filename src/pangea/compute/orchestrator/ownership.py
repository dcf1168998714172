"""What the owner of a job keeps: the cut, the open cases, who voted where, the account."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import Enum, auto

from pangea.compute.model.ids import PeerId
from pangea.compute.model.packet import TaskPacket
from pangea.compute.orchestrator.limits import TASK_SECONDS
from pangea.compute.orchestrator.packing import Pace, TaskSizer
from pangea.compute.orchestrator.state import Case, Core, Job, Task

#: On many machines: long enough to hide the way there and back, short enough that the end waits for nobody long.
TREE_PACE = Pace(target=TASK_SECONDS, floor=0.25, fill=0.5)


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
    bans: list[PeerId] = field(default_factory=list)
    was_audited_for_want_of_workers: int = 0
    was_audited_for_want_of_proof: int = 0
    failure: Ending | None = None
    is_closed: bool = False
    "whether closing checks have been made"
    is_doubted: bool = False
    "the merged result was not the expected one"

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

    def note_failure(self, ending: Ending) -> None:
        """Keep the failure that comes first in the input."""
        if self.failure is None or ending.start < self.failure.start:
            self.failure = ending

    def open_task(self, core: Core, job: Job, packet: TaskPacket) -> Task:
        """A new own task, to be placed by the caller."""
        task = Task(packet, job, core.now, case=Case())
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

"""What can happen to an orchestrator: facts, in the past tense. The driver has checked who they come from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto

from pangea.compute.model.ids import JobId, PeerId
from pangea.compute.model.packet import JobSpec, TaskPacket, TaskResult
from pangea.compute.orchestrator.core.messages import Message


class Relation(Enum):
    """What a peer is to this node."""

    PARENT = auto()
    CHILD = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedTask:
    """A task that was complete before this node went down, and whose results are still there."""

    packet: TaskPacket
    digest: bytes
    fuel: int
    size_bytes: int = 0
    "of the results"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSubmitted:
    """A client of this node wants a job done; its chunks follow."""

    spec: JobSpec
    finished: tuple[FinishedTask, ...] = ()
    "what need not be done again, in the order of the chunks"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunksReady:
    """More chunks of an own job can be read."""

    job_id: JobId
    count: int
    size_bytes: int
    "of these chunks together"
    is_last: bool
    packs: Sequence[int] = ()
    "chunks of each pack, in order; none: each chunk is one"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobCancelled:
    """The client doesn't want the job any more."""

    job_id: JobId


@dataclass(frozen=True, slots=True, kw_only=True)
class JobBroken:
    """The driver can't go on with an own job: its input can't be read, its split or its merge failed."""

    job_id: JobId
    cause: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JobMerged:
    """`MergeJob` is done."""

    job_id: JobId
    digest: bytes
    "of the job's result"


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerJoined:
    """A link to a peer is up, its key proven."""

    peer: PeerId
    relation: Relation
    network: str = ""
    "where it connects from (such as an address prefix)"
    round_trip: float = 0.0
    "seconds"
    cores: int = 0
    "of a child: free for delegated work, until its first `Beat` says more"
    is_near: bool = True
    "whether it is at this node's site; without labels everybody is"


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerLost:
    """The link to a peer is down."""

    peer: PeerId


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerMisbehaved:
    """A peer did what no honest one does, provably: such as passing on a result whose signature is wrong."""

    peer: PeerId
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerBanned:
    """Whoever runs this node wants nothing to do with a peer."""

    peer: PeerId
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerPardoned:
    """Whoever runs this node lifts a ban; its lies still count."""

    peer: PeerId


@dataclass(frozen=True, slots=True, kw_only=True)
class LendingChanged:
    """Whoever runs this node lends it to its parents no more, or again; its own jobs go on either way."""

    is_paused: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageReceived:
    """A peer said something."""

    peer: PeerId
    message: Message


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswersComing:
    """A child has answered; the results are on their way here, and then the orchestrator hears of it."""

    peer: PeerId
    results: tuple[tuple[int, TaskResult], ...]
    "by attempt: who has signed, and how much is to come"


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskExecuted:
    """The engine of this node is done with an attempt: DONE or FAILED."""

    attempt: int
    result: TaskResult


@dataclass(frozen=True, slots=True, kw_only=True)
class TimerFired:
    """`next_timer()` has come."""


Event = (
    JobSubmitted
    | ChunksReady
    | JobCancelled
    | JobBroken
    | JobMerged
    | PeerJoined
    | PeerLost
    | PeerMisbehaved
    | PeerBanned
    | PeerPardoned
    | LendingChanged
    | MessageReceived
    | AnswersComing
    | TaskExecuted
    | TimerFired
)

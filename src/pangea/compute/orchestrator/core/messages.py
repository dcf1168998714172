"""What orchestrators say to each other. A driver carries them; what each means is said here once.

Attempt numbers belong to the sender of a `Delegate`: whoever answers quotes them, and an unknown number changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from pangea.compute.model.ids import JobId, PeerId
from pangea.compute.model.packet import Budget, JobSpec, TaskPacket, TaskResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Delegate:
    """Parent to child: do these tasks."""

    spec: JobSpec
    budget: Budget
    tasks: tuple[tuple[int, TaskPacket], ...]
    "(attempt, packet)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """Child to parent: how attempts ended (or what was committed)."""

    results: tuple[tuple[int, TaskResult], ...]
    "(attempt, result)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancel:
    """Parent to child: stop these attempts; their answers are not wanted any more."""

    attempts: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recall:
    """Parent to child: hand back up to `count` tasks that you haven't begun."""

    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reveal:
    """Parent to child: all votes are committed, show yours."""

    attempts: tuple[int, ...]
    milliseconds: int = 0
    "that the parent waits before it holds it against the child; 0: it doesn't say"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exclude:
    """Parent to child: answers of these workers to this job don't count; give them none of it."""

    job_id: JobId
    workers: tuple[PeerId, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat:
    """Child to parent: alive, and this is what stands behind me."""

    cores: int
    "free for delegated work, in the whole subtree"
    window: int
    "tasks that keep all of them busy, those that wait included"
    nodes: int
    height: int
    "hops to the deepest node below; 0 for a leaf"
    adapters: int = 0
    "for shaders, in the whole subtree"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """Parent to child: alive, and these jobs are still wanted. Work of any other job is to be dropped."""

    jobs: tuple[JobId, ...]


Message = Delegate | Answers | Cancel | Recall | Reveal | Exclude | Beat | Lease

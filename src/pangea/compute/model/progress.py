"""Where a job is in its life, and how far a run is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class JobState(StrEnum):
    """Where a job is in its life."""

    #: Accepted, on disk; nothing of it has run since the node started.
    PENDING = "pending"
    RUNNING = "running"
    MERGING = "merging"
    COMPLETE = "complete"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether the job has ended."""
        return self in (JobState.COMPLETE, JobState.FAILED, JobState.CANCELLED)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is.

    Attributes:
        phase: "compiling …", "running" or "merging".
        chunks: executed so far.
        bytes_done, bytes_total: of the input; done once it is in finished tasks.
        seconds: since the start.
    """

    phase: str
    chunks: int = 0
    bytes_done: int = 0
    bytes_total: int = 0
    seconds: float = 0.0

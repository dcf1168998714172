"""How many chunks make a task.

A task costs a few milliseconds of its own, so cheap chunks travel together; dear ones travel alone, so that every worker
has something to do and no task nears its time limit. What a chunk costs isn't known before it ran: the first tasks hold one
chunk, and their successors grow with what was seen. Towards the end tasks shrink (guided self-scheduling), so that all
workers finish together.

Source: Polychronopoulos and Kuck, "Guided Self-Scheduling", IEEE Transactions on Computers C-36(12), 1987.
"""

from __future__ import annotations

from dataclasses import dataclass

from pangea.compute.flow.chunks import TaskSize
from pangea.compute.model.units import KIB, MIB, PYTHON_MEMORY_BYTES
from pangea.compute.orchestrator.limits import TASK_SECONDS

#: How much larger than the largest task seen so far the next may be: one cheap chunk says little about the rest.
GROWTH = 64
TASK_BYTES_MAX = 16 * MIB
#: A task's input, its chunks and its results lie in the guest's memory at once, with room to compute.
_COPIES_IN_GUEST = 6
_WEIGHT = 0.5


@dataclass(frozen=True, slots=True)
class Pace:
    """How long tasks should last, in seconds.

    Attributes:
        target: long against what a task costs by itself, short against a user's patience.
        floor: tasks shorter than this waste more than a tenth of their time on starting.
        fill: `min_chunk_size` is filled up unless that takes longer than this.
    """

    target: float
    floor: float
    fill: float


#: On one machine: a task costs about 3 ms of its own.
LOCAL_PACE = Pace(target=0.25, floor=0.02, fill=0.05)
#: On many machines: long enough to hide the way there and back, short enough that the end waits for nobody long.
TREE_PACE = Pace(target=TASK_SECONDS, floor=0.25, fill=0.5)


class TaskSizer:
    """Learns what chunks cost, and sizes the next task by it."""

    def __init__(self, *, workers: int, min_bytes: int, memory_bytes: int, pace: Pace = LOCAL_PACE) -> None:
        """Size tasks for `workers` workers, whose guests have `memory_bytes` each."""
        #: May change as workers come and go.
        self.workers = workers
        #: May change as peers come and go.
        self.pace = pace
        self._min_bytes = min_bytes
        self._bytes_max = max(64 * KIB, min(TASK_BYTES_MAX, (memory_bytes - PYTHON_MEMORY_BYTES) // _COPIES_IN_GUEST))
        self._seconds_per_chunk = 0.0
        self._bytes_per_chunk = 1.0
        self._largest = 0

    @property
    def is_new(self) -> bool:
        """Whether nothing has been observed yet."""
        return not self._largest

    def observe(self, *, chunks: int, size_bytes: int, seconds: float) -> None:
        """Learn from a finished task."""
        weight = _WEIGHT if self._largest else 1.0
        self._seconds_per_chunk += weight * (seconds / chunks - self._seconds_per_chunk)
        self._bytes_per_chunk += weight * (size_bytes / chunks - self._bytes_per_chunk)
        self._largest = max(self._largest, chunks)

    def next_size(self, remaining_bytes: int) -> TaskSize:
        """The size of the next task, with `remaining_bytes` of input not yet in a task (an estimate will do)."""
        if not self._largest:
            return TaskSize(chunks=1, size_bytes=self._bytes_max)
        pace, seconds = self.pace, max(self._seconds_per_chunk, 1e-9)
        per_chunk = max(self._bytes_per_chunk, 1.0)
        guided = remaining_bytes / (2 * self.workers) / per_chunk
        floor = min(max(self._min_bytes / per_chunk, pace.floor / seconds), pace.fill / seconds)
        chunks = min(pace.target / seconds, max(guided, floor), GROWTH * self._largest)
        return TaskSize(chunks=max(1, int(chunks)), size_bytes=self._bytes_max)

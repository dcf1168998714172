"""Deadlines, in one heap. The driver arms one timer for the earliest; what was overtaken by events is skipped."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from enum import Enum, auto


class Timer(Enum):
    """What may fall due."""

    #: Say that we are alive, see whether our parents are.
    BEAT = auto()
    #: Look for what is late.
    CHECK = auto()
    #: Pass gathered results on.
    FLUSH = auto()
    #: A job's time is up.
    DEADLINE = auto()
    #: An attempt's time is up.
    ATTEMPT = auto()
    #: A committed answer should have been shown by now.
    REVEAL = auto()
    #: The results of an answer that was shown should be here by now.
    COMING = auto()
    #: A task may be tried again.
    RETRY = auto()


Due = tuple[Timer, object]

#: Once dead, these stay so. A job's deadline is hours away, and its entry holds all of the job.
_ENDS_FOR_GOOD = frozenset({Timer.DEADLINE, Timer.ATTEMPT, Timer.REVEAL, Timer.COMING})
#: Entries below which nobody looks for dead ones.
_SWEEP_MIN = 64


class Timers:
    """A heap of (when, what, key); an entry whose key isn't live any more doesn't count."""

    def __init__(self, is_live: Callable[[Timer, object], bool]) -> None:
        """Ask `is_live` whether an entry still matters."""
        self._heap: list[tuple[float, int, Timer, object]] = []
        self._sequence = 0
        self._is_live = is_live
        self._sweep_at = _SWEEP_MIN

    def arm(self, when: float, timer: Timer, key: object = None) -> None:
        """Let `timer` fall due at `when`."""
        self._sequence += 1
        heapq.heappush(self._heap, (when, self._sequence, timer, key))
        if len(self._heap) >= self._sweep_at:
            self._sweep()

    def __len__(self) -> int:
        """How many entries there are, dead ones included."""
        return len(self._heap)

    def _sweep(self) -> None:
        """Let go of what is dead: at most half of the entries are, and each costs no more than one look."""
        self._heap = [entry for entry in self._heap if entry[2] not in _ENDS_FOR_GOOD or self._is_live(entry[2], entry[3])]
        heapq.heapify(self._heap)
        self._sweep_at = max(_SWEEP_MIN, 2 * len(self._heap))

    def next(self) -> float | None:
        """The earliest live deadline."""
        heap = self._heap
        while heap:
            when, _, timer, key = heap[0]
            if self._is_live(timer, key):
                return when
            heapq.heappop(heap)
        return None

    def due(self, now: float) -> Due | None:
        """Take the earliest entry that is due, if any."""
        when = self.next()
        if when is None or when > now:
            return None
        _, _, timer, key = heapq.heappop(self._heap)
        return timer, key

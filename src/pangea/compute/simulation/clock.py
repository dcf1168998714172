"""Virtual time: what happens next, and when. Things of the same instant happen in the order in which they were planned."""

from __future__ import annotations

from enum import IntEnum
from heapq import heappop, heappush
from typing import Any


class Kind(IntEnum):
    """What an entry of the queue is about. Plain integers in the heap: millions of them are compared and dispatched."""

    TIMER = 0
    "a node's timer: (node, when it was armed for)"
    MESSAGE = 1
    "a message arrives: (link, message)"
    FORGERY = 2
    "a message arrives of which parts were changed on the way: (link, forged message)"
    EXECUTED = 3
    "an execution ends: (run, None)"
    CALL = 4
    "something rare: (callable, tuple of arguments)"


Entry = tuple[float, int, int, Any, Any]


class Clock:
    """A heap of (when, sequence, kind, subject, object). The sequence is unique, so nothing behind it is ever compared."""

    __slots__ = ("heap", "now", "sequence")

    def __init__(self) -> None:
        """Start at time 0 with nothing planned."""
        self.now: float = 0.0
        self.sequence: int = 0
        self.heap: list[Entry] = []

    def plan(self, when: float, kind: int, subject: Any, what: Any) -> None:
        """Let something happen at `when`; what lies in the past happens now."""
        self.sequence += 1
        heappush(self.heap, (when if when > self.now else self.now, self.sequence, kind, subject, what))

    def call(self, when: float, action: Any, *arguments: Any) -> None:
        """Call `action(*arguments)` at `when`."""
        self.plan(when, Kind.CALL, action, arguments)

    def advance(self, until: float) -> Entry | None:
        """Take the next entry and make its time the present; None if nothing is planned up to `until`, which is now then."""
        if not self.heap or self.heap[0][0] > until:
            self.now = max(self.now, until)
            return None
        entry = heappop(self.heap)
        self.now = entry[0]
        return entry

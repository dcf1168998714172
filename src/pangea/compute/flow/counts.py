"""What a job adds up on its way: the same figures, counted the same way, whoever drives it."""

from __future__ import annotations

from dataclasses import dataclass, field

from pangea.compute.model.outcome import Finished
from pangea.compute.model.units import KIB

#: Characters of a job's prints that are kept.
PRINTS_MAX = 64 * KIB


@dataclass(slots=True, eq=False)
class Counts:
    """What a job has added up so far.

    Attributes:
        segments: that the host has cut.
        chunks: whose tasks have ended well.
        tasks: that have ended well and count.
        retries: attempts beyond the first of a task.
        fuel: of tasks that count, in units.
        seconds: in sandboxes, by function.
        prints: the first of what the functions printed.
    """

    segments: int = 0
    chunks: int = 0
    tasks: int = 0
    retries: int = 0
    fuel: int = 0
    seconds: dict[str, float] = field(default_factory=lambda: {"split": 0.0, "execute": 0.0, "merge": 0.0})
    prints: str = ""

    def ended(self, function: str, outcome: Finished) -> None:
        """Add a task that ended well here."""
        self.spent(function, fuel=outcome.fuel, seconds=outcome.seconds, prints=outcome.prints)

    def spent(self, function: str, *, fuel: int, seconds: float, prints: str = "") -> None:
        """Add a task that ended well, by its figures."""
        self.tasks += 1
        self.fuel += fuel
        self.seconds[function] += seconds
        if prints and len(self.prints) < PRINTS_MAX:
            self.prints = (self.prints + prints)[:PRINTS_MAX]

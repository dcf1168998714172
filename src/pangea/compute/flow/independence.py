"""Whether a job's chunks influence each other: the last chunk of its first pack of several is executed alone as well.

What chunks of one pack give may depend on their neighbours, if a function keeps something between calls. The result is always
that of the packs, the same every time; but whoever reads it should know. One execution more is a warning, not a proof of the
contrary: `pangea job validate` executes all of a sample alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pangea.compute.flow import merging
from pangea.compute.model.frames import Buffer
from pangea.compute.model.outcome import Failure, Outcome


@dataclass(frozen=True, slots=True)
class Place:
    """A chunk, as its pack has it.

    Attributes:
        chunk: its number over the job.
        pack: which pack of the task has it, from 0.
        position: its place in the task, from 0.
    """

    chunk: int
    pack: int
    position: int


class Independence:
    """The check of one job. Results come in any order; `warning` is known once both are there."""

    def __init__(self) -> None:
        """Nothing chosen yet."""
        self.place: Place | None = None
        self.warning: str = ""
        self._packed: bytes | None = None
        self._alone: bytes | Failure | None = None

    def choose(self, first: int, packs: Iterable[int]) -> Place | None:
        """The chunk to be executed alone, if one of these packs, from chunk `first` on, has it. To be asked in order."""
        if self.place is not None:
            return None
        position = 0
        for index, count in enumerate(packs):
            position += count
            if count > 1:
                self.place = Place(first + position - 1, index, position - 1)
                return self.place
        return None

    def in_pack(self, result: Buffer) -> None:
        """What the chunk gave in its pack."""
        self._packed = bytes(result)
        self._compare()

    def packed(self, first: int, count: int, results: Buffer) -> None:
        """What a task of `count` chunks from `first` on gave, a framed list: the chunk may be among them."""
        if self.place is not None and first <= self.place.chunk < first + count:
            self.in_pack(merging.nth(results, self.place.chunk - first))

    def ended(self, outcome: Outcome) -> None:
        """How the task of the chunk alone ended."""
        self.alone(outcome if isinstance(outcome, Failure) else merging.only_result(outcome.results))

    def alone(self, result: Buffer | Failure) -> None:
        """What it gave, or how it failed, alone."""
        self._alone = result if isinstance(result, Failure) else bytes(result)
        self._compare()

    def _compare(self) -> None:
        self.warning = ""
        packed, alone = self._packed, self._alone
        if packed is None or alone is None or self.place is None or packed == alone:
            return
        chunk = f"chunk {self.place.chunk:,}"
        if isinstance(alone, Failure) and alone.is_machine_fault:
            self.warning = f"whether chunks influence each other isn't known: {chunk} couldn't be executed alone: {alone.message}"
            return
        found = f"fails alone: {alone.message}" if isinstance(alone, Failure) else difference(packed, alone)
        self.warning = (
            f"chunks influence each other: {chunk} {found}. The result is the same every time all the same;"
            " isolate=True (--isolate) executes each chunk by itself"
        )


def difference(one: Buffer, other: Buffer, *, names: tuple[str, str] = ("in its pack", "alone")) -> str:
    """In words, where two results differ, and what they are called."""
    at = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    sizes = f"gives {len(one):,} bytes {names[0]} and {len(other):,} {names[1]}"
    return f"{sizes}, which differ from byte {at:,} on: {bytes(one[at : at + 16])!r}, {bytes(other[at : at + 16])!r}"

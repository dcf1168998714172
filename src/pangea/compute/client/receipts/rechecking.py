"""Compute a run's tasks again while it goes on, in fresh sandboxes, and compare byte for byte, or under the job's tolerance.

What can differ? A sandbox has no clock, no network and no randomness that isn't seeded, so the same pack gives the same bytes,
unless memory or a worker is faulty.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from pangea.compute.flow.course import Call
from pangea.compute.model import frames
from pangea.compute.model.errors import UnavailableError
from pangea.compute.model.ids import Function
from pangea.compute.model.outcome import Failure, Outcome
from pangea.compute.model.tolerance import Tolerance
from pangea.compute.model.units import counted
from pangea.compute.verification.closeness import is_within, packs_outside

#: Differences that are kept in words.
_TOLD_MAX = 20
_ITEMS = {"split": "segment", "execute": "chunk", "merge": "group"}


@dataclass(frozen=True, slots=True)
class Part:
    """What is to be executed again.

    Attributes:
        function: of the job.
        first: number of the first item within the job.
        count: how many items.
        sandboxes: how many they are called in, one for each pack.
        expected: what they gave, as entries of a framed list.
    """

    function: Function
    first: int
    count: int
    sandboxes: int
    expected: memoryview = field(repr=False)

    @classmethod
    def of(cls, call: Call, results: bytes) -> Part:
        """A call that gave `results`."""
        run = call.run
        return cls(call.function, run.first, run.count, max(1, len(run.packs)), memoryview(results)[frames.HEADER_BYTES :])


class Rechecks:
    """What was computed again of one run, and what was found.

    Attributes:
        tolerance: by how much what execute gives may differ; None: by nothing.
        calls: items compared, by function.
        sandboxes: how many they were called in.
        count: differences.
        differences: the first of them, in words.
    """

    def __init__(self, tolerance: Tolerance | None = None) -> None:
        """Nothing yet."""
        self.tolerance = tolerance
        self.calls: Counter[str] = Counter()
        self.sandboxes: int = 0
        self.count: int = 0
        self.differences: list[str] = []

    def compare(self, part: Part, outcome: Outcome) -> None:
        """Compare what calling a part again gave.

        Raises:
            UnavailableError: this machine couldn't call it.
        """
        if isinstance(outcome, Failure) and outcome.is_machine_fault:
            raise UnavailableError(
                f"{_name(part, part.first)} couldn't be executed again: {outcome.message}",
                hint="try again when the machine has less to do: this says nothing about the result",
            )
        self.sandboxes += part.sandboxes
        self.calls[part.function] += 1 if part.function == "merge" else part.count
        if isinstance(outcome, Failure):
            number = part.first + (outcome.index or 0)
            self._note(f"{_name(part, number)} failed when it was executed again: {outcome.message}")
        elif memoryview(outcome.results)[frames.HEADER_BYTES :] != part.expected and not self._is_within(part, outcome.results):
            self._note(self._difference(part, outcome.results))

    def _is_within(self, part: Part, results: bytes) -> bool:
        if self.tolerance is None or part.function != "execute":
            return False
        return packs_outside(self.tolerance, frames.header(part.count) + part.expected, results) == 0

    def in_words(self) -> str:
        """What was computed again and what came out, for people."""
        counts = [(name, self.calls[function]) for function, name in _ITEMS.items() if self.calls[function]]
        calls = ", ".join(counted(count, name) for name, count in counts)
        found = f"{self.count:,} {'differs' if self.count == 1 else 'differ'}" if self.count else self._all_equal()
        where = "a fresh sandbox" if self.sandboxes == 1 else f"{self.sandboxes:,} fresh sandboxes"
        return f"executed again in {where}: {calls or 'nothing'}; {found}"

    def _all_equal(self) -> str:
        return "all equal, byte for byte" if self.tolerance is None else f"all equal, what execute gives within {self.tolerance}"

    def _note(self, text: str) -> None:
        self.count += 1
        if len(self.differences) < _TOLD_MAX:
            self.differences.append(text)

    def _difference(self, part: Part, results: bytes) -> str:
        """The first item that isn't as it was."""
        old, new = list(_entries(part.expected)), list(_entries(memoryview(results)[frames.HEADER_BYTES :]))
        within = self.tolerance if part.function == "execute" else None
        pairs = list(zip(old, new, strict=False))
        number = next(
            place for place, pair in enumerate(pairs) if pair[0] != pair[1] and (within is None or not is_within(within, *pair))
        )
        before, after = pairs[number]
        name = _name(part, part.first + number)
        if within is not None and len(before) == len(after):
            return f"{name} gave numbers that aren't within {within} of those that it gave when it was executed again"
        at = next((i for i, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), min(len(before), len(after)))
        return (
            f"{name} gave {len(before):,} bytes, and {len(after):,} when it was executed again; they differ from byte {at:,} on"
        )


def _entries(body: memoryview) -> list[memoryview]:
    """The items of a framed list without its header."""
    items, start = [], 0
    while start < len(body):
        size = int.from_bytes(body[start : start + frames.ENTRY_OVERHEAD_BYTES], "little")
        start += frames.ENTRY_OVERHEAD_BYTES + size
        items.append(body[start - size : start])
    return items


def _name(part: Part, number: int) -> str:
    return f"{part.function} of {_ITEMS[part.function]} {number:,}"

"""Compute a run's tasks again while it goes on, in fresh sandboxes, and compare byte for byte.

What can differ? A sandbox has no clock, no network and no randomness that isn't seeded, so the same chunk gives the same bytes:
unless memory or a worker is faulty, or a function keeps something from one chunk for the next. So a task's chunks are called in
other company than before: alone if they are few, else in up to `PARTS_MAX` parts.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field, replace

from pangea.compute.engine.task import Task
from pangea.compute.model import frames
from pangea.compute.model.errors import UnavailableError
from pangea.compute.model.frames import Buffer
from pangea.compute.model.outcome import Failure, Outcome

#: Sandboxes for one task: its chunks find themselves apart, and a sandbox costs about 3 ms.
PARTS_MAX = 16
#: Differences that are kept in words.
_TOLD_MAX = 20
_ITEMS = {"split": "segment", "execute": "chunk", "merge": "group"}


@dataclass(frozen=True, slots=True)
class Part:
    """Items of a task, to be called again.

    Attributes:
        task: a task of these items alone.
        first: number of the first one within the job.
        expected: what they gave, as entries of a framed list.
    """

    task: Task
    first: int
    expected: memoryview = field(repr=False)


class Rechecks:
    """What is to be computed again of one run, and what was found.

    Attributes:
        calls: items compared, by function.
        sandboxes: how many they were called in.
        count: differences.
        differences: the first of them, in words.
    """

    def __init__(self) -> None:
        """Nothing yet."""
        self.calls: Counter[str] = Counter()
        self.sandboxes = 0
        self.count = 0
        self.differences: list[str] = []
        self._waiting: deque[Part] = deque()

    def expect(self, task: Task, first: int, results: bytes) -> None:
        """Have `task`, whose items are numbered from `first`, computed again; it gave `results`."""
        if task.function == "merge":  # one call, whatever it is given
            self._waiting.append(Part(replace(task, singly=False), first, memoryview(results)[frames.HEADER_BYTES :]))
            return
        data, given = memoryview(b"".join(task.parts)), memoryview(results)
        ends, bounds = [frames.HEADER_BYTES, *frames.ends(data)], [frames.HEADER_BYTES, *frames.ends(given)]
        parts = min(task.count, PARTS_MAX)
        for part in range(parts):
            at, end = part * task.count // parts, (part + 1) * task.count // parts
            pieces: list[Buffer] = [frames.header(end - at), data[ends[at] : ends[end]]]
            again = replace(task, count=end - at, parts=pieces, singly=False)
            self._waiting.append(Part(again, first + at, given[bounds[at] : bounds[end]]))

    def next(self) -> Part | None:
        """What is to be called next."""
        return self._waiting.popleft() if self._waiting else None

    def compare(self, part: Part, outcome: Outcome) -> None:
        """Compare what calling a part again gave.

        Raises:
            UnavailableError: this machine couldn't call it.
        """
        task = part.task
        if isinstance(outcome, Failure) and outcome.is_machine_fault:
            raise UnavailableError(
                f"{_name(task, part.first)} couldn't be executed again: {outcome.message}",
                hint="try again when the machine has less to do: this says nothing about the result",
            )
        self.sandboxes += 1
        self.calls[task.function] += 1 if task.function == "merge" else task.count
        if isinstance(outcome, Failure):
            number = part.first + (outcome.index or 0)
            self._note(f"{_name(task, number)} failed when it was executed again: {outcome.message}")
        elif memoryview(outcome.results)[frames.HEADER_BYTES :] != part.expected:
            self._note(_difference(part, outcome.results))

    def in_words(self) -> str:
        """What was computed again and what came out, for people."""
        counts = [(name, self.calls[function]) for function, name in _ITEMS.items() if self.calls[function]]
        calls = ", ".join(f"{count:,} {_plural(name, count)}" for name, count in counts)
        found = f"{self.count:,} {'differs' if self.count == 1 else 'differ'}" if self.count else "all equal, byte for byte"
        where = "a fresh sandbox" if self.sandboxes == 1 else f"{self.sandboxes:,} fresh sandboxes"
        return f"executed again in {where}: {calls or 'nothing'}; {found}"

    def _note(self, text: str) -> None:
        self.count += 1
        if len(self.differences) < _TOLD_MAX:
            self.differences.append(text)


def _difference(part: Part, results: bytes) -> str:
    """The first item that isn't as it was."""
    old, new = list(_entries(part.expected)), list(_entries(memoryview(results)[frames.HEADER_BYTES :]))
    pairs = enumerate(zip(old, new, strict=False))
    number, (before, after) = next((place, pair) for place, pair in pairs if pair[0] != pair[1])
    at = next((i for i, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), min(len(before), len(after)))
    name = _name(part.task, part.first + number)
    return f"{name} gave {len(before):,} bytes, and {len(after):,} when it was executed again; they differ from byte {at:,} on"


def _entries(body: memoryview) -> list[memoryview]:
    """The items of a framed list without its header."""
    items, start = [], 0
    while start < len(body):
        size = int.from_bytes(body[start : start + frames.ENTRY_OVERHEAD_BYTES], "little")
        start += frames.ENTRY_OVERHEAD_BYTES + size
        items.append(body[start - size : start])
    return items


def _name(task: Task, number: int) -> str:
    return f"{task.function} of {_ITEMS[task.function]} {number:,}"


def _plural(noun: str, count: int) -> str:
    return noun if count == 1 else f"{noun}s"

"""Put results together: the frame for a call of `merge`, the ladder of merges for an associative one, or plain concatenation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

from pangea.compute.model import frames
from pangea.compute.model.frames import Buffer
from pangea.compute.model.units import MIB

#: If merge is declared associative, results are merged step by step, in groups of neighbours, while they have more bytes …
WHOLE_BYTES = MIB
#: … or stand for more packs (or groups) than this, which is the most that one group has.
FAN_IN = 64
#: The first groups are of the results of so many packs, whatever their sizes: a task never has packs of two groups.
GROUP_PACKS = 16
#: Later ones have, beyond the first of each, so many bytes at most: whatever is merged fits into a sandbox.
GROUP_BYTES = 8 * MIB
#: Groups have fewer bytes than that if there would be less than so many: they are merged side by side.
_SIDE_BY_SIDE = 16
_GROUP_BYTES_MIN = MIB // 4


@dataclass(frozen=True, slots=True)
class Results:
    """Neighbouring results: the entries of a framed list, without its header."""

    count: int
    entries: Buffer = field(repr=False)

    @property
    def size_bytes(self) -> int:
        """Bytes of the entries."""
        return len(self.entries)


def results_in(body: Buffer, packs: Sequence[int] = ()) -> list[Results]:
    """The results in a framed list: those of each of `packs`, so many chunks each, or all of them together.

    Raises:
        FrameError: the list is malformed, or too short.
    """
    view, start = memoryview(body), frames.HEADER_BYTES
    if len(packs) < 2:
        return [Results(frames.count_of(body), view[start:])]
    ends, found = frames.ends(view), []
    for count in packs:
        end = start
        for _ in range(count):
            end = next(ends, end)
        found.append(Results(count, view[start:end]))
        start = end
    return found


def merge_input(results: Sequence[Results]) -> tuple[int, list[Buffer]]:
    """How many results there are together, and the pieces of their common frame."""
    count = sum(each.count for each in results)
    return count, [frames.header(count), *(each.entries for each in results)]


def only_result(body: Buffer) -> memoryview:
    """The one result in a framed list of one."""
    return memoryview(body)[frames.HEADER_BYTES + frames.ENTRY_OVERHEAD_BYTES :]


def nth(body: Buffer, number: int) -> memoryview:
    """Result `number`, from 0, of a framed list."""
    return next(islice(items([body]), number, None))


def first_groups(packs: int, size_bytes: int) -> list[int]:
    """The first step of an associative merge: how many packs' results each group has; none if all are to be merged at once.

    What is merged with what follows from the results alone, never from who made them: so fuel is the same everywhere, too.

    Args:
        packs: of the job.
        size_bytes: of all their results, as entries of framed lists.
    """
    if packs <= GROUP_PACKS or (packs <= FAN_IN and size_bytes <= WHOLE_BYTES):
        return []
    return [min(GROUP_PACKS, packs - first) for first in range(0, packs, GROUP_PACKS)]


def next_groups(sizes: Sequence[int], before: int) -> list[int]:
    """A later step: how many of the last step's results each group has; none if all are to be merged at once.

    Args:
        sizes: of the last step's results, in order, as entries of framed lists.
        before: bytes that the last step was given.
    """
    total = sum(sizes)
    if len(sizes) <= FAN_IN and (total <= WHOLE_BYTES or total > before // 2):
        return []  # little, or merging doesn't make it smaller: one last call has to do
    most = min(GROUP_BYTES, max(_GROUP_BYTES_MIN, total // _SIDE_BY_SIDE))
    found, size = [0], 0
    for each in sizes:
        if found[-1] and (found[-1] == FAN_IN or size + each > most):
            found.append(0)
            size = 0
        found[-1] += 1
        size += each
    return found if len(found) < len(sizes) else []


def items(bodies: Iterable[Buffer]) -> Iterator[memoryview]:
    """Every result in `bodies`, in order, without copying."""
    for body in bodies:
        view, start = memoryview(body), frames.HEADER_BYTES
        for end in frames.ends(view):
            yield view[start + frames.ENTRY_OVERHEAD_BYTES : end]
            start = end

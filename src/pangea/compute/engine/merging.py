"""Put results together: the frame for a call of `merge`, groups of it for an associative one, or plain concatenation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from pangea.compute.model import frames
from pangea.compute.model.frames import Buffer
from pangea.compute.model.units import MIB

#: If merge is declared associative, more results than this are merged in groups, on all workers at once,
WHOLE_BYTES = MIB
#: of this size at most.
GROUP_BYTES = 8 * MIB


def merge_input(bodies: Sequence[Buffer]) -> tuple[int, list[Buffer]]:
    """How many results `bodies`, framed lists, hold together, and the pieces of their common frame."""
    count = sum(map(frames.count_of, bodies))
    return count, [frames.header(count), *(memoryview(body)[frames.HEADER_BYTES :] for body in bodies)]


def only_result(body: Buffer) -> memoryview:
    """The one result in a framed list of one."""
    return memoryview(body)[frames.HEADER_BYTES + frames.ENTRY_OVERHEAD_BYTES :]


def groups(bodies: Sequence[Buffer], *, workers: int) -> list[list[Buffer]]:
    """Neighbours, in groups that keep `workers` workers busy."""
    size_max = min(GROUP_BYTES, sum(map(len, bodies)) // (2 * workers))
    grouped: list[list[Buffer]] = [[]]
    size = 0
    for body in bodies:
        if grouped[-1] and size + len(body) > size_max:
            grouped.append([])
            size = 0
        grouped[-1].append(body)
        size += len(body)
    return grouped


def items(bodies: Iterable[Buffer]) -> Iterator[memoryview]:
    """Every result in `bodies`, in order, without copying."""
    for body in bodies:
        view, start = memoryview(body), frames.HEADER_BYTES
        for end in frames.ends(view):
            yield view[start + frames.ENTRY_OVERHEAD_BYTES : end]
            start = end

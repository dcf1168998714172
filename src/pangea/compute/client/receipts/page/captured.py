"""What the calls of a receipt were given, kept while they are executed again, for a page that can run them once more."""

from __future__ import annotations

from dataclasses import dataclass

from pangea.compute.flow.course import Call
from pangea.compute.model.ids import TaskId
from pangea.compute.model.outcome import Failure, Outcome
from pangea.compute.model.units import MIB
from pangea.compute.verification.digests import leaves_of
from pangea.compute.verification.merkle import root

#: Inputs of calls that a page holds: the rest is left out, and the page says so.
INPUT_BYTES_MAX = 64 * MIB


@dataclass(frozen=True, slots=True)
class Place:
    """A call in a page.

    Attributes:
        start, size: where in `Captured.inputs` the frame is that it was given; bytes.
        leaves: of execute in several packs, the Merkle leaf of each, under the root that its worker signed; else none.
    """

    start: int
    size: int
    leaves: tuple[bytes, ...] = ()


class Captured:
    """Told of calls as they end, it keeps what they were given, up to `bytes_max`.

    Attributes:
        inputs: frames, one after the other.
        places: of each call that is kept.
        functions: of those calls.
        left_out: how many calls were too many.
    """

    def __init__(self, bytes_max: int = INPUT_BYTES_MAX) -> None:
        """Keep up to `bytes_max` bytes."""
        self.inputs: bytearray = bytearray()
        self.places: dict[TaskId, Place] = {}
        self.functions: set[str] = set()
        self.left_out: int = 0
        self._bytes_max = bytes_max

    def __call__(self, call: Call, outcome: Outcome) -> None:
        """Keep what a call of a record was given."""
        record, size = call.record, sum(map(len, call.run.parts))
        if record is None:
            return
        if len(self.inputs) + size > self._bytes_max:
            self.left_out += 1
            return
        leaves: tuple[bytes, ...] = ()
        if record.function == "execute" and len(call.run.packs) > 1 and not isinstance(outcome, Failure):
            found = leaves_of(outcome.results, start=record.start, packs=[pack.count for pack in call.run.packs])
            leaves = found if root(found) == record.output else ()  # of a lie there are no paths
        self.places[record.task_id] = Place(len(self.inputs), size, leaves)
        self.functions.add(record.function)
        for part in call.run.parts:
            self.inputs += part

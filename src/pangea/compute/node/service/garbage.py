"""When garbage in cycles is looked for: between turns of the loop, on its thread, where what the RPC library made may be freed.

Young objects are looked at often, all objects seldom: when as many have become old as there were at the last such look, or a
quarter of that while the node has nothing to do. So it costs a share of what making them did, however many a job has. What was
there when the node began is left out: it stays.

Source: CPython's rule for its oldest generation, `long_lived_pending > long_lived_total / 4` (InternalDocs/garbage_collector.md).
"""

from __future__ import annotations

import gc
from collections.abc import Callable

#: Objects made since young ones were last looked at.
_YOUNG_MAX = 20_000
#: Objects that have become old before all are looked at: some ten milliseconds' work, on a node that has few.
_OLD_MIN = 50_000


def begin() -> None:
    """Leave it to `Garbage` from now on, and what is there already alone."""
    gc.disable()
    gc.freeze()


class Garbage:
    """Looks for it."""

    def __init__(self, is_resting: Callable[[], bool]) -> None:
        """`is_resting` says whether the node has nothing to do."""
        self._is_resting = is_resting
        #: Old objects that there were at the last look at all, and that have come since, as far as is known.
        self._kept = self._pending = 0

    def look(self) -> None:
        """Look, if it is time to."""
        young = gc.get_count()[0]
        if young <= _YOUNG_MAX:
            return
        self._pending += max(0, young - gc.collect(1))
        if self._pending > max(_OLD_MIN, self._kept // (4 if self._is_resting() else 1)):
            gc.collect()
            self._kept, self._pending = len(gc.get_objects()), 0

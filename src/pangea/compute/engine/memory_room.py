"""Memory that the tasks of an engine may have together: what has no room waits, first come, first served."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class MemoryRoom:
    """So many bytes, of which each running task takes what its job may have."""

    def __init__(self, size: int) -> None:
        """Give `size` bytes; 0: as much as is asked for."""
        self._size = size
        self._taken = 0
        self._waiting: deque[object] = deque()
        self._changed = threading.Condition()

    def may_hold(self, size: int) -> bool:
        """Whether a task of that size ever has room."""
        return not self._size or size <= self._size

    @contextmanager
    def take(self, size: int, is_wanted: Callable[[], bool]) -> Iterator[bool]:
        """Have `size` bytes, which must be ones that it may hold, for as long as the block takes; wait for them.

        Yields:
            Whether it has them: not if `is_wanted` says no before there is room. It is asked whenever something changes.
        """
        me = object()
        with self._changed:
            self._waiting.append(me)
            self._changed.wait_for(lambda: not is_wanted() or (self._waiting[0] is me and self._fits(size)))
            self._waiting.remove(me)
            has_room = self._fits(size) and is_wanted()
            self._taken += size if has_room else 0
            self._changed.notify_all()
        try:
            yield has_room
        finally:
            with self._changed:
                self._taken -= size if has_room else 0
                self._changed.notify_all()

    def look_again(self) -> None:
        """Have all that wait ask whether they are still wanted."""
        with self._changed:
            self._changed.notify_all()

    def _fits(self, size: int) -> bool:
        return not self._size or self._taken + size <= self._size

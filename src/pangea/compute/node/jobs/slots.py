"""Turns at the engine for what jobs need beside their tasks: split and merge. The job that goes first, goes first here, too."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count


class Slots:
    """A semaphore whose waiters are ranked."""

    def __init__(self, free: int) -> None:
        """Let `free` holders in at once."""
        self._free = free
        self._waiting: list[tuple[float, int, asyncio.Future[None]]] = []
        self._serial = count()

    @asynccontextmanager
    async def hold(self, rank: float) -> AsyncIterator[None]:
        """Hold a slot; of those who wait, the lowest rank is next. Bounded by the holders' own deadlines."""
        await self._acquire(rank)
        try:
            yield
        finally:
            self._release()

    async def _acquire(self, rank: float) -> None:
        if self._free > 0:
            self._free -= 1
            return
        turn = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (rank, next(self._serial), turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._release()  # it was our turn already: pass it on
            raise

    def _release(self) -> None:
        while self._waiting:
            turn = heapq.heappop(self._waiting)[2]
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1

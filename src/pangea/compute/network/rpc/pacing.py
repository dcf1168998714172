"""How much is under way on a link at once, so that what is short isn't held up by what is long.

Blocks, tasks, answers and beats share one connection, which passes them on in the order in which they were sent. So whoever sends
or asks for much keeps no more on its way than the link carries in half a second. What it carries is found out as it is used.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from pangea.compute.model.units import KIB
from pangea.compute.network.rpc.service import BLOCK_BYTES, BLOCKS_IN_FLIGHT

#: What is under way may keep the link busy for so long, which is how late a beat may come: it is missed after a bit more.
QUEUE_SECONDS = 0.5
#: Blocks never get smaller, however slow the link is: one takes half as long as an answer is waited for at 1.4 kB/s.
BLOCK_BYTES_MIN = 8 * KIB
#: More is never under way.
WINDOW_BYTES_MAX = BLOCK_BYTES * BLOCKS_IN_FLIGHT
#: Under way at once while nothing is known of a link: less than a second at 50 kB/s.
_FIRST_BYTES = 32 * KIB
#: At most so much less after one answer that took too long.
_LEAST_FACTOR = 0.25
#: Longer ways aren't learned from what only got slower: it may be somebody else's queue.
_WAY_SECONDS_MAX = 1.0


@dataclass(slots=True)
class Way:
    """A link, as far as both its directions share it.

    Attributes:
        seconds: what an answer takes that waits for nothing; less than the least seen it can't be.
    """

    seconds: float = math.inf

    def took(self, seconds: float) -> None:
        """Something short was answered after so many seconds."""
        self.seconds = min(self.seconds, seconds)


@dataclass(slots=True)
class Pace:
    """What one direction of a link can take. Pure: the time is given, in seconds.

    As in TCP's slow start, the window grows by what arrives, so it doubles with each round trip, and by less the longer answers
    queue; where they queue for too long it shrinks in proportion, once for all that was under way. It grows only while it is
    used: what trickles says nothing about what a link would do with more.

    Sources: RFC 5681, section 3.1 (slow start); RFC 6817, section 2.4 (delay above the least seen as the sign of a queue).

    Attributes:
        way: what is known of the link itself.
        window: bytes that may be under way.
    """

    way: Way
    window: int = _FIRST_BYTES
    _shrunk_at: float = -math.inf

    @property
    def block_bytes(self) -> int:
        """What to ask for, or to send, at once: several fit into the window, so that the link never runs dry."""
        return min(BLOCK_BYTES, max(BLOCK_BYTES_MIN, self.window // BLOCKS_IN_FLIGHT))

    def answered(self, size: int, *, began: float, now: float, under_way: int) -> None:
        """Learn from an answer.

        Args:
            size: bytes that were asked for or sent.
            began: when that was.
            now: when the answer came.
            under_way: bytes that were under way when it began, `size` included.
        """
        seconds, way = now - began, self.way
        if self.window == BLOCK_BYTES_MIN and way.seconds < seconds <= _WAY_SECONDS_MAX:
            way.seconds += (seconds - way.seconds) / 4  # there is nothing to queue behind: the way has become longer
        way.took(seconds)
        queued = seconds - way.seconds
        if queued > QUEUE_SECONDS:
            if began >= self._shrunk_at:  # what was under way before tells the same once more
                factor = max(_LEAST_FACTOR, (way.seconds + QUEUE_SECONDS) / seconds)
                self.window = max(BLOCK_BYTES_MIN, int(self.window * factor))
                self._shrunk_at = now
        elif queued < QUEUE_SECONDS / 2 and 2 * under_way > self.window:
            self.window = min(WINDOW_BYTES_MAX, self.window + int(size * (1 - 2 * queued / QUEUE_SECONDS)))


@dataclass(slots=True, eq=False)
class Turn:
    """Somebody's turn.

    Attributes:
        size: bytes, as granted.
        began: when.
        under_way: bytes on their way then, these included.
        tells: whether the time until its answer says something about the link.
    """

    size: int
    is_whole: bool
    granted: asyncio.Future[None]
    began: float = 0.0
    under_way: int = 0
    tells: bool = True


class Turns:
    """Who may use one direction of a link next: first come, first served, as much at once as its pace allows."""

    def __init__(self, way: Way) -> None:
        """Nothing is under way."""
        self.pace: Pace = Pace(way)
        #: Bytes on their way.
        self.under_way: int = 0
        self._waiting: deque[Turn] = deque()

    @asynccontextmanager
    async def turn(self, size: int) -> AsyncIterator[Turn]:
        """Wait for a turn, as `begin` does; it lasts until the end of the block, which is when the answer is there."""
        turn = await self.begin(size)
        is_answered = False
        try:
            yield turn
            is_answered = True
        finally:
            self.end(turn, is_answered=is_answered)

    async def begin(self, size: int, *, is_whole: bool = False) -> Turn:
        """Wait for a turn to ask for, or to send, up to `size` bytes: its `size` says how many. `end` it in any case.

        Args:
            size: bytes wanted.
            is_whole: it has to be all of them; else it may be less, while the link is slow.
        """
        loop = asyncio.get_running_loop()
        turn = Turn(size, is_whole, loop.create_future())
        self._waiting.append(turn)
        self._grant()
        try:
            await turn.granted  # until what is under way is answered, which has its deadline, or the link is closed
        except asyncio.CancelledError:
            if turn.granted.done() and not turn.granted.cancelled():
                self.end(turn, is_answered=False)
            raise
        return turn

    def ends_with(self, turn: Turn, call: asyncio.Future[Any]) -> None:
        """It lasts as long as a call."""
        call.add_done_callback(lambda done: self.end(turn, is_answered=not done.cancelled() and done.exception() is None))

    def end(self, turn: Turn, *, is_answered: bool) -> None:
        """It is over: answered, so that the pace can be learned from it, or in some other way."""
        self.under_way -= turn.size
        if is_answered and turn.tells:
            now = asyncio.get_running_loop().time()
            self.pace.answered(turn.size, began=turn.began, now=now, under_way=turn.under_way)
        self._grant()

    def _grant(self) -> None:
        while self._waiting:
            turn = self._waiting[0]
            size = turn.size if turn.is_whole else min(turn.size, self.pace.block_bytes)
            if turn.granted.done():  # cancelled
                self._waiting.popleft()
            elif self.under_way and self.under_way + size > self.pace.window:
                return
            else:
                self._waiting.popleft()
                self.under_way += size
                turn.size, turn.under_way, turn.began = size, self.under_way, asyncio.get_running_loop().time()
                turn.granted.set_result(None)

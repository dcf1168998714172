"""Whose message is decoded or taken in next: whoever sends many is served no faster than whoever sends few.

What little somebody sends who waits for the answer is handed on at once; all else comes in rounds, a few pieces of work in each.
While there is somebody who sends but little, a round that is over is followed by none until others have had their share of the
processor on this loop, or want none: a call that takes several turns of the loop meets a round or two, not one in each turn.
"""

from __future__ import annotations

import asyncio
import heapq
import time
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

#: A round has so many pieces at most …
_ROUND_MAX = 16
#: … and begins none after so many seconds of the processor; fewer while somebody sends but little.
_ROUND_SECONDS, _SHORT_ROUND_SECONDS = 0.001, 0.0001
#: The next begins when others have had so many seconds of the processor since …
_PAUSE_SECONDS = 0.002
#: … or want none: a turn of the loop in which nobody does anything takes at most so many times as long as the quickest.
_IDLE_TIMES = 1.3
#: What is quick is forgotten in time, as machines are slower under load: that grows so much in each turn that isn't idle.
_SLOWER = 1.02
#: Of whom nothing more had to wait for a round for so many seconds sends but little, and is there for so many after each time.
_LITTLE_AFTER_SECONDS, _THERE_SECONDS = 1.0, 0.02
#: Who has cost less of late needn't wait for a round to have something taken in.
_CHEAP_SECONDS = 0.002
#: What is handed on at once: so many messages, or as many as take so many seconds, of each owner in each turn of the loop.
_AT_ONCE_MAX, _AT_ONCE_SECONDS = 16, 0.0001
#: Owners whose cost is remembered: those heard last.
_OWNERS_MAX = 1_024


class Waiting(Protocol):
    """A connection whose messages wait for their turn, or a piece of work."""

    owner: str

    @property
    def has_more(self) -> bool:
        """Whether something waits that would be taken."""

    @property
    def is_little(self) -> bool:
        """Whether what waits is so little that it needn't wait for a round."""

    def hand_on(self) -> bool:
        """Have the next message looked at and decoded, or a slice of that; False if there is none."""


class FairQueue:
    """Turns of those who have messages to be decoded or taken in: first those whose owner has cost least of late, in pieces."""

    def __init__(self) -> None:
        """Nobody waits."""
        self._waiting: OrderedDict[str, OrderedDict[Waiting, None]] = OrderedDict()
        #: By owner: seconds of the processor, of which half counts after each second, and when that was reckoned.
        self._spent: OrderedDict[str, tuple[float, float]] = OrderedDict()
        #: By owner: when more of it last waited for a round; and until when somebody is there who hadn't, on the loop's clock.
        self._waited: OrderedDict[str, float] = OrderedDict()
        self._there_until = float("-inf")
        #: Owners of whom something was handed on at once in this turn of the loop.
        self._served: set[str] = set()
        #: Seconds of the processor that this thread had had when the last round ended, and at the last turn of the loop.
        self._ended = self._seen = 0.0
        self._quickest = float("inf")
        self._is_armed = False
        #: Whether a piece that was given its turn isn't done.
        self._is_given = False

    def put(self, waiting: Waiting) -> None:
        """A connection has something; if its owner sends but little, or nobody else does, that is handed on at once."""
        owner = waiting.owner
        now = asyncio.get_running_loop().time()
        if waiting.is_little and now - self._waited.get(owner, float("-inf")) > _LITTLE_AFTER_SECONDS:
            self._there_until = now + _THERE_SECONDS
            is_at_once = True
        else:
            is_at_once = not self._is_somebody_there
        if is_at_once and owner not in self._waiting and owner not in self._served:
            self._served.add(owner)
            self._hand_on_at_once(waiting)
            self._arm()
        if waiting.has_more:
            self._wait(waiting)

    @property
    def _is_somebody_there(self) -> bool:
        """Whether somebody sends but little, and is to be answered soon."""
        return asyncio.get_running_loop().time() < self._there_until

    def _hand_on_at_once(self, waiting: Waiting) -> None:
        begun = time.thread_time()
        for _ in range(_AT_ONCE_MAX):
            if not self._give_turn(waiting) or time.thread_time() - begun >= _AT_ONCE_SECONDS:
                break

    @asynccontextmanager
    async def turn(self, owner: str) -> AsyncIterator[None]:
        """A turn for a piece of work of an owner's, at its cost. Whoever has it waits for nothing meanwhile."""
        is_given = owner in self._waiting or self._cost(owner) > _CHEAP_SECONDS
        if is_given:
            await self._given(owner)
        begun = time.thread_time()
        try:
            yield
        finally:
            self._charge(owner, time.thread_time() - begun)
            if is_given:
                self._give_back()

    async def _given(self, owner: str) -> None:
        piece = _Piece(self, owner)
        self._wait(piece)
        try:
            await piece.turn
        except asyncio.CancelledError:
            if piece.turn.done() and not piece.turn.cancelled():
                self._give_back()
            raise

    def _give_back(self) -> None:
        self._is_given = False
        self._ended = self._seen = time.thread_time()

    def _wait(self, waiting: Waiting) -> None:
        if not waiting.is_little:
            self._waited[waiting.owner] = asyncio.get_running_loop().time()
            self._waited.move_to_end(waiting.owner)
            if len(self._waited) > _OWNERS_MAX:
                self._waited.popitem(last=False)
        self._waiting.setdefault(waiting.owner, OrderedDict())[waiting] = None
        self._arm()

    def _give_turn(self, waiting: Waiting) -> bool:
        """Have the next message looked at and decoded, or a piece of it, at its owner's cost."""
        begun = time.thread_time()
        is_done = waiting.hand_on()
        self._charge(waiting.owner, time.thread_time() - begun)
        return is_done

    def _charge(self, owner: str, seconds: float) -> None:
        """Note what an owner has cost."""
        self._spent[owner] = self._cost(owner) + seconds, asyncio.get_running_loop().time()
        self._spent.move_to_end(owner)
        if len(self._spent) > _OWNERS_MAX:
            self._spent.popitem(last=False)

    def _cost(self, owner: str) -> float:
        spent, since = self._spent.get(owner, (0.0, 0.0))
        return float(spent * 0.5 ** (asyncio.get_running_loop().time() - since)) if spent else 0.0

    def _arm(self) -> None:
        if not self._is_armed:
            self._is_armed = True
            asyncio.get_running_loop().call_soon(self._turn_of_the_loop)

    def _turn_of_the_loop(self) -> None:
        self._is_armed = False
        self._served.clear()
        if self._waiting and self._is_due():
            self._round()
        if self._waiting:
            self._arm()

    def _is_due(self) -> bool:
        """Whether others have had their share since the last round, or want nothing."""
        if self._is_given:
            return False
        now = time.thread_time()
        others, self._seen = now - self._seen, now
        self._quickest = min(self._quickest * _SLOWER, others)
        if not self._is_somebody_there:
            return True
        return others <= _IDLE_TIMES * self._quickest or now - self._ended >= _PAUSE_SECONDS

    def _round(self) -> None:
        begun = time.thread_time()
        most = _SHORT_ROUND_SECONDS if self._is_somebody_there else _ROUND_SECONDS
        for owner in heapq.nsmallest(_ROUND_MAX, self._waiting, key=self._cost):
            those = self._waiting.pop(owner)
            first, _ = those.popitem(last=False)
            self._give_turn(first)
            if first.has_more:
                those[first] = None
            if those:
                self._waiting[owner] = those
            if self._is_given or time.thread_time() - begun >= most:
                break
        self._ended = self._seen = time.thread_time()


class _Piece:
    """Something to be taken in, whose turn it isn't yet."""

    is_little = False

    def __init__(self, queue: FairQueue, owner: str) -> None:
        self.owner = owner
        self.turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue = queue

    @property
    def has_more(self) -> bool:
        return not self.turn.done()

    def hand_on(self) -> bool:
        if self.turn.done():
            return False
        self._queue._is_given = True
        self.turn.set_result(None)
        return True

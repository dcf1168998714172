"""Whose message is decoded next: whoever sends many is served no faster than whoever sends few."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from typing import Protocol

#: So many messages of all connections are handed on in one round of the loop …
_ROUND_MAX = 16
#: … or as many as take so many seconds of the processor.
_ROUND_SECONDS = 0.001
#: Owners whose cost is remembered: those heard last.
_OWNERS_MAX = 1_024


class Waiting(Protocol):
    """A connection whose messages wait for their turn."""

    owner: str

    @property
    def has_more(self) -> bool:
        """Whether a message waits that would be taken."""

    def hand_on(self) -> bool:
        """Have the next message looked at and decoded, or a slice of that; False if there is none."""


class FairQueue:
    """Turns of connections that have messages to be decoded: first those whose owner has cost least of late, a piece at a time.

    A round of the loop has so many messages, and so much time of the processor, whoever sends them; what others do on the loop
    comes in between.
    """

    def __init__(self) -> None:
        """Nobody waits."""
        self._waiting: OrderedDict[str, OrderedDict[Waiting, None]] = OrderedDict()
        #: By owner: seconds of the processor, of which half counts after each second, and when that was reckoned.
        self._spent: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._left, self._seconds_left = _ROUND_MAX, _ROUND_SECONDS
        self._is_armed = False

    def put(self, protocol: Waiting) -> None:
        """A connection has something; if it is nobody else's turn, it is handed on at once."""
        if not self._waiting:
            while self._has_room and self._give_turn(protocol):
                self._arm()
        if protocol.has_more:
            self._waiting.setdefault(protocol.owner, OrderedDict())[protocol] = None
            self._arm()

    @property
    def _has_room(self) -> bool:
        return self._left > 0 and self._seconds_left > 0

    def _give_turn(self, protocol: Waiting) -> bool:
        """Have a connection's next message looked at and decoded, or a piece of it, at its owner's cost."""
        begun = time.thread_time()
        is_done = protocol.hand_on()
        seconds = time.thread_time() - begun
        self._left -= is_done
        self._seconds_left -= seconds
        self._spent[protocol.owner] = self._cost(protocol.owner) + seconds, asyncio.get_running_loop().time()
        self._spent.move_to_end(protocol.owner)
        if len(self._spent) > _OWNERS_MAX:
            self._spent.popitem(last=False)
        return is_done

    def _cost(self, owner: str) -> float:
        spent, since = self._spent.get(owner, (0.0, 0.0))
        return float(spent * 0.5 ** (asyncio.get_running_loop().time() - since)) if spent else 0.0

    def _arm(self) -> None:
        if not self._is_armed:
            self._is_armed = True
            asyncio.get_running_loop().call_soon(self._round)

    def _round(self) -> None:
        self._is_armed = False
        self._left, self._seconds_left = _ROUND_MAX, _ROUND_SECONDS
        while self._waiting and self._has_room:
            owner = min(self._waiting, key=self._cost)
            connections = self._waiting.pop(owner)
            protocol, _ = connections.popitem(last=False)
            self._give_turn(protocol)
            if protocol.has_more:
                connections[protocol] = None
            if connections:
                self._waiting[owner] = connections
        if self._waiting:
            self._arm()

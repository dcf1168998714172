"""Counters for whoever looks: asked for twice a second at most, told when they change, and not at all when nobody looks.

A viewer that is slow gets the latest only. One that was cut off says the number of the last that it has, and is told what came
since, so that its curve has no hole.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pangea.compute.model.errors import PangeaError

PERIOD_SECONDS = 0.5
#: Unchanged counters are told so often, so that a page knows that they are fresh.
_BEAT_SECONDS = 2.0
#: Two minutes of what was told, for curves.
_KEPT_MAX = 240
#: What curves are drawn from.
_CURVES = ("rates.chunks", "rates.tasks")

Figures = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Tick:
    """What is told once.

    Attributes:
        number: counts up.
        at: seconds since 1970.
        figures: counters by name; None if the node doesn't answer, and
        why: what is in the way.
        changed: number of the tick whose figures were different last.
    """

    number: int
    at: float
    figures: Figures | None
    why: str = ""
    changed: int = 0

    def message(self, history: list[list[float]] | None = None) -> str:
        """As a server-sent event (WHATWG HTML, 9.2); the first that a viewer gets has the `history` of curves."""
        if self.figures is None:
            return f"id: {self.number}\nevent: lost\ndata: {json.dumps({'why': self.why})}\n\n"
        record: dict[str, Any] = {"at": round(self.at, 2), "changed": self.changed, "figures": dict(self.figures)}
        if history is not None:
            record["history"] = history
        return f"id: {self.number}\nevent: counters\ndata: {json.dumps(record, separators=(',', ':'))}\n\n"


@dataclass(slots=True)
class Ticker:
    """Asks while somebody looks.

    Attributes:
        ask: for counters.
        pause: the time between two questions.
        clock: seconds since 1970.
        watchers: who looks.
    """

    ask: Callable[[], Awaitable[Figures]]
    pause: Callable[[], Awaitable[None]] = field(default=lambda: asyncio.sleep(PERIOD_SECONDS))
    clock: Callable[[], float] = time.time
    watchers: int = 0
    _last: Tick | None = None
    _kept: deque[Tick] = field(default_factory=lambda: deque(maxlen=_KEPT_MAX))
    _told: asyncio.Event = field(default_factory=asyncio.Event)
    _asking: asyncio.Task[None] | None = None

    async def watch(self, after: int = 0) -> AsyncGenerator[str, None]:
        """Messages, from the one after number `after` on, until whoever listens ends it."""
        self.watchers += 1
        try:
            if self._asking is None or self._asking.done():
                self._last = None  # what was told long ago isn't news
                self._asking = asyncio.create_task(self._ask_for_all())
            seen, is_first = 0, True
            while True:
                told, tick = self._told, self._last
                if tick is not None and tick.number != seen:
                    yield tick.message(self._history(after) if is_first and tick.figures is not None else None)
                    is_first = is_first and tick.figures is None
                    seen = tick.number
                else:
                    await told.wait()
        finally:
            self.watchers -= 1

    async def _ask_for_all(self) -> None:
        while self.watchers:
            try:
                self._tell(await self.ask(), "")
            except PangeaError as error:
                self._tell(None, error.message)
            await self.pause()

    def _tell(self, figures: Figures | None, why: str) -> None:
        last, now = self._last, self.clock()
        is_same = last is not None and (last.figures, last.why) == (figures, why)
        if last is not None and is_same and now - last.at < _BEAT_SECONDS:
            return
        number = self._kept[-1].number + 1 if self._kept else 1
        changed = last.changed if last is not None and is_same else number
        self._last = Tick(number, now, figures, why, changed)
        self._kept.append(self._last)
        told, self._told = self._told, asyncio.Event()
        told.set()

    def _history(self, after: int) -> list[list[float]]:
        """Time and figures of what was told since; of all, if `after` is from before this process."""
        newest = self._kept[-1].number if self._kept else 0
        since = after if after <= newest else 0
        return [
            [round(tick.at, 2), *(float(tick.figures.get(name, 0.0)) for name in _CURVES)]
            for tick in self._kept
            if tick.number > since and tick.figures is not None
        ]

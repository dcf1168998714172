"""Counters for whoever looks: asked for twice a second at most, told when they change, and not at all when nobody looks.

A viewer that is slow gets the latest only. Of too many the one that is furthest behind gives way, else the oldest, so that nobody
keeps others out; a browser comes back by itself. One that was cut off says the number of the last that it has, and is told what
came since, so that its curve has no hole.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pangea.compute.model.errors import PangeaError

PERIOD_SECONDS = 0.5
#: Unchanged counters are told so often, so that a page knows that they are fresh.
_BEAT_SECONDS = 2.0
#: Who looks at once.
VIEWERS_MAX = 64
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


@dataclass(slots=True, eq=False)
class _Viewer:
    """One who looks."""

    seen: int = 0
    "number of what it was told last"
    is_over: bool = False
    "whether its place is another's by now"


@dataclass(slots=True)
class Ticker:
    """Asks while somebody looks.

    Attributes:
        ask: for counters.
        pause: the time between two questions.
        clock: seconds since 1970.
    """

    ask: Callable[[], Awaitable[Figures]]
    pause: Callable[[], Awaitable[None]] = field(default=lambda: asyncio.sleep(PERIOD_SECONDS))
    clock: Callable[[], float] = time.time
    _viewers: list[_Viewer] = field(default_factory=list)
    "the oldest first"
    _last: Tick | None = None
    _kept: deque[Tick] = field(default_factory=lambda: deque(maxlen=_KEPT_MAX))
    _told: asyncio.Event = field(default_factory=asyncio.Event)
    _asking: asyncio.Task[None] | None = None

    @property
    def watchers(self) -> int:
        """How many look."""
        return len(self._viewers)

    async def watch(self, after: int = 0) -> AsyncGenerator[str, None]:
        """Messages, from the one after number `after` on, until whoever listens ends it, or has to give way."""
        viewer = self._enter()
        try:
            if self._asking is None or self._asking.done():
                self._last = None  # what was told long ago isn't news
                self._asking = asyncio.create_task(self._ask_for_all())
            is_first = True
            while not viewer.is_over:
                told, tick = self._told, self._last
                if tick is not None and tick.number != viewer.seen:
                    viewer.seen = tick.number
                    yield tick.message(self._history(after) if is_first and tick.figures is not None else None)
                    is_first = is_first and tick.figures is None
                else:
                    await told.wait()
        finally:
            if not viewer.is_over:
                self._viewers.remove(viewer)

    def _enter(self) -> _Viewer:
        """One more looks; of too many, who is told things but doesn't take them goes first."""
        if len(self._viewers) >= VIEWERS_MAX:
            last = min(self._viewers, key=lambda each: each.seen or sys.maxsize)  # who has just come isn't behind
            last.is_over = True
            self._viewers.remove(last)
            self._wake()
        self._viewers.append(viewer := _Viewer())
        return viewer

    def _wake(self) -> None:
        told, self._told = self._told, asyncio.Event()
        told.set()

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
        self._wake()

    def _history(self, after: int) -> list[list[float]]:
        """Time and figures of what was told since; of all, if `after` is from before this process."""
        newest = self._kept[-1].number if self._kept else 0
        since = after if after <= newest else 0
        return [
            [round(tick.at, 2), *(float(tick.figures.get(name, 0.0)) for name in _CURVES)]
            for tick in self._kept
            if tick.number > since and tick.figures is not None
        ]

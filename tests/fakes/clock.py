"""An event loop whose time passes only by waiting: a minute takes no time, and every run is the same."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class _Selector(selectors.SelectSelector):
    now = 1_000.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        events = super().select(0)
        if not events and timeout:
            self.now += timeout
        return events


class VirtualLoop(asyncio.SelectorEventLoop):
    """Runs what is due, then jumps to what is due next."""

    def __init__(self) -> None:
        self.clock = _Selector()
        super().__init__(self.clock)

    def time(self) -> float:
        return self.clock.now

    def stall(self, seconds: float) -> None:
        """Let time pass while nothing else runs."""
        self.clock.now += seconds


def run(work: Coroutine[Any, Any, T]) -> T:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(work)


def loop() -> VirtualLoop:
    """The one that runs."""
    found = asyncio.get_running_loop()
    assert isinstance(found, VirtualLoop)
    return found


async def passes(seconds: float) -> None:
    """Let time pass, and whatever is due in it happen."""
    end: asyncio.Future[None] = loop().create_future()
    loop().call_later(seconds, end.set_result, None)
    await end

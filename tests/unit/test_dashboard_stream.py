"""Counters for whoever looks, and for nobody else."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from pangea.compute.dashboard.source import Shared
from pangea.compute.dashboard.stream import VIEWERS_MAX, Ticker
from pangea.compute.model.errors import PangeaError, UnavailableError
from tests.deadlines import comes_true


class Stage:
    """A ticker whose time is the test's."""

    def __init__(self) -> None:
        self.now = 0.0
        self.figures: dict[str, Any] = {"rates.chunks": 1.0}
        self.error: PangeaError | None = None
        self.asked = 0
        self._gate = asyncio.Event()
        self.ticker = Ticker(self._ask, pause=self._pause, clock=lambda: self.now)

    async def _ask(self) -> dict[str, Any]:
        self.asked += 1
        if self.error is not None:
            raise self.error
        return dict(self.figures)

    async def _pause(self) -> None:
        await self._gate.wait()

    async def later(self, seconds: float) -> None:
        """Let so much time pass, and one question be asked."""
        self.now += seconds
        before = self.asked
        self.end_pause()
        await comes_true(lambda: self.asked > before)

    def end_pause(self) -> None:
        """Let the pause that is under way end; the next takes its time."""
        gate, self._gate = self._gate, asyncio.Event()
        gate.set()


def told(message: str) -> tuple[int, str, dict[str, Any]]:
    number, event, data = message.strip().split("\n")
    return int(number.removeprefix("id: ")), event.removeprefix("event: "), json.loads(data.removeprefix("data: "))


async def news(stream: AsyncIterator[str]) -> tuple[int, str, dict[str, Any]]:
    return told(await asyncio.wait_for(anext(stream), 50))


def test_counters_are_told_when_they_change_and_now_and_then() -> None:
    async def scene() -> None:
        on = Stage()
        stream = on.ticker.watch()
        number, event, data = await news(stream)
        assert (number, event, data["figures"], data["history"]) == (1, "counters", {"rates.chunks": 1.0}, [[0.0, 1.0, 0.0]])
        following = asyncio.ensure_future(anext(stream))
        await on.later(0.5)
        await asyncio.sleep(0)
        assert not following.done()  # nothing is new
        on.figures = {"rates.chunks": 2.0}
        await on.later(0.5)
        assert told(await following)[2]["changed"] == 2
        following = asyncio.ensure_future(anext(stream))
        await on.later(2.0)
        assert told(await following)[2]["changed"] == 2  # a sign of life
        await stream.aclose()

    asyncio.run(scene())


def test_nobody_is_asked_when_nobody_looks() -> None:
    async def scene() -> None:
        on = Stage()
        await asyncio.sleep(0)
        assert on.asked == 0
        streams = [on.ticker.watch() for _ in range(5)]
        await asyncio.gather(*map(news, streams))
        assert on.asked == 1  # five cost what one does
        for stream in streams:
            await stream.aclose()
        assert on.ticker.watchers == 0
        on.end_pause()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert on.asked == 1
        again = on.ticker.watch()
        assert (await news(again))[0] == 2  # numbers go on
        await again.aclose()

    asyncio.run(scene())


def test_who_was_cut_off_is_told_what_came_since() -> None:
    async def scene() -> None:
        on = Stage()
        first, other = on.ticker.watch(), on.ticker.watch()
        seen, _, _ = await news(first)
        await news(other)
        await first.aclose()
        for chunks in (2.0, 3.0):
            on.figures = {"rates.chunks": chunks}
            await on.later(0.5)
            await news(other)
        back = on.ticker.watch(after=seen)
        assert [row[1] for row in (await news(back))[2]["history"]] == [2.0, 3.0]
        fresh = on.ticker.watch(after=1_000)  # of another process, before a restart of the page
        assert [row[1] for row in (await news(fresh))[2]["history"]] == [1.0, 2.0, 3.0]
        for stream in (other, back, fresh):
            await stream.aclose()

    asyncio.run(scene())


def test_a_slow_viewer_gets_the_latest_only() -> None:
    async def scene() -> None:
        on = Stage()
        stream = on.ticker.watch()
        await news(stream)
        for chunks in range(2, 50):
            on.figures = {"rates.chunks": float(chunks)}
            await on.later(0.5)
        assert (await news(stream))[2]["figures"] == {"rates.chunks": 49.0}
        await stream.aclose()

    asyncio.run(scene())


def test_a_lost_node_is_told_and_its_return() -> None:
    async def scene() -> None:
        on = Stage()
        on.error = UnavailableError("no node at unix:/x")
        stream = on.ticker.watch()
        assert (await news(stream))[1:] == ("lost", {"why": "no node at unix:/x"})
        on.error = None
        await on.later(0.5)
        _, event, data = await news(stream)
        assert (event, len(data["history"])) == ("counters", 1)
        await stream.aclose()

    asyncio.run(scene())


def test_one_answer_serves_all_who_ask_at_once() -> None:
    async def scene() -> None:
        asked = 0
        gate = asyncio.Event()

        async def ask() -> int:
            nonlocal asked
            asked += 1
            await gate.wait()
            return asked

        shared = Shared(0.0)
        waiting = [asyncio.ensure_future(shared.get("key", ask)) for _ in range(5)]
        await asyncio.sleep(0)
        waiting[0].cancel()  # who goes takes nobody's answer along
        gate.set()
        assert await asyncio.gather(*waiting[1:]) == [1] * 4
        assert await shared.get("key", ask) == 2

    asyncio.run(scene())


def test_an_error_is_everybodys_and_not_kept() -> None:
    async def scene() -> None:
        async def fail() -> int:
            raise UnavailableError("gone")

        async def work() -> int:
            return 1

        shared = Shared(0.0)
        found = await asyncio.gather(*(shared.get("key", fail) for _ in range(3)), return_exceptions=True)
        assert all(isinstance(each, UnavailableError) for each in found)
        assert await shared.get("key", work) == 1

    asyncio.run(scene())


def test_of_too_many_viewers_the_one_that_takes_nothing_gives_way_and_else_the_oldest() -> None:
    async def scene() -> None:
        on = Stage()
        viewers = [on.ticker.watch() for _ in range(VIEWERS_MAX)]
        for viewer in viewers:
            await news(viewer)
        stuck = viewers.pop(5)
        on.figures["rates.chunks"] = 2.0
        await on.later(1.0)
        for viewer in viewers:
            await news(viewer)
        viewers.append(on.ticker.watch())
        assert (await news(viewers[-1]))[2]["figures"] == {"rates.chunks": 2.0}
        assert await anext(stuck, None) is None
        viewers.append(on.ticker.watch())
        waiting = asyncio.create_task(anext(viewers[0], None))
        await news(viewers[-1])
        assert await waiting is None, "the oldest, which was waiting"
        assert on.ticker.watchers == VIEWERS_MAX
        for viewer in viewers:
            await viewer.aclose()
        assert on.ticker.watchers == 0
        on.end_pause()

    asyncio.run(scene())

"""What is under way on a link: as much as keeps it busy, and no more than a beat can wait for."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from pangea.compute.model.units import KIB, MIB
from pangea.compute.network.peers.peering import CALL_SECONDS
from pangea.compute.network.rpc.pacing import BLOCK_BYTES_MIN, QUEUE_SECONDS, WINDOW_BYTES_MAX, Pace, Turns, Way
from pangea.compute.network.rpc.service import BLOCK_BYTES
from pangea.compute.orchestrator.limits import BEAT_SECONDS, LEASE_SECONDS
from tests.examples import first, long
from tests.fakes import clock


class Line:
    """A link of so many bytes per second, so many seconds long; what is on it queues. `beside`: another user of the same."""

    def __init__(self, rate: float, trip: float, *, beside: Line | None = None) -> None:
        self.rate, self.trip = rate, trip
        self._free_at: list[float] = beside._free_at if beside is not None else [0.0]
        self.turns = Turns(Way())
        self.carried = 0
        #: Of each transfer: when it began, seconds until the answer.
        self.took: list[tuple[float, float]] = []

    @property
    def queued(self) -> float:
        """Seconds that what is sent now waits."""
        return max(0.0, self._free_at[0] - clock.loop().time())

    async def carry(self, size: int, *, is_whole: bool = False) -> int:
        turn = await self.turns.begin(size, is_whole=is_whole)
        began = clock.loop().time()
        self._free_at[0] = began + self.queued + turn.size / self.rate
        await clock.passes(self.queued + self.trip)
        self.took.append((began, clock.loop().time() - began))
        self.turns.end(turn, is_answered=True)
        self.carried += turn.size
        return turn.size

    async def carry_for_ever(self, users: int) -> None:
        async def user() -> None:
            while True:
                await self.carry(BLOCK_BYTES)

        await asyncio.gather(*(user() for _ in range(users)))


def on_line(test: Coroutine[Any, Any, None]) -> None:
    clock.run(test)


@pytest.mark.parametrize("trip", [0.1, *long(0.0005, 0.6)])
@pytest.mark.parametrize("rate", [10e3, 50e3, 300e3, 2e6, 100e6])
@pytest.mark.parametrize("users", [8, *long(1, 64)])
def test_whatever_a_link_carries_it_is_used_and_what_is_short_gets_through(rate: float, trip: float, users: int) -> None:
    async def test() -> None:
        line = Line(rate, trip)
        looks = 60 if rate < 1e6 else 20 if rate < 10e6 else 8  # as many blocks as on slow lines are enough
        using = asyncio.ensure_future(line.carry_for_ever(users))
        await clock.passes(float(looks))
        before, waits = line.carried, []
        for _ in range(looks):
            await clock.passes(0.37)
            waits.append(line.queued)
        using.cancel()
        least = BLOCK_BYTES_MIN / rate
        assert max(waits) <= QUEUE_SECONDS + 2 * max(least, trip), f"a beat waits {max(waits):.2f} s"
        assert max(seconds for _, seconds in line.took) < CALL_SECONDS, "not even at first is a call given up"
        could = rate * looks * 0.37
        if users > 1:
            in_flight = min(rate, WINDOW_BYTES_MAX / (trip + 1e-9), BLOCK_BYTES * users / (trip + 1e-9)) / rate
            assert (line.carried - before) / could > 0.7 * in_flight * least / (least + (trip if least > trip else 0.0))

    on_line(test())


@pytest.mark.parametrize("trip", first(1, [0.01, 0.1, 0.6]))
@pytest.mark.parametrize("rate", first(1, [50e3, 300e3, 5e6]))
def test_who_sends_and_who_fetches_the_same_way_share_it(rate: float, trip: float) -> None:
    async def test() -> None:
        one = Line(rate, trip)
        both = [one, Line(rate, trip, beside=one)]
        for line in both:
            line.turns.pace.way.took(trip)  # as pings do, when a link comes up
        using = [asyncio.ensure_future(line.carry_for_ever(8)) for line in both]
        waits, looks = [], 600 if rate < 1e6 else 300  # as many blocks as on slow lines are enough
        for _ in range(looks):
            await clock.passes(0.37)
            waits.append(one.queued)
        assert max(waits) < 3 * QUEUE_SECONDS, "neither takes the other's queue for the length of the way"
        carried = [line.carried for line in both]
        assert sum(carried) > 0.95 * rate * looks * 0.37
        assert min(carried) > 0.2 * sum(carried)
        for each in using:
            each.cancel()

    on_line(test())


def test_a_beat_that_waits_so_long_is_early_enough() -> None:
    assert BEAT_SECONDS + QUEUE_SECONDS < LEASE_SECONDS / 2


def test_what_is_fast_soon_gets_blocks_of_full_size_eight_at_once() -> None:
    async def test() -> None:
        line = Line(1e9, 0.0005)
        while line.turns.pace.window < WINDOW_BYTES_MAX:
            await asyncio.gather(*(line.carry(BLOCK_BYTES) for _ in range(8)))
        assert line.carried < 32 * MIB
        assert await line.carry(BLOCK_BYTES) == BLOCK_BYTES

    on_line(test())


def test_a_window_grows_only_while_it_is_used() -> None:
    pace = Pace(Way())
    before = pace.window
    for number in range(1000):
        pace.answered(KIB, began=float(number), now=number + 0.01, under_way=KIB)
    assert pace.window == before, "nobody knows what this link would do with more"


def test_what_was_under_way_shrinks_the_window_once() -> None:
    pace = Pace(Way(0.01), window=8 * MIB)
    for number in range(8):
        pace.answered(MIB, began=0.0, now=2.0 + number / 10, under_way=8 * MIB)
    assert 8 * MIB / 4 <= pace.window <= 8 * MIB * 0.51 / 2 + 1
    pace.answered(MIB, began=2.0, now=4.0, under_way=8 * MIB)
    assert pace.window < MIB, "asked for after that, and late again"


def test_a_link_that_gets_slow_all_at_once_gets_through_soon() -> None:
    async def test() -> None:
        line = Line(20e6, 0.01)
        using = asyncio.ensure_future(line.carry_for_ever(8))
        await clock.passes(10.0)
        line.rate = 1e6
        await clock.passes(15.0)
        assert line.queued <= QUEUE_SECONDS + 0.1
        using.cancel()

    on_line(test())


def test_a_way_that_becomes_longer_is_used_as_before_after_a_while() -> None:
    async def test() -> None:
        line = Line(2e6, 0.02)
        using = asyncio.ensure_future(line.carry_for_ever(8))
        await clock.passes(10.0)
        line.trip = 0.9
        await clock.passes(120.0)
        before = line.carried
        await clock.passes(20.0)
        assert line.carried - before > 0.2 * 2e6 * 20
        using.cancel()

    on_line(test())


def test_turns_are_granted_in_order_and_a_large_one_is_not_passed_by() -> None:
    async def test() -> None:
        line, order = Line(100e3, 0.01), list[str]()

        async def carry(name: str, size: int) -> None:
            await line.carry(size, is_whole=True)
            order.append(name)

        await asyncio.gather(carry("a", 60 * KIB), carry("large", MIB), carry("b", KIB), carry("c", KIB))
        assert order == ["a", "large", "b", "c"]

    on_line(test())


def test_what_is_larger_than_the_window_goes_once_it_is_alone() -> None:
    async def test() -> None:
        line = Line(1e6, 0.01)
        assert await line.carry(4 * MIB, is_whole=True) == 4 * MIB

    on_line(test())


def test_who_gives_up_waiting_or_gets_no_answer_leaves_the_turn_to_others() -> None:
    async def test() -> None:
        turns = Turns(Way())
        first = await turns.begin(MIB, is_whole=True)
        impatient = asyncio.ensure_future(turns.begin(MIB, is_whole=True))
        patient = asyncio.ensure_future(turns.begin(KIB))
        await clock.passes(1.0)
        impatient.cancel()
        turns.end(first, is_answered=False)
        assert (await patient).size == KIB
        turns.end(patient.result(), is_answered=True)
        second = await turns.begin(MIB, is_whole=True)
        granted = asyncio.ensure_future(turns.begin(KIB))
        await clock.passes(1.0)
        turns.end(second, is_answered=False)
        assert turns.under_way == KIB
        granted.cancel()  # it doesn't know yet that its turn has come
        await asyncio.gather(granted, impatient, return_exceptions=True)
        assert turns.under_way == 0

    on_line(test())

"""Whose turn it is, on a clock of the test's own: pieces of work, turns of the loop and calls cost what the test says."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import SimpleNamespace

import pytest

from pangea.compute.network.rpc import fair_queue
from pangea.compute.network.rpc.fair_queue import FairQueue

#: Seconds of the processor: a piece of somebody's work, a turn of the loop in which nobody does anything, one of a call's steps.
PIECE, IDLE, STEP = 60e-6, 10e-6, 100e-6


class Scene:
    """A queue, and the clock of its thread, which is the loop's as well."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.queue = FairQueue()
        asyncio.get_running_loop().time = lambda: self.now  # type: ignore[method-assign]

    async def turns(self, count: int, others: float = 0.0) -> None:
        """So many turns of the loop, in each of which others do something."""
        for _ in range(count):
            self.now += IDLE + others
            await asyncio.sleep(0)


class Sender:
    """Somebody who has sent so many messages, of which none is little unless it is said."""

    def __init__(self, on: Scene, owner: str, count: int, *, is_little: bool = False) -> None:
        self.owner, self.is_little = owner, is_little
        self.left, self.had = count, 0
        self._on = on

    @property
    def has_more(self) -> bool:
        return self.left > 0

    def hand_on(self) -> bool:
        if not self.left:
            return False
        self._on.now += PIECE
        self.left -= 1
        self.had += 1
        return True


@pytest.fixture
def play(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Scene], Awaitable[None]]], None]:
    """Play a scene, to the end, on a clock of its own."""

    def played(scene: Callable[[Scene], Awaitable[None]]) -> None:
        async def all_of_it() -> None:
            on = Scene()
            monkeypatch.setattr(fair_queue, "time", SimpleNamespace(thread_time=lambda: on.now))
            await scene(on)

        asyncio.run(all_of_it())

    return played


def crowd(on: Scene, count: int = 1_000) -> list[Sender]:
    """Eight who have sent much, and had their turns for a while."""
    senders = [Sender(on, f"flood {number}", count) for number in range(8)]
    for each in senders:
        on.queue.put(each)
    return senders


def had(senders: list[Sender]) -> int:
    return sum(each.had for each in senders)


Play = Callable[[Callable[[Scene], Awaitable[None]]], None]


def call_beside(play: Play) -> int:
    """Pieces of a crowd's work that a call meets which takes six turns of the loop."""
    met = []

    async def scene(on: Scene) -> None:
        senders, friend = crowd(on), Sender(on, "friend", 1, is_little=True)
        await on.turns(10)
        on.queue.put(friend)
        assert friend.had == 1, "at once"
        begun = had(senders)
        await on.turns(6, STEP)
        met.append(had(senders) - begun)

    play(scene)
    return met[0]


def test_a_call_of_several_turns_meets_one_round_at_most(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    assert call_beside(play) <= 2
    monkeypatch.setattr(fair_queue, "_PAUSE_SECONDS", 0.0)
    assert call_beside(play) >= 6, "without a pause, one in each turn"


def test_what_is_little_is_handed_on_at_once_and_what_isnt_waits(play: Play) -> None:
    async def scene(on: Scene) -> None:
        crowd(on)
        little, much = Sender(on, "little", 1, is_little=True), Sender(on, "much", 1)
        on.queue.put(little)
        on.queue.put(much)
        assert (little.had, much.had) == (1, 0)
        await on.turns(2)
        assert much.had == 1  # it has cost least

    play(scene)


def test_who_has_sent_much_isnt_taken_for_who_sends_little(play: Play) -> None:
    async def scene(on: Scene) -> None:
        on.queue.put(Sender(on, "friend", 1, is_little=True))
        turncoat = Sender(on, "flood", 3)
        on.queue.put(turncoat)
        turncoat.is_little = True
        on.queue.put(turncoat)
        assert turncoat.had == 0
        on.now += fair_queue._LITTLE_AFTER_SECONDS + 1
        await on.turns(3)
        turncoat.left = 1
        on.queue.put(turncoat)
        assert (turncoat.left, turncoat.had) == (0, 4)

    play(scene)


def test_who_has_to_wait_comes_all_the_same_however_busy_others_are(play: Play) -> None:
    async def scene(on: Scene) -> None:
        senders, friend = crowd(on), Sender(on, "friend", 100, is_little=True)
        await on.turns(2)
        begun, since = had(senders), on.now
        for _ in range(100):
            friend.left = 1
            on.queue.put(friend)
            await on.turns(1, STEP)
        rounds = (on.now - since) / (fair_queue._PAUSE_SECONDS + 3 * PIECE)
        assert had(senders) - begun >= int(rounds)
        assert max(each.had for each in senders) - min(each.had for each in senders) <= 1

    play(scene)


def test_while_nobody_wants_the_loop_rounds_follow_each_other(play: Play) -> None:
    async def scene(on: Scene) -> None:
        senders, friend = crowd(on), Sender(on, "friend", 1, is_little=True)
        on.queue.put(friend)
        await on.turns(1)
        begun = had(senders)
        await on.turns(20)  # fewer than somebody is there for after a call
        assert had(senders) - begun >= 20

    play(scene)


def test_where_nobody_sends_little_rounds_are_long_and_there_are_no_pauses(play: Play) -> None:
    async def scene(on: Scene) -> None:
        senders = crowd(on)
        begun = had(senders)
        await on.turns(10, STEP)
        assert had(senders) - begun >= 10 * len(senders)

    play(scene)


async def pieces_between_turns(on: Scene, owners: list[str]) -> int:
    """The most pieces that are taken in between two turns of the loop."""
    done = most = 0

    async def work(owner: str) -> None:
        nonlocal done
        for _ in range(5):
            async with on.queue.turn(owner):
                on.now += fair_queue._CHEAP_SECONDS
                done += 1
            await asyncio.sleep(0)

    tasks = [asyncio.ensure_future(work(owner)) for owner in owners]
    await on.turns(2)
    while not all(task.done() for task in tasks):
        before = done
        await on.turns(1)
        most = max(most, done - before)
    assert done == 5 * len(owners)
    return most


def test_of_those_who_have_cost_much_one_piece_is_taken_in_at_a_time(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    most: list[int] = []

    async def scene(on: Scene) -> None:
        most.append(await pieces_between_turns(on, [f"flood {number}" for number in range(8)]))

    play(scene)
    monkeypatch.setattr(fair_queue, "_CHEAP_SECONDS", 10.0)
    play(scene)
    assert (most[0], most[1] > 1) == (1, True)


def test_a_turn_that_is_given_up_is_given_back(play: Play) -> None:
    async def scene(on: Scene) -> None:
        on.queue._charge("flood", 1.0)

        async def work() -> None:
            async with on.queue.turn("flood"):
                pass

        for turns in range(4):  # while it waits, as it is given, and once it is done
            task = asyncio.ensure_future(work())
            await on.turns(turns)
            task.cancel()
            await asyncio.wait({task})
        last = asyncio.ensure_future(work())
        await on.turns(6)
        assert last.done()
        assert not on.queue._is_given

    play(scene)


@pytest.fixture(autouse=True)
def bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of owners that come and go a few are remembered."""
    monkeypatch.setattr(fair_queue, "_OWNERS_MAX", 20)


def test_of_owners_without_end_a_few_are_remembered(play: Play) -> None:
    async def scene(on: Scene) -> None:
        on.queue.put(Sender(on, "friend", 1, is_little=True))
        for number in range(100):
            on.queue.put(Sender(on, f"stranger {number}", 1))
        await on.turns(300)
        assert (len(on.queue._spent), len(on.queue._waited), len(on.queue._waiting)) == (20, 20, 0)

    play(scene)

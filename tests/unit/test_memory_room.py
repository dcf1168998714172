"""Tasks share memory: who has no room waits, in order, and no longer than it is wanted."""

from __future__ import annotations

import threading
from contextlib import ExitStack

import pytest

from pangea.compute.engine.memory_room import MemoryRoom
from tests.deadlines import until


class Taker(threading.Thread):
    """Takes room, and keeps it until it is let go."""

    def __init__(self, room: MemoryRoom, size: int) -> None:
        super().__init__(daemon=True)
        self.room, self.size = room, size
        self.is_wanted = True
        self.has_room: bool | None = None
        self.let_go = threading.Event()
        self.start()

    def run(self) -> None:
        with self.room.take(self.size, lambda: self.is_wanted) as self.has_room:
            self.let_go.wait(20.0)

    def end(self) -> None:
        self.let_go.set()
        self.join(20.0)


def waiting(room: MemoryRoom, count: int) -> None:
    until(lambda: len(room._waiting) == count, what=f"{count} that wait")


def test_what_fits_together_runs_together_and_the_next_one_waits() -> None:
    room = MemoryRoom(10)
    first, second = Taker(room, 6), Taker(room, 4)
    until(lambda: first.has_room and second.has_room, what="both")
    third = Taker(room, 5)
    waiting(room, 1)
    second.end()
    waiting(room, 1)
    assert third.has_room is None
    first.end()
    until(lambda: third.has_room, what="room")
    third.end()
    assert room._taken == 0


def test_a_large_one_is_not_passed_by_small_ones_for_ever() -> None:
    room = MemoryRoom(10)
    first = Taker(room, 6)
    until(lambda: first.has_room, what="room")
    large = Taker(room, 10)
    waiting(room, 1)
    small = Taker(room, 1)
    waiting(room, 2)
    first.end()
    until(lambda: large.has_room, what="its turn")
    assert small.has_room is None
    large.end()
    until(lambda: small.has_room, what="its turn")
    small.end()


def test_one_that_is_not_wanted_any_more_leaves_and_holds_nobody_up() -> None:
    room = MemoryRoom(10)
    first = Taker(room, 6)
    until(lambda: first.has_room, what="room")
    large, small = Taker(room, 10), None
    waiting(room, 1)
    small = Taker(room, 2)
    waiting(room, 2)
    large.is_wanted = False
    room.look_again()
    until(lambda: large.has_room is False and small.has_room, what="the small one")
    for each in (first, large, small):
        each.end()
    assert room._taken == 0


def test_what_fails_inside_gives_its_room_back() -> None:
    room = MemoryRoom(10)
    with pytest.raises(ZeroDivisionError), room.take(10, lambda: True):
        raise ZeroDivisionError
    with room.take(10, lambda: True) as has_room:
        assert has_room


def test_without_a_cap_all_have_room() -> None:
    room = MemoryRoom(0)
    assert room.may_hold(1 << 60)
    assert not MemoryRoom(10).may_hold(11)
    with ExitStack() as taken:
        assert all(taken.enter_context(room.take(1 << 60, lambda: True)) for _ in range(3))

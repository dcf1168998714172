"""When a machine works for others of its own accord."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pangea.compute.node.conditions import (
    OTHERS_MAX,
    QUIET_SECONDS,
    Conditions,
    Look,
    Machine,
    Times,
    Watch,
    read_hours,
    share_of_others,
    watch,
)
from tests.deadlines import comes_true

NOON, NIGHT = 12 * 60, 23 * 60
MINUTES = st.integers(0, 1_439)


def seen(minute: int = NOON, others: float | None = 0.0, *, on_battery: bool = False) -> Look:
    return Look(minute=minute, others=others, on_battery=on_battery)


@pytest.mark.parametrize("text", ["", "22:00", "22:00-22:00", "24:00-07:00", "22:60-07:00", "7:00-8:00", "22:00-07:00 "])
def test_what_is_no_time_between_two_others_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="two different times"):
        read_hours(text)


def clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


@given(MINUTES, MINUTES, MINUTES)
def test_outside_its_hours_it_does_not_work_for_others(start: int, length: int, now: int) -> None:
    end = (start + length) % 1_440
    if start == end:
        return
    objection = Watch(Conditions(hours=f"{clock(start)}-{clock(end)}")).objection(seen(now), 0.0)
    assert bool(objection) == ((now - start) % 1_440 >= length)
    assert not objection or f"{clock(start)}-{clock(end)}" in objection


def test_on_battery_it_works_for_others_only_if_asked_to() -> None:
    assert "battery" in Watch(Conditions()).objection(seen(on_battery=True), 0.0)
    assert Watch(Conditions(battery=True)).objection(seen(on_battery=True), 0.0) == ""
    assert Watch(Conditions()).objection(seen(others=1.0), 0.0) == ""


def test_it_counts_as_idle_once_others_have_left_it_alone_for_a_while() -> None:
    on = Watch(Conditions(only_idle=True))
    assert "isn't known yet" in on.objection(seen(others=None), 0.0)
    assert on.objection(seen(others=OTHERS_MAX), 10.0) == ""
    assert "60% of its cores now" in on.objection(seen(others=0.6), 20.0)
    assert "1 s until it counts as idle" in on.objection(seen(), 20.0 + QUIET_SECONDS - 1)
    assert on.objection(seen(), 20.0 + QUIET_SECONDS) == ""


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(1, 60)), min_size=1, max_size=50))
def test_it_never_works_for_others_soon_after_somebody_used_it(looks: list[tuple[float, float]]) -> None:
    on, now, used = Watch(Conditions(only_idle=True)), 0.0, float("-inf")
    for others, pause in looks:
        now += pause
        used = now if others > OTHERS_MAX else used
        assert bool(on.objection(seen(others=others), now)) == (now < used + QUIET_SECONDS)


def test_what_its_own_processes_use_is_not_others() -> None:
    assert share_of_others(Times(100.0, 40.0, 30.0), Times(120.0, 50.0, 38.0)) == pytest.approx(0.1)
    assert share_of_others(Times(100.0, 40.0, 30.0), Times(120.0, 50.0, 41.0)) == 0.0
    assert share_of_others(Times(100.0, 40.0, 30.0), Times(100.0, 40.0, 30.0)) is None
    assert share_of_others(Times(100.0, 40.0, 30.0), Times(120.0, 42.0, 5.0)) == pytest.approx(0.1)  # one left with its time


def test_a_child_that_has_ended_was_its_own() -> None:
    """In a process that has no other children: what other tests have started may end, and take its time along."""
    burner = "import time; end = time.process_time() + 0.4\nwhile time.process_time() < end: pass"
    script = f"""
import subprocess, sys
from pangea.compute.node.conditions import times
before = times()
subprocess.run([sys.executable, "-c", {burner!r}], check=True)
after = times()
print(after.own - before.own, after.total - before.total)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    own, total = map(float, done.stdout.split())
    assert own >= 0.4
    assert total > 0
    assert Machine(counts_others=False).look().others is None


class Days:
    """A machine by which the hours go."""

    def __init__(self) -> None:
        self.minute = NOON

    def look(self) -> Look:
        return seen(self.minute)


def test_whoever_is_told_hears_of_each_look() -> None:
    async def scene() -> None:
        days, said = Days(), list[str]()
        task = asyncio.create_task(watch(Conditions(hours="22:00-07:00"), days, said.append, seconds=0.01))
        await comes_true(lambda: said and said[-1] == "it is outside 22:00-07:00")
        days.minute = NIGHT
        await comes_true(lambda: said[-1] == "")
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert set(said) == {"it is outside 22:00-07:00", ""}

    asyncio.run(scene())

"""Deadlines in one heap: the earliest live one is next, the others don't count."""

from __future__ import annotations

from pangea.compute.orchestrator.core.timers import Timer, Timers
from pangea.compute.orchestrator.limits import IDLE_BEAT_SECONDS
from tests.fakes.node import Node


def always(timer: Timer, key: object) -> bool:
    return True


def test_without_deadlines_there_is_nothing_to_wait_for() -> None:
    timers = Timers(always)
    assert timers.next() is None
    assert timers.due(1e9) is None


def test_the_earliest_comes_first_and_equal_ones_in_the_order_they_were_armed() -> None:
    timers = Timers(always)
    for when, key in ((3.0, "late"), (1.0, "first"), (1.0, "second")):
        timers.arm(when, Timer.RETRY, key)
    assert timers.next() == 1.0
    assert [timers.due(5.0) for _ in range(4)] == [
        (Timer.RETRY, "first"),
        (Timer.RETRY, "second"),
        (Timer.RETRY, "late"),
        None,
    ]


def test_nothing_is_due_before_its_time() -> None:
    timers = Timers(always)
    timers.arm(2.0, Timer.CHECK)
    assert timers.due(1.999) is None
    assert timers.due(2.0) == (Timer.CHECK, None)


def test_what_was_overtaken_by_events_is_skipped() -> None:
    gone = {"overtaken"}
    timers = Timers(lambda timer, key: key not in gone)
    timers.arm(1.0, Timer.ATTEMPT, "overtaken")
    timers.arm(2.0, Timer.ATTEMPT, "live")
    assert timers.next() == 2.0
    gone.add("live")
    assert timers.next() is None
    assert timers.due(9.0) is None


def test_what_is_dead_for_good_is_let_go_and_the_rest_comes_in_order() -> None:
    live: set[object] = set()
    timers = Timers(lambda timer, key: key in live)
    for number in range(1_000):
        live.add(number)
        timers.arm(1e9 - number, Timer.DEADLINE, number)
        if number % 10:
            live.discard(number)
    assert len(timers) < 300
    assert [timers.due(2e9) for _ in range(100)] == [(Timer.DEADLINE, number) for number in range(990, -1, -10)]
    assert timers.due(2e9) is None


def test_what_may_count_again_stays() -> None:
    live: set[object] = set()
    timers = Timers(lambda timer, key: key in live)
    for number in range(200):
        timers.arm(1.0 + number, Timer.RETRY, number)
    live.update(range(200))
    assert timers.due(1.0) == (Timer.RETRY, 0)
    assert len(timers) == 199


def test_jobs_that_have_ended_do_not_stay_until_their_deadline() -> None:
    with Node() as node:
        for number in range(200):
            node.submit(1, job=f"job-{number}", timeout=1e6)
            node.executes(*node.started())
            node.merge()
        assert len(node.orchestrator.core.timers) < 200


def test_keys_that_can_not_be_compared_share_a_moment() -> None:
    timers = Timers(always)
    for key in (object(), object(), None):
        timers.arm(1.0, Timer.CHECK, key)
    assert len([timers.due(1.0) for _ in range(3)]) == 3


def test_a_node_with_nothing_to_do_wakes_up_for_nothing() -> None:
    with Node() as node:
        assert node.orchestrator.next_timer() is None
        node.join_child("a")
        assert node.orchestrator.next_timer() is None


def test_a_node_with_a_parent_wakes_up_to_say_that_it_lives() -> None:
    with Node() as node:
        node.join_parent("p")
        assert node.orchestrator.next_timer() == IDLE_BEAT_SECONDS


def test_a_finished_job_leaves_no_timer_behind() -> None:
    with Node() as node:
        node.submit(1)
        assert node.orchestrator.next_timer() is not None
        node.play({})
        node.passes(1.0)
        assert node.orchestrator.next_timer() is None


def test_a_timer_that_comes_early_or_twice_changes_nothing() -> None:
    with Node() as node:
        node.submit(1)
        starts = node.started()
        before = node.orchestrator.next_timer()
        assert node.passes(0.0) == []
        assert node.orchestrator.next_timer() == before
        node.executes(*starts)
        node.merge()

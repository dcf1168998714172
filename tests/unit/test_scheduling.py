"""Who gets which work, in what order, in what pieces, and how far down it may travel."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pangea.compute.model.ids import PeerId
from pangea.compute.model.options import Locality, Priority, VerificationMode
from pangea.compute.model.packet import Budget
from pangea.compute.orchestrator.core.messages import Beat, Delegate
from pangea.compute.orchestrator.core.state import PRIORITY_SECONDS
from pangea.compute.orchestrator.limits import BATCH_MAX, DEPTH_MAX, FAN_OUT_MAX, FLUSH_SECONDS
from pangea.compute.orchestrator.rules.score import Role
from pangea.compute.orchestrator.scheduling.offers import mark
from tests.fakes.node import Node
from tests.fakes.packets import ME, budget_of, packet_of, spec_of

NONE = VerificationMode.NONE


@pytest.fixture
def node() -> Iterator[Node]:
    with Node() as one:
        yield one


def run_order(node: Node) -> list[str]:
    """Let this node's engine do one task after the other; the jobs in the order they got it."""
    order = []
    while starts := node.started():
        order += [str(start.spec.job_id) for start in starts]
        node.executes(*starts)
        node.merge()
    return order


def submit_waiting(node: Node, *jobs: tuple[str, Priority]) -> None:
    for job, priority in jobs:
        node.submit(1, job=job, priority=priority, verification=NONE, timeout=1e5, attempt_timeout=1e4)


# Priority.


def test_high_goes_before_normal_before_low_whatever_the_order_they_came_in(node: Node) -> None:
    submit_waiting(node, ("first", Priority.LOW), ("low", Priority.LOW), ("normal", Priority.NORMAL), ("high", Priority.HIGH))
    assert run_order(node) == ["first", "high", "normal", "low"]


def test_a_parent_s_tasks_and_own_clients_take_turns_however_many_and_urgent_the_parent_s_are(node: Node) -> None:
    node.join_parent("p")
    urgent = spec_of("theirs", priority=Priority.HIGH, attempt_timeout=1e4)
    node.delegate_packets("p", [packet_of(index) for index in range(20)], spec=urgent)
    (running,) = node.started()
    node.submit(20, job="own", priority=Priority.LOW, verification=NONE, size_bytes=20 << 20, timeout=1e5, attempt_timeout=1e4)
    order = []
    for _ in range(6):
        node.executes(running)
        (running,) = node.started()
        order.append(running.spec.job_id)
    assert order == ["own", "theirs"] * 3
    node.told("p")


def test_jobs_of_one_priority_go_in_the_order_they_came_in(node: Node) -> None:
    submit_waiting(node, *((f"job-{index}", Priority.NORMAL) for index in range(5)))
    assert run_order(node) == [f"job-{index}" for index in range(5)]


def test_a_low_job_that_has_waited_long_enough_goes_before_a_fresh_high_one(node: Node) -> None:
    submit_waiting(node, ("first", Priority.HIGH), ("low", Priority.LOW))
    node.passes(PRIORITY_SECONDS[Priority.LOW] + 1.0)
    submit_waiting(node, ("high", Priority.HIGH))
    assert run_order(node) == ["first", "low", "high"]


def test_a_low_job_does_not_starve_under_a_stream_of_high_ones(node: Node) -> None:
    submit_waiting(node, ("first", Priority.HIGH), ("low", Priority.LOW))
    order: list[str] = []
    for second in range(200):
        submit_waiting(node, (f"high-{second}", Priority.HIGH))
        node.passes(1.0)
        starts = node.started()
        order += [str(start.spec.job_id) for start in starts]
        node.executes(*starts)
        node.merge()
    assert "low" in order
    assert order.index("low") <= PRIORITY_SECONDS[Priority.LOW] + 1
    node.started()


# Windows.


@pytest.mark.parametrize(
    ("cores", "round_trip", "window"),
    [(1, 0.0, 2), (4, 0.0, 5), (40, 0.0, 42), (4, 0.5, 6), (4, 1.0, 8), (4, 60.0, 8)],
)
def test_a_child_gets_a_task_for_each_core_and_enough_ahead_to_hide_the_round_trip(
    node: Node, cores: int, round_trip: float, window: int
) -> None:
    node.join_child("a", cores=cores, round_trip=round_trip)
    node.submit(1_000)
    assert len(node.asked("a")) == window
    node.started()


def test_a_child_that_is_a_manager_gets_what_its_subtree_wants(node: Node) -> None:
    node.join_child("a", cores=10)
    node.beats("a", cores=10, window=12, nodes=6, height=1)
    node.submit(1_000)
    assert len(node.asked("a")) == 12 + round(10 * 2 * FLUSH_SECONDS)
    node.started()


def test_a_child_without_a_core_gets_nothing(node: Node) -> None:
    node.join_child("a", cores=0)
    node.submit(10)
    assert node.asked("a") == []
    node.started()


def test_the_window_grows_when_a_child_says_that_it_has_more_cores(node: Node) -> None:
    node.join_child("a", cores=1)
    node.submit(1_000)
    node.asked("a")
    node.beats("a", cores=8)
    assert len(node.asked("a")) == 9 - 2
    node.started()


# Task sizes and batches.


def test_tasks_grow_until_they_last_about_a_second() -> None:
    with Node(chunk_seconds=0.02) as node:
        node.join_child("a", cores=2)
        node.submit(200_000, verification=NONE)
        sizes: list[int] = []
        puppets = {"a": lambda packet: sizes.append(packet.count) or node.right(packet, "a")}  # type: ignore[func-returns-value]
        for _ in range(8):
            node.step(puppets)
        assert sizes[0] == 1
        assert sizes[-1] == pytest.approx(50, abs=1)
        node.started()
        node.asked("a")


def test_tasks_shrink_towards_the_end() -> None:
    with Node(chunk_seconds=0.02) as node:
        node.join_child("a", cores=2)
        node.submit(3_000, verification=NONE)
        sizes: list[int] = []
        puppets = {"a": lambda packet: sizes.append(packet.count) or node.right(packet, "a")}  # type: ignore[func-returns-value]
        node.play(puppets)
        assert max(sizes) > 45
        assert sizes[-1] < max(sizes) / 2


def test_dear_chunks_travel_alone(node: Node) -> None:
    node.join_child("a", cores=4)
    node.submit(10)
    node.executes(*node.started())
    assert {ask.packet.count for ask in node.asked("a")} == {1}
    node.started()


def test_every_chunk_is_in_exactly_one_task_in_order(node: Node) -> None:
    node.chunk_seconds = 0.03
    node.join_child("a")
    node.submit(1_000, verification=NONE)
    node.play(node.honest("a"), seconds=600.0)
    report = node.ends[next(iter(node.ends))].report
    assert report.chunks == 1_000


def test_what_a_child_may_have_goes_in_one_message(node: Node) -> None:
    node.join_child("a", cores=8)
    node.submit(100)
    (message,) = node.take("a")
    assert isinstance(message, Delegate)
    assert len(message.tasks) == 9
    node.started()


def test_no_message_holds_more_than_a_batch(node: Node) -> None:
    node.join_child("a", cores=10 * BATCH_MAX)
    node.submit(10 * BATCH_MAX)
    while len(node.core.children[PeerId("a")].attempts) <= BATCH_MAX:
        node.answers("a", *node.asked("a"))
    messages = [message for message in node.take("a") if isinstance(message, Delegate)]
    assert max(len(message.tasks) for message in messages) == BATCH_MAX
    node.started()


# Which child.


def test_of_several_children_the_one_with_most_room_is_fed_first(node: Node) -> None:
    node.join_child("small", cores=1)
    node.join_child("large", cores=4)
    node.submit(6)
    assert (len(node.asked("large")), len(node.asked("small"))) == (5, 0)
    node.started()


def test_of_equal_children_the_nearer_is_fed_first(node: Node) -> None:
    node.join_child("far", round_trip=0.4)
    node.join_child("near", round_trip=0.01)
    node.submit(3)
    assert (len(node.asked("near")), len(node.asked("far"))) == (2, 0)
    node.started()


def test_of_equal_children_the_more_credible_is_fed_first(node: Node) -> None:
    for name in ("doubtful", "credible"):
        node.join_child(name)
    node.core.children[PeerId("doubtful")].credibility = 0.8
    assert mark(node.core, node.core.children[PeerId("credible")]) > mark(node.core, node.core.children[PeerId("doubtful")])


def test_a_job_that_prefers_to_stay_goes_to_this_node_s_own_engine_first(node: Node) -> None:
    node.join_child("a", cores=8)
    node.submit(1, locality=Locality.PREFER_LOCAL)
    assert len(node.started()) == 1
    assert node.asked("a") == []


def test_any_other_job_goes_to_the_children_first(node: Node) -> None:
    node.join_child("a", cores=8)
    node.submit(1, locality=Locality.ANY)
    assert len(node.asked("a")) == 1
    assert node.started() == []


def test_spread_gives_each_child_one_task_before_any_gets_two(node: Node) -> None:
    for name in ("a", "b", "c"):
        node.join_child(name, cores=8)
    node.submit(4, locality=Locality.SPREAD)
    assert [len(node.asked(name)) for name in ("a", "b", "c")] == [1, 1, 1]
    node.started()


def test_spread_fills_the_children_in_the_end(node: Node) -> None:
    for name in ("a", "b"):
        node.join_child(name, cores=4)
    node.submit(100, locality=Locality.SPREAD)
    node.passes(2.0)
    assert [len(node.asked(name)) for name in ("a", "b")] == [5, 5]
    node.started()


@pytest.mark.parametrize("locality", [Locality.ANY, Locality.PREFER_LOCAL])
def test_otherwise_the_best_child_is_filled_first(node: Node, locality: Locality) -> None:
    for name in ("a", "b", "c"):
        node.join_child(name, cores=8)
    node.submit(10, locality=locality)
    assert sorted(len(node.asked(name)) for name in ("a", "b", "c"))[0] == 0
    node.started()


def test_a_child_that_joins_late_is_fed_at_once(node: Node) -> None:
    node.submit(10)
    node.join_child("a")
    assert len(node.asked("a")) == 2
    node.started()


# How far work travels.


def test_the_owner_sends_its_deadline_its_caps_and_itself_as_ancestor(node: Node) -> None:
    node.join_child("a")
    node.passes(5.0)
    node.submit(3, timeout=60.0)
    node.passes(10.0)
    node.beats("a", cores=2)
    budgets = {ask.attempt: ask.budget for ask in node.asked("a")}
    expected = [Budget(depth=DEPTH_MAX - 1, fan_out=FAN_OUT_MAX, seconds=60.0, ancestors=(ME,))]
    assert [budget for budget in budgets.values() if budget.seconds == 60.0][:1] == expected
    node.started()


def test_each_hop_passes_on_a_smaller_budget(node: Node) -> None:
    node.join_parent("p")
    node.join_child("a")
    node.delegates("p", chunks=3, budget=budget_of("owner", "p", fan_out=5, seconds=30.0))
    (ask, *_) = node.asked("a")
    assert ask.budget == Budget(depth=DEPTH_MAX - 3, fan_out=5, seconds=30.0, ancestors=(*budget_of("owner", "p").ancestors, ME))
    node.started()


def test_time_spent_waiting_here_is_gone_for_those_below(node: Node) -> None:
    node.join_parent("p")
    node.delegates("p", chunks=3, budget=budget_of("p", seconds=30.0))
    starts = node.started()
    node.passes(12.0)
    node.join_child("a")
    node.executes(*starts)
    (ask, *_) = node.asked("a")
    assert ask.budget.seconds == pytest.approx(18.0)
    node.started()
    node.told("p")


def test_at_the_lowest_depth_a_node_works_alone(node: Node) -> None:
    node.join_parent("p")
    node.join_child("a")
    node.delegates("p", chunks=3, budget=budget_of("p", depth=0))
    assert node.asked("a") == []
    assert len(node.started()) == 1


def test_no_ancestor_is_given_its_own_work(node: Node) -> None:
    node.join_parent("p")
    for name in ("owner", "a"):
        node.join_child(name)
    node.delegates("p", chunks=9, budget=budget_of("owner", "p"))
    assert node.asked("owner") == []
    assert len(node.asked("a")) == 2
    node.started()


def test_a_node_uses_at_most_sixty_four_children_for_a_job(node: Node) -> None:
    names = [f"c{index}" for index in range(FAN_OUT_MAX + 6)]
    for name in names:
        node.join_child(name)
    node.submit(1_000)
    assert sum(bool(node.asked(name)) for name in names) == FAN_OUT_MAX
    node.started()


def test_a_parent_s_budget_may_allow_fewer_children(node: Node) -> None:
    node.join_parent("p")
    for name in ("a", "b", "c"):
        node.join_child(name)
    node.delegates("p", chunks=20, budget=budget_of("p", fan_out=2))
    assert sum(bool(node.asked(name)) for name in ("a", "b", "c")) == 2
    node.started()


def test_a_manager_stays_manager_for_the_job(node: Node) -> None:
    node.join_child("a")
    node.submit(10)
    assert node.job().role is Role.MANAGER
    node.core.weights.observe(node.job().spec, "execute", size_bytes=1_000_000, fuel=1)
    node.beats("a", cores=9)
    assert node.job().role is Role.MANAGER
    node.asked("a")
    node.started()


def test_a_node_tells_its_parents_what_stands_behind_it(node: Node) -> None:
    node.join_parent("p")
    node.join_child("a", cores=4)
    node.beats("a", cores=4, window=5, nodes=3, height=1)
    node.passes(1.0)
    beats = [message for peer, message in node.heartbeats if peer == "p"]
    assert beats[0] == Beat(cores=1, window=1, nodes=1, height=0)
    assert beats[-1] == Beat(cores=5, window=1 + 6, nodes=4, height=2)


# Keys are cheap.


def test_children_that_do_nothing_hold_up_no_job_for_longer_than_it_takes_to_see_it(node: Node) -> None:
    for number in range(64):
        node.join_child(f"idle-{number}")
    began = node.now
    node.submit(40, verification=NONE)
    assert sum(len(each.attempts) for each in node.core.children.values()) >= 30, "they are given most of it first"
    node.play({}, seconds=12.0)  # this node alone: 40 tasks of a tenth of a second
    assert node.now - began < 12.0


def test_two_children_that_have_never_answered_hold_a_task_up_and_no_third(node: Node) -> None:
    node.keep_busy()
    names = [f"idle-{number}" for number in range(6)]
    for name in names:
        node.join_child(name)
    node.submit(1, verification=NONE)
    node.passes(60.0)
    assert sum(len(node.asked(name)) for name in names) == 2
    node.join_child("proven")
    node.core.children[PeerId("proven")].answered = 1
    node.passes(5.0)
    assert node.asked("proven")


def test_cores_that_are_claimed_count_as_far_as_answers_bear_them_out(node: Node) -> None:
    node.join_child("modest", cores=4)
    assert node.core.cores_below == 4
    node.beats("modest", cores=1_000_000)
    node.join_child("boaster", cores=1_000_000)
    assert node.core.cores_below == 2 * 8
    node.core.children[PeerId("modest")].answered = 20
    node.beats("modest", cores=1_000_000)
    assert node.core.cores_below == (8 + 4 * 20) + 8
    node.beats("modest", cores=3)
    assert node.core.cores_below == 3 + 8
    node.loses("boaster")
    assert node.core.cores_below == 3

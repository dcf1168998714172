"""One test for each safeguard of the orchestrator, that goes red when the safeguard is taken out: messages, time, trees, tries.

An attack that a safeguard stops leaves a state that looks legal, so invariants don't notice; only these tests do.
The safeguards of verification are in `test_ablations_of_checks`.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pangea.compute.model.ids import PeerId
from pangea.compute.model.options import VerificationMode
from pangea.compute.model.outcome import FailureKind
from pangea.compute.model.packet import TaskStatus
from pangea.compute.orchestrator.balancing import peers
from pangea.compute.orchestrator.core.messages import Cancel, Delegate, Lease
from pangea.compute.orchestrator.core.transitions import TaskState
from pangea.compute.orchestrator.lifecycle import intake
from pangea.compute.orchestrator.limits import DEPTH_MAX, FAN_OUT_MAX, LEASE_SECONDS, SLOW_START
from tests.fakes.node import Node
from tests.fakes.owner import (
    finish,
    finish_here,
    is_right,
    one_asked,
    submit,
)
from tests.fakes.packets import JOB, ME, budget_of, packet_of, spec_of

NONE, HASH, REDUNDANCY, MERKLE, ADAPTIVE = VerificationMode


@pytest.fixture
def node() -> Iterator[Node]:
    with Node() as one:
        yield one


def ends_right(node: Node, chunks: int) -> bool:
    """Let this node's engine do all it is given, and the merge: whether the result is the serial one."""
    finish_here(node)
    return is_right(finish(node), chunks)


# Who may answer what.


def test_the_answer_to_an_attempt_that_is_over_is_not_taken_for_the_one_under_way(node: Node) -> None:
    node.keep_busy()
    submit(node, NONE, "a")
    (first,) = node.asked("a")
    node.loses("a")
    node.join_child("a")
    (second,) = node.asked("a")
    assert first.attempt != second.attempt
    assert node.answers("a", first, lie=b"from an earlier life") == []
    node.answers("a", second)
    assert ends_right(node, 1)


def test_a_child_can_not_answer_for_another(node: Node) -> None:
    submit(node, NONE, "honest", "forger", chunks=10)
    held = {name: node.asked(name) for name in ("honest", "forger")}
    node.answers("forger", *held["honest"], lie=b"lie")
    node.answers("honest", *held["honest"])
    node.answers("forger", *held["forger"])
    assert ends_right(node, 10)


def test_an_answer_must_be_to_the_task_that_was_given(node: Node) -> None:
    submit(node, NONE, "a", chunks=2)
    first, second = node.asked("a")
    node.says("a", first, node.right(second.packet, "a"))
    assert node.task(first.packet.start).state is TaskState.ASSIGNED
    node.answers("a", first, second)
    assert ends_right(node, 2)


def test_nobody_votes_in_this_node_s_name(node: Node) -> None:
    node.core.trust.passed(ME, "", 0.0)
    submit(node, ADAPTIVE, "a")
    (ask,) = node.asked("a")
    node.answers("a", ask, worker=ME, lie=b"lie")
    assert node.case().votes == []
    assert ends_right(node, 1)


def test_a_banned_worker_s_answer_does_not_count_through_whomever_it_comes(node: Node) -> None:
    node.core.trust.ban(PeerId("banned"), "", 0.0)
    submit(node, NONE, "branch")
    (ask,) = node.asked("branch")
    node.answers("branch", ask, worker="banned", lie=b"lie")
    assert ends_right(node, 1)


def test_strangers_command_nothing(node: Node) -> None:
    node.hears("stranger", Delegate(spec=spec_of(), budget=budget_of("stranger"), tasks=((1, packet_of()),)))
    assert node.started() == []


def test_one_parent_can_not_cancel_what_another_wants(node: Node) -> None:
    for name in ("p", "q"):
        node.join_parent(name)
    (number,) = node.delegates("p")
    node.hears("q", Cancel(attempts=(number,)))
    assert len(node.started()) == 1


# Time.


def test_a_child_that_is_silent_for_a_lease_has_its_work_taken_away(node: Node) -> None:
    node.keep_busy()
    submit(node, NONE, "silent", attempt_timeout=1_000.0)
    (ask,) = node.asked("silent")
    node.silent = {"silent"}
    node.passes(LEASE_SECONDS + 0.5)
    node.join_child("b")
    node.answers("silent", ask, lie=b"too late")
    (again,) = node.asked("b")
    node.answers("b", again)
    assert ends_right(node, 1)


def test_the_work_of_a_parent_that_is_silent_for_a_lease_stops(node: Node) -> None:
    node.join_parent("p")
    node.delegates("p", attempt_timeout=1_000.0)
    (start,) = node.started()
    node.silent = {"p"}
    node.passes(LEASE_SECONDS + 1.0)
    assert node.stopped == [start.attempt]


def test_a_lease_that_does_not_name_a_job_stops_it_for_its_cancel_was_lost(node: Node) -> None:
    node.join_parent("p")
    node.delegates("p")
    (start,) = node.started()
    node.passes(3.0)
    node.hears("p", Lease(jobs=()))
    assert node.stopped == [start.attempt]


def test_an_attempt_that_takes_too_long_is_over(node: Node) -> None:
    node.submit(1, attempt_timeout=5.0)
    (start,) = node.started()
    node.passes(2 * 5.0 + LEASE_SECONDS + 0.5)
    assert node.stopped == [start.attempt]
    node.passes(1.0)
    node.started()


def test_a_job_ends_at_its_deadline(node: Node) -> None:
    node.submit(1, timeout=5.0)
    node.started()
    node.passes(5.5)
    assert JOB in node.ends


def test_no_child_that_sits_on_a_task_holds_up_a_job(node: Node) -> None:
    submit(node, NONE, "sits")
    (ask,) = node.asked("sits")
    node.passes(5.0)
    assert ends_right(node, 1)
    assert Cancel(attempts=(ask.attempt,)) in node.take("sits")


# Trees and their limits.


def test_work_that_comes_back_to_a_node_among_its_ancestors_is_refused(node: Node) -> None:
    node.join_parent("p")
    node.delegates("p", budget=budget_of("owner", ME, "p"))
    assert [result.status for _, result in node.told("p")] == [TaskStatus.REFUSED]


def test_work_is_not_given_to_a_child_that_is_among_its_ancestors(node: Node) -> None:
    node.keep_busy()
    node.join_parent("p")
    node.join_child("owner")
    node.delegates("p", chunks=3, budget=budget_of("owner", "p"))
    assert node.asked("owner") == []


def test_work_that_has_come_too_deep_is_refused(node: Node) -> None:
    node.join_parent("p")
    ancestors = [f"n{index}" for index in range(DEPTH_MAX + 1)]
    node.delegates("p", budget=budget_of(*ancestors, depth=0))
    assert [result.status for _, result in node.told("p")] == [TaskStatus.REFUSED]


def test_a_parent_can_not_give_more_depth_than_is_left(node: Node) -> None:
    node.join_parent("p")
    node.delegates("p", budget=budget_of("owner", "p", depth=DEPTH_MAX))
    assert [result.status for _, result in node.told("p")] == [TaskStatus.REFUSED]


def test_a_node_at_the_lowest_depth_delegates_no_further(node: Node) -> None:
    node.keep_busy()
    node.join_parent("p")
    node.join_child("a")
    node.delegates("p", chunks=3, budget=budget_of("p", depth=0))
    assert node.asked("a") == []


def test_each_hop_costs_depth(node: Node) -> None:
    node.keep_busy()
    node.join_parent("p")
    node.join_child("a")
    node.delegates("p", budget=budget_of("p", depth=3))
    (ask,) = node.asked("a")
    assert ask.budget.depth == 2


def test_a_job_uses_no_more_children_than_its_budget_allows(node: Node) -> None:
    names = [f"c{index}" for index in range(FAN_OUT_MAX + 3)]
    for name in names:
        node.join_child(name)
    node.submit(1_000)
    assert sum(bool(node.asked(name)) for name in names) == FAN_OUT_MAX
    node.started()


def test_a_parent_can_not_allow_more_children_than_the_maximum(node: Node) -> None:
    node.join_parent("p")
    node.delegates("p", budget=budget_of("p", fan_out=FAN_OUT_MAX + 1))
    assert [result.status for _, result in node.told("p")] == [TaskStatus.REFUSED]


def test_work_without_time_left_is_refused(node: Node) -> None:
    node.join_parent("p")
    node.delegates("p", budget=budget_of("p", seconds=float("nan")))
    assert [result.status for _, result in node.told("p")] == [TaskStatus.REFUSED]


def test_a_full_node_refuses_more(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "DELEGATED_TASKS_MAX", 3)
    node.join_parent("p")
    node.delegates("p", chunks=5)
    assert [result.status for _, result in node.told("p")] == [TaskStatus.REFUSED] * 2
    node.started()


def test_a_node_with_as_many_jobs_as_it_may_have_refuses_more(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "JOBS_MAX", 2)
    node.join_parent("p")
    for job in ("one", "two", "three"):
        node.delegates("p", job=job)
    for job in ("four", "five"):
        node.submit(1, job=job)
    assert len(node.core.jobs) == 2
    node.told("p")
    node.started()


def test_a_swarm_of_children_is_turned_away(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "CHILDREN_MAX", 5)
    for index in range(20):
        node.join_child(f"c{index}")
    assert len(node.core.children) == 5


def test_a_child_that_claims_to_want_everything_does_not_get_it(node: Node) -> None:
    node.join_child("hoarder", cores=2)
    node.submit(10_000, verification=NONE)
    node.beats("hoarder", cores=2, window=10**9)
    assert len(node.core.children[PeerId("hoarder")].attempts) <= 3 * 2 + 2
    node.asked("hoarder")
    node.started()


def test_a_child_that_claims_to_have_a_million_cores_does_not_get_work_for_them(node: Node) -> None:
    node.join_child("hoarder", cores=10**6)
    node.submit(2_000, verification=NONE)
    assert len(node.asked("hoarder")) == SLOW_START
    node.started()


def test_a_duplicate_of_a_delegation_is_not_done_twice() -> None:
    with Node(cores=2) as node:
        node.join_parent("p")
        (number,) = node.delegates("p")
        (start,) = node.started()
        node.hears("p", Delegate(spec=spec_of(), budget=budget_of("p"), tasks=((number, start.packet),)))
        assert node.started() == []
        assert node.core.delegated == 1


def test_the_same_task_under_a_new_number_is_not_done_twice() -> None:
    with Node(cores=2) as node:
        node.join_parent("p")
        node.delegates("p")
        (start,) = node.started()
        node.delegate_packets("p", [start.packet])
        assert node.started() == []
        assert node.core.delegated == 1


# Tries.


def test_what_a_machine_failed_goes_to_another(node: Node) -> None:
    node.keep_busy()
    submit(node, NONE, "a")
    (ask,) = node.asked("a")
    node.join_child("b")
    node.fails("a", ask)
    node.passes(1.0)
    name, _ = one_asked(node, "a", "b")
    assert name == "b"


def test_what_was_handed_back_goes_to_another(node: Node) -> None:
    node.keep_busy()
    node.join_child("slow")
    node.beats("slow", cores=1, window=3)
    node.submit(3, verification=NONE)
    asks = node.asked("slow")
    node.join_child("b")
    node.hands_back("slow", *asks[1:], status=TaskStatus.RETURNED)
    assert len(node.asked("b")) == 2


def test_a_child_whose_answers_never_count_does_not_get_the_same_task_again_and_again(node: Node) -> None:
    node.keep_busy()
    submit(node, MERKLE, "garbler")
    (ask,) = node.asked("garbler")
    node.join_child("b")
    node.answers("garbler", ask, leaves=())
    name, _ = one_asked(node, "garbler", "b")
    assert name == "b"


def test_a_job_whose_machines_keep_failing_ends(node: Node) -> None:
    node.submit(1, retry_count=2)
    for _ in range(5):
        node.executes(*node.started(), kind=FailureKind.WORKER_LOST)
        node.passes(12.0)
    assert JOB in node.ends

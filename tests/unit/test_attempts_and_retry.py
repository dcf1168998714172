"""Every attempt has a number and a deadline; what a machine failed is tried elsewhere, what the job failed is not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from pangea.compute.model.ids import PeerId, TaskId
from pangea.compute.model.options import VerificationMode
from pangea.compute.model.outcome import MACHINE_FAULTS, FailureKind
from pangea.compute.model.packet import TaskStatus
from pangea.compute.orchestrator.core.commands import FailJob, FinishJob, StopTask
from pangea.compute.orchestrator.core.events import TaskExecuted
from pangea.compute.orchestrator.core.messages import Answers, Cancel
from pangea.compute.orchestrator.core.transitions import TaskState
from pangea.compute.orchestrator.limits import BACKOFF_SECONDS, BACKOFF_SECONDS_MAX, LEASE_SECONDS, MANAGER_TRIES_MAX
from tests.fakes.node import Node
from tests.fakes.packets import JOB, ME, Ask, failed

NONE = VerificationMode.NONE
#: The longest possible wait between two tries.
LONGEST = 1.5 * BACKOFF_SECONDS_MAX


@pytest.fixture
def node() -> Iterator[Node]:
    with Node() as one:
        yield one


def one_task_at(node: Node, *children: str, **fields: Any) -> Ask:
    """A task that the first child has, with the others idle and this node busy elsewhere."""
    node.keep_busy()
    node.join_child(children[0])
    node.submit(1, **{"verification": NONE, **fields})
    (ask,) = node.asked(children[0])
    for name in children[1:]:
        node.join_child(name)
    return ask


# Numbers.


def test_an_answer_with_an_unknown_number_changes_nothing(node: Node) -> None:
    ask = one_task_at(node, "a")
    assert node.answers("a", replace(ask, attempt=ask.attempt + 1_000)) == []
    assert node.task().state is TaskState.ASSIGNED


def test_an_answer_by_another_child_than_was_asked_changes_nothing(node: Node) -> None:
    ask = one_task_at(node, "a", "b")
    assert node.answers("b", ask, worker="a") == []
    assert node.task().state is TaskState.ASSIGNED


def test_an_answer_to_another_task_than_was_asked_changes_nothing(node: Node) -> None:
    ask = one_task_at(node, "a")
    assert node.says("a", ask, replace(node.right(ask.packet, "a"), task_id=TaskId("job:99"))) == []
    assert node.task().state is TaskState.ASSIGNED


def test_a_second_answer_to_the_same_attempt_changes_nothing(node: Node) -> None:
    node.keep_busy()
    node.join_child("a")
    node.submit(9, verification=NONE)
    ask, *_ = node.asked("a")
    node.answers("a", ask)
    fresh = node.asked("a")
    assert len(fresh) == 1
    assert node.answers("a", ask, lie=b"changed my mind") == []


def test_both_answers_in_one_message_count_once(node: Node) -> None:
    node.keep_busy()
    node.join_child("a")
    node.submit(9, verification=NONE)
    ask, *_ = node.asked("a")
    node.answers("a", ask, ask)
    assert node.own().executions == 1.0
    node.asked("a")


def test_an_answer_after_the_job_s_end_changes_nothing(node: Node) -> None:
    ask = one_task_at(node, "a")
    node.answers("a", ask)
    node.merge()
    assert isinstance(node.ends[JOB], FinishJob)
    assert node.answers("a", ask) == []


def test_an_answer_from_a_child_that_is_gone_changes_nothing(node: Node) -> None:
    ask = one_task_at(node, "a")
    node.loses("a")
    assert node.answers("a", ask) == []


def test_a_child_that_comes_back_can_not_answer_for_its_earlier_life(node: Node) -> None:
    ask = one_task_at(node, "a")
    node.loses("a")
    node.join_child("a")
    (again,) = node.asked("a")
    assert again.attempt != ask.attempt
    assert node.answers("a", ask) == []


def test_an_answer_from_a_stranger_or_a_parent_changes_nothing(node: Node) -> None:
    ask = one_task_at(node, "a")
    node.join_parent("p")
    for name in ("stranger", "p"):
        assert node.answers(name, ask, worker="a") == []


def test_the_engine_s_late_answer_changes_nothing(node: Node) -> None:
    node.submit(1, attempt_timeout=5.0)
    (start,) = node.started()
    assert StopTask(attempt=start.attempt) in node.passes(2 * 5.0 + LEASE_SECONDS)
    assert node.executes(start) == []
    node.passes(LONGEST)
    node.started()


def test_attempts_are_never_numbered_alike(node: Node) -> None:
    for name in ("a", "b", "c"):
        node.join_child(name)
    node.submit(50)
    seen = [ask.attempt for name in ("a", "b", "c") for ask in node.asked(name)] + [s.attempt for s in node.started()]
    assert len(seen) == len(set(seen)) > 3


def test_a_duration_that_is_no_number_teaches_nothing(node: Node) -> None:
    node.keep_busy()
    node.join_child("a")
    node.submit(9, verification=NONE)
    ask, *_ = node.asked("a")
    node.answers("a", ask, seconds=float("nan"))
    assert 0.0 < node.core.task_seconds <= 1.0
    node.asked("a")


# Deadlines.


def test_an_attempt_here_is_over_only_when_the_engine_must_hang(node: Node) -> None:
    node.submit(1, attempt_timeout=5.0)
    node.started()
    assert node.passes(2 * 5.0 + LEASE_SECONDS - 0.01) == []
    node.passes(0.02)
    assert node.stopped
    assert node.task().state is TaskState.PENDING


def test_an_attempt_at_a_child_has_a_lease_more_for_the_way_and_its_queue(node: Node) -> None:
    ask = one_task_at(node, "a", attempt_timeout=5.0)
    node.passes(5.0 + LEASE_SECONDS - 0.01)
    assert node.take("a") == []
    node.passes(0.02)
    assert node.take("a") == [Cancel(attempts=(ask.attempt,))]
    assert node.task().state is TaskState.PENDING


def test_a_late_answer_to_an_attempt_that_timed_out_changes_nothing(node: Node) -> None:
    ask = one_task_at(node, "a", attempt_timeout=5.0)
    node.passes(5.0 + LEASE_SECONDS + 0.01)
    node.take("a")
    assert node.answers("a", ask) == []
    assert node.task().state is TaskState.PENDING


# Another try.


@pytest.mark.parametrize("kind", sorted(MACHINE_FAULTS))
def test_what_a_machine_failed_is_tried_by_another(node: Node, kind: FailureKind) -> None:
    ask = one_task_at(node, "a", "b")
    node.fails("a", ask, kind)
    node.passes(1.5 * BACKOFF_SECONDS)
    (again,) = node.asked("b")
    assert again.packet == ask.packet
    assert node.asked("a") == []


def test_what_no_kind_of_machine_can_do_fails_with_that_cause_once_each_was_asked(node: Node) -> None:
    node.join_child("a")
    node.submit(2, verification=NONE, retry_count=7)
    starts = node.started()
    (ask,) = node.asked("a")
    node.fails("a", ask, FailureKind.STACK_OVERFLOW)
    node.executes(*starts)
    node.passes(LONGEST)
    (start,) = node.started()
    assert start.packet == ask.packet
    (end,) = [each for each in node.executes(start, kind=FailureKind.STACK_OVERFLOW) if isinstance(each, FailJob)]
    assert end.cause == "retries"
    assert end.message.endswith("2 tries, none succeeded; the last: stack overflow")
    assert not node.core.trust.is_banned(PeerId("a"), node.now)


def test_a_machine_that_cannot_do_a_task_is_not_asked_again_when_all_are_forgiven(node: Node) -> None:
    ask = one_task_at(node, "a", "b", retry_count=7)
    node.fails("a", ask, FailureKind.STACK_OVERFLOW)
    node.passes(LONGEST)
    (again,) = node.asked("b")
    node.fails("b", again, FailureKind.WORKER_LOST)
    node.passes(LONGEST)
    assert node.asked("a") == []


def test_a_failure_without_a_kind_counts_as_the_machine_s(node: Node) -> None:
    ask = one_task_at(node, "a", "b")
    result = replace(failed(ask.packet, "a", FailureKind.WORKER_LOST), failure=None)
    node.says("a", ask, result)
    assert node.task().tries == 1
    node.passes(LONGEST)
    node.asked("b")


def test_with_one_child_only_the_other_worker_is_this_node(node: Node) -> None:
    node.join_child("a")
    node.submit(2, verification=NONE)
    starts = node.started()
    (ask,) = node.asked("a")
    node.fails("a", ask)
    node.executes(*starts)
    node.passes(1.0)
    (start,) = node.started()
    assert start.packet == ask.packet


@pytest.mark.parametrize(("drawn", "factor"), [(0.0, 0.5), (0.5, 1.0), (0.998, 1.498)])
def test_the_wait_doubles_with_each_try_and_its_jitter_is_drawn_from_the_node_s_randomness(
    node: Node, drawn: float, factor: float
) -> None:
    node.dice.loaded = drawn
    node.submit(1, retry_count=7)
    waits = []
    for _ in range(7):
        (start,) = node.started()
        node.executes(start, kind=FailureKind.WORKER_LOST)
        waits.append(node.task().not_before - node.now)
        node.passes(waits[-1])
    assert waits == pytest.approx([factor * min(BACKOFF_SECONDS_MAX, BACKOFF_SECONDS * 2**n) for n in range(7)])
    node.started()


def test_nothing_is_tried_again_before_its_wait_is_over(node: Node) -> None:
    node.dice.loaded = 0.5
    node.submit(1)
    node.executes(*node.started(), kind=FailureKind.WORKER_LOST)
    node.passes(BACKOFF_SECONDS - 0.01)
    assert node.started() == []
    node.passes(0.02)
    assert len(node.started()) == 1


@pytest.mark.parametrize("retry_count", [0, 1, 3])
def test_after_its_retries_the_job_fails_and_says_which_task_and_why(node: Node, retry_count: int) -> None:
    node.submit(1, retry_count=retry_count)
    for _ in range(retry_count + 1):
        assert JOB not in node.ends
        node.executes(*node.started(), kind=FailureKind.WORKER_LOST)
        node.passes(LONGEST)
    end = node.ends[JOB]
    assert isinstance(end, FailJob)
    assert end.cause == "retries"
    tries = retry_count + 1
    assert end.message == f"job:0: {tries} tries, none succeeded; the last: worker lost"
    assert end.report.retries == retry_count


def test_a_try_that_succeeds_is_all_that_is_needed(node: Node) -> None:
    node.submit(1)
    node.executes(*node.started(), kind=FailureKind.TIMED_OUT)
    node.passes(1.0)
    end = node.play({})
    assert isinstance(end, FinishJob)
    assert end.report.retries == 1


def test_a_failing_child_is_relied_upon_less(node: Node) -> None:
    ask = one_task_at(node, "a")
    node.fails("a", ask)
    assert node.core.children[PeerId("a")].reliability == 0.5
    assert not node.core.trust.is_banned(PeerId("a"), node.now)
    node.passes(LONGEST)
    node.asked("a")


def test_a_lost_link_costs_no_try(node: Node) -> None:
    ask = one_task_at(node, "a", "b")
    node.loses("a")
    (again,) = node.asked("b")
    assert again.task_id == ask.task_id
    assert node.task().tries == 0


def test_a_light_job_whose_engine_failed_is_tried_here_again_though_a_child_may_not_have_it(node: Node) -> None:
    node.join_child("a")
    node.submit(1, estimated_flops=1.0)
    node.executes(*node.started(), kind=FailureKind.WORKER_LOST)
    node.passes(LONGEST)
    node.executes(*node.started())
    node.merge()
    assert isinstance(node.ends[JOB], FinishJob)


def test_the_copy_that_still_runs_is_waited_for_when_the_other_fails(node: Node) -> None:
    ask = one_task_at(node, "a", "b")
    node.passes(3.0)
    (copy,) = node.asked("b")
    node.fails("a", ask)
    assert node.task().state is TaskState.ASSIGNED
    node.answers("b", copy)
    assert len(node.merges) == 1


# Failures of the job.


def test_a_failure_of_the_job_is_confirmed_here_and_not_tried_again(node: Node) -> None:
    node.join_child("a")
    node.submit(2)
    node.executes(*node.started())
    (ask,) = node.asked("a")
    node.says("a", ask, failed(ask.packet, "a", FailureKind.GUEST_ERROR, "chunk 1: ValueError"))
    (start,) = node.started()
    assert start.packet.start == 1
    node.tell(
        TaskExecuted(attempt=start.attempt, result=failed(start.packet, ME, FailureKind.GUEST_ERROR, "chunk 1: ValueError"))
    )
    end = node.ends[JOB]
    assert isinstance(end, FailJob)
    assert (end.cause, end.message) == ("task", "job:1: chunk 1: ValueError")
    assert end.report.retries == 0


def test_a_failure_of_the_job_found_here_needs_no_confirmation(node: Node) -> None:
    node.submit(5)
    node.executes(*node.started(), kind=FailureKind.OUT_OF_FUEL)
    end = node.ends[JOB]
    assert isinstance(end, FailJob)
    assert (end.cause, end.message) == ("task", "job:0: out of fuel")


def test_under_none_a_failure_is_believed_like_any_answer(node: Node) -> None:
    ask = one_task_at(node, "a", verification=NONE)
    node.fails("a", ask, FailureKind.GUEST_ERROR)
    assert isinstance(node.ends[JOB], FailJob)


def test_whoever_claims_a_failure_that_is_none_is_banned_and_the_job_goes_on(node: Node) -> None:
    node.join_child("a")
    node.submit(2)
    node.executes(*node.started())
    (ask,) = node.asked("a")
    node.fails("a", ask, FailureKind.GUEST_ERROR)
    node.executes(*node.started())
    assert node.dropped == ["a"]
    node.merge()
    end = node.ends[JOB]
    assert isinstance(end, FinishJob)
    assert end.report.bans == ("a",)


# A manager in the middle.


def middle(node: Node) -> tuple[int, Ask]:
    """A parent's task that child `a` has; this node is busy elsewhere."""
    node.keep_busy()
    node.join_parent("p")
    node.join_child("a")
    (number,) = node.delegates("p")
    (ask,) = node.asked("a")
    return number, ask


def test_a_manager_relays_an_answer_under_its_parent_s_number(node: Node) -> None:
    number, ask = middle(node)
    node.answers("a", ask)
    node.passes(0.1)
    assert node.told("p") == [(number, node.right(ask.packet, "a"))]


def test_a_manager_relays_a_failure_of_the_job_at_once(node: Node) -> None:
    number, ask = middle(node)
    node.fails("a", ask, FailureKind.GUEST_ERROR)
    node.passes(0.1)
    assert [(n, r.status, r.failure) for n, r in node.told("p")] == [(number, TaskStatus.FAILED, FailureKind.GUEST_ERROR)]


def test_a_manager_tries_a_few_times_itself_and_then_leaves_it_to_its_parent(node: Node) -> None:
    number, ask = middle(node)
    names = ("a", "b", "c", "d")
    for name in names[1:]:
        node.join_child(name)
    asks = {"a": ask}
    for _ in range(MANAGER_TRIES_MAX + 1):
        (name,) = asks
        node.fails(name, asks.pop(name))
        node.passes(1.0)
        asks = {name: ask for name in names for ask in node.asked(name)}
    ((told, result),) = node.told("p")
    assert (told, result.status, result.failure) == (number, TaskStatus.FAILED, FailureKind.WORKER_LOST)
    assert asks == {}


def test_answers_are_gathered_for_a_moment_and_travel_together(node: Node) -> None:
    node.keep_busy()
    node.join_parent("p")
    node.join_child("a", cores=3)
    node.delegates("p", chunks=4)
    asks = node.asked("a")
    for ask in asks:
        node.answers("a", ask)
    assert node.take("p") == []
    node.passes(0.06)
    (message,) = node.take("p")
    assert isinstance(message, Answers)
    assert len(message.results) == 4


def test_a_worker_without_children_answers_at_once(node: Node) -> None:
    node.join_parent("p")
    (number,) = node.delegates("p")
    (start,) = node.started()
    node.executes(start)
    assert node.told("p") == [(number, node.right(start.packet, ME))]

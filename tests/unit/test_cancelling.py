"""Work that nobody wants any more stops, everywhere, however the news travels."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pangea.compute.model.ids import JobId
from pangea.compute.model.options import Locality, VerificationMode
from pangea.compute.model.outcome import FailureKind
from pangea.compute.orchestrator.core.commands import FailJob, FinishJob, StopTask
from pangea.compute.orchestrator.core.events import JobCancelled, JobMerged
from pangea.compute.orchestrator.core.messages import Cancel, Lease
from pangea.compute.orchestrator.limits import BEAT_SECONDS, LEASE_SECONDS
from tests.fakes.node import Node
from tests.fakes.packets import JOB, budget_of
from tests.fakes.tree import OWNER, Tree


@pytest.fixture
def node() -> Iterator[Node]:
    with Node() as one:
        yield one


def cancels(node: Node, peer: str) -> set[int]:
    return {attempt for message in node.take(peer) if isinstance(message, Cancel) for attempt in message.attempts}


# By the client.


def test_a_cancelled_job_stops_here_and_at_all_children(node: Node) -> None:
    for name in ("a", "b"):
        node.join_child(name)
    node.submit(20)
    asks = {name: {ask.attempt for ask in node.asked(name)} for name in ("a", "b")}
    (start,) = node.started()
    node.tell(JobCancelled(job_id=JOB))
    end = node.ends[JOB]
    assert isinstance(end, FailJob)
    assert (end.cause, end.message) == ("cancelled", "cancelled by the client")
    assert node.stopped == [start.attempt]
    assert {name: cancels(node, name) for name in asks} == asks
    assert node.core.attempts == {}
    assert node.core.jobs == {}


def test_cancelling_what_does_not_exist_or_is_over_changes_nothing(node: Node) -> None:
    assert node.tell(JobCancelled(job_id=JobId("another"))) == []
    node.submit(1)
    node.play({})
    assert node.tell(JobCancelled(job_id=JOB)) == []


def test_a_cancelled_job_leaves_other_jobs_alone(node: Node) -> None:
    node.join_child("a", cores=4)
    node.submit(3, job="first")
    node.submit(3, job="second")
    node.tell(JobCancelled(job_id=JobId("first")))
    assert node.job("second")
    del node.ends[JobId("first")]
    assert isinstance(node.play(node.honest("a")), FinishJob)


def test_a_cancelled_job_can_be_submitted_again(node: Node) -> None:
    node.submit(2)
    node.tell(JobCancelled(job_id=JOB))
    del node.ends[JOB]
    node.submit(2)
    assert isinstance(node.play({}), FinishJob)


def test_a_merge_that_ends_after_the_cancel_changes_nothing(node: Node) -> None:
    node.submit(1)
    node.executes(*node.started())
    node.tell(JobCancelled(job_id=JOB))
    assert node.tell(JobMerged(job_id=JOB, digest=b"late")) == []


def test_a_check_that_waits_for_another_try_ends_with_its_job(node: Node) -> None:
    node.join_child("a")
    node.submit(1, verification=VerificationMode.HASH, locality=Locality.ANY)
    node.answers("a", *node.asked("a"))
    node.executes(*node.started(), kind=FailureKind.WORKER_LOST)
    node.tell(JobCancelled(job_id=JOB))
    node.passes(5.0)
    assert node.started() == []
    assert node.core.attempts == {}


# By the clock.


def test_a_job_that_runs_out_of_time_fails_and_says_how_far_it_got(node: Node) -> None:
    node.submit(5, timeout=20.0)
    node.executes(*node.started())
    node.started()
    node.passes(19.99)
    assert JOB not in node.ends
    node.passes(0.02)
    end = node.ends[JOB]
    assert isinstance(end, FailJob)
    assert (end.cause, end.message) == ("timeout", "20 s are over; 1 of 2 tasks begun were complete")
    assert node.core.attempts == {}


def test_a_job_without_input_runs_out_of_time_too(node: Node) -> None:
    node.submit(0, timeout=5.0)
    node.merges.clear()
    node.passes(6.0)
    assert isinstance(node.ends[JOB], FailJob)


def test_a_parent_s_job_ends_with_the_time_left_in_its_budget(node: Node) -> None:
    node.join_parent("p")
    node.delegates("p", budget=budget_of("p", seconds=7.0))
    (start,) = node.started()
    node.passes(6.99)
    assert node.stopped == []
    node.passes(0.02)
    assert node.stopped == [start.attempt]
    assert node.core.jobs == {}
    assert node.told("p") == []


# By the parent.


def test_a_parent_s_cancel_stops_the_task_here(node: Node) -> None:
    node.join_parent("p")
    first, _ = node.delegates("p", chunks=2)
    (start,) = node.started()
    commands = node.hears("p", Cancel(attempts=(first,)))
    assert commands[0] == StopTask(attempt=start.attempt)
    (other,) = node.started()
    assert other.packet.start == 1
    assert node.executes(start) == []


def test_a_parent_s_cancel_goes_on_to_the_child_that_has_the_task(node: Node) -> None:
    node.keep_busy()
    node.join_parent("p")
    node.join_child("a")
    (number,) = node.delegates("p")
    (ask,) = node.asked("a")
    node.hears("p", Cancel(attempts=(number,)))
    assert cancels(node, "a") == {ask.attempt}
    assert node.answers("a", ask) == []
    node.passes(0.2)
    assert node.told("p") == []


def test_a_cancel_for_a_task_that_is_done_or_unknown_changes_nothing(node: Node) -> None:
    node.join_parent("p")
    (number,) = node.delegates("p")
    node.executes(*node.started())
    node.told("p")
    assert node.hears("p", Cancel(attempts=(number, 12_345))) == []


def test_one_parent_can_not_cancel_another_s_task(node: Node) -> None:
    node.join_parent("p")
    node.join_parent("q")
    (number,) = node.delegates("p")
    assert node.hears("q", Cancel(attempts=(number,))) == []
    assert len(node.started()) == 1


def test_when_the_link_to_a_parent_is_lost_its_work_stops(node: Node) -> None:
    node.join_parent("p")
    node.join_parent("q")
    node.delegates("p", chunks=3)
    (start,) = node.started()
    node.delegates("q", job="other")
    node.loses("p")
    assert node.stopped == [start.attempt]
    assert [key[0] for key in node.core.jobs] == ["q"]
    node.started()


def test_when_a_parent_falls_silent_its_work_stops_within_a_lease(node: Node) -> None:
    node.join_parent("p")
    node.join_child("a")
    node.delegates("p", chunks=3, attempt_timeout=100.0)
    (start,) = node.started()
    asks = {ask.attempt for ask in node.asked("a")}
    node.passes(5.0)
    node.silent = {"p"}
    node.passes(LEASE_SECONDS)
    assert node.stopped == [start.attempt]
    assert cancels(node, "a") == asks
    assert node.core.jobs == {}


def test_a_parent_that_speaks_now_and_then_keeps_its_work_going(node: Node) -> None:
    node.join_parent("p")
    node.delegates("p", attempt_timeout=100.0)
    node.passes(60.0)
    assert node.stopped == []
    assert len(node.started()) == 1


def test_a_lease_that_does_not_name_a_job_ends_it(node: Node) -> None:
    node.join_parent("p")
    node.delegates("p")
    (start,) = node.started()
    node.passes(2 * BEAT_SECONDS)
    node.hears("p", Lease(jobs=()))
    assert node.stopped == [start.attempt]


def test_a_lease_written_before_a_job_was_sent_does_not_end_it(node: Node) -> None:
    node.join_parent("p")
    node.delegates("p")
    node.hears("p", Lease(jobs=()))
    assert node.stopped == []
    assert len(node.started()) == 1


def test_a_lease_names_the_jobs_that_the_child_may_go_on_with(node: Node) -> None:
    node.join_child("a")
    node.submit(9, job="one")
    node.asked("a")
    node.started()
    node.beats("a")
    assert node.heartbeats[-1] == ("a", Lease(jobs=(JobId("one"),)))
    node.tell(JobCancelled(job_id=JobId("one")))
    node.beats("a")
    assert node.heartbeats[-1] == ("a", Lease(jobs=()))


# In a tree.


def busy_tree() -> Tree:
    tree = Tree(levels=3, chunk_seconds=3.0)
    tree.submit(150, verification=VerificationMode.NONE)
    tree.passes(2.0)
    assert len(tree.running()) == len(tree.members) == 15
    return tree


def test_a_cancel_reaches_every_descendant() -> None:
    tree = busy_tree()
    tree.cancel()
    tree.passes(0.1)
    assert tree.running() == {}
    tree.passes(3 * BEAT_SECONDS)
    assert tree.holding() == []


def test_a_lost_cancel_is_made_up_for_by_the_next_lease() -> None:
    tree = busy_tree()
    tree.lost = {(name, Cancel) for name in tree.members}
    tree.cancel()
    tree.passes(0.1)
    assert len(tree.running()) > 10
    tree.passes(4 * 2 * BEAT_SECONDS)
    assert tree.running() == {}
    assert tree.holding() == []


def test_when_the_owner_is_gone_all_below_stop_within_one_lease_a_level() -> None:
    tree = busy_tree()
    tree.kill(OWNER)
    tree.passes(LEASE_SECONDS + BEAT_SECONDS)
    assert tree.running() == {}
    tree.passes(3 * BEAT_SECONDS)
    assert tree.holding() == []


def test_what_a_lost_branch_had_is_done_by_the_others() -> None:
    tree = busy_tree()
    tree.kill(f"{OWNER}.0", notice=True)
    end = tree.finish()
    assert isinstance(end, FinishJob)
    assert end.report.chunks == 150
    assert not set(tree.running()) & set(tree.below(f"{OWNER}.0"))


def test_a_branch_that_falls_silent_is_done_by_the_others_as_well() -> None:
    tree = busy_tree()
    tree.kill(f"{OWNER}.0")
    end = tree.finish()
    assert isinstance(end, FinishJob)
    assert end.report.chunks == 150


def test_budgets_only_shrink_on_their_way_down() -> None:
    tree = busy_tree()
    for name, member in tree.members.items():
        for message in member.delegated:
            assert message.budget.ancestors == tuple(".".join(name.split(".")[:n]) for n in range(1, name.count(".") + 1))
            assert message.budget.depth == 8 - name.count(".")
            assert message.budget.seconds <= 10_000.0

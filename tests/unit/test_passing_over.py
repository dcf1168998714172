"""Who takes sealed tasks and never commits holds none of them up for longer than tasks usually take, and is asked less."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pangea.compute.model.ids import JobId, PeerId
from pangea.compute.model.options import VerificationMode
from pangea.compute.model.packet import TaskStatus
from pangea.compute.orchestrator.core.events import JobCancelled
from pangea.compute.orchestrator.core.messages import Cancel, Reveal
from pangea.compute.orchestrator.core.transitions import TaskState
from pangea.compute.orchestrator.limits import (
    BACKUP_SECONDS_MIN,
    CHECK_SECONDS,
    LAPSE_SECONDS,
    LAPSES_MAX,
    OVERDUE_FACTOR,
    REVEAL_SECONDS_MIN,
)
from tests.fakes.node import Node
from tests.fakes.packets import JOB, Ask, packet_of, sealed, shown

#: By then the idle take what others have had for twice as long as tasks take: a second, as is thought here.
LATE = 2 * BACKUP_SECONDS_MIN + 2 * CHECK_SECONDS
#: By then it is placed again though all have enough to do: a newcomer may take two seconds.
OVERDUE = 2 * OVERDUE_FACTOR + 2 * CHECK_SECONDS


@pytest.fixture
def node() -> Iterator[Node]:
    with Node() as one:
        yield one


def has_time(node: Node) -> None:
    node.tell(JobCancelled(job_id=JobId("elsewhere")))


def held_by(node: Node, *names: str, job: str = JOB) -> dict[str, Ask]:
    """Who has the one task of a job under redundancy."""
    node.submit(1, job=job, verification=VerificationMode.REDUNDANCY, redundancy=2)
    return {name: ask for name in names for ask in node.asked(name)}


def commits(node: Node, name: str, ask: Ask) -> None:
    node.says(name, ask, sealed(node.right(ask.packet, name)))


@pytest.mark.parametrize("is_idle", [True, False])
def test_where_nobody_commits_and_nobody_else_is_there_this_node_executes_it(node: Node, *, is_idle: bool) -> None:
    node.manage("a", "b")
    held = held_by(node, "a", "b")
    assert set(held) == {"a", "b"}
    if is_idle:
        has_time(node)
    node.passes(LATE if is_idle else OVERDUE)
    if not is_idle:
        assert Cancel(attempts=(held["a"].attempt,)) in node.take("a")
        has_time(node)
    (start,) = node.started()
    node.executes(start)
    assert node.task().state is TaskState.COMPLETE
    assert node.case().confidence == 1.0


@pytest.mark.parametrize("is_idle", [True, False])
def test_who_has_committed_shows_it_though_the_other_never_does_and_this_node_looks_itself(node: Node, *, is_idle: bool) -> None:
    node.manage("a", "b")
    held = held_by(node, "a", "b")
    commits(node, "a", held["a"])
    if is_idle:
        has_time(node)
    node.passes((LATE if is_idle else OVERDUE) - 2 * CHECK_SECONDS - 0.01)
    assert shown(node.take("a")) == []
    node.passes(2 * CHECK_SECONDS + 0.01)
    assert shown(node.take("a")) == [held["a"].attempt]
    node.answers("a", held["a"])
    if not is_idle:
        has_time(node)
    (start,) = node.started()
    node.executes(start)
    assert node.task().state is TaskState.COMPLETE
    assert node.own().remote == 1


def test_whose_vote_is_the_only_one_is_looked_at_once_who_took_the_others_place_is_overdue(node: Node) -> None:
    node.manage("a", "b")
    held = held_by(node, "a", "b")
    for name, ask in held.items():
        commits(node, name, ask)
    node.answers("a", held["a"])
    node.join_child("c")
    node.passes(REVEAL_SECONDS_MIN + 0.1)
    assert len(node.asked("c")) == 1
    assert node.task().on_time() == 1
    node.passes(OVERDUE)
    assert node.case().probes == 1
    has_time(node)
    node.executes(*node.started())
    assert node.task().state is TaskState.COMPLETE


def test_an_idle_third_votes_in_the_place_of_who_is_late(node: Node) -> None:
    node.manage("a", "b")
    held = held_by(node, "a", "b")
    commits(node, "a", held["a"])
    node.join_child("c")
    node.passes(LATE)
    (ask,) = node.asked("c")
    commits(node, "c", ask)
    assert shown(node.take("a")) == [held["a"].attempt]
    node.answers("a", held["a"])
    node.answers("c", ask)
    assert [str(vote.worker) for vote in node.case().votes] == ["a", "c"]
    assert Cancel(attempts=(held["b"].attempt,)) in node.take("b")


def test_after_the_third_time_in_a_row_it_has_no_vote_for_a_while_and_one_commitment_makes_up_for_all(node: Node) -> None:
    node.manage("a", "b")
    for number in range(LAPSES_MAX):
        held = held_by(node, "a", "b", job=f"job-{number}")
        assert set(held) == {"a", "b"}
        commits(node, "b", held["b"])
        node.passes(OVERDUE)
        node.tell(JobCancelled(job_id=JobId(f"job-{number}")))
        node.take("a")
    assert set(held_by(node, "a", "b", job="later")) == {"b"}
    node.tell(JobCancelled(job_id=JobId("later")))
    node.passes(LAPSE_SECONDS)
    held = held_by(node, "a", "b", job="much-later")
    assert set(held) == {"a", "b"}
    commits(node, "a", held["a"])
    assert node.core.children[PeerId("a")].lapses == 0


def test_what_it_was_given_before_it_was_passed_over_is_part_of_that(node: Node) -> None:
    node.manage("a", "b")
    node.beats("a", cores=3)
    node.beats("b", cores=3)
    node.submit(3, verification=VerificationMode.REDUNDANCY, redundancy=2)
    assert len(node.asked("a")) == 3
    for ask in node.asked("b"):
        commits(node, "b", ask)
    node.passes(OVERDUE)
    assert node.core.children[PeerId("a")].lapses == 1


def test_how_long_a_child_takes_is_counted_until_it_commits_whatever_it_waits_for_then(node: Node) -> None:
    node.manage("a", "b")
    held = held_by(node, "a", "b")
    node.passes(0.5)
    commits(node, "a", held["a"])
    node.passes(3.0)
    commits(node, "b", held["b"])
    node.answers("a", held["a"])
    node.answers("b", held["b"])
    assert node.core.children[PeerId("a")].turnaround == pytest.approx(0.5)


# In the middle.


def sealed_below(node: Node, *names: str) -> tuple[int, dict[str, Ask]]:
    """A parent's number for a sealed task, and which of the children has it."""
    node.keep_busy()
    node.join_parent("p")
    for name in names:
        node.join_child(name)
    (number,) = node.delegate_packets("p", [packet_of(0, commit_first=True)])
    return number, {name: ask for name in names for ask in node.asked(name)}


def committed_to(node: Node) -> list[int]:
    return [number for number, result in node.told("p") if result.status is TaskStatus.COMMITTED]


def test_a_manager_has_another_do_what_its_child_never_commits_to(node: Node) -> None:
    number, held = sealed_below(node, "a")
    node.passes(OVERDUE)
    node.join_child("b")
    (ask,) = node.asked("b")
    commits(node, "b", ask)
    node.passes(0.1)
    assert committed_to(node) == [number]
    assert Cancel(attempts=(held["a"].attempt,)) in node.take("a")


def test_a_manager_commits_to_one_answer_and_has_no_other_shown(node: Node) -> None:
    number, held = sealed_below(node, "a")
    node.passes(OVERDUE)
    node.join_child("b")
    (ask,) = node.asked("b")
    commits(node, "a", held["a"])
    commits(node, "b", ask)
    node.passes(0.1)
    assert committed_to(node) == [number]
    node.hears("p", Reveal(attempts=(number,)))
    assert node.take("b") == [Cancel(attempts=(ask.attempt,))]
    node.answers("b", ask)
    node.answers("a", held["a"])
    node.passes(0.1)
    assert [str(result.worker) for _, result in node.told("p")] == ["a"]


def test_a_manager_that_commits_itself_calls_its_late_child_off(node: Node) -> None:
    number, held = sealed_below(node, "a")
    has_time(node)
    node.passes(OVERDUE)
    node.executes(*node.started())
    node.passes(0.1)
    assert committed_to(node) == [number]
    assert Cancel(attempts=(held["a"].attempt,)) in node.take("a")


def test_a_manager_makes_no_copy_of_what_is_committed_to_and_waits_for_others(node: Node) -> None:
    _, held = sealed_below(node, "a", "b")
    ((name, ask),) = held.items()
    commits(node, name, ask)
    has_time(node)
    node.passes(OVERDUE + REVEAL_SECONDS_MIN)
    assert not node.asked("b" if name == "a" else "a")
    assert not node.started()
    node.told("p")

"""Who commits to an answer and doesn't show it costs its task one deadline, is remembered, and by the third votes no more."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from pangea.compute.model.ids import JobId, PeerId
from pangea.compute.model.options import Locality, VerificationMode
from pangea.compute.model.outcome import FailureKind
from pangea.compute.model.packet import TaskStatus
from pangea.compute.orchestrator.core.events import AnswersComing, JobCancelled
from pangea.compute.orchestrator.core.messages import Cancel, Reveal
from pangea.compute.orchestrator.core.transitions import TaskState
from pangea.compute.orchestrator.limits import COMING_BYTES_PER_SECOND, OVERDUE_SECONDS_MIN, REVEAL_SECONDS_MIN
from pangea.compute.orchestrator.rules.trust import STRIKE_SECONDS, STRIKES_MAX, TrustBook
from tests.fakes.node import Node
from tests.fakes.packets import JOB, Ask, packet_of, sealed, shown

#: The deadline while tasks are thought to last a second, with no round trip to speak of.
DEADLINE = REVEAL_SECONDS_MIN
A = PeerId("a")


@pytest.fixture
def node() -> Iterator[Node]:
    with Node() as one:
        yield one


def committed(node: Node, *names: str, job: str = JOB, chunks: int = 1) -> dict[str, list[Ask]]:
    """A job under redundancy whose tasks two children have; both have committed, and are asked to show."""
    node.submit(chunks, job=job, verification=VerificationMode.REDUNDANCY, redundancy=2)
    held = {name: asks for name in names if (asks := node.asked(name))}
    for name, asks in held.items():
        for ask in asks:
            node.says(name, ask, sealed(node.right(ask.packet, name)))
    return held


def test_who_does_not_show_loses_the_task_after_one_deadline_and_another_gets_it_at_once(node: Node) -> None:
    node.manage("a", "b")
    held = committed(node, "a", "b")
    node.answers("b", *held["b"])
    node.take("a")
    node.join_child("c")
    node.passes(DEADLINE - 0.01)
    assert node.asked("c") == []
    node.passes(0.02)
    assert node.take("a") == [Cancel(attempts=(held["a"][0].attempt,))]
    (ask,) = node.asked("c")
    assert ask.packet.start == held["a"][0].packet.start
    assert node.core.trust.strikes(A, node.now) == 1
    assert not node.core.trust.is_banned(A, node.now)
    assert [(str(each.worker), each.record.strikes) for each in node.kept][-1] == ("a", 1)


def test_what_was_asked_before_a_strike_is_part_of_it_a_machine_that_stands_still_is_struck_once(node: Node) -> None:
    node.manage("a", "b")
    held = committed(node, "a", "b", chunks=2)
    assert len(held["a"]) >= 1
    node.take("a")
    for ask in held["b"]:
        node.answers("b", ask)
    node.passes(3 * DEADLINE)
    assert node.core.trust.strikes(A, node.now) == 1


def test_after_the_third_it_is_asked_for_no_sealed_answer_any_more_but_for_others(node: Node) -> None:
    node.manage("a", "b")
    for number in range(STRIKES_MAX):
        held = committed(node, "a", "b", job=f"job-{number}")
        node.answers("b", *held["b"])
        node.passes(DEADLINE + 0.1)
        node.tell(JobCancelled(job_id=JobId(f"job-{number}")))
    assert node.core.trust.strikes(A, node.now) == STRIKES_MAX
    assert "a" not in committed(node, "a", "b", job="later")
    node.take("b")
    node.submit(9, job="another", verification=VerificationMode.NONE)
    assert node.asked("a")
    node.take("b")


def shows(node: Node, name: str, ask: Ask, *, signer: str = "", size: int = 0) -> None:
    """A child shows what it has committed to; the results are on their way."""
    right = replace(node.right(ask.packet, signer or name), body_bytes=size)
    node.tell(AnswersComing(peer=PeerId(name), results=((ask.attempt, right),)))


def test_who_has_shown_it_has_time_to_give_the_results_and_is_struck_if_it_does_not(node: Node) -> None:
    node.manage("a", "b")
    held = committed(node, "a", "b")
    node.answers("b", *held["b"])
    node.take("a")
    node.join_child("c")
    shows(node, "a", held["a"][0])
    node.passes(2 * DEADLINE - 0.01)
    assert (node.core.trust.strikes(A, node.now), node.take("a")) == (0, [])
    node.passes(0.02)
    assert node.take("a") == [Cancel(attempts=(held["a"][0].attempt,))]
    assert node.core.trust.strikes(A, node.now) == 1
    assert len(node.asked("c")) == 1


def test_large_results_have_the_time_that_a_slow_link_takes_for_them_all(node: Node) -> None:
    node.manage("a", "b")
    held = committed(node, "a", "b", chunks=2)
    for ask in held["a"]:
        shows(node, "a", ask, size=5 * COMING_BYTES_PER_SECOND)
    node.answers("b", *held["b"])
    last = len(held["a"]) * 5
    node.passes(last + 2 * DEADLINE - 1.0)
    assert held["a"][-1].attempt in node.core.attempts
    node.answers("a", held["a"][-1])
    node.passes(2 * DEADLINE)
    assert node.core.trust.strikes(A, node.now) == (1 if len(held["a"]) > 1 else 0)


def test_what_somebody_below_keeps_back_is_not_its_managers_fault_but_the_task_goes_elsewhere(node: Node) -> None:
    node.manage("a", "b")
    held = committed(node, "a", "b")
    node.answers("b", *held["b"])
    node.join_child("c")
    shows(node, "a", held["a"][0], signer="below")
    node.passes(2 * DEADLINE + 0.1)
    assert len(node.asked("c")) == 1
    assert node.core.trust.strikes(A, node.now) == 0


def test_a_sole_other_worker_that_keeps_results_back_costs_its_task_a_few_seconds(node: Node) -> None:
    """It is executed here then, and is not waited for until the attempt's own time is over."""
    node.join_child("a")
    node.submit(1, verification=VerificationMode.REDUNDANCY, redundancy=2, locality=Locality.SPREAD)
    node.executes(*node.started())
    (ask,) = node.asked("a")
    node.says("a", ask, sealed(node.right(ask.packet, "a")))
    assert shown(node.take("a")) == [ask.attempt]
    shows(node, "a", ask)
    for _ in range(30):
        node.passes(0.1)
        node.executes(*node.started())
    assert node.task().state is TaskState.COMPLETE
    assert node.core.trust.strikes(A, node.now) == 1


def committed_below(node: Node) -> int:
    """The number of a parent's task to which a child has committed, as the parent knows."""
    node.keep_busy()
    node.join_parent("p")
    node.join_child("a")
    (number,) = node.delegate_packets("p", [packet_of(0, commit_first=True)])
    (ask,) = node.asked("a")
    node.says("a", ask, sealed(node.right(ask.packet, "a")))
    node.passes(0.1)
    node.told("p")
    return number


def test_a_manager_whose_child_does_not_show_says_so_before_its_own_deadline(node: Node) -> None:
    number = committed_below(node)
    node.hears("p", Reveal(attempts=(number,)))
    node.take("a")
    node.passes(DEADLINE + 0.1)
    ((told, result),) = node.told("p")
    assert (told, result.status, result.failure) == (number, TaskStatus.FAILED, FailureKind.WORKER_LOST)
    assert node.core.trust.strikes(A, node.now) == 1


def test_a_child_with_others_below_has_a_deadline_more_for_each_level(node: Node) -> None:
    node.manage("a", "b")
    node.beats("a", height=2, nodes=3)
    held = committed(node, "a", "b")
    node.answers("b", *held["b"])
    node.passes(3 * DEADLINE - 0.1)
    assert node.core.trust.strikes(A, node.now) == 0
    node.passes(0.2)
    assert node.core.trust.strikes(A, node.now) == 1


def test_who_is_overdue_with_its_commitment_keeps_nobody_from_showing(node: Node) -> None:
    node.manage("a", "b", "c")
    node.submit(1, verification=VerificationMode.REDUNDANCY, redundancy=2)
    held = {name: ask for name in ("a", "b", "c") for ask in node.asked(name)}
    ready = list(held)[1]
    node.says(ready, held[ready], sealed(node.right(held[ready].packet, ready)))
    node.take(ready)
    node.passes(2 * OVERDUE_SECONDS_MIN + 0.5)  # four times the two seconds that a newcomer may take
    (other,) = {"a", "b", "c"} - set(held)
    (ask,) = node.asked(other)
    node.says(other, ask, sealed(node.right(ask.packet, other)))
    assert shown(node.take(other)) == [ask.attempt]
    assert shown(node.take(ready)) == [held[ready].attempt]


@pytest.mark.parametrize("height", [0, 1, 7, 64])
@pytest.mark.parametrize("given", [1.0, 2.0, 3.5, 8.0])
def test_a_manager_gives_its_children_less_time_than_it_has_whatever_they_say(node: Node, height: int, given: float) -> None:
    number = committed_below(node)
    node.beats("a", height=height, nodes=height + 1)  # it is deep all of a sudden, and so its deadline would be late
    node.core.task_seconds = 30.0  # and was slow
    node.take("a")
    node.hears("p", Reveal(attempts=(number,), milliseconds=round(1000 * given)))
    (asked,) = [message for message in node.take("a") if isinstance(message, Reveal)]
    assert 0 < asked.milliseconds < 1000 * given
    node.passes(0.99 * given)
    ((told, result),) = node.told("p")
    assert (told, result.failure) == (number, FailureKind.WORKER_LOST), "its parent would hold the silence against it"


@pytest.mark.parametrize("milliseconds", [1, 10, 500])
def test_whom_those_above_hurry_is_struck_for_nothing(node: Node, milliseconds: int) -> None:
    number = committed_below(node)
    node.hears("p", Reveal(attempts=(number,), milliseconds=milliseconds))
    node.passes(0.6)
    ((_, result),) = node.told("p")
    assert result.failure is FailureKind.WORKER_LOST
    assert node.core.trust.strikes(A, node.now) == 0


# What is remembered.


def test_strikes_are_forgotten_after_a_week_and_come_back_from_disk() -> None:
    book = TrustBook()
    for asked in (0.0, 10.0, 20.0):
        assert book.strike(A, asked, asked + 1.0)
    assert not book.strike(A, 20.5, 22.0)  # asked before the last one
    assert not book.may_vote(A, 22.0)
    other = TrustBook()
    other.restore(A, "", book.record(A, ""))
    assert (other.strikes(A, 22.0), other.may_vote(A, 22.0)) == (STRIKES_MAX, False)
    assert other.may_vote(A, 21.0 + STRIKE_SECONDS)
    assert other.strike(A, 21.0 + STRIKE_SECONDS, 22.0 + STRIKE_SECONDS)
    assert other.strikes(A, 23.0 + STRIKE_SECONDS) == 1


def test_a_swarm_of_keys_that_are_struck_fills_no_book() -> None:
    book = TrustBook(records_max=32)
    for number in range(1_000):
        book.strike(PeerId(f"k{number}"), number, number + 0.5)
    assert sum(book.strikes(PeerId(f"k{number}"), 1_000.0) for number in range(1_000)) <= 32
    assert book.strikes(PeerId("k999"), 1_000.0) == 1


@pytest.mark.parametrize("back", ["a", "a-again"])
def test_who_comes_back_between_commitment_and_answer_shows_nothing_of_what_it_had_under_whichever_key(
    node: Node, back: str
) -> None:
    node.manage("a", "b")
    held = committed(node, "a", "b")
    node.loses("a")
    node.join_child(back, network="net-a")
    node.answers(back, held["a"][0], worker="a")
    node.answers(back, held["a"][0])
    assert node.case().votes == []
    node.answers("b", *held["b"])
    node.passes(0.3)
    (ask,) = node.asked(back)
    assert ask.attempt != held["a"][0].attempt
    node.answers(back, ask)  # it has committed to nothing of this attempt
    assert [str(vote.worker) for vote in node.case().votes] == ["b"]

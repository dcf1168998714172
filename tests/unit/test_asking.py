"""Whoever was wrong is out at once, and asked once more: what it says then decides whether it lied."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pangea.compute.model.ids import PeerId
from pangea.compute.model.options import VerificationMode
from pangea.compute.model.outcome import FailureKind
from pangea.compute.model.packet import TaskStatus
from pangea.compute.orchestrator.core.events import PeerPardoned
from pangea.compute.orchestrator.core.messages import Cancel
from pangea.compute.orchestrator.rules.trust import Verdict
from tests.fakes.node import Node
from tests.fakes.owner import finish_here, submit
from tests.fakes.packets import JOB, Ask, packet_of

HASH = VerificationMode.HASH
LIE = b"a lie"


@pytest.fixture
def node() -> Iterator[Node]:
    with Node() as one:
        one.holds_questions = True
        yield one
        one.take("a")


def question(node: Node, *, worker: str = "a", through: str = "a") -> Ask:
    """Let a child's first answer be wrong, and this node find that out: what the child is asked then."""
    submit(node, HASH, through, "b", chunks=12)
    first, *rest = node.asked(through)
    assert rest
    node.answers(through, first, worker=worker, lie=LIE)
    finish_here(node)
    assert node.core.trust.verdict(PeerId(worker)) == Verdict.FAULTY
    assert node.core.trust.is_banned(PeerId(worker), node.now)
    (ask,) = node.asked(through, only=True)
    assert (ask.packet.only, ask.packet.avoid) == (worker, frozenset())
    assert ask.task_id.startswith(f"{first.task_id}?"), "what it has signed already would be an answer"
    return ask


def verdicts(node: Node, worker: str = "a") -> list[str]:
    return [kept.record.verdict for kept in node.kept if kept.worker == worker and kept.evidence is not None]


def test_it_gets_nothing_but_the_question_and_what_it_had_goes_to_others(node: Node) -> None:
    question(node)
    assert [message for message in node.take("a") if isinstance(message, Cancel)]
    assert len(node.core.children[PeerId("a")].attempts) == 1
    assert node.dropped == []
    node.passes(5.0)
    assert node.asked("a") == []
    node.asked("b")
    finish_here(node)


def test_who_repeats_the_wrong_answer_has_lied_and_that_is_proven_by_what_it_signed(node: Node) -> None:
    ask = question(node)
    node.answers("a", ask, lie=LIE)
    assert node.core.trust.verdict(PeerId("a")) == Verdict.LIED
    assert verdicts(node) == [Verdict.FAULTY, Verdict.LIED]
    assert node.core.trust.record(PeerId("a"), "").bans == 1
    assert node.dropped == ["a"]
    node.asked("b")
    finish_here(node)


@pytest.mark.parametrize("lie", [b"", b"another lie"], ids=["right", "wrong otherwise"])
def test_who_is_right_when_asked_again_or_wrong_in_another_way_is_faulty(node: Node, lie: bytes) -> None:
    ask = question(node)
    node.answers("a", ask, lie=lie)
    assert verdicts(node) == [Verdict.FAULTY]
    assert node.dropped == ["a"]
    node.asked("b")
    finish_here(node)


@pytest.mark.parametrize("how", ["hands it back", "loses it", "says nothing", "goes", "answers for another"])
def test_without_an_answer_it_stays_faulty_and_nobody_waits_for_it(node: Node, how: str) -> None:
    ask = question(node)
    if how == "hands it back":
        node.hands_back("a", ask, status=TaskStatus.RETURNED)
    elif how == "loses it":
        node.fails("a", ask, FailureKind.STACK_OVERFLOW)
    elif how == "answers for another":
        node.answers("a", ask, worker="c", lie=LIE)
    elif how == "goes":
        node.loses("a")
    else:
        node.passes(60.0)
    assert verdicts(node) == [Verdict.FAULTY]
    assert how == "goes" or node.dropped == ["a"]
    assert not [each for each in node.core.attempts.values() if each.task.inquiry is not None]
    for name in ("a", "b"):
        node.asked(name)
    finish_here(node)


def test_the_job_does_not_wait_for_it(node: Node) -> None:
    question(node)
    node.play(node.honest("b"))
    assert JOB in node.ends
    assert node.dropped == ["a"]
    assert verdicts(node) == [Verdict.FAULTY]


def test_a_pardoned_one_gets_work_again(node: Node) -> None:
    ask = question(node)
    node.tell(PeerPardoned(peer=PeerId("a")))
    node.answers("a", ask, lie=LIE)
    assert node.dropped == []
    assert verdicts(node) == [Verdict.FAULTY]
    node.passes(1.0)
    assert node.core.children[PeerId("a")].refuses_until <= node.now
    for name in ("a", "b"):
        node.asked(name)
    finish_here(node)


def test_one_further_below_is_asked_through_its_branch_which_goes_on(node: Node) -> None:
    ask = question(node, worker="w", through="m")
    node.answers("m", ask, worker="w", lie=LIE)
    assert verdicts(node, "w") == [Verdict.FAULTY, Verdict.LIED]
    assert node.dropped == []
    for name in ("m", "b"):
        node.asked(name)
    finish_here(node)


# On the way down.


def test_a_manager_passes_the_question_to_whom_the_first_answer_came_through(node: Node) -> None:
    node.keep_busy()
    node.join_parent("p")
    for name in ("m", "n"):
        node.join_child(name)
    (number,) = node.delegate_packets("p", [packet_of(0)])
    (name,) = [name for name in ("m", "n") if node.core.children[PeerId(name)].attempts]
    node.answers(name, *node.asked(name), worker="w")
    node.passes(0.1)
    node.told("p")
    (number,) = node.delegate_packets("p", [packet_of(0, only=PeerId("w"))])
    (ask,) = node.asked(name)
    assert ask.packet.only == "w"
    node.answers(name, ask, worker="w", lie=LIE)
    node.passes(0.1)
    ((told, result),) = node.told("p")
    assert (told, result.worker) == (number, "w")


def test_nobody_else_answers_a_question(node: Node) -> None:
    node.join_parent("p")
    node.join_child("m")
    (number,) = node.delegate_packets("p", [packet_of(0, only=PeerId("w"))])
    node.passes(0.1)
    ((told, result),) = node.told("p")
    assert (told, result.status) == (number, TaskStatus.REFUSED)
    assert node.asked("m") == []


def test_whoever_is_asked_executes_it_itself_although_it_manages_others(node: Node) -> None:
    node.join_parent("p")
    node.join_child("m", cores=8)
    (number,) = node.delegate_packets("p", [packet_of(0, only=PeerId("me"))])
    (start,) = node.started()
    assert node.asked("m") == []
    node.executes(start)
    node.passes(0.1)
    ((told, result),) = node.told("p")
    assert (told, result.worker) == (number, "me")

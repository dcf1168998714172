"""The job's own check: what passes needs nobody else's word, what is refused is executed here before anybody is blamed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pangea.compute.model.options import VerificationMode
from pangea.compute.model.outcome import FailureKind
from pangea.compute.model.trace import Check
from pangea.compute.orchestrator.core.commands import FailJob, FinishJob
from pangea.compute.orchestrator.rules.audit import CHECKED_SHARE
from pangea.compute.orchestrator.rules.trust import Verdict
from tests.fakes.node import Node
from tests.fakes.owner import ALWAYS, NEVER, asked, finish, finish_everything, finish_here, is_right, submit, vote
from tests.fakes.packets import JOB

NONE, HASH, REDUNDANCY, MERKLE, ADAPTIVE = VerificationMode


@pytest.fixture
def node() -> Iterator[Node]:
    with Node() as one:
        yield one


def answered(node: Node, mode: VerificationMode = ADAPTIVE, *, chunks: int = 1, lie: bytes = b"", dice: float = NEVER) -> None:
    """A stranger has answered all of a job that has a check."""
    node.dice.loaded = dice
    submit(node, mode, "a", chunks=chunks, has_check=True)
    node.answers("a", *node.asked("a"), lie=lie)


@pytest.mark.parametrize("mode", [HASH, MERKLE, ADAPTIVE])
def test_what_passes_stands_for_one_execution_though_nobody_knows_its_worker(node: Node, mode: VerificationMode) -> None:
    answered(node, mode, chunks=4)
    while starts := node.started():
        node.checks(*starts)
    assert {kept.provenance.check for kept in node.results_kept.values()} == {Check.OWN}
    end = finish(node)
    assert is_right(end, 4)
    assert (end.report.executions_per_task, end.report.confidence, end.report.audits) == (1.0, 1.0, 0)
    assert (end.report.own_checks, end.report.refusals) == (4, 0)
    assert end.report.notes == ("4 answers have passed the job's own check",)


def test_under_none_nobody_looks(node: Node) -> None:
    answered(node, NONE)
    assert finish(node).report.own_checks == 0


def test_nobody_is_trusted_more_for_what_an_author_s_check_passes(node: Node) -> None:
    """Else whoever may submit a job could have accomplices pass for reliable workers of everybody's."""
    answered(node)
    node.checks(*node.started())
    finish(node)
    assert node.core.trust.passes("a", "") == 0  # type: ignore[arg-type]
    assert node.core.trust.anchors("a", "") == 0  # type: ignore[arg-type]


def test_what_is_refused_is_executed_here_and_whoever_was_wrong_is_asked_once_more_and_shut_out(node: Node) -> None:
    node.holds_questions = True
    answered(node, lie=b"lie")
    node.checks(*node.started(), says="chunk 0 doesn't pass")
    (start,) = node.started()
    assert start.packet.function == "execute"
    node.executes(start)
    assert node.core.trust.verdict("a") is Verdict.FAULTY  # type: ignore[arg-type]
    (again,) = node.asked("a", only=True)
    node.answers("a", again, lie=b"lie")
    assert node.core.trust.verdict("a") is Verdict.LIED  # type: ignore[arg-type]
    end = finish(node)
    assert is_right(end, 1)
    assert (end.report.bans, end.report.refusals) == (("a",), 1)
    assert "0 answers have passed the job's own check, 1 were refused" in end.report.notes


@pytest.mark.parametrize("kind", [None, FailureKind.GUEST_ERROR, FailureKind.OUT_OF_FUEL])
def test_a_check_that_refuses_what_is_right_or_crashes_on_it_is_blamed_and_no_worker(
    node: Node, kind: FailureKind | None
) -> None:
    answered(node)
    node.checks(*node.started(), says="chunk 0: it can't be", kind=kind)
    node.executes(*node.started())
    end = node.ends[JOB]
    assert isinstance(end, FailJob)
    assert (end.cause, end.message) == ("check", "the job's own check refuses the right result: chunk 0: it can't be")
    assert end.report.bans == ()
    assert not node.core.trust.is_banned("a", node.now)  # type: ignore[arg-type]


def test_a_check_that_crashes_on_a_wrong_answer_is_not_to_blame(node: Node) -> None:
    answered(node, lie=b"lie")
    node.checks(*node.started(), says="not an array", kind=FailureKind.GUEST_ERROR)
    node.executes(*node.started())
    end = finish(node)
    assert is_right(end, 1)
    assert end.report.bans == ("a",)


def test_who_is_charged_for_is_looked_at_all_the_same_now_and_then(node: Node) -> None:
    """The check says nothing of fuel."""
    answered(node, dice=CHECKED_SHARE - 0.001)
    (start,) = node.started()
    assert start.packet.function == "execute"
    node.executes(start)
    assert finish(node).report.audits == 1


def test_fuel_that_was_not_used_is_found_that_way(node: Node) -> None:
    node.dice.loaded = ALWAYS
    submit(node, ADAPTIVE, "a", has_check=True)
    node.answers("a", *node.asked("a"), fuel=10**12)
    assert finish_here(node) == 1
    assert finish(node).report.bans == ("a",)


def test_where_so_many_answers_were_asked_for_by_number_there_are_so_many_and_the_check_looks_at_each_result_once(
    node: Node,
) -> None:
    node.dice.loaded = NEVER
    submit(node, REDUNDANCY, "a", "b", redundancy=2, has_check=True)
    vote(node, {name: ask for name, (ask,) in asked(node, "a", "b").items()})
    while starts := node.started():
        node.checks(*starts)
    report = finish(node).report
    assert (report.executions_per_task, report.own_checks, report.confidence) == (2.0, 1, 1.0)


def test_where_this_machine_cannot_run_the_check_the_task_is_verified_without(node: Node) -> None:
    node.dice.loaded = NEVER
    submit(node, HASH, "a", has_check=True, retry_count=0)
    node.answers("a", *node.asked("a"))
    node.checks(*node.started(), kind=FailureKind.WORKER_LOST)
    (start,) = node.started()
    assert start.packet.function == "execute"
    node.executes(start)
    end = finish(node)
    assert end.report.executions == 2.0
    assert "1 answers could not be given to the job's own check: they were verified without" in end.report.notes


def test_refused_by_the_check_and_beyond_this_machine_nobody_knows_who_is_right(node: Node) -> None:
    node.dice.loaded = NEVER
    submit(node, ADAPTIVE, "a", has_check=True, retry_count=0)
    node.answers("a", *node.asked("a"))
    node.checks(*node.started(), says="no")
    node.executes(*node.started(), kind=FailureKind.WORKER_LOST)
    end = node.ends[JOB]
    assert isinstance(end, FailJob)
    assert end.cause == "check"
    assert "can't execute it to find out who is right: no" in end.message


def test_answers_that_passed_stand_though_many_others_were_caught(node: Node) -> None:
    """Else this node would execute all of the job itself, once a quarter of its workers have lied."""
    node.dice.loaded = NEVER
    submit(node, ADAPTIVE, *"abcdefgh", chunks=60, has_check=True)
    puppets = node.honest(*"defgh") | {name: node.liar(name) for name in "abc"}
    end = node.play(puppets)
    assert isinstance(end, FinishJob)
    assert is_right(end, 60)
    assert (set(end.report.bans), end.report.confidence) == (set("abc"), 1.0)
    assert end.report.audits <= end.report.refusals < 20


def test_explain_says_that_the_check_is_at_it(node: Node) -> None:
    answered(node)
    (explained,) = node.orchestrator.explain(node.task().packet.task_id, now=node.now)
    assert any("the job's own check looks at answer" in check for check in explained.checks)
    node.checks(*node.started(), says="no")
    (explained,) = node.orchestrator.explain(node.task().packet.task_id, now=node.now)
    assert any("refused by the job's own check" in check for check in explained.checks)
    node.executes(*node.started())


def test_a_worker_caught_meanwhile_takes_its_answer_with_it(node: Node) -> None:
    answered(node, chunks=2, lie=b"lie")
    end = finish_everything(node)
    assert is_right(end, 2)

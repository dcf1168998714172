"""Why a task is where it is: in words and figures, at each place where it can be."""

from __future__ import annotations

import pytest

from pangea.compute.model.errors import UnknownTaskError
from pangea.compute.model.ids import PeerId, TaskId
from pangea.compute.model.options import VerificationMode
from pangea.compute.model.outcome import FailureKind
from pangea.compute.model.packet import TaskPacket, TaskStatus
from pangea.compute.orchestrator.lifecycle.explain import Explanation
from tests.fakes.node import Node
from tests.fakes.owner import asked, finish, finish_here, submit, vote
from tests.fakes.packets import sealed, spec_of


def explained(node: Node, index: int = 0) -> Explanation:
    (found,) = node.orchestrator.explain(TaskId(f"job:{index}"), now=node.now)
    return found


def test_a_task_that_nobody_has_is_no_task() -> None:
    with Node() as node, pytest.raises(UnknownTaskError, match="no task job:7 on this node"):
        node.orchestrator.explain(TaskId("job:7"), now=0.0)


def test_an_attempt_under_way_is_told_with_its_peer_and_what_is_left_of_its_time() -> None:
    with Node() as node:
        node.submit(1, verification="none")
        (start,) = node.started()
        node.passes(2.0)
        found = explained(node)
        (trial,) = found.trials
        assert (trial.peer, round(trial.seconds, 6), trial.is_committed) == (PeerId("me"), 2.0, False)
        assert f"attempt {trial.number} by me for 2 s" in str(found)
        assert found.waits_for.startswith("an answer from me (a backup copy may start")
        assert "owner, " in str(found)
        node.executes(start)
        node.merge()


def test_a_task_that_failed_on_a_machine_waits_for_another_try_and_says_where() -> None:
    with Node() as node:
        node.submit(1, verification="none")
        (start,) = node.started()
        node.executes(start, kind=FailureKind.WORKER_LOST)
        found = explained(node)
        assert (found.waits_for, found.tries, found.failed_on) == ("another try", 1, ("me",))
        assert found.until is not None
        assert found.until > 0
        assert "1 tries failed, the last on me" in str(found)
        node.passes(60.0)
        node.executes(*node.started())
        node.merge()


def test_a_queued_task_says_who_may_not_have_it_and_why() -> None:
    with Node() as node:
        node.keep_busy()
        node.join_parent("p")
        node.delegates("p")
        found = explained(node)
        assert found.waits_for == "a peer with room that may have it"
        (me,) = found.candidates
        assert me.objection == "no room: 1 of 1 attempts under way"
        assert "no room" in str(found)


def test_answers_that_differ_are_told_with_the_leaf_and_the_referee_s_part_with_its_state() -> None:
    with Node() as node:
        submit(node, VerificationMode.REDUNDANCY, "a", "b", redundancy=2)
        held = {name: ask for name, (ask,) in asked(node, "a", "b").items()}
        node.says("a", held["a"], sealed(node.right(held["a"].packet, "a")))
        found = explained(node)
        assert {trial.peer: trial.is_committed for trial in found.trials} == {"a": True, "b": False}
        assert "by a for 0 s, " in str(found)
        assert ", has committed to an answer" in str(found)
        vote(node, held, b=b"lie")
        found = explained(node)
        assert {opinion.worker for opinion in found.opinions} == {"a", "b"}
        assert found.waits_for == "1 executions by this node itself"
        assert found.disagreements == (f"{found.opinions[1].worker} disagrees with {found.opinions[0].worker}, first in leaf 0",)
        assert found.checks[-1].startswith("the owner executes ")
        assert finish_here(node) == 1
        assert finish(node).report.bans == ("b",)


def test_a_complete_task_waits_for_nothing_and_says_what_it_was_accepted_by() -> None:
    with Node() as node:
        node.submit(2, verification="none")
        (start,) = node.started()
        node.executes(start)
        found = explained(node, start.packet.start)
        assert found.waits_for.startswith("nothing: it is done")
        assert found.candidates == ()
        (opinion,) = found.opinions
        assert opinion.weight == float("inf")
        assert "judged: " in str(found)
        node.executes(*node.started())
        node.merge()


def test_a_parent_s_sealed_answer_waits_for_the_word_to_reveal_it() -> None:
    with Node() as node:
        node.join_parent("p")
        packet = TaskPacket(task_id=TaskId("job:0"), start=0, count=1, size_bytes=10, commit_first=True)
        (number,) = node.delegate_packets("p", [packet], spec=spec_of())
        node.executes(*node.started())
        assert [(told, result.status) for told, result in node.told("p")] == [(number, TaskStatus.COMMITTED)]
        found = explained(node)
        assert found.waits_for == "the owner's word to reveal what was committed to"
        assert found.role in ("worker", "manager")

"""Turns that the orchestrator seldom takes: a crowd to draw from, failures after the first, disputes that wait for another."""

from __future__ import annotations

import pytest

from pangea.compute.flow.merging import FAN_IN
from pangea.compute.model.ids import TaskId
from pangea.compute.model.options import VerificationMode
from pangea.compute.model.outcome import FailureKind
from pangea.compute.model.packet import TaskStatus
from pangea.compute.orchestrator.core.commands import FailJob
from pangea.compute.orchestrator.core.messages import Answers
from pangea.compute.orchestrator.core.transitions import TaskState
from pangea.compute.orchestrator.judging.judging import not_judged
from pangea.compute.orchestrator.lifecycle import answers
from pangea.compute.orchestrator.limits import STUCK_SECONDS
from pangea.compute.orchestrator.rules.trust import PROBATION_PASSES
from tests.fakes.node import Node
from tests.fakes.owner import ALWAYS, asked, finish_everything, one_asked, submit, vote
from tests.fakes.packets import JOB, failed

CROWD = "abcdef"


def test_of_a_crowd_one_is_drawn_and_most_are_not_even_looked_at() -> None:
    with Node() as node:
        node.trusts(**dict.fromkeys(CROWD, PROBATION_PASSES))
        submit(node, VerificationMode.ADAPTIVE, *CROWD)
        name, ask = one_asked(node, *CROWD)
        node.dice.loaded = ALWAYS
        node.answers(name, ask)
        drawn, _ = one_asked(node, *CROWD)
        assert (name, drawn) == (CROWD[0], CROWD[1])
        finish_everything(node, *CROWD)


def test_a_later_failure_than_the_first_in_the_input_is_not_the_job_s() -> None:
    with Node() as node:
        submit(node, VerificationMode.NONE, "a", chunks=3)
        asks = sorted(node.asked("a"), key=lambda ask: ask.packet.start)
        results = [(ask.attempt, failed(ask.packet, "a", FailureKind.GUEST_ERROR, f"no {ask.packet.start}")) for ask in asks]
        node.hears("a", Answers(results=(results[1], results[2])))
        assert JOB not in node.ends, "what comes before may fail, too"
        node.answers("a", asks[0])
        end = node.ends[JOB]
        assert isinstance(end, FailJob)
        assert end.message == "job:1: no 1"


def test_answers_wait_for_each_other_before_they_go_up() -> None:
    with Node(cores=2) as node:
        node.join_parent("p")
        node.join_child("a")
        numbers = node.delegates("p", chunks=2)
        starts = node.started()
        for start in starts:
            node.executes(start)
        assert node.told("p") == []
        node.passes(1.0)
        assert {number for number, _ in node.told("p")} == {*numbers}


def test_a_task_tells_who_passed_a_check_and_what_it_is_in_words() -> None:
    with Node() as node:
        submit(node, VerificationMode.MERKLE, "a")
        node.answers("a", *node.asked("a"))
        node.executes(*node.started())
        (found,) = node.orchestrator.explain(TaskId(f"{JOB}:0"), now=node.now)
        assert "passed by it: a" in found.checks
        with pytest.raises(AssertionError, match=f"<task {JOB}:0 complete> probes nothing"):
            not_judged(node.core, node.task())
        node.merge()


def test_a_dispute_waits_for_the_finding_on_its_workers_in_another() -> None:
    with Node(cores=1) as node:
        submit(node, VerificationMode.REDUNDANCY, "a", "b", chunks=2, redundancy=2)
        held = {name: {ask.packet.start: ask for ask in asks} for name, asks in asked(node, "a", "b").items()}
        for start in range(2):
            vote(node, {name: asks[start] for name, asks in held.items()}, b=b"lie")
        waits = [node.orchestrator.explain(TaskId(f"{JOB}:{start}"), now=node.now)[0].waits_for for start in range(2)]
        assert waits == ["1 executions by this node itself", "the finding on a, b in another dispute"]
        assert node.task(1).state is TaskState.VERIFYING
        end = finish_everything(node, "a")
        assert end.report.bans == ("b",)


def test_merge_steps_of_a_result_that_is_not_the_expected_one_are_forgotten() -> None:
    with Node() as node:
        chunks = FAN_IN + 6
        node.submit(chunks, verification=VerificationMode.HASH, associative=True, expected=b"another")
        end = node.play({})
        assert isinstance(end, FailJob)
        assert "not the expected one" in end.message


def test_what_nobody_here_may_execute_goes_back_up_once_that_has_lasted() -> None:
    with Node() as node:
        node.join_parent("p")
        node.join_child("a")
        (number,) = node.delegates("p")
        node.executes(*node.started(), kind=FailureKind.STACK_OVERFLOW)
        node.passes(1.0)
        assert len(node.asked("a")) == 1
        node.loses("a")
        node.passes(STUCK_SECONDS / 4)
        assert (node.told("p"), node.started()) == ([], [])
        node.passes(STUCK_SECONDS)
        ((told, result),) = node.told("p")
        assert (told, result.status, result.message) == (number, TaskStatus.REFUSED, "nobody here may execute it")


def test_answers_that_went_up_at_once_do_not_go_again_when_their_time_to_wait_is_over() -> None:
    with Node(cores=2) as node:
        node.join_parent("p")
        node.join_child("a")
        numbers = node.delegates("p", chunks=2)
        one, other = node.started()
        node.executes(one)
        node.loses("a")
        assert node.told("p") == []
        node.executes(other)
        assert [number for number, _ in node.told("p")] == numbers
        node.passes(1.0)
        assert node.told("p") == []


def test_the_ways_to_workers_further_down_are_kept_for_the_latest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "WAYS_MAX", 2)
    with Node() as node:
        node.join_parent("p")
        node.join_child("a", cores=4)
        node.delegates("p", chunks=6)
        asks = node.asked("a")
        for number, ask in enumerate(asks[:3]):
            node.answers("a", ask, worker=f"w{number}")
        assert node.core.ways == {"w1": "a", "w2": "a"}
        node.loses("p")
        node.asked("a")
        node.started()

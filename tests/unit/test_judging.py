"""Each fixed way of checking from end to end: one owner, and children that are the test's puppets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from pangea.compute.model.ids import PeerId
from pangea.compute.model.options import VerificationMode
from pangea.compute.orchestrator.core.commands import FailJob, FinishJob
from pangea.compute.orchestrator.core.messages import Reveal
from pangea.compute.orchestrator.core.transitions import TaskState
from pangea.compute.orchestrator.rules.audit import AUDIT_FLOOR
from tests.fakes.node import Node
from tests.fakes.owner import (
    NEVER,
    asked,
    expected,
    finish,
    finish_here,
    is_right,
    one_asked,
    submit,
    vote,
)
from tests.fakes.packets import JOB, ME, packet_of, sealed, shown, wrong

NONE, HASH, REDUNDANCY, MERKLE, ADAPTIVE = VerificationMode


@pytest.fixture
def node() -> Iterator[Node]:
    with Node() as one:
        yield one


def wide(node: Node, chunks: int = 1_200, **fields: Any) -> None:
    """A job whose tasks hold many chunks each, after the first, which ran here."""
    node.chunk_seconds = 0.01
    node.submit(chunks, **fields)
    node.executes(*node.started())


# none


def test_under_none_the_first_answer_stands_and_nothing_is_claimed_for_it(node: Node) -> None:
    submit(node, NONE, "a", "b", chunks=4)
    for name, asks in asked(node, "a", "b").items():
        node.answers(name, *asks, lie=b"who would know?")
    end = finish(node)
    report = end.report
    assert (report.mode, report.confidence, report.lowest_confidence) == (NONE, None, None)
    assert (report.tasks, report.executions_per_task, report.bans, report.below_target) == (4, 1.0, (), ())
    assert node.dice.draws == 0


# hash


def test_under_hash_each_worker_s_first_answer_is_executed_again_here(node: Node) -> None:
    node.dice.loaded = NEVER
    submit(node, HASH, "a", chunks=3)
    node.answers("a", *node.asked("a"))
    (start,) = node.started()
    assert start.packet == packet_of(0)
    node.executes(start)
    end = finish(node)
    assert is_right(end, 3)
    assert (end.report.audits, end.report.executions) == (1, 4.0)
    assert end.report.notes == ()  # a sample is what was asked for, not a want of workers


def test_under_hash_a_twentieth_of_all_others_is_executed_again_too(node: Node) -> None:
    node.dice.loaded = AUDIT_FLOOR - 0.001
    submit(node, HASH, "a", chunks=3)
    node.answers("a", *node.asked("a"))
    assert finish_here(node) == 3
    assert finish(node).report.audits == 3


def test_under_hash_a_liar_is_banned_and_all_that_it_did_is_done_again(node: Node) -> None:
    node.dice.loaded = NEVER
    submit(node, HASH, "a", chunks=3)
    node.answers("a", *node.asked("a"), lie=b"lie")
    finish_here(node)
    end = finish(node)
    assert is_right(end, 3)
    assert end.report.bans == ("a",)
    assert end.report.withdrawn == 2
    assert node.dropped == ["a"]


def test_with_an_expected_hash_nothing_is_executed_twice_if_the_result_has_it(node: Node) -> None:
    submit(node, HASH, "a", chunks=3, expected=expected(3))
    node.answers("a", *node.asked("a"))
    end = finish(node)
    assert end.digest == expected(3)
    assert (end.report.executions_per_task, end.report.audits) == (1.0, 0)
    assert (end.report.confidence, end.report.below_target) == (1.0, ())
    assert node.dice.draws == 0


def test_with_an_expected_hash_a_wrong_result_is_executed_again_here_and_whoever_lied_is_banned(node: Node) -> None:
    submit(node, HASH, "a", "b", chunks=6, expected=expected(6))
    held = asked(node, "a", "b")
    node.answers("a", *held["a"])
    node.answers("b", *held["b"], lie=b"lie")
    node.merge()
    assert finish_here(node) == 6
    end = finish(node)
    assert end.digest == expected(6)
    assert end.report.bans == ("b",)


def test_a_job_whose_right_result_is_not_the_expected_one_fails(node: Node) -> None:
    submit(node, HASH, "a", chunks=2, expected=b"of another input")
    node.answers("a", *node.asked("a"))
    node.merge()
    assert finish_here(node) == 2
    node.merge()
    end = node.ends[JOB]
    assert isinstance(end, FailJob)
    assert end.cause == "verification"


# redundancy


def test_under_redundancy_all_votes_are_asked_for_at_once_from_different_children(node: Node) -> None:
    submit(node, REDUNDANCY, "a", "b", "c", "d", redundancy=3)
    held = asked(node, "a", "b", "c", "d")
    assert len(held) == 3
    assert all(ask.packet == packet_of(0, commit_first=True) for (ask,) in held.values())
    assert len({ask.attempt for (ask,) in held.values()}) == 3


def test_nothing_is_revealed_before_all_have_committed(node: Node) -> None:
    node.dice.loaded = NEVER
    node.trusts(a=3, b=3, c=3)
    submit(node, REDUNDANCY, "a", "b", "c", redundancy=3)
    held = {name: ask for name, (ask,) in asked(node, "a", "b", "c").items()}
    for name in ("a", "b"):
        assert node.says(name, held[name], sealed(node.right(held[name].packet, name))) == []
    node.says("c", held["c"], sealed(node.right(held["c"].packet, "c")))
    assert {name: shown(node.take(name)) for name in held} == {name: [ask.attempt] for name, ask in held.items()}
    for name, ask in held.items():
        assert JOB not in node.ends
        node.answers(name, ask)
    assert not any(node.take(name) for name in held)  # each was asked once
    end = finish(node)
    assert is_right(end, 1)
    assert (end.report.executions_per_task, end.report.disputes, end.report.audits) == (3.0, 0, 0)


def test_a_minority_s_lie_about_one_chunk_is_found_and_settled_by_the_referee(node: Node) -> None:
    submit(node, REDUNDANCY, "a", "b", "c", "d", redundancy=3)
    held = {name: ask for name, (ask,) in asked(node, "a", "b", "c", "d").items()}
    liar = next(iter(held))
    vote(node, held, **{liar: b"lie"})
    assert finish_here(node) == 1
    assert node.dropped == [liar]
    (spare,) = {"a", "b", "c", "d"} - set(held)
    assert node.asked(spare) == []  # all of it was executed here: nobody else needs to
    end = finish(node)
    assert is_right(end, 1)
    assert (end.report.bans, end.report.disputes) == ((liar,), 1)


def test_a_majority_s_lie_is_found_as_well(node: Node) -> None:
    submit(node, REDUNDANCY, "a", "b", "c", redundancy=3)
    held = {name: ask for name, (ask,) in asked(node, "a", "b", "c").items()}
    vote(node, held, a=b"clique", b=b"clique")
    finish_here(node)
    assert set(node.dropped) == {"a", "b"}
    assert is_right(finish(node), 1)


def test_who_reveals_something_else_than_it_committed_to_has_no_vote(node: Node) -> None:
    submit(node, REDUNDANCY, "a", "b", redundancy=2)
    held = {name: ask for name, (ask,) in asked(node, "a", "b").items()}
    honest = node.right(held["b"].packet, "b")
    node.says("a", held["a"], sealed(wrong(node.right(held["a"].packet, "a"))))
    node.says("b", held["b"], sealed(honest))
    node.says("a", held["a"], node.right(held["a"].packet, "a"))  # copied, once it was to be had
    node.says("b", held["b"], honest)
    assert [str(v.worker) for v in node.case().votes] == ["b"]
    finish_here(node)
    end = finish(node)
    assert is_right(end, 1)
    assert "1 answers were not what their workers had committed to, and did not count" in end.report.notes


def test_who_answers_without_a_commitment_has_no_vote(node: Node) -> None:
    submit(node, REDUNDANCY, "a", "b", redundancy=2)
    held = {name: ask for name, (ask,) in asked(node, "a", "b").items()}
    node.answers("a", held["a"])
    assert node.case().votes == []
    assert node.task().state is TaskState.ASSIGNED


@pytest.mark.parametrize("redundancy", [2, 3])
def test_with_too_few_children_for_the_votes_asked_this_node_executes_it_and_says_so(node: Node, redundancy: int) -> None:
    submit(node, REDUNDANCY, "a", redundancy=redundancy)
    _, ask = one_asked(node, "a")
    vote(node, {"a": ask})
    node.passes(1.0)
    finish_here(node)
    end = finish(node)
    assert is_right(end, 1)
    assert end.report.confidence == 1.0
    assert end.report.notes == ("1 checks were made by this node itself: too few distinct workers to ask",)


def test_two_children_in_one_network_are_not_both_asked(node: Node) -> None:
    for name in ("a", "b"):
        node.join_child(name, network="203.0.113.0/24")
    submit(node, REDUNDANCY, redundancy=2)
    _, ask = one_asked(node, "a", "b")
    assert ask.packet.commit_first


def test_a_worker_commits_first_and_reveals_when_asked(node: Node) -> None:
    node.join_parent("p")
    (number,) = node.delegate_packets("p", [packet_of(0, commit_first=True)])
    (start,) = node.started()
    node.executes(start)
    result = node.right(start.packet, ME)
    assert node.told("p") == [(number, sealed(result))]
    node.hears("p", Reveal(attempts=(number + 1,)))
    assert node.told("p") == []
    node.hears("p", Reveal(attempts=(number,)))
    assert node.told("p") == [(number, result)]


def test_a_manager_relays_a_commitment_and_the_wish_to_see_it(node: Node) -> None:
    node.keep_busy()
    node.join_parent("p")
    node.join_child("a")
    (number,) = node.delegate_packets("p", [packet_of(0, commit_first=True)])
    (ask,) = node.asked("a")
    result = node.right(ask.packet, "a")
    node.says("a", ask, sealed(result))
    node.passes(0.1)
    assert node.told("p") == [(number, sealed(result))]
    node.hears("p", Reveal(attempts=(number,)))
    assert shown(node.take("a")) == [ask.attempt]
    node.says("a", ask, result)
    node.passes(0.1)
    assert node.told("p") == [(number, result)]


# merkle


def test_under_merkle_all_leaves_of_a_newcomer_s_answer_are_executed_again(node: Node) -> None:
    wide(node, verification=MERKLE)
    node.join_child("a")
    asks = node.asked("a")
    ask = max(asks, key=lambda ask: ask.packet.runs)
    assert ask.packet.runs > 1
    node.answers("a", ask)
    before = node.own().audits
    finish_here(node)
    assert node.task(ask.packet.start).state is TaskState.COMPLETE
    assert node.own().audits - before == 1  # all of them at once, and their fuel
    assert node.core.trust.passes(PeerId("a"), "") == 1
    node.asked("a")


def test_under_merkle_the_sample_is_drawn_when_the_root_is_in_hand_and_small_for_a_worker_that_passed_before(node: Node) -> None:
    node.trusts(a=1_000)
    wide(node, chunks=6_000, verification=MERKLE)
    node.join_child("a")
    asks = node.asked("a")
    ask = max(asks, key=lambda ask: ask.packet.count)
    assert ask.packet.runs == 64
    assert node.dice.draws == 0
    node.answers("a", ask)
    assert node.dice.draws > 0
    assert node.case(ask.packet.start).sampled == 4
    node.started()
    node.asked("a")


def test_under_merkle_a_wrong_leaf_in_the_sample_bans_its_worker(node: Node) -> None:
    wide(node, verification=MERKLE)
    node.join_child("a")
    ask = max(node.asked("a"), key=lambda ask: ask.packet.runs)
    node.says("a", ask, wrong(node.right(ask.packet, "a"), leaf=ask.packet.runs - 1))
    end = node.play({"a": lambda packet: None})
    assert node.dropped == ["a"]
    assert isinstance(end, FinishJob)
    assert end.report.bans == ("a",)


def test_under_merkle_a_root_that_is_not_over_the_leaves_is_no_answer(node: Node) -> None:
    submit(node, MERKLE, "a", "b")
    name, ask = one_asked(node, "a", "b")
    node.answers(name, ask, digest=b"another root")
    other, again = one_asked(node, "a", "b")
    assert other != name
    node.answers(other, again)
    finish_here(node)
    assert is_right(finish(node), 1)


def test_under_merkle_an_answer_all_of_whose_leaves_were_executed_here_is_certain(node: Node) -> None:
    submit(node, MERKLE, "a")
    node.answers("a", *node.asked("a"))
    finish_here(node)
    report = finish(node).report
    assert (report.confidence, report.below_target) == (1.0, ())


def test_under_merkle_a_padded_bill_is_a_lie_as_well(node: Node) -> None:
    submit(node, MERKLE, "padder")
    node.answers("padder", *node.asked("padder"), fuel=10**15)
    finish_here(node)
    assert finish(node).report.bans == ("padder",)

"""One test for each safeguard of verification, that goes red when the safeguard is taken out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from pangea.compute.model.ids import PeerId, TaskId
from pangea.compute.model.options import VerificationMode
from pangea.compute.model.outcome import FailureKind
from pangea.compute.model.packet import TaskStatus
from pangea.compute.orchestrator.core.commands import DropPeer
from pangea.compute.orchestrator.core.messages import Exclude
from pangea.compute.orchestrator.core.transitions import TaskState
from tests.fakes.node import Node
from tests.fakes.owner import (
    ALWAYS,
    NEVER,
    expected,
    finish,
    finish_here,
    is_right,
    one_asked,
    submit,
    vote,
)
from tests.fakes.packets import JOB, ME, packet_of, sealed, wrong

NONE, HASH, REDUNDANCY, MERKLE, ADAPTIVE = VerificationMode


@pytest.fixture
def node() -> Iterator[Node]:
    with Node() as one:
        yield one


def ends_right(node: Node, chunks: int) -> bool:
    """Let this node's engine do all it is given, and the merge: whether the result is the serial one."""
    finish_here(node)
    return is_right(finish(node), chunks)


def test_one_answer_in_twenty_of_the_most_credible_worker_is_checked(node: Node) -> None:
    node.trusts(a=10**9)
    submit(node, ADAPTIVE, "a", chunks=4)
    asks = node.asked("a")
    node.dice.loaded = 0.049
    node.answers("a", asks[0])
    assert node.task(asks[0].packet.start).state is TaskState.VERIFYING
    finish_here(node)


def test_whether_an_answer_is_checked_is_open_until_it_is_in_hand(node: Node) -> None:
    node.trusts(a=10**9)
    node.dice.loaded = NEVER
    submit(node, ADAPTIVE, "a", chunks=4)
    asks = node.asked("a")
    node.passes(0.5)
    assert node.dice.draws == 0
    node.dice.loaded = ALWAYS
    node.answers("a", asks[0])
    assert node.task(asks[0].packet.start).state is TaskState.VERIFYING
    finish_here(node)


def test_the_leaves_to_execute_are_drawn_when_the_root_is_in_hand(node: Node) -> None:
    node.chunk_seconds = 0.01
    node.trusts(a=10**9)
    node.submit(3_000, verification=MERKLE)
    node.executes(*node.started())
    node.join_child("a")
    ask = max(node.asked("a"), key=lambda ask: ask.packet.count)
    assert node.dice.draws == 0
    node.says("a", ask, node.right(ask.packet, "a"))
    assert node.dice.draws > 0
    node.started()
    node.asked("a")


def test_a_merkle_root_must_be_over_the_leaves_that_came_with_it(node: Node) -> None:
    submit(node, MERKLE, "a")
    (ask,) = node.asked("a")
    lie = wrong(node.right(ask.packet, "a"))
    node.says("a", ask, replace(lie, leaves=node.right(ask.packet, "a").leaves))
    assert ends_right(node, 1)


def test_a_caught_liar_s_other_answers_are_withdrawn(node: Node) -> None:
    node.trusts(liar=10**9)
    node.dice.loaded = NEVER
    submit(node, ADAPTIVE, "liar", chunks=4)
    asks = node.asked("liar")
    node.answers("liar", *asks[:3], lie=b"lie")
    node.dice.loaded = ALWAYS
    node.answers("liar", asks[3], lie=b"lie")
    finish_here(node)
    assert node.dropped == ["liar"]
    assert ends_right(node, 4)


def test_the_last_answer_of_each_worker_is_checked_before_the_end(node: Node) -> None:
    node.trusts(late=10**9)
    node.dice.loaded = NEVER
    submit(node, ADAPTIVE, "late", chunks=4)
    *early, last = node.asked("late")
    node.answers("late", *early)
    node.answers("late", last, lie=b"lie")
    assert ends_right(node, 4)


def test_a_majority_of_liars_decides_nothing(node: Node) -> None:
    submit(node, REDUNDANCY, "a", "b", "c", redundancy=3)
    vote(node, {name: node.asked(name)[0] for name in ("a", "b", "c")}, a=b"clique", b=b"clique")
    finish_here(node)
    assert set(node.dropped) == {"a", "b"}
    assert ends_right(node, 1)


def test_a_copier_can_not_reveal_another_answer_than_it_committed_to(node: Node) -> None:
    submit(node, REDUNDANCY, "copier", "honest", redundancy=2)
    held = {name: node.asked(name)[0] for name in ("copier", "honest")}
    node.says("copier", held["copier"], sealed(wrong(node.right(held["copier"].packet, "copier"))))
    honest = node.right(held["honest"].packet, "honest")
    node.says("honest", held["honest"], sealed(honest))
    node.says("honest", held["honest"], honest)
    node.says("copier", held["copier"], node.right(held["copier"].packet, "copier"))
    assert [v.worker for v in node.case().votes] == ["honest"]
    finish_here(node)


def test_nothing_is_revealed_to_the_owner_s_branches_before_all_have_committed(node: Node) -> None:
    submit(node, REDUNDANCY, "a", "b", "c", redundancy=3)
    held = {name: node.asked(name)[0] for name in ("a", "b", "c")}
    for name in ("a", "b"):
        node.says(name, held[name], sealed(node.right(held[name].packet, name)))
    assert [node.take(name) for name in ("a", "b")] == [[], []]


def test_a_worker_holds_its_answer_back_until_it_is_asked_to_reveal_it(node: Node) -> None:
    node.join_parent("p")
    node.delegate_packets("p", [packet_of(0, commit_first=True)])
    node.executes(*node.started())
    ((_, result),) = node.told("p")
    assert (result.status, result.digest, result.leaves, result.fuel) == (TaskStatus.COMMITTED, b"", (), 0)


def test_a_worker_that_comes_in_through_two_branches_has_one_vote(node: Node) -> None:
    node.trusts(sybil=10**9)  # of those that haven't proven themselves the owner asks no second opinion
    node.dice.loaded = ALWAYS
    submit(node, ADAPTIVE, "x", "y")
    for _ in range(2):
        name, ask = one_asked(node, "x", "y")
        node.answers(name, ask, worker="sybil", network="", lie=b"lie")
        assert len(node.case().votes) == 1
    assert ends_right(node, 1)


def test_a_branch_has_one_vote_however_many_workers_speak_through_it(node: Node) -> None:
    submit(node, ADAPTIVE, "branch")
    (ask,) = node.asked("branch")
    node.answers("branch", ask, worker="sybil-1", network="", lie=b"lie")
    for again in node.asked("branch"):
        node.answers("branch", again, worker="sybil-2", network="", lie=b"lie")
    assert ends_right(node, 1)


def test_a_network_has_one_vote_however_many_children_it_has(node: Node) -> None:
    for name in ("a", "b"):
        node.join_child(name, network="203.0.113.0/24")
    submit(node, ADAPTIVE)
    name, ask = one_asked(node, "a", "b")
    node.answers(name, ask, network="203.0.113.0/24", lie=b"lie")
    for other in ("a", "b"):
        for again in node.asked(other):
            node.answers(other, again, network="203.0.113.0/24", lie=b"lie")
    assert ends_right(node, 1)


def test_under_redundancy_a_network_is_asked_for_one_vote(node: Node) -> None:
    for name in ("a", "b"):
        node.join_child(name, network="203.0.113.0/24")
    submit(node, REDUNDANCY, "c", redundancy=3)
    asked = {name for name in ("a", "b", "c") if node.asked(name)}
    assert len(asked & {"a", "b"}) == 1
    assert "c" in asked


def test_a_child_can_not_claim_to_be_in_another_network_than_it_connects_from(node: Node) -> None:
    for name in ("a", "b"):
        node.join_child(name, network="203.0.113.0/24")
    submit(node, ADAPTIVE)
    name, ask = one_asked(node, "a", "b")
    node.answers(name, ask, network="elsewhere", lie=b"lie")
    assert not node.asked("a")
    assert not node.asked("b")
    assert ends_right(node, 1)


def test_a_false_claim_that_the_job_fails_ends_no_job(node: Node) -> None:
    node.trusts(saboteur=10**9)
    node.dice.loaded = NEVER
    submit(node, ADAPTIVE, "saboteur")
    (ask,) = node.asked("saboteur")
    node.fails("saboteur", ask, FailureKind.GUEST_ERROR)
    assert ends_right(node, 1)


def test_a_padded_bill_is_a_lie(node: Node) -> None:
    node.trusts(a=10**9, padder=10**9)
    node.dice.loaded = ALWAYS
    submit(node, ADAPTIVE, "a", "padder")
    for _ in range(2):
        name, ask = one_asked(node, "a", "padder")
        padding = 10**12 if name == "padder" else 0
        node.answers(name, ask, fuel=node.right(ask.packet, name).fuel + padding)
    finish_here(node)
    assert node.dropped == ["padder"]


def ban(node: Node) -> None:
    """Catch `liar` lying to a job's first task."""
    node.trusts(liar=10**9)
    node.dice.loaded = ALWAYS
    submit(node, ADAPTIVE, "liar")
    (ask,) = node.asked("liar")
    node.answers("liar", ask, lie=b"lie")
    finish_here(node)
    assert node.dropped == ["liar"]


def test_a_banned_key_is_turned_away_when_it_comes_back(node: Node) -> None:
    ban(node)
    assert node.join_child("liar") == [DropPeer(peer=PeerId("liar"), reason="banned: faulty")]
    assert PeerId("liar") not in node.core.children


def test_a_liar_loses_all_credit(node: Node) -> None:
    ban(node)
    assert node.core.trust.passes(PeerId("liar"), "") == 0
    assert node.kept[0].record.bans == 1


def test_a_branch_learns_whom_of_its_workers_to_leave_out(node: Node) -> None:
    node.dice.loaded = ALWAYS
    submit(node, ADAPTIVE, "branch")
    (ask,) = node.asked("branch")
    node.answers("branch", ask, worker="far", lie=b"lie")
    finish_here(node)
    assert Exclude(job_id=JOB, workers=(PeerId("far"),)) in node.take("branch")


def test_a_shunned_worker_is_given_none_of_the_job(node: Node) -> None:
    node.keep_busy()
    node.join_parent("p")
    node.delegates("p")
    node.hears("p", Exclude(job_id=JOB, workers=(PeerId("a"),)))
    node.join_child("a")
    assert node.asked("a") == []


def test_whose_answer_would_not_count_does_not_give_it(node: Node) -> None:
    node.join_parent("p")
    node.delegate_packets("p", [packet_of(0, avoid=frozenset({ME}))])
    assert node.started() == []
    assert [result.status for _, result in node.told("p")] == [TaskStatus.REFUSED]


def test_a_result_that_is_not_the_expected_one_is_not_delivered(node: Node) -> None:
    submit(node, HASH, "liar", chunks=2, expected=expected(2))
    node.answers("liar", *node.asked("liar"), lie=b"lie")
    node.merge()
    assert ends_right(node, 2)


def test_the_first_answer_of_each_worker_is_executed_again_under_hash(node: Node) -> None:
    node.dice.loaded = NEVER
    submit(node, HASH, "liar", chunks=3)
    node.answers("liar", *node.asked("liar"), lie=b"lie")
    assert ends_right(node, 3)


def test_an_answer_to_an_unknown_task_changes_nothing(node: Node) -> None:
    submit(node, NONE, "a")
    (ask,) = node.asked("a")
    assert node.says("a", ask, replace(node.right(ask.packet, "a"), task_id=TaskId("another:0"))) == []

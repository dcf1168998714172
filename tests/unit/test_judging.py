"""Each way of checking from end to end: one owner, and children that are the test's puppets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from pangea.compute.model.ids import PeerId
from pangea.compute.model.options import Locality, VerificationMode
from pangea.compute.orchestrator.audit import AUDIT_FLOOR, joint_confidence
from pangea.compute.orchestrator.commands import DropPeer, FailJob, FinishJob, KeepTrust, StartTask
from pangea.compute.orchestrator.events import ChunksReady, JobSubmitted, TaskExecuted
from pangea.compute.orchestrator.messages import Reveal, Shun
from pangea.compute.orchestrator.transitions import TaskState
from pangea.compute.orchestrator.trust import PROBATION_PASSES, STRANGER_WEIGHT
from tests.fakes.node import JOB, ME, Ask, Node, merge_of, packet_of, right, sealed, spec_of, wrong

NONE, HASH, REDUNDANCY, MERKLE, ADAPTIVE = VerificationMode
NEVER, ALWAYS = 0.999, 0.0
"what the dice show when nothing, or everything, is to be checked"


@pytest.fixture
def node() -> Iterator[Node]:
    with Node() as one:
        yield one


def submit(node: Node, mode: VerificationMode, *children: str, chunks: int = 1, **fields: Any) -> None:
    """A job whose tasks go to the children first, so that this node is free to be the referee."""
    for name in children:
        node.join_child(name, cores=4)
    node.submit(chunks, verification=mode, locality=Locality.ANY, **fields)


def asked(node: Node, *children: str) -> dict[str, list[Ask]]:
    return {name: asks for name in children if (asks := node.asked(name))}


def one_asked(node: Node, *children: str) -> tuple[str, Ask]:
    """The one child that was asked, and what."""
    ((name, (ask,)),) = asked(node, *children).items()
    return name, ask


def finish(node: Node) -> FinishJob:
    """The job is over: merge, and look at the report."""
    node.merge()
    end = node.ends[JOB]
    assert isinstance(end, FinishJob)
    return end


def is_right(end: FinishJob, chunks: int) -> bool:
    """Whether the result is the serial one; one chunk a task."""
    return end.digest == merge_of(tuple(right(packet_of(start), "x").digest for start in range(chunks)))


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
    assert (report.mode, report.confidence, report.joint_confidence) == (NONE, None, None)
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


def test_under_hash_a_twentieth_of_all_others_is_executed_again_too(node: Node) -> None:
    node.dice.loaded = AUDIT_FLOOR - 0.001
    submit(node, HASH, "a", chunks=3)
    node.answers("a", *node.asked("a"))
    assert finish_here(node) == 3
    assert finish(node).report.audits == 3


def finish_here(node: Node) -> int:
    """Let this node's engine do all it is given; how many tasks that were."""
    count = 0
    while starts := node.started():
        node.executes(*starts)
        count += len(starts)
    return count


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


def expected(chunks: int) -> bytes:
    return merge_of(tuple(right(packet_of(start), "x").digest for start in range(chunks)))


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
    submit(node, REDUNDANCY, "a", "b", "c", redundancy=3)
    held = {name: ask for name, (ask,) in asked(node, "a", "b", "c").items()}
    for name in ("a", "b"):
        assert node.says(name, held[name], sealed(node.right(held[name].packet, name))) == []
    node.says("c", held["c"], sealed(node.right(held["c"].packet, "c")))
    assert {name: node.take(name) for name in held} == {name: [Reveal(attempts=(ask.attempt,))] for name, ask in held.items()}
    for name, ask in held.items():
        assert JOB not in node.ends
        node.answers(name, ask)
    end = finish(node)
    assert is_right(end, 1)
    assert (end.report.executions_per_task, end.report.disputes, end.report.audits) == (3.0, 0, 0)


def vote(node: Node, held: dict[str, Ask], **lies: bytes) -> None:
    """All commit, all reveal; some lie."""
    results = {}
    for name, ask in held.items():
        results[name] = node.right(ask.packet, name)
        if name in lies:
            results[name] = wrong(results[name], lie=lies[name])
        node.says(name, ask, sealed(results[name]))
    for name, ask in held.items():
        if any(isinstance(message, Reveal) for message in node.take(name)):
            node.says(name, ask, results[name])


def test_a_minority_s_lie_is_found_by_the_referee_and_another_worker_is_asked(node: Node) -> None:
    submit(node, REDUNDANCY, "a", "b", "c", "d", redundancy=3)
    held = {name: ask for name, (ask,) in asked(node, "a", "b", "c", "d").items()}
    liar = next(iter(held))
    vote(node, held, **{liar: b"lie"})
    assert finish_here(node) == 1
    assert node.dropped == [liar]
    (spare,) = {"a", "b", "c", "d"} - set(held)
    (ask,) = node.asked(spare)
    assert ask.packet.avoid == frozenset(PeerId(name) for name in held if name != liar)
    vote(node, {spare: ask})
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
    assert [str(v.worker) for v in node.task().case.votes] == ["b"]  # type: ignore[union-attr]
    finish_here(node)
    end = finish(node)
    assert is_right(end, 1)
    assert "1 answers were not what their workers had committed to, and did not count" in end.report.notes


def test_who_answers_without_a_commitment_has_no_vote(node: Node) -> None:
    submit(node, REDUNDANCY, "a", "b", redundancy=2)
    held = {name: ask for name, (ask,) in asked(node, "a", "b").items()}
    node.answers("a", held["a"])
    assert node.task().case.votes == []  # type: ignore[union-attr]
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
    assert node.take("a") == [Reveal(attempts=(ask.attempt,))]
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
    assert node.job().own is not None
    before = node.job().own.audits
    finish_here(node)
    assert node.task(ask.packet.start).state is TaskState.COMPLETE
    assert node.job().own.audits - before == ask.packet.runs
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
    assert node.task(ask.packet.start).case.sampled == 4  # type: ignore[union-attr]
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


# adaptive: probation, credit, parking


def test_a_stranger_s_answer_is_checked_by_a_second_worker_that_is_told_whose_word_would_not_count(node: Node) -> None:
    submit(node, ADAPTIVE, "a", "b")
    name, ask = one_asked(node, "a", "b")
    node.answers(name, ask)
    other, second = one_asked(node, "a", "b")
    assert other != name
    assert second.packet == replace(ask.packet, avoid=frozenset({PeerId(name)}))
    node.answers(other, second)
    assert node.core.trust.passes(PeerId("a"), "") == node.core.trust.passes(PeerId("b"), "") == 1
    finish_everything(node, "a", "b")


def finish_everything(node: Node, *honest: str) -> FinishJob:
    end = node.play(node.honest(*honest))
    assert isinstance(end, FinishJob)
    return end


def test_every_answer_is_checked_until_a_worker_has_passed_its_probation(node: Node) -> None:
    node.dice.loaded = NEVER
    node.trusts(b=10_000)
    submit(node, ADAPTIVE, "a", chunks=4, confidence=0.5)
    for passed in range(PROBATION_PASSES):
        node.answers("a", next_of_a(node))
        assert node.core.trust.passes(PeerId("a"), "") == passed
        finish_here_one(node)
        assert node.core.trust.passes(PeerId("a"), "") == passed + 1
    finish_everything(node, "a")


def next_of_a(node: Node) -> Ask:
    """The next task that `a` has and hasn't answered."""
    attempt = next(iter(node.core.children[PeerId("a")].attempts.values()))
    node.asked("a")
    return Ask(attempt.number, attempt.task.packet, attempt.task.job.spec, attempt.task.job.budget)


def finish_here_one(node: Node) -> None:
    """This node checks one answer itself, as there is no other child."""
    node.passes(0.5)
    starts = node.started()
    node.executes(*starts)


def test_a_credible_worker_s_answer_stands_alone(node: Node) -> None:
    node.dice.loaded = NEVER
    node.trusts(a=1_000, b=1_000)
    for name in ("a", "b"):
        node.join_child(name)
    node.tell(JobSubmitted(spec=spec_of(locality=Locality.ANY)))
    node.tell(ChunksReady(job_id=JOB, count=1, size_bytes=1, is_last=False))
    ((name, asks),) = asked(node, "a", "b").items()
    node.answers(name, asks[0])
    assert node.task().state is TaskState.COMPLETE
    assert node.task().case.why == "its workers are credible enough"  # type: ignore[union-attr]


def test_however_credible_a_worker_is_one_answer_in_twenty_is_checked(node: Node) -> None:
    node.trusts(a=10**9)
    submit(node, ADAPTIVE, "a", chunks=3)
    first, second, third = node.asked("a")
    node.join_child("b")
    node.dice.loaded = AUDIT_FLOOR + 0.001
    node.answers("a", first)
    assert node.task(first.packet.start).state is TaskState.COMPLETE
    node.dice.loaded = AUDIT_FLOOR - 0.001
    node.answers("a", second)
    assert node.task(second.packet.start).state is TaskState.VERIFYING
    (check,) = node.asked("b")
    assert check.task_id == second.task_id
    node.answers("a", third)
    finish_everything(node, "a", "b")


def test_whether_an_answer_is_checked_is_drawn_only_when_it_is_in_hand(node: Node) -> None:
    node.trusts(a=10**9)
    submit(node, ADAPTIVE, "a")
    (ask,) = node.asked("a")
    assert node.dice.draws == 0
    node.answers("a", ask)
    assert node.dice.draws == 1
    finish_here(node)


def test_an_answer_of_a_worker_that_is_not_yet_credible_is_parked_while_there_is_fresh_work(node: Node) -> None:
    node.dice.loaded = NEVER
    node.trusts(a=50)
    submit(node, ADAPTIVE, "a", chunks=30)
    ask, *_ = node.asked("a")
    node.answers("a", ask)
    task = node.task(ask.packet.start)
    assert task.state is TaskState.VERIFYING
    assert task.attempts == []
    assert task.case is not None
    assert task.case.why == "waits until its workers are more credible"
    assert ask.task_id not in {again.task_id for again in node.asked("a")}
    node.started()


def test_parked_answers_get_a_second_opinion_when_no_fresh_work_is_left(node: Node) -> None:
    node.dice.loaded = NEVER
    node.trusts(a=50)
    submit(node, ADAPTIVE, "a")
    (ask,) = node.asked("a")
    node.answers("a", ask)
    node.join_child("b")
    second = [*node.asked("b"), *(start for start in node.started())]
    assert [one.packet.start for one in second] == [0]
    assert node.task().state is TaskState.VERIFYING


def test_with_two_children_a_whole_job_ends_at_its_target_confidence(node: Node) -> None:
    submit(node, ADAPTIVE, "a", "b", "c", chunks=40)
    report = finish_everything(node, "a", "b", "c").report
    assert report.confidence is not None
    assert report.confidence >= 0.999
    assert report.below_target_count == 0
    assert report.chunks == report.tasks == 40
    assert report.bans == ()
    assert 1.0 < report.executions_per_task <= 3.0


def test_the_joint_confidence_is_the_product_of_all(node: Node) -> None:
    node.dice.loaded = NEVER
    submit(node, HASH, "a", chunks=5)
    node.answers("a", *node.asked("a"))
    finish_here(node)
    report = finish(node).report
    stranger = STRANGER_WEIGHT / (1 + STRANGER_WEIGHT)
    assert report.confidence == pytest.approx(stranger)
    assert report.joint_confidence == pytest.approx(joint_confidence([1.0] + [stranger] * 4))
    assert report.below_target_count == 4
    assert [entry[1:] for entry in report.below_target] == [(pytest.approx(stranger), "not in the sample")] * 4


def test_what_was_learned_of_workers_is_kept_at_the_end(node: Node) -> None:
    submit(node, ADAPTIVE, "a", "b")
    finish_everything(node, "a", "b")
    kept = {record.worker: record.record for record in node.kept}
    assert set(kept) <= {"a", "b"}
    assert all(record.passes == node.core.trust.passes(worker, "") for worker, record in kept.items())


# adaptive: disputes, bans, withdrawal


def dispute(node: Node, mode: VerificationMode = ADAPTIVE) -> tuple[str, str]:
    """Two children answered the same task, the second wrongly; their names."""
    submit(node, mode, "a", "b")
    honest, ask = one_asked(node, "a", "b")
    node.answers(honest, ask)
    liar, second = one_asked(node, "a", "b")
    node.answers(liar, second, lie=b"lie")
    return honest, liar


def test_when_answers_differ_this_node_executes_it_and_the_liar_is_banned(node: Node) -> None:
    honest, liar = dispute(node)
    (start,) = node.started()
    assert (start.packet.start, start.packet.count) == (0, 1)
    commands = node.executes(start)
    assert DropPeer(peer=PeerId(liar), reason="caught in a lie") in commands
    assert [c.worker for c in commands if isinstance(c, KeepTrust)][0] == liar
    assert node.core.trust.is_banned(PeerId(liar), node.now)
    assert not node.core.trust.is_banned(PeerId(honest), node.now)
    finish_everything(node, honest)


def test_of_a_long_answer_only_the_first_difference_is_executed(node: Node) -> None:
    wide(node, verification=ADAPTIVE)
    node.join_child("a")
    ask = max(node.asked("a"), key=lambda ask: ask.packet.count)
    packet = ask.packet
    assert packet.runs > 4
    node.started()
    node.join_child("b")
    node.answers("b", *node.asked("b"))
    node.answers("a", ask)
    node.answers("b", *[again for again in node.asked("b") if again.task_id != ask.task_id])
    attempt = next(attempt for attempt in node.task(packet.start).attempts if attempt.peer.id == "b")
    second = replace(ask, attempt=attempt.number)
    node.says("b", second, wrong(node.right(packet, "b"), leaf=3))
    probes = [start.packet for start in all_started(node)]
    assert [(probe.start, probe.count, probe.runs) for probe in probes if probe.task_id == ask.task_id] == [
        (packet.start + 3, 1, 1)
    ]


def all_started(node: Node) -> list[StartTask]:
    """What this node is given once it has done what it had."""
    for attempt in list(node.core.me.attempts.values()):
        node.tell(TaskExecuted(attempt=attempt.number, result=node.right(attempt.task.packet, ME)))
    starts = node.started()
    node.asked("a")
    node.asked("b")
    return starts


def test_an_answer_that_differs_in_fuel_alone_is_executed_as_a_whole(node: Node) -> None:
    submit(node, ADAPTIVE, "a", "b")
    honest, ask = one_asked(node, "a", "b")
    node.answers(honest, ask)
    padder, second = one_asked(node, "a", "b")
    node.answers(padder, second, fuel=10**12)
    finish_here(node)
    assert node.dropped == [padder]
    finish_everything(node, honest)


def test_a_caught_liar_s_accepted_answers_are_withdrawn_and_done_again(node: Node) -> None:
    node.dice.loaded = NEVER
    node.trusts(liar=1_000)
    submit(node, ADAPTIVE, "liar", chunks=4)
    asks = node.asked("liar")
    node.answers("liar", *asks[:3], lie=b"lie")
    assert [node.task(index).state for index in range(3)] == [TaskState.COMPLETE] * 3
    node.join_child("honest")
    node.dice.loaded = ALWAYS
    node.answers("liar", asks[3], lie=b"lie")
    end = finish_everything(node, "honest")
    assert is_right(end, 4)
    assert end.report.withdrawn == 3
    assert end.report.bans == ("liar",)


def test_each_worker_s_last_unchecked_answer_is_checked_before_the_end(node: Node) -> None:
    node.dice.loaded = NEVER
    node.trusts(late=100_000)
    submit(node, ADAPTIVE, "late", chunks=4)
    *early, last = node.asked("late")
    node.answers("late", *early)
    assert node.started() == []
    node.answers("late", last, lie=b"one for the road")
    assert node.merges == []
    end = finish_everything(node)
    assert is_right(end, 4)
    assert end.report.bans == ("late",)


def test_with_one_branch_only_this_node_checks_itself_and_says_so(node: Node) -> None:
    submit(node, ADAPTIVE, "a", chunks=3)
    report = finish_everything(node, "a").report
    assert report.audits > 0
    assert any("checks were made by this node itself" in note for note in report.notes)


def test_a_banned_worker_is_turned_away_when_it_comes_back(node: Node) -> None:
    honest, liar = dispute(node)
    finish_here(node)
    assert node.join_child(liar) == [DropPeer(peer=PeerId(liar), reason="banned: it was caught in a lie")]
    assert PeerId(liar) not in node.core.children
    finish_everything(node, honest)


# Workers further down.


def test_a_liar_further_down_is_banned_and_its_branch_is_told_and_kept(node: Node) -> None:
    submit(node, ADAPTIVE, "branch", "b")
    name, ask = one_asked(node, "branch", "b")
    node.answers(name, ask, worker="far" if name == "branch" else None, lie=b"lie" if name == "branch" else b"")
    other, second = one_asked(node, "branch", "b")
    node.answers(other, second, worker="far" if other == "branch" else None, lie=b"lie" if other == "branch" else b"")
    finish_here(node)
    assert node.dropped == []
    assert Shun(job_id=JOB, workers=(PeerId("far"),)) in node.take("branch")
    assert node.core.trust.is_banned(PeerId("far"), node.now)
    end = finish_everything(node, "branch", "b")
    assert end.report.bans == ("far",)


def test_a_banned_worker_s_answer_does_not_count_whatever_branch_brings_it(node: Node) -> None:
    node.core.trust.ban(PeerId("far"), "", node.now)
    submit(node, NONE, "branch")
    (ask,) = node.asked("branch")
    node.answers("branch", ask, worker="far")
    assert node.task().state is not TaskState.COMPLETE
    finish_here(node)
    assert finish(node).report.local == 1


def test_two_workers_of_one_branch_are_one_opinion(node: Node) -> None:
    submit(node, ADAPTIVE, "branch")
    (ask,) = node.asked("branch")
    node.answers("branch", ask, worker="far-1")
    assert node.asked("branch") == []
    assert finish_here(node) == 1
    assert is_right(finish(node), 1)


def test_nobody_votes_in_this_node_s_name(node: Node) -> None:
    submit(node, ADAPTIVE, "a")
    (ask,) = node.asked("a")
    node.answers("a", ask, worker=ME, lie=b"lie")
    assert node.task().case.votes == []  # type: ignore[union-attr]
    finish_here(node)
    assert is_right(finish(node), 1)


def test_a_stranger_gets_no_second_vote_by_another_way(node: Node) -> None:
    submit(node, ADAPTIVE, "x", "y")
    name, ask = one_asked(node, "x", "y")
    node.answers(name, ask, worker="far", lie=b"lie")
    other, second = one_asked(node, "x", "y")
    node.answers(other, second, worker="far", lie=b"lie")
    assert len(node.task().case.votes) == 1  # type: ignore[union-attr]
    end = finish_everything(node, "x", "y")
    assert is_right(end, 1)


@pytest.mark.parametrize("mode", [HASH, REDUNDANCY, MERKLE, ADAPTIVE])
@pytest.mark.parametrize("liars", [1, 2])
def test_with_liars_among_four_children_every_mode_that_checks_everything_gets_it_right(
    node: Node, mode: VerificationMode, liars: int
) -> None:
    node.dice.loaded = ALWAYS if mode is HASH else None
    names = ["a", "b", "c", "d"]
    submit(node, mode, *names, chunks=30, redundancy=2)
    puppets = node.honest(*names) | {name: node.liar(name, when=lambda packet: packet.start % 3 == 0) for name in names[:liars]}
    end = node.play(puppets)
    assert isinstance(end, FinishJob)
    assert is_right(end, 30)
    assert set(end.report.bans) <= set(names[:liars])

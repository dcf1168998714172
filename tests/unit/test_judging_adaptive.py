"""Checking by credibility, from end to end: probation, second opinions, disputes, bans, and workers further down."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from pangea.compute.model.ids import PeerId
from pangea.compute.model.options import Locality, VerificationMode
from pangea.compute.orchestrator.core.commands import DropPeer, FinishJob, KeepTrust, StartTask
from pangea.compute.orchestrator.core.events import ChunksReady, JobSubmitted, TaskExecuted
from pangea.compute.orchestrator.core.messages import Exclude
from pangea.compute.orchestrator.core.transitions import TaskState
from pangea.compute.orchestrator.lifecycle.explain import explain
from pangea.compute.orchestrator.rules.audit import AUDIT_FLOOR
from pangea.compute.orchestrator.rules.trust import PROBATION_PASSES
from tests.fakes.node import Node
from tests.fakes.owner import (
    ALWAYS,
    NEVER,
    asked,
    finish,
    finish_everything,
    finish_here,
    is_right,
    one_asked,
    submit,
)
from tests.fakes.packets import JOB, ME, Ask, spec_of, wrong

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


# Probation, credit, parking.


def test_an_answer_is_checked_by_a_second_worker_that_is_told_whose_word_would_not_count(node: Node) -> None:
    node.trusts(a=PROBATION_PASSES, b=PROBATION_PASSES)
    submit(node, ADAPTIVE, "a", "b")
    name, ask = one_asked(node, "a", "b")
    node.answers(name, ask)
    other, second = one_asked(node, "a", "b")
    assert other != name
    assert second.packet == replace(ask.packet, avoid=frozenset({PeerId(name)}))
    node.answers(other, second)
    assert node.core.trust.passes(PeerId("a"), "") == node.core.trust.passes(PeerId("b"), "") == PROBATION_PASSES + 1
    finish_everything(node, "a", "b")


def test_a_stranger_s_answer_is_checked_by_this_node_itself_though_others_could(node: Node) -> None:
    submit(node, ADAPTIVE, "a", "b")
    name, ask = one_asked(node, "a", "b")
    node.answers(name, ask)
    assert asked(node, "a", "b") == {}
    assert finish_here(node) == 1
    assert node.core.trust.passes(PeerId(name), "") == 1
    report = finish(node).report
    assert report.audits == 1
    assert "1 checks were made by this node itself: its workers had not proven themselves yet" in report.notes


def test_this_node_takes_on_no_more_checks_of_strangers_than_its_engine_can_begin(node: Node) -> None:
    submit(node, ADAPTIVE, "a", "b", chunks=12)
    node.answers("a", *node.asked("a"))
    assert len(node.started()) == node.core.me.cores
    assert len(node.core.local) == node.core.me.cores
    left = [node.case(index) for index in range(12) if node.task(index).case]
    assert sum(case.probes for case in left) <= 2 * node.core.me.cores
    finish_everything(node, "a", "b")


def test_two_strangers_that_agree_are_not_believed_but_checked_by_this_node(node: Node) -> None:
    liars = {name: node.liar(name, lie=b"we agree") for name in ("a", "b")}
    submit(node, ADAPTIVE, "a", "b", chunks=6, confidence=0.5)
    end = node.play(liars)
    assert isinstance(end, FinishJob)
    assert is_right(end, 6)
    assert set(end.report.bans) == {"a", "b"}


def lied_rarely(seed: int) -> FinishJob:
    """How a job ends whose two workers, right a million times before, are accomplices and lie alike in one task of ten."""
    with Node(seed=seed) as node:
        node.trusts(a=PROBATION_PASSES, b=PROBATION_PASSES)
        rarely = {name: node.liar(name, when=lambda packet: packet.start % 10 == 9, lie=b"we agree") for name in ("a", "b")}
        submit(node, ADAPTIVE, "a", "b", chunks=60)
        end = node.play(rarely)
        assert isinstance(end, FinishJob)
        return end


def test_two_that_check_nobody_but_each_other_are_found_in_most_jobs() -> None:
    """In about five jobs of six: this node looks at a third of the tasks itself, as there is nobody else to ask.

    Of the sixth it says what speaks for workers that it knows so well: no crowd is supposed behind them.
    """
    ends = [lied_rarely(seed) for seed in range(1, 13)]
    found = [end for end in ends if is_right(end, 60)]
    assert len(found) >= 8
    assert all(set(end.report.bans) == {"a", "b"} for end in found)


# Who checks whom.


@pytest.mark.parametrize(("dice", "place"), [(ALWAYS, 0), (NEVER, 1)])
def test_the_branch_that_checks_an_answer_is_drawn(node: Node, dice: float, place: int) -> None:
    node.trusts(a=PROBATION_PASSES, b=PROBATION_PASSES, c=PROBATION_PASSES)
    submit(node, ADAPTIVE, "a", "b", "c")
    name, ask = one_asked(node, "a", "b", "c")
    others = [other for other in ("a", "b", "c") if other != name]
    node.dice.loaded = dice
    node.answers(name, ask)
    drawn, _ = one_asked(node, *others)
    assert drawn == others[place]
    finish_everything(node, "a", "b", "c")


def busy(node: Node) -> tuple[Ask, list[Ask]]:
    """Three children that have all they may have; `b` was drawn to check an answer of `a`. That, and what `c` has."""
    node.trusts(a=PROBATION_PASSES, b=PROBATION_PASSES, c=PROBATION_PASSES)
    submit(node, ADAPTIVE, "a", "b", "c", chunks=200)
    answered, tasks_of_c = node.asked("a")[0], node.asked("c")
    node.asked("b")
    node.dice.loaded = ALWAYS
    node.answers("a", answered)
    assert node.case(answered.packet.start).drawn == "b"
    return answered, tasks_of_c


def test_whoever_asks_for_work_meanwhile_does_not_get_the_check_of_another(node: Node) -> None:
    answered, tasks_of_c = busy(node)
    node.answers("c", tasks_of_c[0])
    assert answered.task_id not in {ask.task_id for ask in node.asked("c")}
    assert "b was drawn to check it" in str(explain(node.core, node.task(answered.packet.start)))
    finish_everything(node, "a", "b", "c")


def test_a_check_waits_for_the_branch_that_was_drawn_only_so_long(node: Node) -> None:
    answered, tasks_of_c = busy(node)
    node.core.task_seconds = 0.25
    node.case(answered.packet.start).drawn_until = node.now + 0.5
    node.passes(0.6)
    node.answers("c", tasks_of_c[0])
    assert answered.task_id in {ask.task_id for ask in node.asked("c")}
    finish_everything(node, "a", "b", "c")


def test_a_check_does_not_wait_for_a_branch_that_is_gone(node: Node) -> None:
    answered, tasks_of_c = busy(node)
    node.loses("b")
    got = tasks_of_c
    while got and answered.task_id not in {ask.task_id for ask in got}:  # what b had comes first
        node.answers("c", *got)
        got = node.asked("c")
    assert got
    finish_everything(node, "a", "c")


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
    assert node.case().why == "its workers are credible enough"


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
    packets = [ask.packet for ask in node.asked("b")] + [start.packet for start in node.started()]
    assert [packet.start for packet in packets] == [0]
    assert node.task().state is TaskState.VERIFYING


def test_with_two_children_a_whole_job_ends_at_its_target_confidence(node: Node) -> None:
    submit(node, ADAPTIVE, "a", "b", "c", chunks=40)
    report = finish_everything(node, "a", "b", "c").report
    assert report.confidence is not None
    assert report.confidence >= 0.999
    assert report.below_target_count == 0
    assert report.chunks == report.tasks == 40
    assert report.bans == ()
    assert 1.0 < report.executions_per_task <= 3.3  # two of theirs and one here, of strangers in a job this short


def test_what_was_learned_of_workers_is_kept_at_the_end(node: Node) -> None:
    submit(node, ADAPTIVE, "a", "b")
    finish_everything(node, "a", "b")
    kept = {record.worker: record.record for record in node.kept}
    assert set(kept) <= {"a", "b"}
    assert all(record.passes == node.core.trust.passes(worker, "") for worker, record in kept.items())


# Disputes, bans, withdrawal.


def dispute(node: Node, mode: VerificationMode = ADAPTIVE) -> tuple[str, str]:
    """Two children answered the same task, the second wrongly; their names."""
    node.trusts(a=PROBATION_PASSES, b=PROBATION_PASSES)
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
    assert DropPeer(peer=PeerId(liar), reason="it was wrong (faulty)") in commands
    assert next(c.worker for c in commands if isinstance(c, KeepTrust)) == liar
    assert node.core.trust.is_banned(PeerId(liar), node.now)
    assert not node.core.trust.is_banned(PeerId(honest), node.now)
    finish_everything(node, honest)


def test_of_a_long_answer_only_the_first_difference_is_executed(node: Node) -> None:
    node.trusts(a=PROBATION_PASSES, b=PROBATION_PASSES)
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
    node.trusts(a=PROBATION_PASSES, b=PROBATION_PASSES)
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
    assert node.join_child(liar) == [DropPeer(peer=PeerId(liar), reason="banned: faulty")]
    assert PeerId(liar) not in node.core.children
    finish_everything(node, honest)


# Workers further down.


def test_a_liar_further_down_is_banned_and_its_branch_is_told_and_kept(node: Node) -> None:
    node.trusts(far=PROBATION_PASSES, b=PROBATION_PASSES)
    submit(node, ADAPTIVE, "branch", "b")
    name, ask = one_asked(node, "branch", "b")
    node.answers(name, ask, worker="far" if name == "branch" else None, lie=b"lie" if name == "branch" else b"")
    other, second = one_asked(node, "branch", "b")
    node.answers(other, second, worker="far" if other == "branch" else None, lie=b"lie" if other == "branch" else b"")
    finish_here(node)
    assert node.dropped == []
    assert Exclude(job_id=JOB, workers=(PeerId("far"),)) in node.take("branch")
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
    assert node.case().votes == []
    finish_here(node)
    assert is_right(finish(node), 1)


def test_a_worker_gets_no_second_vote_by_another_way(node: Node) -> None:
    node.trusts(far=PROBATION_PASSES)
    submit(node, ADAPTIVE, "x", "y")
    name, ask = one_asked(node, "x", "y")
    node.answers(name, ask, worker="far", lie=b"lie")
    other, second = one_asked(node, "x", "y")
    node.answers(other, second, worker="far", lie=b"lie")
    assert len(node.case().votes) == 1
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

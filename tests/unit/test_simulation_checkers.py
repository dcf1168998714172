"""Each checker is shown what it is there for, and turns red; and what is as it should be, and doesn't."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from pangea.compute.model.ids import JobId, PeerId, TaskId
from pangea.compute.model.options import VerificationMode
from pangea.compute.model.packet import Budget, JobSpec, TaskPacket
from pangea.compute.orchestrator.core.commands import FailJob, FinishJob, KeepTrust
from pangea.compute.orchestrator.core.events import ChunksReady, JobSubmitted
from pangea.compute.orchestrator.core.messages import Delegate
from pangea.compute.orchestrator.core.report import JobReport
from pangea.compute.orchestrator.machine import Orchestrator
from pangea.compute.orchestrator.rules.trust import TrustRecord
from pangea.compute.simulation.answers import Value
from pangea.compute.simulation.checkers import (
    BudgetKept,
    CheckError,
    Convergence,
    ExactResult,
    NoHungTask,
    NoInnocentBanned,
    NothingLost,
    NothingTwice,
    TrustMonotone,
    promises_exactness,
)
from pangea.compute.simulation.node import Link, Node, Run
from pangea.compute.simulation.program import Synthetic
from pangea.compute.simulation.scenario import Scenario

SPEC = JobSpec(job_id=JobId("j"), module="")
PACKET = TaskPacket(task_id=TaskId("j:0"), start=0, count=1, size_bytes=1)
NOTHING: dict[str, Any] = {
    **dict.fromkeys(
        (
            "chunks",
            "tasks",
            "executions",
            "local",
            "audits",
            "planted",
            "planted_wrong",
            "disputes",
            "withdrawn",
            "retries",
            "backups",
        ),
        0,
    ),
    **dict.fromkeys(("bans", "below_target", "notes"), ()),
    **dict.fromkeys(("confidence", "lowest_confidence")),
}
REPORT = JobReport(**NOTHING, mode=VerificationMode.ADAPTIVE, below_target_count=0, target=0.999)
DONE = FinishJob(job_id=JobId("j"), digest=Synthetic(Scenario(chunks=10)).truth(), report=REPORT)
FAILED = FailJob(job_id=JobId("j"), cause="retries", message="gave up", report=REPORT)


def node(number: int = 1) -> Node:
    one = Node(number, cores=1, speed=1.0, region=0, network="", bandwidth=1e9)
    one.mind = Orchestrator(one.peer, cores=1, random=Random(0))
    return one


def delegate(*, depth: int = 7, ancestors: tuple[str, ...] = ("n0",), tasks: int = 1) -> Delegate:
    budget = Budget(depth=depth, fan_out=64, seconds=1.0, ancestors=tuple(map(PeerId, ancestors)))
    return Delegate(spec=SPEC, budget=budget, tasks=((1, PACKET),) * tasks)


def kept(*, passes: int = 0, bans: int = 0) -> KeepTrust:
    return KeepTrust(worker=PeerId("n1"), runtime="", record=TrustRecord(passes=passes, bans=bans))


def test_an_inexact_result_is_seen() -> None:
    checker, program = ExactResult(is_promised=True), Synthetic(Scenario(chunks=10))
    checker.finished(DONE, program, 0)
    with pytest.raises(CheckError, match="exact result"):
        checker.finished(FinishJob(job_id=JobId("j"), digest=b"else", report=REPORT), program, 0)
    with pytest.raises(CheckError, match="3 wrong results were accepted"):
        checker.finished(DONE, program, 3)


def is_violated_by_wrong_results(*, is_promised: bool) -> bool:
    try:
        ExactResult(is_promised=is_promised).finished(DONE, Synthetic(Scenario(chunks=10)), 3)
    except CheckError:
        return True
    return False


def test_wrong_results_are_only_counted_where_exactness_is_not_promised() -> None:
    assert is_violated_by_wrong_results(is_promised=True)
    assert not is_violated_by_wrong_results(is_promised=False)


@pytest.mark.parametrize("values", [[(0, 4), (6, 4)], [(1, 9)], [(0, 9)], []])
def test_a_lost_chunk_is_seen(values: list[tuple[int, int]]) -> None:
    NothingLost().merged([Value(0, 4), Value(4, 6)], 10)
    with pytest.raises(CheckError, match="nothing lost"):
        NothingLost().merged([Value(start, chunks) for start, chunks in values], 10)


@pytest.mark.parametrize("values", [[(0, 4), (3, 7)], [(4, 6), (0, 4)], [(0, 10), (0, 10)]])
def test_a_chunk_merged_twice_or_out_of_order_is_seen(values: list[tuple[int, int]]) -> None:
    NothingTwice().merged([Value(0, 4), Value(4, 6)])
    with pytest.raises(CheckError, match="nothing merged twice"):
        NothingTwice().merged([Value(start, chunks) for start, chunks in values])


def test_an_early_merge_of_strangers_is_seen() -> None:
    with pytest.raises(CheckError, match="nothing merged twice"):
        NothingTwice().merged([Value(0, 10, is_contiguous=False)])


def test_a_job_without_end_and_a_job_that_fails_are_seen() -> None:
    Convergence(is_promised=True).ended(DONE, 10.0, "")
    with pytest.raises(CheckError, match="convergence: the job has not ended 10 s after"):
        Convergence(is_promised=False).ended(None, 10.0, "stuck")
    with pytest.raises(CheckError, match="convergence: the job failed"):
        Convergence(is_promised=True).ended(FAILED, 10.0, "")
    Convergence(is_promised=False).ended(FAILED, 10.0, "")


def test_an_execution_for_nobody_is_seen() -> None:
    busy = node()
    NoHungTask().idle([busy])
    busy.runs[1] = Run(busy, 1, SPEC, PACKET)
    with pytest.raises(CheckError, match="n1 still executes j:0"):
        NoHungTask().idle([busy])


def test_a_job_that_is_remembered_is_seen() -> None:
    busy = node()
    busy.mind.handle(JobSubmitted(spec=SPEC), now=0.0)
    busy.mind.handle(ChunksReady(job_id=SPEC.job_id, count=5, size_bytes=5, is_last=True), now=0.0)
    with pytest.raises(CheckError, match="n1 still has 1 jobs"):
        NoHungTask().idle([busy])
    busy.is_up = False
    NoHungTask().idle([busy])


@pytest.mark.parametrize(
    "message",
    [
        delegate(depth=-1),
        delegate(depth=8),
        delegate(depth=0, ancestors=("n0",) * 9),
        delegate(ancestors=("n0", "n7")),
        delegate(tasks=513),
    ],
)
def test_an_overdrawn_budget_is_seen(message: Delegate) -> None:
    BudgetKept().delegated(node(), PeerId("n7"), delegate())
    with pytest.raises(CheckError, match="budget kept"):
        BudgetKept().delegated(node(), PeerId("n7"), message)


def test_too_many_children_at_once_are_seen_and_those_that_have_gone_do_not_count() -> None:
    checker, parent = BudgetKept(), node()
    for number in range(2, 67):
        child = node(number)
        parent.links[child.peer] = Link(parent, child, 0.0)
    for number in range(2, 66):
        checker.delegated(parent, PeerId(f"n{number}"), delegate())
    with pytest.raises(CheckError, match="uses 65 children at once"):
        checker.delegated(parent, PeerId("n66"), delegate())
    del parent.links[PeerId("n2")]
    checker.delegated(parent, PeerId("n66"), delegate())


def test_a_restarted_node_has_used_nobody() -> None:
    checker, parent = BudgetKept(), node()
    children = [node(number) for number in range(2, 66)]
    for child in children:
        parent.links[child.peer] = Link(parent, child, 0.0)
        checker.delegated(parent, child.peer, delegate())
    newcomer = node(66)
    parent.links[newcomer.peer] = Link(parent, newcomer, 0.0)
    with pytest.raises(CheckError, match="uses 65 children at once"):
        checker.delegated(parent, newcomer.peer, delegate())
    parent.reset()
    for child in [*children, newcomer]:
        parent.links[child.peer] = Link(parent, child, 0.0)
    checker.delegated(parent, newcomer.peer, delegate())
    assert len(checker._used[parent.number, parent.life]) == 1


@pytest.mark.parametrize(
    ("first", "then", "is_liar", "what"),
    [
        (kept(passes=5), kept(passes=3), True, "without a lie"),
        (kept(passes=5), kept(passes=5, bans=1), True, "keeps 5 passes"),
        (kept(bans=1), kept(bans=0), True, "had 1 bans, now 0"),
        (kept(passes=5), kept(bans=1), False, "is honest"),
    ],
)
def test_trust_that_moves_the_wrong_way_is_seen(first: KeepTrust, then: KeepTrust, *, is_liar: bool, what: str) -> None:
    checker = TrustMonotone()
    checker.trusted(first, is_liar=True)
    with pytest.raises(CheckError, match=what):
        checker.trusted(then, is_liar=is_liar)


def test_trust_that_grows_and_falls_by_lies_is_as_it_should_be() -> None:
    checker = TrustMonotone()
    for record in (kept(passes=1), kept(passes=4), kept(bans=1), kept(bans=1, passes=2)):
        checker.trusted(record, is_liar=True)
    with pytest.raises(CheckError, match="fell from 2 to 1 passes"):  # it is the last record that counts
        checker.trusted(kept(bans=1, passes=1), is_liar=True)


def test_an_innocent_ban_is_seen() -> None:
    NoInnocentBanned().banned(PeerId("n1"), 1.0, is_liar=True)
    with pytest.raises(CheckError, match=r"n1 is honest, and was banned at 1\.000 s"):
        NoInnocentBanned().banned(PeerId("n1"), 1.0, is_liar=False)


@pytest.mark.parametrize(
    ("mode", "liars", "is_promised"),
    [
        ("none", (), True),
        ("none", ("random",), False),
        ("adaptive", ("clique", "sybil"), True),
        ("redundancy", ("random", "lazy"), True),
        ("redundancy", ("clique",), False),
        ("hash", ("random",), False),
        ("merkle", ("random",), False),
    ],
)
def test_exactness_is_promised_where_a_mode_can_keep_it(mode: str, liars: tuple[str, ...], *, is_promised: bool) -> None:
    scenario = Scenario(verification=VerificationMode(mode), malicious=0.2 if liars else 0.0, liars=liars)
    assert promises_exactness(scenario) == is_promised

"""What comes in: taken once, or refused with the reason; nothing loops, explodes or overflows."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pangea.compute.model.ids import JobId, PeerId
from pangea.compute.model.packet import Budget, TaskResult, TaskStatus
from pangea.compute.orchestrator.balancing import peers
from pangea.compute.orchestrator.core.commands import DropPeer, FailJob, FinishJob, MergeJob
from pangea.compute.orchestrator.core.events import ChunksReady, JobMerged, JobSubmitted, LendingChanged, PeerMisbehaved
from pangea.compute.orchestrator.core.messages import Beat, Cancel, Delegate, Exclude, Lease, Message, Recall, Reveal
from pangea.compute.orchestrator.lifecycle import intake
from pangea.compute.orchestrator.limits import DEPTH_MAX, FAN_OUT_MAX, SHUNNED_MAX
from tests.fakes.node import Node
from tests.fakes.packets import JOB, ME, budget_of, packet_of, spec_of


@pytest.fixture
def node() -> Iterator[Node]:
    with Node() as one:
        yield one


@pytest.fixture
def worker(node: Node) -> Node:
    """A node with one parent."""
    node.join_parent("p")
    return node


def refusals(node: Node, parent: str = "p") -> list[tuple[int, str]]:
    answers = node.told(parent)
    assert all(result.status is TaskStatus.REFUSED and result.worker == ME for _, result in answers)
    return [(number, result.message) for number, result in answers]


# Refused.


@pytest.mark.parametrize(
    ("budget", "reason"),
    [
        (budget_of("owner", ME, "p"), "a loop: this node is among the ancestors"),
        (budget_of("p", depth=-1), "deeper than 8"),
        (budget_of("p", depth=DEPTH_MAX), "deeper than 8"),
        (budget_of(*(f"n{index}" for index in range(9)), depth=0), "deeper than 8"),
        (budget_of("p", fan_out=FAN_OUT_MAX + 1), "fan-out 65 is not between 0 and 64"),
        (budget_of("p", fan_out=-1), "fan-out -1 is not between 0 and 64"),
        (budget_of("p", seconds=0.0), "no time left"),
        (budget_of("p", seconds=-5.0), "no time left"),
        (budget_of("p", seconds=float("nan")), "no time left"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_delegation_that_would_loop_or_explode_is_refused_task_by_task(worker: Node, budget: Budget, reason: str) -> None:
    numbers = worker.delegates("p", chunks=2, budget=budget)
    assert refusals(worker) == [(number, reason) for number in numbers]
    assert worker.core.jobs == {}


def test_an_owner_refuses_its_own_job_that_comes_back_to_it(node: Node) -> None:
    node.join_parent("p")
    node.submit(1)
    numbers = node.delegates("p", budget=budget_of("forger"))
    assert refusals(node) == [(numbers[0], "a loop: this node is among the ancestors")]
    node.started()


def test_a_node_at_the_lowest_level_is_no_reason_to_refuse(worker: Node) -> None:
    worker.delegates("p", budget=budget_of(*(f"n{index}" for index in range(8)), depth=0))
    assert len(worker.started()) == 1


def test_a_full_node_refuses_what_is_too_much_and_says_so(worker: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "DELEGATED_TASKS_MAX", 5)
    *taken, sixth, seventh = worker.delegates("p", chunks=7)
    assert refusals(worker) == [(sixth, "holds 5 tasks already"), (seventh, "holds 5 tasks already")]
    assert len(taken) == worker.core.delegated
    worker.executes(*worker.started())
    worker.told("p")
    worker.delegates("p", first=7)
    assert refusals(worker) == []
    worker.started()


def test_a_paused_node_gives_back_what_it_has_not_begun_and_takes_nothing_new(worker: Node) -> None:
    begun, *waiting = worker.delegates("p", chunks=4)
    started = worker.started()
    worker.tell(LendingChanged(is_paused=True))
    assert [(number, result.status, result.message) for number, result in worker.told("p")] == [
        (number, TaskStatus.RETURNED, "recalled") for number in sorted(waiting, reverse=True)
    ]
    refused = worker.delegates("p", first=4)
    assert refusals(worker) == [(number, "paused by whoever runs this node") for number in refused]
    worker.executes(*started)
    assert [(number, result.status) for number, result in worker.told("p")] == [(begun, TaskStatus.DONE)]
    worker.tell(LendingChanged(is_paused=False))
    worker.delegates("p", first=5)
    assert refusals(worker) == []
    assert len(worker.started()) == 1


def test_a_paused_node_goes_on_with_its_own_jobs(node: Node) -> None:
    node.tell(LendingChanged(is_paused=True))
    node.submit(1)
    assert len(node.started()) == 1


def test_a_node_refuses_a_client_s_job_beyond_its_maximum(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "JOBS_MAX", 3)
    for index in range(3):
        node.submit(1, job=f"job-{index}")
    node.submit(1, job="one too many")
    end = node.ends[JobId("one too many")]
    assert isinstance(end, FailJob)
    assert (end.cause, end.message) == ("busy", "this node already has 3 jobs; wait for one to end")
    assert len(node.core.jobs) == 3
    node.started()


def test_a_node_refuses_a_parent_s_job_beyond_its_maximum_but_goes_on_with_those_it_has(
    worker: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "JOBS_MAX", 2)
    for job in ("one", "two"):
        worker.delegates("p", job=job)
    numbers = worker.delegates("p", job="three")
    assert refusals(worker) == [(numbers[0], "has 2 jobs already")]
    worker.delegates("p", job="two", first=5)
    assert refusals(worker) == []
    worker.started()


def test_a_node_turns_away_children_beyond_its_maximum(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "CHILDREN_MAX", 2)
    for name in ("a", "b", "c"):
        node.join_child(name)
    assert node.dropped == ["c"]
    assert list(node.core.children) == ["a", "b"]


def test_a_worker_whose_answer_would_not_count_says_so_at_once(worker: Node) -> None:
    numbers = worker.delegate_packets("p", [packet_of(0, avoid=frozenset({ME})), packet_of(1)])
    assert refusals(worker) == [(numbers[0], "its answer would not count")]
    (start,) = worker.started()
    assert start.packet.start == 1


def test_a_manager_gives_a_task_that_it_may_not_do_itself_to_a_child(worker: Node) -> None:
    worker.join_child("a")
    worker.delegate_packets("p", [packet_of(0, avoid=frozenset({ME}))])
    assert worker.started() == []
    assert [ask.packet.start for ask in worker.asked("a")] == [0]


# Taken once.


def test_a_duplicate_of_a_delegation_changes_nothing(worker: Node) -> None:
    (number,) = worker.delegates("p")
    (start,) = worker.started()
    message = Delegate(spec=spec_of(), budget=budget_of("p"), tasks=((number, start.packet),))
    assert worker.hears("p", message) == []
    assert worker.core.delegated == 1


def test_the_same_task_under_another_number_is_not_done_twice(worker: Node) -> None:
    worker.delegates("p")
    (start,) = worker.started()
    worker.delegate_packets("p", [start.packet])
    assert worker.core.delegated == 1
    assert worker.started() == []


def test_a_parent_may_number_its_tasks_from_nought(worker: Node) -> None:
    worker.hears("p", Delegate(spec=spec_of(), budget=budget_of("p"), tasks=((0, packet_of()),)))
    worker.loses("p")
    assert worker.core.by_origin == {}
    assert worker.core.delegated == 0


def test_two_parents_may_send_the_same_task_and_each_gets_its_answer(worker: Node) -> None:
    worker.join_parent("q")
    numbers = {name: worker.delegates(name) for name in ("p", "q")}
    for _ in numbers:
        worker.executes(*worker.started())
    assert {name: [number for number, _ in worker.told(name)] for name in numbers} == numbers


def test_the_same_job_submitted_twice_is_one_job(node: Node) -> None:
    node.submit(3)
    assert node.tell(JobSubmitted(spec=spec_of())) == []
    assert len(node.core.jobs) == 1
    node.started()


def test_chunks_may_come_bit_by_bit_and_the_job_ends_only_after_the_last(node: Node) -> None:
    node.tell(JobSubmitted(spec=spec_of()))
    for count in (2, 3):
        node.tell(ChunksReady(job_id=JOB, count=count, size_bytes=count * 100, is_last=False))
    while starts := node.started():
        node.executes(*starts)
    assert node.merges == []
    node.tell(ChunksReady(job_id=JOB, count=1, size_bytes=100, is_last=True))
    end = node.play({})
    assert isinstance(end, FinishJob)
    assert end.report.chunks == 6


def test_the_last_chunks_may_be_none(node: Node) -> None:
    node.tell(JobSubmitted(spec=spec_of()))
    node.tell(ChunksReady(job_id=JOB, count=1, size_bytes=100, is_last=False))
    node.executes(*node.started())
    node.tell(ChunksReady(job_id=JOB, count=0, size_bytes=0, is_last=True))
    assert isinstance(node.play({}), FinishJob)


def test_a_job_without_chunks_is_a_merge_of_nothing(node: Node) -> None:
    commands = node.submit(0)
    assert commands == [MergeJob(spec=spec_of(), digests=(), counts=())]
    end = node.play({})
    assert isinstance(end, FinishJob)
    assert (end.report.tasks, end.report.chunks, end.report.executions_per_task) == (0, 0, 0.0)


def test_chunks_after_the_last_or_of_no_job_change_nothing(node: Node) -> None:
    node.submit(1)
    node.started()
    for job in (JOB, JobId("unknown")):
        assert node.tell(ChunksReady(job_id=job, count=5, size_bytes=5, is_last=True)) == []
    assert node.own().chunks == 1


def test_a_merge_that_nobody_asked_for_changes_nothing(node: Node) -> None:
    node.submit(2)
    node.started()
    for job in (JOB, JobId("unknown")):
        assert node.tell(JobMerged(job_id=job, digest=b"forged")) == []


# From the wrong side.

MESSAGES = [
    Delegate(spec=spec_of(), budget=budget_of("x"), tasks=((1, packet_of()),)),
    Cancel(attempts=(1, 2, 3)),
    Recall(count=9),
    Reveal(attempts=(1, 2, 3)),
    Exclude(job_id=JOB, workers=(PeerId("a"),)),
    Beat(cores=9, window=9, nodes=9, height=9),
    Lease(jobs=()),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_a_stranger_s_message_changes_nothing(node: Node, message: Message) -> None:
    node.submit(1)
    assert node.hears("stranger", message) == []
    assert node.core.by_origin == {}
    node.started()


@pytest.mark.parametrize("message", MESSAGES[:-2], ids=lambda message: type(message).__name__)
def test_a_child_can_not_command_its_parent(node: Node, message: Message) -> None:
    node.join_child("a")
    node.submit(1)
    assert node.hears("a", message) == []
    assert node.core.by_origin == {}
    node.started()


def test_who_misbehaves_is_dropped_and_its_work_placed_again(node: Node) -> None:
    node.keep_busy()
    node.join_child("a")
    node.submit(2)
    asks = node.asked("a")
    node.join_child("b")
    commands = node.tell(PeerMisbehaved(peer=PeerId("a"), what="passed on a forged signature"))
    assert DropPeer(peer=PeerId("a"), reason="passed on a forged signature") in commands
    assert {ask.task_id for ask in node.asked("b")} == {ask.task_id for ask in asks}


def test_a_beat_that_boasts_less_than_nothing_is_no_more_than_nothing(node: Node) -> None:
    node.join_child("a")
    node.hears("a", Beat(cores=-5, window=-5, nodes=-5, height=-5))
    child = node.core.children[PeerId("a")]
    assert (child.cores, child.nodes, child.height, child.window) == (0, 1, 0, 0)
    node.submit(3)
    node.started()
    assert node.asked("a") == []


def test_shunned_workers_are_given_none_of_the_job_and_those_below_are_told(worker: Node) -> None:
    for name in ("a", "b"):
        worker.join_child(name)
    worker.delegates("p", chunks=3)
    worker.asked("a")
    worker.asked("b")
    message = Exclude(job_id=JOB, workers=(PeerId("b"), PeerId("far")))
    worker.hears("p", message)
    assert message in worker.take("a")
    worker.delegates("p", first=10, chunks=20)
    assert worker.asked("b") == []
    worker.started()


def test_no_parent_names_more_workers_to_leave_out_than_may_be_remembered(worker: Node) -> None:
    worker.delegates("p", chunks=3)
    names = [PeerId(f"w{index}") for index in range(3 * SHUNNED_MAX)]
    for first in range(0, len(names), 500):
        worker.hears("p", Exclude(job_id=JOB, workers=tuple(names[first : first + 500])))
    (job,) = (job for job in worker.core.jobs.values() if job.source == "p")
    assert list(job.shunned) == names[-SHUNNED_MAX:]
    worker.started()


def test_a_result_of_zero_attempts_is_no_answer(node: Node) -> None:
    node.join_child("a")
    node.submit(2)
    ask = node.asked("a")[0]
    empty = TaskResult(task_id=ask.task_id, worker=PeerId("a"), status=TaskStatus.COMMITTED)
    assert node.says("a", ask, empty) == []
    node.started()

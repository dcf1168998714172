"""Work goes to whoever asks for it, moves from the slow to the idle, and ends without waiting for anybody."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pangea.compute.model.ids import PeerId
from pangea.compute.model.options import VerificationMode
from pangea.compute.model.outcome import FailureKind
from pangea.compute.model.packet import TaskStatus
from pangea.compute.orchestrator.core.commands import FinishJob, Send
from pangea.compute.orchestrator.core.messages import Beat, Cancel, Recall
from pangea.compute.orchestrator.limits import (
    BACKUP_SECONDS_MIN,
    COPIES_MAX,
    COPIES_MAX_IN_ALL,
    LEASE_SECONDS,
    OVERDUE_SECONDS_MIN,
    REFUSED_SECONDS,
    SLOW_START,
    SUSPECT_SECONDS,
)
from pangea.compute.orchestrator.scheduling.offers import room
from tests.fakes.node import Node
from tests.fakes.packets import ME, Ask, packet_of

NONE = VerificationMode.NONE


@pytest.fixture
def node() -> Iterator[Node]:
    with Node() as one:
        yield one


def recalls(node: Node, peer: str) -> list[int]:
    return [message.count for message in node.take(peer) if isinstance(message, Recall)]


def cancelled(node: Node, peer: str) -> list[int]:
    return [attempt for message in node.take(peer) if isinstance(message, Cancel) for attempt in message.attempts]


# Pull.


def test_a_child_gets_a_task_for_each_that_it_answers(node: Node) -> None:
    node.join_child("a", cores=2)
    node.submit(20, verification=NONE)
    node.started()
    asks = node.asked("a")
    assert len(asks) == 3
    node.answers("a", asks[0])
    assert len(node.asked("a")) == 1
    node.answers("a", asks[1], asks[2])
    assert len(node.asked("a")) == 2


def test_a_fast_child_does_more_than_a_slow_one(node: Node) -> None:
    done = {"fast": 0, "slow": 0}
    for name in done:
        node.join_child(name)
    node.keep_busy()
    node.submit(40, verification=NONE)
    held: dict[str, list[Ask]] = {name: [] for name in done}
    for tick in range(30):
        for name in done:
            held[name] += node.asked(name)
        for name, count in (("fast", 1), ("slow", tick % 4 == 0)):
            if held[name] and count:
                node.answers(name, held[name].pop(0))
                done[name] += 1
        node.passes(0.1)
    assert done["fast"] > 3 * done["slow"]


def test_nobody_gets_a_share_up_front(node: Node) -> None:
    node.join_child("a")
    node.join_child("b")
    node.submit(1_000)
    assert sum(len(node.asked(name)) for name in ("a", "b")) == 4
    assert len(node.job().tasks) == 5
    node.started()


def test_a_child_that_claims_a_thousand_cores_gets_few_tasks_until_it_has_answered_some(node: Node) -> None:
    node.join_child("a", cores=1)
    node.submit(100_000, verification=NONE)
    node.beats("a", cores=1_000_000, window=10_000_000)
    asks = node.asked("a")
    assert len(asks) == SLOW_START
    node.answers("a", *asks)
    assert len(node.asked("a")) > SLOW_START
    node.started()


# Refused and handed back.


def test_refused_work_goes_elsewhere_and_the_child_that_refused_gets_none_for_a_while(node: Node) -> None:
    node.keep_busy()
    node.join_child("a")
    node.submit(2)
    asks = node.asked("a")
    node.join_child("b")
    node.hands_back("a", *asks)
    assert {ask.task_id for ask in node.asked("b")} == {ask.task_id for ask in asks}
    node.answers("b")
    assert node.asked("a") == []
    assert room(node.core, node.core.children[PeerId("a")]) == 0
    node.passes(REFUSED_SECONDS)
    assert room(node.core, node.core.children[PeerId("a")]) > 0


def test_refused_work_costs_no_try_and_no_trust(node: Node) -> None:
    node.join_child("a")
    node.submit(3)
    node.hands_back("a", *node.asked("a"))
    assert node.task(1).tries == 0
    assert node.core.children[PeerId("a")].reliability == 1.0
    node.started()


def test_what_all_children_refuse_runs_here(node: Node) -> None:
    node.join_child("a")
    node.submit(2, verification=NONE)
    starts = node.started()
    node.hands_back("a", *node.asked("a"))
    node.executes(*starts)
    (start,) = node.started()
    assert start.packet.start == 1
    node.executes(start)
    assert len(node.merges) == 1


def test_what_failed_everywhere_may_be_tried_everywhere_again(node: Node) -> None:
    node.join_child("a")
    node.submit(2, verification=NONE)
    starts = node.started()
    node.hands_back("a", *node.asked("a"))
    node.executes(*starts)
    node.executes(*node.started(), kind=FailureKind.WORKER_LOST)
    assert node.task(1).failed_on == ("a", ME)
    node.passes(1.0)
    assert node.task(1).failed_on == ()
    node.started()
    node.asked("a")


# Recall.


def stuck_with(node: Node, count: int) -> list[Ask]:
    """Child `a` has `count` tasks for its one core, and nothing else is left to do."""
    node.keep_busy()
    node.join_child("a")
    node.beats("a", cores=1, window=count)
    node.submit(count, verification=NONE)
    asks = node.asked("a")
    assert len(asks) == count
    return asks


def test_a_child_with_a_queue_is_asked_to_hand_back_what_it_has_not_begun_when_another_is_idle(node: Node) -> None:
    asks = stuck_with(node, 3)
    assert recalls(node, "a") == []
    node.join_child("b")
    node.passes(0.3)
    assert recalls(node, "a") == [2]
    node.hands_back("a", *asks[1:], status=TaskStatus.RETURNED)
    assert {ask.task_id for ask in node.asked("b")} == {ask.task_id for ask in asks[1:]}


def test_what_was_recalled_does_not_count_against_the_child(node: Node) -> None:
    asks = stuck_with(node, 3)
    node.join_child("b")
    node.passes(0.3)
    node.hands_back("a", *asks[1:], status=TaskStatus.RETURNED)
    child = node.core.children[PeerId("a")]
    assert (child.reliability, child.refuses_until, child.is_silent) == (1.0, 0.0, False)
    node.asked("b")


def test_a_child_is_not_recalled_from_again_and_again(node: Node) -> None:
    stuck_with(node, 3)
    node.join_child("b")
    node.passes(0.7)
    assert len(recalls(node, "a")) <= 2
    node.asked("b")


def test_nothing_is_recalled_from_a_child_that_alone_would_get_it_again(node: Node) -> None:
    node.keep_busy()
    node.join_child("a", cores=2)
    node.beats("a", cores=2, window=6)
    node.submit(4, verification=NONE)
    assert len(node.asked("a")) == 4, "more than it has cores, and it has room for more"
    node.passes(0.7)
    assert recalls(node, "a") == []
    node.join_child("b")
    node.passes(0.7)
    assert recalls(node, "a") == [2], "another is idle now"
    node.asked("b")


def test_nothing_is_recalled_while_fresh_work_is_left(node: Node) -> None:
    node.join_child("a")
    node.join_child("b")
    node.submit(100, verification=NONE)
    node.passes(0.4)
    assert recalls(node, "a") == recalls(node, "b") == []
    node.started()


def test_a_node_hands_back_to_its_parent_what_nobody_has_begun_last_come_first(node: Node) -> None:
    node.join_parent("p")
    numbers = node.delegates("p", chunks=4)
    node.hears("p", Recall(count=2))
    returned = [(number, result.status) for number, result in node.told("p")]
    assert returned == [(numbers[3], TaskStatus.RETURNED), (numbers[2], TaskStatus.RETURNED)]
    node.started()


def test_what_has_begun_is_not_handed_back(node: Node) -> None:
    node.join_parent("p")
    node.delegates("p", chunks=1)
    node.hears("p", Recall(count=5))
    assert node.told("p") == []
    assert len(node.started()) == 1


# Backup copies.


def test_a_task_that_takes_far_too_long_gets_a_second_copy_where_somebody_is_idle(node: Node) -> None:
    node.keep_busy()
    node.join_child("slow")
    node.submit(1, verification=NONE)
    (ask,) = node.asked("slow")
    node.join_child("idle")
    node.passes(BACKUP_SECONDS_MIN)
    assert node.asked("idle") == []
    node.passes(BACKUP_SECONDS_MIN + 0.5)
    (copy,) = node.asked("idle")
    assert copy.packet == ask.packet
    assert copy.attempt != ask.attempt
    assert node.own().backups == 1


def test_whichever_copy_answers_first_counts_and_the_other_is_called_off(node: Node) -> None:
    node.keep_busy()
    node.join_child("slow")
    node.submit(1, verification=NONE)
    (ask,) = node.asked("slow")
    node.join_child("idle")
    node.passes(3.0)
    node.answers("idle", *node.asked("idle"))
    assert cancelled(node, "slow") == [ask.attempt]
    assert len(node.merges) == 1
    assert node.answers("slow", ask) == []


def test_a_task_has_two_copies_under_way_and_more_only_when_these_are_overdue_as_well(node: Node) -> None:
    node.keep_busy()
    names = [f"c{index}" for index in range(COPIES_MAX_IN_ALL + 2)]
    for name in names:
        node.join_child(name)
    node.submit(1, verification=NONE, attempt_timeout=1_000.0)
    node.passes(OVERDUE_SECONDS_MIN)
    assert sum(len(node.asked(name)) for name in names) == COPIES_MAX
    for name in names:
        node.core.children[PeerId(name)].answered = 1  # else two that have never answered were enough
    node.passes(300.0)
    assert sum(len(node.asked(name)) for name in names) == COPIES_MAX_IN_ALL - COPIES_MAX


def test_there_are_no_backup_copies_while_fresh_work_is_left(node: Node) -> None:
    node.join_child("a")
    node.submit(100, verification=NONE)
    starts = node.started()
    held = node.asked("a")
    for _ in range(8):
        node.passes(0.5)
        node.executes(*starts)
        starts = node.started()
    assert {start.packet.start for start in starts}.isdisjoint(ask.packet.start for ask in held)
    assert node.own().backups == 0


def test_the_end_of_a_job_waits_for_no_child_that_never_answers(node: Node) -> None:
    for name in ("a", "b", "never"):
        node.join_child(name)
    node.submit(30, verification=NONE)
    end = node.play(node.honest("a", "b") | {"never": lambda packet: None})
    assert isinstance(end, FinishJob)
    assert end.report.backups > 0
    assert node.now < 5.0


# Silence.


def test_what_a_silent_child_has_runs_here_within_two_seconds(node: Node) -> None:
    node.join_child("a")
    node.submit(2, verification=NONE)
    node.executes(*node.started())
    (ask,) = node.asked("a")
    node.silent = {"a"}
    node.passes(SUSPECT_SECONDS)
    assert node.started() == []
    node.passes(2.0 - SUSPECT_SECONDS)
    (start,) = node.started()
    assert start.packet == ask.packet
    node.executes(start)
    assert len(node.merges) == 1


def test_a_child_silent_for_a_lease_has_nothing_any_more_and_gets_nothing_until_it_speaks(node: Node) -> None:
    node.keep_busy()
    node.join_child("a")
    node.submit(2, verification=NONE)
    asks = node.asked("a")
    node.silent = {"a"}
    node.passes(LEASE_SECONDS + 0.5)
    child = node.core.children[PeerId("a")]
    assert (child.is_silent, child.attempts) == (True, {})
    node.join_child("b")
    assert {ask.task_id for ask in node.asked("b")} == {ask.task_id for ask in asks}
    assert node.asked("a") == []
    node.beats("a")
    assert child.is_silent is False
    assert room(node.core, child) == 2


def test_a_silent_child_costs_the_parent_no_promise(node: Node) -> None:
    node.join_parent("p")
    node.join_child("a", cores=4)
    node.silent = {"a"}
    node.passes(LEASE_SECONDS + 2.0)
    node.delegates("p", chunks=1)
    node.executes(*node.started())
    node.passes(2.0)
    last = [message for peer, message in node.heartbeats if peer == "p"][-1]
    assert last == Beat(cores=1, window=1, nodes=1, height=0)
    node.told("p")


def test_without_any_child_everything_runs_here_and_the_report_says_so(node: Node) -> None:
    node.submit(3)
    end = node.play({})
    assert isinstance(end, FinishJob)
    assert end.report.local == 3
    assert end.report.confidence == 1.0
    assert end.report.notes == ("no worker could be reached or trusted: everything ran on this node",)


def test_a_light_job_stays_here_and_the_report_says_what_decided() -> None:
    with Node(chunk_seconds=0.001) as node:
        node.join_child("a")
        node.submit(3, estimated_flops=1e6, verification=NONE)
        end = node.play({})
        assert isinstance(end, FinishJob)
        (note,) = end.report.notes
        assert note.startswith("the job is light enough for this node alone, though 1 are attached (score ")
        assert "threshold 2 s" in note


def test_a_job_that_was_done_before_others_had_a_share_says_so(node: Node) -> None:
    node.join_child("a")
    node.submit(3, estimated_flops=1e6, verification=NONE)  # which turn out to be dear
    end = node.play({})
    assert isinstance(end, FinishJob)
    assert end.report.notes == (
        "this node was done before any of the 1 that are attached had a share in it: everything ran on this node",
    )


def test_when_the_last_child_is_lost_the_job_goes_on_here(node: Node) -> None:
    node.join_child("a")
    node.submit(6, verification=NONE)
    node.asked("a")
    node.loses("a")
    end = node.play({})
    assert isinstance(end, FinishJob)
    assert end.report.local == 6


def test_a_lost_child_s_tasks_go_to_another_at_once(node: Node) -> None:
    node.keep_busy()
    node.join_child("a")
    node.submit(2)
    asks = node.asked("a")
    node.join_child("b")
    commands = node.loses("a")
    assert [command.peer for command in commands if isinstance(command, Send)] == ["b"]
    assert {ask.task_id for ask in node.asked("b")} == {ask.task_id for ask in asks}


def test_nobody_below_may_execute_it_so_a_manager_hands_it_back(node: Node) -> None:
    node.join_parent("p")
    node.join_child("a")
    numbers = node.delegate_packets("p", [packet_of(0, avoid=frozenset({ME, PeerId("a")}))])
    node.passes(3.0)
    assert [(number, result.status) for number, result in node.told("p")] == [(numbers[0], TaskStatus.REFUSED)]

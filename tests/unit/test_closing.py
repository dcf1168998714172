"""Before a job ends: what its owner draws and executes itself, and what it says of the whole job."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil

import pytest

from pangea.compute.model.ids import PeerId
from pangea.compute.model.options import Locality, VerificationMode
from pangea.compute.model.outcome import FailureKind
from pangea.compute.model.packet import TaskPacket, TaskResult
from pangea.compute.orchestrator.core.commands import FailJob, FinishJob
from pangea.compute.orchestrator.rules.crowds import anchors_for, anchors_wanted, crowds, worst_doubt
from pangea.compute.orchestrator.rules.trust import TrustBook, TrustRecord
from tests.fakes.node import Node, Puppet
from tests.fakes.owner import NEVER, asked, finish, finish_everything, finish_here, is_right, submit
from tests.fakes.packets import JOB

NONE, HASH, REDUNDANCY, MERKLE, ADAPTIVE = VerificationMode


@pytest.fixture
def node() -> Iterator[Node]:
    with Node() as one:
        yield one


def knows(node: Node, *workers: str, passes: int, anchors: int) -> None:
    for worker in workers:
        node.core.trust.restore(PeerId(worker), "", TrustRecord(passes=passes, anchors=anchors))


@pytest.mark.parametrize("mode", [ADAPTIVE, REDUNDANCY])
def test_of_strangers_a_short_job_is_executed_here_as_a_whole(node: Node, mode: VerificationMode) -> None:
    submit(node, mode, "a", "b", "c", chunks=12)
    report = finish_everything(node, "a", "b", "c").report
    assert report.confidence == 1.0
    assert report.target == 0.999


@pytest.mark.parametrize("mode", [ADAPTIVE, REDUNDANCY])
def test_accomplices_that_always_agree_convince_nobody(node: Node, mode: VerificationMode) -> None:
    knows(node, "a", "b", passes=50, anchors=0)  # by each other's word
    liars = {name: node.liar(name, when=lambda packet: packet.start % 5 == 4, lie=b"we agree") for name in ("a", "b")}
    submit(node, mode, "a", "b", chunks=15)
    end = node.play(liars)
    assert isinstance(end, FinishJob)
    assert is_right(end, 15)
    assert set(end.report.bans) == {"a", "b"}


def test_as_many_are_drawn_as_the_confidence_asks_for(node: Node) -> None:
    node.dice.loaded = NEVER
    knows(node, "a", "b", passes=10_000, anchors=0)
    submit(node, ADAPTIVE, "a", "b", chunks=300, confidence=0.9)
    report = finish_everything(node, "a", "b").report
    assert 0.9 > (report.confidence or 0.0) >= 1 - worst_doubt(report.audits, report.tasks - report.audits) > 0.1
    assert (
        "what was asked for holds against crowds that lie about 10% of the tasks or more; rarer lies may get through"
        in report.notes
    )
    assert report.audits <= anchors_for(0.9) + 10 + 2 * node.core.me.cores  # ten are drawn of any long job
    assert any("this node itself" in note for note in report.notes)


def test_of_those_known_well_a_twentieth_is_drawn_all_the_same_and_of_one_task_rarely(node: Node) -> None:
    node.dice.loaded = NEVER
    node.trusts(a=10**6, b=10**6)
    submit(node, ADAPTIVE, "a", "b", chunks=60)
    end = finish_everything(node, "a", "b")
    drawn = [note for note in end.report.notes if "drawn at the end" in note]
    assert drawn[0].split()[0] in ("1", "2")
    assert end.report.confidence is not None
    assert 0.999 <= end.report.confidence < 1.0


def test_a_lie_that_was_found_begins_the_row_of_anchors_anew(node: Node) -> None:
    knows(node, "a", "b", passes=10_000, anchors=0)
    rarely = {name: node.liar(name, when=lambda packet: packet.start == 40, lie=b"we agree") for name in ("a",)}
    submit(node, ADAPTIVE, "a", "b", "c", chunks=60)
    end = node.play({**node.honest("b", "c"), **rarely})
    assert isinstance(end, FinishJob)
    assert is_right(end, 60)
    assert end.report.audits > 50  # nearly all: what came before the lie says nothing
    assert (end.report.confidence or 0.0) > 0.9


def test_a_mode_that_only_samples_says_how_little_that_is(node: Node) -> None:
    node.dice.loaded = NEVER
    submit(node, HASH, "a", chunks=5)
    node.answers("a", *node.asked("a"))
    finish_here(node)  # the first of each worker
    report = finish(node).report
    assert report.lowest_confidence == pytest.approx(0.8)
    assert report.confidence == 0.0, "whoever knows that it is looked at is right"


def test_after_a_lie_such_a_mode_promises_nothing(node: Node) -> None:
    node.dice.loaded = NEVER
    submit(node, HASH, "a", "b", chunks=8)
    given = asked(node, "a", "b")
    node.answers("a", *given["a"], lie=b"a lie")
    node.answers("b", *given["b"])
    end = node.play(node.honest("b"))
    assert isinstance(end, FinishJob)
    assert end.report.bans == ("a",)
    assert end.report.confidence == 0.0


def wide(node: Node, *workers: str, chunks: int) -> None:
    """A job whose tasks have many leaves each, after the first, for workers that are on probation no more."""
    node.chunk_seconds = 0.01
    node.trusts(**dict.fromkeys(workers, 1_000))
    for name in workers:
        node.join_child(name, cores=4)
    node.submit(chunks, verification=MERKLE, locality=Locality.ANY)


def test_of_leaves_that_were_drawn_no_more_is_said_than_one_wrong_leaf_allows(node: Node) -> None:
    wide(node, "a", "b", chunks=4_000)
    leaves: list[int] = []

    def counted(puppet: Puppet) -> Puppet:
        def answer(packet: TaskPacket) -> TaskResult | None:
            leaves.append(packet.runs)
            return puppet(packet)

        return answer

    end = node.play({name: counted(puppet) for name, puppet in node.honest("a", "b").items()})
    assert isinstance(end, FinishJob)
    assert max(leaves) > 1
    assert end.report.confidence == pytest.approx(min(ceil(count / 20) / count for count in leaves))


@pytest.mark.parametrize(("chunks", "sure"), [(600, 1.0), (20_000, 0.0)])
def test_once_a_leaf_was_wrong_the_rest_is_executed_here_if_that_is_no_more_than_was(
    node: Node, chunks: int, sure: float
) -> None:
    """Who told lies with the one that was caught may have put them anywhere: a sample says nothing of that."""
    node.chunk_seconds = 0.01
    for name in ("a", "b"):
        node.join_child(name, cores=4)
    node.submit(chunks, verification=MERKLE, locality=Locality.ANY)
    end = node.play({**node.honest("b"), "a": node.liar("a", lie=b"a lie")})
    assert isinstance(end, FinishJob)
    assert (end.report.bans, end.report.confidence) == (("a",), sure)


def test_nothing_is_drawn_where_the_result_is_known_or_nothing_is_claimed(node: Node) -> None:
    submit(node, NONE, "a", "b", chunks=8)
    report = finish_everything(node, "a", "b").report
    assert (report.audits, report.confidence) == (0, None)


def test_anchors_are_kept_and_a_lie_takes_them() -> None:
    book, worker = TrustBook(), PeerId("a")
    for _ in range(3):
        book.anchor(worker, "class", 1.0)
    record = book.record(worker, "class")
    assert (record.anchors, record.passes) == (3, 0)
    again = TrustBook()
    again.restore(worker, "class", TrustRecord.from_json(record.to_json()))
    assert again.anchors(worker, "class") == 3
    again.ban(worker, "class", 2.0)
    again.anchor(worker, "class", 3.0)
    assert again.anchors(worker, "class") == 0


# A machine of the owner's that can't do what others can.


def beyond_me(node: Node, *children: str, lies: dict[str, bytes] | None = None) -> FinishJob | FailJob:
    """Play a job to its end; this node's own engine overflows at whatever it is given."""
    puppets = {**node.honest(*children), **{name: node.liar(name, lie=lie) for name, lie in (lies or {}).items()}}
    for _ in range(400):
        if JOB in node.ends:
            break
        for name, puppet in puppets.items():
            for ask in node.asked(name):
                result = puppet(ask.packet)
                if result is not None and PeerId(name) in node.core.children:
                    node.says(name, ask, result)
        if starts := node.started():
            node.executes(*starts, kind=FailureKind.STACK_OVERFLOW)
        node.passes(0.5)
        node.merge()
    return node.ends[JOB]


def test_a_check_that_overflows_here_does_not_fail_the_job(node: Node) -> None:
    submit(node, ADAPTIVE, "a", "b", "c", chunks=6)
    end = beyond_me(node, "a", "b", "c")
    assert isinstance(end, FinishJob), end
    assert is_right(end, 6)
    assert end.report.bans == ()
    assert end.report.confidence is not None
    assert end.report.confidence < 0.7, "nobody has been found right about anything"
    assert any("this node's own machine can't execute" in note for note in end.report.notes)


def test_without_a_referee_two_that_agree_outvote_one_and_nobody_is_banned(node: Node) -> None:
    submit(node, ADAPTIVE, "a", "b", "c", chunks=4)
    end = beyond_me(node, "a", "b", lies={"c": b"a lie"})
    assert isinstance(end, FinishJob), end
    assert is_right(end, 4)
    assert end.report.bans == ()


def test_without_a_referee_a_draw_fails_the_job_and_says_why(node: Node) -> None:
    submit(node, ADAPTIVE, "a", "b", chunks=1)
    end = beyond_me(node, "a", lies={"b": b"a lie"})
    assert isinstance(end, FailJob)
    assert end.cause == "verification"
    assert "can't execute it to find out who is right" in end.message


def test_who_was_shut_out_is_named_with_the_verdict_and_who_found_it(node: Node) -> None:
    submit(node, ADAPTIVE, "a", "b", chunks=8)
    end = node.play({**node.honest("b"), "a": node.liar("a", lie=b"a lie")})
    assert isinstance(end, FinishJob)
    assert "shut out, for what this node found by executing it itself: a (faulty)" in end.report.notes


# Rows of anchors that began anew.


def test_the_more_rows_the_more_is_in_doubt_and_the_more_is_drawn() -> None:
    """Who goes on until a row is long enough finds one, whatever the rate of lies: it is worth the less the more came before."""
    one, four = (crowds([], [0] * 50, [0] * 100, lies=lies)[0] for lies in (0, 3))
    assert four.doubt == pytest.approx(min(1.0, 4 * one.doubt))
    assert crowds([], [], [0] * 100, lies=3)[0].doubt == 1.0
    assert anchors_wanted(four, 0.001) > anchors_wanted(one, 0.001)
    assert anchors_wanted(four, 0.001) - anchors_wanted(one, 0.001) <= 14  # ln 4 / -ln 0.9


def test_after_a_lie_the_rest_is_executed_here_if_that_is_no_more_than_was(node: Node) -> None:
    """Then the job reaches what was asked for, however rarely somebody lies."""
    knows(node, "a", "b", passes=10_000, anchors=0)
    rarely = node.liar("a", when=lambda packet: packet.start == 3, lie=b"we agree")
    submit(node, ADAPTIVE, "a", "b", "c", chunks=120)
    end = node.play({**node.honest("b", "c"), "a": rarely})
    assert isinstance(end, FinishJob)
    assert is_right(end, 120)
    assert end.report.bans
    assert end.report.confidence == 1.0

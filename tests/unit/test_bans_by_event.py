"""Bans that no vote decides, by a link's misbehaviour or by hand, how they are lifted, and what a job's result is made of."""

from __future__ import annotations

from pangea.compute.model.ids import JobId, PeerId
from pangea.compute.model.options import Locality, VerificationMode
from pangea.compute.orchestrator.core.events import PeerBanned, PeerMisbehaved, PeerPardoned
from pangea.compute.orchestrator.rules.trust import Verdict, parts_of, work_of
from tests.fakes.node import Node
from tests.fakes.packets import ME, packet_of, wrong

A = PeerId("a")


def test_a_neighbour_that_misbehaves_is_dropped_and_its_ban_is_kept_with_the_reason() -> None:
    with Node() as node:
        node.join_child("a")
        node.tell(PeerMisbehaved(peer=A, what="passed on results with wrong signatures"))
        assert node.dropped == ["a"]
        (kept,) = node.kept
        assert (kept.worker, kept.record.bans) == (A, 1)
        assert "wrong signatures" in kept.why
        trust = node.core.trust
        assert (trust.verdict(A), trust.banned(node.now)) == (Verdict.MISBEHAVED, [A])


def test_a_stranger_can_be_banned_by_hand_and_pardoned_and_the_ban_still_counts() -> None:
    with Node() as node:
        node.tell(PeerBanned(peer=A, why="because"))
        assert node.core.trust.banned(node.now) == [A]
        assert node.core.trust.verdict(A) == Verdict.BY_HAND
        before = len(node.kept)
        node.tell(PeerPardoned(peer=A))
        assert node.core.trust.banned(node.now) == []
        (kept,) = node.kept[before:]
        assert (kept.worker, kept.record.bans, kept.record.banned_until) == (A, 1, 0.0)
        node.tell(PeerPardoned(peer=PeerId("nobody")))
        assert node.kept[before:] == [kept]


def test_a_ban_forgets_what_a_worker_has_passed_and_a_pardon_is_written_down_wherever_it_has_answered_since() -> None:
    with Node() as node:
        trust = node.core.trust
        trust.succeeded(A, "w")
        node.tell(PeerBanned(peer=A, why="because"))
        assert list(trust.records()) == []
        for runtime in ("x", "y"):
            trust.succeeded(A, runtime)  # answers that were under way
        assert {(worker, runtime) for worker, runtime, _ in trust.records()} == {(A, "x"), (A, "y")}
        node.kept.clear()
        node.tell(PeerPardoned(peer=A))
        assert {kept.runtime for kept in node.kept} == {"x", "y"}


def test_what_trust_is_about_says_runtime_and_function() -> None:
    for work in (("x", "execute"), ("x", "merge")):
        assert parts_of(work_of(*work)) == work


def test_what_a_result_is_made_of_is_told_while_its_job_lives() -> None:
    with Node() as node:
        assert node.orchestrator.accepted(JobId("job")) == []
        node.submit(2, verification="none")
        node.executes(*node.started())
        (one,) = node.orchestrator.accepted(JobId("job"))
        assert (one.packet.start, one.worker, one.digest) == (0, ME, node.right(packet_of(0), ME).digest)
        node.executes(*node.started())
        assert [each.packet.start for each in node.orchestrator.accepted(JobId("job"))] == [0, 1]
        node.merge()
        assert node.orchestrator.accepted(JobId("job")) == []


def test_this_node_s_own_finding_that_gets_somebody_shut_out_is_told_before_it_counts() -> None:
    with Node(cores=2) as node:
        node.dice.loaded = 0.0  # every answer is checked
        node.join_child("a", cores=4)
        node.submit(3, verification=VerificationMode.HASH, locality=Locality.ANY)
        node.answers("a", *node.asked("a"), lie=b"lie")
        (start, *_) = starts = node.started()
        truth = node.right(start.packet, ME)
        assert node.orchestrator.contradicts(start.attempt, truth)
        assert not node.orchestrator.contradicts(start.attempt, wrong(truth, lie=b"lie"))
        assert not node.orchestrator.contradicts(10**9, truth)
        node.executes(*starts)
        while starts := node.started():
            node.executes(*starts)
        node.merge()
        assert node.dropped == ["a"]

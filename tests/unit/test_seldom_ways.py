"""Ways that whole jobs seldom go: words about tasks that wait, ends that a driver brings, input that is none."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pangea.compute.flow.chunks import sized
from pangea.compute.model import frames
from pangea.compute.model.errors import JobFailedError, ManifestError, UnavailableError, UnverifiedError
from pangea.compute.model.ids import JobId, PeerId, TaskId
from pangea.compute.model.libraries import need
from pangea.compute.model.limits import SHOWN_CHARACTERS_MAX, nearest
from pangea.compute.model.manifest import Content, JobManifest
from pangea.compute.model.options import Locality, VerificationMode
from pangea.compute.model.outcome import FailureKind
from pangea.compute.model.packet import TaskStatus
from pangea.compute.orchestrator.core.commands import FailJob, FinishJob, StartTask
from pangea.compute.orchestrator.core.events import AnswersComing, JobBroken, JobCancelled, JobMerged
from pangea.compute.orchestrator.core.messages import Recall
from pangea.compute.orchestrator.rules.trust import TrustRecord
from pangea.compute.verification.receipt_fields import Fields
from tests.fakes.node import Node
from tests.fakes.owner import NEVER, asked, expected, finish, finish_here, submit
from tests.fakes.packets import JOB, ME, Ask, failed, sealed, wrong


def waits_for(node: Node, index: int) -> str:
    (found,) = node.orchestrator.explain(TaskId(f"{JOB}:{index}"), now=node.now)
    return found.waits_for


def test_a_parked_task_says_that_it_waits_for_credibility() -> None:
    with Node() as node:
        node.dice.loaded = NEVER
        node.trusts(a=50)
        submit(node, VerificationMode.ADAPTIVE, "a", chunks=30)
        ask, *_ = node.asked("a")
        node.answers("a", ask)
        assert waits_for(node, ask.packet.start).startswith("its workers' credibility to grow, or a second opinion")
        node.started()
        node.asked("a")


def test_a_sampled_task_says_how_many_packs_were_drawn_and_who_executes_them() -> None:
    with Node() as node:
        submit(node, VerificationMode.MERKLE, "a")
        node.answers("a", *node.asked("a"))
        (found,) = node.orchestrator.explain(TaskId(f"{JOB}:0"), now=node.now)
        assert "1 of 1 packs were drawn for the owner to execute" in found.checks
        assert any(check.startswith("the owner executes ") for check in found.checks)
        node.executes(*node.started())
        node.merge()


def test_a_driver_that_cannot_go_on_ends_its_job_and_no_other() -> None:
    with Node() as node:
        node.submit(1, verification="none")
        node.started()
        for event in (
            JobBroken(job_id=JobId("other"), cause="broken", message="the disk is gone"),
            JobCancelled(job_id=JobId("other")),
            JobMerged(job_id=JobId("other"), digest=b""),
        ):
            assert node.tell(event) == []
        node.tell(JobBroken(job_id=JOB, cause="broken", message="the disk is gone"))
        end = node.ends[JOB]
        assert isinstance(end, FailJob)
        assert (end.cause, end.message) == ("broken", "the disk is gone")


def test_answers_are_coming_only_from_whom_they_were_asked_of() -> None:
    with Node() as node:
        node.join_child("a", cores=4)
        node.submit(2, verification=VerificationMode.NONE, locality=Locality.ANY)
        ask, *_ = node.asked("a")
        right = node.right(ask.packet, "a")
        node.tell(AnswersComing(peer=PeerId("b"), results=((ask.attempt, right), (10**6, right))))
        assert node.core.attempts[ask.attempt].coming is None
        node.tell(AnswersComing(peer=PeerId("a"), results=((ask.attempt, right),)))
        assert node.core.attempts[ask.attempt].coming == right
        node.tell(JobCancelled(job_id=JOB))
        node.asked("a")
        node.started()


def test_what_was_tried_here_is_not_handed_back_when_a_parent_recalls() -> None:
    with Node() as node:
        node.join_parent("p")
        tried, begun, waiting = node.delegates("p", chunks=3)
        node.executes(*node.started(), kind=FailureKind.WORKER_LOST)
        node.passes(20.0)  # the next has the core, and the first waits for it again
        node.hears("p", Recall(count=10))
        assert {number: result.status for number, result in node.told("p")} == {waiting: TaskStatus.RETURNED}
        assert {task.origin for task in node.job(source="p").tasks.values()} == {tried, begun}
        node.loses("p")
        node.started()


def test_packs_that_have_other_chunks_than_their_frame_are_refused() -> None:
    frame = frames.pack([b"a", b"bc"])
    assert [(pack.count, pack.size_bytes) for pack in sized(frame, (1, 1))] == [(1, 1), (1, 2)]
    with pytest.raises(frames.FrameError, match="2 items in packs of 3"):
        sized(frame, (1, 2))


def test_a_manifest_has_an_input_a_size_and_takes_another_id() -> None:
    manifest = JobManifest(module=Content(b"\0asm"), inputs=(Content(b"abc"), Content(sha256="0" * 64, size=4)))
    assert manifest.data_size == 7
    assert manifest.with_job_id("2f1c7a3e-0c4b-4f44-9d6f-0d3f0a6f5b11").job_id == "2f1c7a3e-0c4b-4f44-9d6f-0d3f0a6f5b11"
    with pytest.raises(ManifestError, match="inputData is an empty list"):
        replace(manifest, inputs=())


def test_a_library_that_is_not_there_is_named_with_what_needs_it() -> None:
    with pytest.raises(UnavailableError, match=r"reading \.xyz needs no_such_library, which isn't installed"):
        need("no_such_library.reader", "reading .xyz")


def test_a_name_longer_than_any_is_compared_with_none() -> None:
    assert nearest("delimeter", ["delimiter", "limits"]) == "delimiter"
    assert nearest("d" * (SHOWN_CHARACTERS_MAX + 1), ["d" * (SHOWN_CHARACTERS_MAX + 1)]) is None


def test_a_record_of_trust_with_a_verdict_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="verdict is 'guilty'; it must be one of"):
        TrustRecord.from_json(TrustRecord().to_json() | {"verdict": "guilty"})


def test_counts_in_a_receipt_are_whole_numbers_from_one() -> None:
    assert Fields({"packs": [1, 2]}, "record").counts("packs") == (1, 2)
    assert Fields({}, "record").counts("packs") == ()
    for counts in ([0], [True], [1.5], [1 << 63]):
        with pytest.raises(UnverifiedError, match=r"record\.packs"):
            Fields({"packs": counts}, "record").counts("packs")


def test_a_failure_whose_traceback_names_a_class_that_it_is_already_needs_no_other() -> None:
    trace = 'Traceback (most recent call last):\n  File "job.py", line 3, in execute\nException: no more'
    assert type(JobFailedError("execute raised", traceback=trace)) is JobFailedError


def disputed(node: Node) -> tuple[StartTask, Ask]:
    """Two votes on a task of several packs differ in its second: this node's own execution of that pack, and the task."""
    node.chunk_seconds = 0.01
    submit(node, VerificationMode.REDUNDANCY, "a", "b", chunks=1_200, redundancy=2)
    for _ in range(20):  # the first tasks are of one chunk each, until it is known what chunks cost
        held = asked(node, "a", "b")
        both = [ask for ask in held["a"] if ask.packet.runs > 1 and any(each.task_id == ask.task_id for each in held["b"])]
        if both:
            break
        for of_all in (sealed, lambda result: result):
            for name, asks in held.items():
                for ask in asks:
                    node.says(name, ask, of_all(node.right(ask.packet, name)))
    voters = {name: next(each for each in held[name] if each.task_id == both[0].task_id) for name in ("a", "b")}
    votes = {name: node.right(both[0].packet, name) for name in voters}
    votes["b"] = wrong(votes["b"], leaf=1)
    for name, ask in voters.items():
        node.says(name, ask, sealed(votes[name]))
    for name, ask in voters.items():
        node.says(name, ask, votes[name])
    return probe_of(node, both[0]), both[0]


def probe_of(node: Node, ask: Ask) -> StartTask:
    """This node's own execution of a task or of a part of it, once its core is free for that."""
    for _ in range(20):
        starts = node.started()
        found = [each for each in starts if ask.packet.start <= each.packet.start < ask.packet.start + ask.packet.count]
        if found:
            return found[0]
        node.executes(*starts)
    raise AssertionError("nobody looks for the truth")


def rest(node: Node) -> None:
    """What isn't the test's matter."""
    node.tell(JobCancelled(job_id=JOB))
    for name in ("a", "b"):
        node.asked(name)
    node.started()


def test_the_referee_executes_the_first_pack_that_differs_and_shuts_out_whoever_lied_in_it() -> None:
    with Node(cores=1) as node:
        start, _ = disputed(node)
        assert 0 < start.packet.count < 1_200
        (found,) = [each for each in node.job().tasks.values() if each.case is not None and each.case.probes]
        (said,) = node.orchestrator.explain(found.packet.task_id, now=node.now)
        assert said.checks[-1].startswith("the owner executes leaf 1 itself: ")
        truth = node.right(start.packet, ME)
        assert node.orchestrator.contradicts(start.attempt, truth)
        assert not node.orchestrator.contradicts(start.attempt, failed(start.packet, ME, FailureKind.WORKER_LOST))
        node.executes(start)
        assert node.dropped == ["b"]
        rest(node)


def test_a_pack_that_fails_in_the_referee_s_hands_has_it_execute_the_whole_task() -> None:
    with Node(cores=1) as node:
        start, ask = disputed(node)
        node.executes(start, kind=FailureKind.TRAPPED)
        assert node.dropped == []
        whole = probe_of(node, ask)
        assert whole.packet.count == ask.packet.count > start.packet.count
        node.executes(whole)
        assert node.dropped == ["b"]
        rest(node)


def test_a_task_that_only_this_node_can_do_is_tried_here_again_after_its_own_machine_failed() -> None:
    with Node() as node:
        submit(node, VerificationMode.NONE, "a")
        (ask,) = node.asked("a")
        node.fails("a", ask, FailureKind.STACK_OVERFLOW)
        for _ in range(2):
            node.passes(10.0)
            node.executes(*node.started(), kind=FailureKind.WORKER_LOST)
        node.passes(10.0)
        (found,) = node.orchestrator.explain(ask.task_id, now=node.now)
        assert {each.objection for each in found.candidates if each.peer == "a"} == {"its kind of machine can't do this task"}
        assert node.asked("a") == []
        node.executes(*node.started())
        node.merge()
        assert isinstance(node.ends[JOB], FinishJob)


def test_what_this_node_executed_itself_is_not_in_doubt_when_the_result_is_not_the_expected_one() -> None:
    with Node() as node:
        submit(node, VerificationMode.HASH, "a", chunks=6, expected=expected(6))
        mine = node.started()
        assert len(mine) == 1
        node.executes(*mine)
        node.answers("a", *node.asked("a"), lie=b"lie")
        node.executes(*node.started())
        node.merge()
        again = finish_here(node)
        assert 0 < again < 6
        end = finish(node)
        assert (end.digest, end.report.bans) == (expected(6), ("a",))

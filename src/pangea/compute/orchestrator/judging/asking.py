"""Who was wrong is asked once more: a machine that computes wrong now and then is right the next time, and a liar may not be.

Whoever this node's own execution proves wrong is out of everything at once, as faulty: its answers are withdrawn, it gets no
work. Only the same answer again, or one that is wrong all over again, makes a lie of it. Nobody waits for that: who doesn't
answer before the job ends, or in an attempt's time, stays faulty. Its link is kept until then.

The question has a name that nobody has heard before: what the worker has signed already, and a manager on the way may have kept,
is no answer to it.
"""

from __future__ import annotations

from dataclasses import replace

from pangea.compute.model.ids import TaskId
from pangea.compute.model.outcome import MACHINE_FAULTS
from pangea.compute.model.packet import TaskResult, TaskStatus
from pangea.compute.orchestrator.core.commands import KeepTrust
from pangea.compute.orchestrator.core.records import Inquiry, Task
from pangea.compute.orchestrator.core.state import Core
from pangea.compute.orchestrator.rules import audit
from pangea.compute.orchestrator.rules.audit import Vote
from pangea.compute.orchestrator.rules.trust import Verdict
from pangea.compute.orchestrator.scheduling.attempts import begin, delegate
from pangea.compute.orchestrator.scheduling.offers import offer_idle

#: A child that is asked gets nothing else.
NEVER = float("inf")
_NAME_BITS = 64


def may_ask(core: Core, task: Task, vote: Vote) -> bool:
    """Whether a worker can still be reached, the way that its answer came."""
    child = core.children.get(vote.branch)
    is_there = child is not None and not child.is_silent
    return is_there and core.jobs.get(task.job.key) is task.job and task.job.budget.depth > 0


def ask(core: Core, task: Task, inquiry: Inquiry) -> None:
    """Have a worker execute a task once more; `may_ask` has said that it can be reached."""
    child, packet = core.children[inquiry.said.branch], task.packet
    name = TaskId(f"{packet.task_id}?{core.random.getrandbits(_NAME_BITS):x}")
    again = replace(packet, task_id=name, avoid=frozenset(), commit_first=False, only=inquiry.said.worker)
    question = Task(again, task.job, core.now, probe_of=task, inquiry=inquiry)
    if child.id == inquiry.said.worker:
        child.refuses_until = NEVER
        core.suspects.append(child.id)
    delegate(core, task.job, [begin(core, question, child)], child)


def heard(core: Core, question: Task, result: TaskResult | None) -> None:
    """Take in what a worker says when it is asked again; None: nothing."""
    inquiry = question.inquiry
    assert inquiry is not None, "it was asked"
    said, evidence = inquiry.said, inquiry.evidence
    is_shut_out = core.trust.is_banned(said.worker, core.now)
    if is_shut_out and audit.verdict_after(said, _answer(inquiry, result), inquiry.truth) is Verdict.LIED:
        runtime = question.job.spec.runtime
        core.trust.ban(said.worker, runtime, core.now, Verdict.LIED)
        why = (
            f"its answer to {evidence.packet.task_id} isn't what this node found, and it was wrong again when it was asked again"
        )
        record = core.trust.record(said.worker, runtime)
        core.out.append(KeepTrust(worker=said.worker, runtime=runtime, record=record, why=why, evidence=evidence))
    child = core.children.get(said.worker)
    if child is None or child.refuses_until != NEVER:
        return
    if is_shut_out:
        core.dropped.append(said.worker)
    else:  # it was pardoned meanwhile
        child.refuses_until = core.now
        offer_idle(core, child)


def _answer(inquiry: Inquiry, result: TaskResult | None) -> Vote | None:
    """What it has answered, if it has."""
    if result is None or result.worker != inquiry.said.worker or result.failure in MACHINE_FAULTS:
        return None
    if result.status not in (TaskStatus.DONE, TaskStatus.FAILED):
        return None
    digest, fuel = audit.answer_of(result)
    return replace(inquiry.said, digest=digest, fuel=fuel, leaves=result.leaves, apart=result.apart)

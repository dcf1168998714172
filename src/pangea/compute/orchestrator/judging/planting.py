"""Packs whose answer this node knows already, planted among the tasks of others: who answers one wrongly is found at once.

What this node has executed itself before anybody else had answered, it knows. Now and then a child is given such a task in place
of a fresh one, as if another worker had answered it and this were the check: the packet is that task's own, with somebody named
whose answer would not count, in the message and at the moment in which any task comes. By itself no worker can tell it. So who
answers checks without executing (with a guess, or with what was right before) is found by one.

A right answer earns nothing, neither a passed check nor an anchor. A crowd that has most of a job's workers can compare notes: a
task that none of them has had before is likely to be one, and to be done well. Anchors are drawn after the answers, for that.

A wrong answer convicts nobody by itself. The task is open again, with that answer alone, and goes to the referee: this node
executes it anew, twice if that contradicts the answer (its own machine may have been wrong the first time), and then as ever.

What this can't find is a worker that repeats the answer of an accomplice that has executed the task: that is right, or a lie of
both, as of any clique's members. No answer is ever shown to a worker, so there is no wrong one to be planted for it to repeat.

Source: ringers (Golle and Mironov 2001), spot-checking (Sarmenta 2002).
"""

from __future__ import annotations

from dataclasses import replace

from pangea.compute.model.ids import PeerId
from pangea.compute.model.options import VerificationMode
from pangea.compute.model.packet import TaskResult
from pangea.compute.orchestrator.core.records import Attempt, Job, Ownership, Peer, Phase, Task, case_of, own_of
from pangea.compute.orchestrator.core.state import Core
from pangea.compute.orchestrator.core.transitions import TaskState
from pangea.compute.orchestrator.judging.judging import consider, doubt
from pangea.compute.orchestrator.rules import audit
from pangea.compute.orchestrator.rules.audit import Vote
from pangea.compute.orchestrator.scheduling.placement import suits

#: Of the tasks that a child is given while there are fresh ones, this share is planted, if any answer is known.
PLANTED_SHARE = 0.02
#: Workers that one known answer is planted with: one pair of accomplices can't compare notes on many.
USES_MAX = 2
_TRIED = 4
#: Sealed votes are asked for all at once, and under `merkle` each answer is looked at anyway.
MODES = (VerificationMode.ADAPTIVE, VerificationMode.HASH)


def plant(core: Core, job: Job, peer: Peer) -> Task | None:
    """Draw whether a child is to be given a task whose answer is known here; that task, if there is one for it."""
    own = job.own
    if own is None or not own.known_answers or not own.may_cut() or job.spec.verification not in MODES:
        return None
    if core.random.random() >= PLANTED_SHARE:
        return None
    for _ in range(min(_TRIED, len(own.known_answers))):
        task, uses = own.known_answers.popleft()
        if not _is_known(task):
            continue
        is_fit = suits(core, task, peer)
        if not is_fit or uses + 1 < USES_MAX:
            own.known_answers.append((task, uses + is_fit))
        if is_fit:
            packet = replace(task.packet, avoid=_somebody(core, own, peer))
            return Task(packet, job, core.now, probe_of=task, is_planted=True)
    return None


def heard(core: Core, attempt: Attempt, result: TaskResult | None) -> None:
    """Take in what came of a planted task, whose attempt has ended; None: no answer, and that says nothing."""
    task = attempt.task.probe_of
    assert task is not None, "it was planted"
    own, case = own_of(task), case_of(task)
    if result is None or core.jobs.get(task.job.key) is not task.job or own.phase is not Phase.EXECUTING or not _is_known(task):
        return
    worker, truth = result.worker, next(vote for vote in case.votes if vote.is_trusted)
    if worker == core.me.id or core.trust.is_banned(worker, core.now) or any(vote.worker == worker for vote in case.votes):
        return
    vote = Vote(
        worker=worker,
        branch=attempt.peer.id,
        network=attempt.peer.network if worker == attempt.peer.id else result.network,
        digest=audit.answer_of(result)[0],
        fuel=result.fuel,
        leaves=result.leaves,
    )
    own.planted += 1
    own.executions += 1
    own.remote += 1
    if vote.agrees(truth):
        return
    own.planted_wrong += 1
    doubt(core, own, task)
    case.votes, case.must_audit = [vote], True
    case.failure = result if result.failure is not None else None
    own.votes_of.setdefault(worker, []).append(task)
    own.branches_of[worker] = vote.branch
    consider(core, task)


def _is_known(task: Task) -> bool:
    """Whether a task's answer is this node's own, as it was when it was noted."""
    return task.state is TaskState.COMPLETE and any(vote.is_trusted for vote in case_of(task).votes)


def _somebody(core: Core, own: Ownership, peer: Peer) -> frozenset[PeerId]:
    """A worker of another branch, as if it had answered first; nobody, as of a fresh task, if there is none."""
    others = [worker for worker, branch in own.branches_of.items() if branch != peer.id and worker not in (peer.id, core.me.id)]
    return frozenset(core.random.choices(others, k=1) if others else ())

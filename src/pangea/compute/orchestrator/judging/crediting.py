"""What speaks for a worker: checks that it has passed, and tasks that this node has found others right about."""

from __future__ import annotations

from pangea.compute.model.ids import PeerId
from pangea.compute.orchestrator.core.records import Task, case_of, own_of
from pangea.compute.orchestrator.core.state import Core
from pangea.compute.orchestrator.judging.opinions import note_agreement
from pangea.compute.orchestrator.rules import audit
from pangea.compute.orchestrator.rules.trust import work_of


def credit(core: Core, task: Task) -> None:
    """Agreement of independent votes is a passed check for each, once a task."""
    case = case_of(task)
    work = work_of(task.job.spec.runtime, task.packet.function)
    if len(case.votes) > 1 and any(vote.is_trusted or core.trust.is_proven(vote.worker, work) for vote in case.votes):
        _pass(core, task, list(audit.agreed(case.votes)))  # strangers don't vouch for each other: all may be one operator's
    note_agreement(task)
    _note_anchor(core, task, work)


def _note_anchor(core: Core, task: Task, work: str) -> None:
    """This node has found others right about a task: one anchor, of one of them, as one answer may have been copied."""
    case, own, function = case_of(task), own_of(task), task.packet.function
    may_count = not (case.is_anchored or case.is_foreseen)  # who knows that it will be looked at is right, whatever it does else
    right = audit.agreed(case.votes) if may_count and any(vote.is_trusted for vote in case.votes) else ()
    if right:
        case.is_anchored = True
        own.anchors.setdefault(function, []).append(min(own.known[worker, function] for worker in right))
        core.trust.anchor(min(right, key=lambda worker: core.trust.anchors(worker, work)), work, core.now)


def _pass(core: Core, task: Task, workers: list[PeerId]) -> None:
    case, work = case_of(task), work_of(task.job.spec.runtime, task.packet.function)
    for worker in workers:
        if worker == core.me.id or worker in case.passed or core.trust.is_banned(worker, core.now):
            continue
        case.passed.append(worker)
        core.trust.passed(worker, work, core.now)
        child = core.children.get(worker)
        if child is not None:
            weight = core.trust.weight(worker, task.job.spec.runtime)
            child.credibility = weight / (1.0 + weight)

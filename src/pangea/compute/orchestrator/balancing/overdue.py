"""Attempts that take too long lose their claim: somebody else does the task, and nobody waits for their vote."""

from __future__ import annotations

from pangea.compute.orchestrator.core.records import Attempt, Peer, Task
from pangea.compute.orchestrator.core.state import Core
from pangea.compute.orchestrator.judging.opinions import others_left
from pangea.compute.orchestrator.judging.voting import go_on
from pangea.compute.orchestrator.limits import COPIES_MAX, COPIES_MAX_IN_ALL
from pangea.compute.orchestrator.scheduling.placement import may_use, suits


def pass_over(core: Core, attempt: Attempt) -> None:
    """Go on without an attempt. It isn't stopped: if its task is long by nature, its answer still comes first."""
    task, peer = attempt.task, attempt.peer
    attempt.is_overdue = True
    peer.overdue += 1
    peer.reliability *= 0.9
    if task.packet.commit_first and attempt.since > peer.lapsed_at:
        peer.lapses, peer.lapsed_at = peer.lapses + 1, core.now
    if task.packet.commit_first and task.case is not None:
        go_on(core, task)
    elif task.on_time() == 0 and may_copy(task):
        core.enqueue(task, first=True)


def may_pass_over(core: Core, attempt: Attempt, idle: list[Peer]) -> bool:
    """Whether one of the idle can do what an own sealed task waits for, if it needn't wait any longer for this attempt."""
    task = attempt.task
    if attempt.is_overdue or attempt.is_committed or attempt.peer is core.me or task.is_queued:
        return False
    if any(peer is not core.me and may_use(core, task.job, peer) and suits(core, task, peer) for peer in idle):
        return True
    return core.me in idle and not others_left(core, task)


def may_copy(task: Task) -> bool:
    """Whether a task that isn't an own sealed one may be tried by one more."""
    if task.probe_of is not None or task.is_queued or (task.packet.commit_first and task.case is not None):
        return False
    return task.on_time() < COPIES_MAX and len(task.attempts) < COPIES_MAX_IN_ALL

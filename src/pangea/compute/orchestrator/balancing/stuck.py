"""Tasks that wait for a peer that doesn't exist: nobody waits for ever.

What suits no neighbour is settled otherwise: the owner executes it, a manager in the middle hands it back to its parent.
"""

from __future__ import annotations

from itertools import islice

from pangea.compute.model.packet import TaskResult, TaskStatus
from pangea.compute.orchestrator.core.records import Job, Ownership, Task, case_of
from pangea.compute.orchestrator.core.state import Core
from pangea.compute.orchestrator.core.transitions import Cause, move
from pangea.compute.orchestrator.judging.judging import consider, is_waiting
from pangea.compute.orchestrator.judging.opinions import others_left
from pangea.compute.orchestrator.judging.voting import go_on
from pangea.compute.orchestrator.lifecycle.answers import (
    fail_for_machines,
    forgive_if_all_failed,
    is_hopeless,
    pass_up,
)
from pangea.compute.orchestrator.limits import SCAN_MAX, STUCK_SECONDS
from pangea.compute.orchestrator.scheduling.placement import suits


def unstick(core: Core) -> bool:
    """Settle the tasks at the head of each queue that no peer may take; whether one has yet to wait for that."""
    is_left = False
    for *_, job in list(core.listed):
        for task in list(islice(job.ready, SCAN_MAX)):
            if task.is_queued and not suits(core, task, core.me) and not others_left(core, task):
                is_left |= _settle(core, job, task)
        if job.own is not None and job.own.next_chunk == job.own.chunks:
            _settle_parked(core, job.own)
    return is_left


def _settle_parked(core: Core, own: Ownership) -> None:
    """Nothing fresh is left, so what is parked needs a second opinion; if nobody may give it, the owner does."""
    for _ in range(min(SCAN_MAX, len(own.parked))):
        task = own.parked.popleft()
        case_of(task).is_parked = False
        if not is_waiting(task):
            continue
        if suits(core, task, core.me) or others_left(core, task):
            case_of(task).is_parked = True
            own.parked.append(task)
        else:
            consider(core, task, is_final=True)


def _settle(core: Core, job: Job, task: Task) -> bool:
    """Settle what nobody may take; whether it is to be looked at again."""
    forgive_if_all_failed(core, task)
    if suits(core, task, core.me) or others_left(core, task):
        return False
    if job.own is None:
        is_early = task.since + STUCK_SECONDS >= core.now
        if not is_early:
            _hand_back(core, task)
        return is_early
    job.ready.remove(task)
    core.unqueue(task)
    if task.on_time() or (task.attempts and not case_of(task).votes):
        go_on(core, task)  # fewer copies than asked for; the answers will be judged
    elif is_hopeless(core, task):
        fail_for_machines(core, task)
    else:
        consider(core, task, is_final=True)
    return False


def _hand_back(core: Core, task: Task) -> None:
    result = TaskResult(
        task_id=task.packet.task_id, status=TaskStatus.REFUSED, worker=core.me.id, message="nobody here may execute it"
    )
    move(task, Cause.REJECTED)
    pass_up(core, task, result)

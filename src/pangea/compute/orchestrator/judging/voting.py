"""Under `redundancy` a task takes its course though voters fall away: no vote that was asked for is waited for without end.

Answers are shown once all who are at a task have committed. So one that takes tasks and never commits would hold up each of
them: others vote in its place, and where nobody is left to vote, this node executes the task itself.
"""

from __future__ import annotations

from pangea.compute.orchestrator.core.records import Task, case_of
from pangea.compute.orchestrator.core.state import Core
from pangea.compute.orchestrator.judging.judging import consider
from pangea.compute.orchestrator.judging.opinions import want_copies
from pangea.compute.orchestrator.judging.sealing import show_if_all_committed
from pangea.compute.orchestrator.scheduling.attempts import call_off, lost


def go_on(core: Core, task: Task) -> None:
    """A vote for an own sealed task is not to be expected any more: ask for another, or make do with those that there are."""
    want_copies(core, task)
    show_if_all_committed(core, task)
    if task.is_queued or case_of(task).probes or any(each.is_committed or not each.is_overdue for each in task.attempts):
        return
    if case_of(task).votes:
        consider(core, task)
        return
    task.failed_on = tuple(attempt.peer.id for attempt in task.attempts)
    call_off(core, task.attempts)
    lost(task)
    core.enqueue(task, first=True)

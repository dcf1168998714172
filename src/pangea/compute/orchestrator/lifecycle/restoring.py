"""Tasks that were complete before the node went down: they count, and are not cut again."""

from __future__ import annotations

from pangea.compute.orchestrator.core.events import FinishedTask
from pangea.compute.orchestrator.core.records import Case, Job, Ownership, Task
from pangea.compute.orchestrator.core.state import Core
from pangea.compute.orchestrator.core.transitions import TaskState
from pangea.compute.orchestrator.rules.audit import Vote


def restore(core: Core, job: Job, own: Ownership, finished: tuple[FinishedTask, ...]) -> None:
    """Take in what was accepted before a restart, as the word of this node: the judgement stands."""
    for each in finished:
        vote = Vote(worker=core.me.id, branch=core.me.id, network="", digest=each.digest, fuel=each.fuel, is_trusted=True)
        case = Case(votes=[vote], why="accepted before a restart")
        job.tasks[each.packet.task_id] = Task(each.packet, job, core.now, state=TaskState.COMPLETE, case=case)
        own.sizes[each.digest] = each.size_bytes
        own.executions += 1
        own.local += 1
        own.finished.append((each.packet.start, each.packet.count))
    skip_finished(own)


def skip_finished(own: Ownership) -> None:
    """Move the cut past what needs no cutting."""
    while own.finished and own.finished[0][0] == own.next_chunk:
        own.next_chunk += own.finished.popleft()[1]

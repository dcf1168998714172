"""The local referee: what this node executes itself to learn who is right, and who waits for what it finds."""

from __future__ import annotations

from dataclasses import replace

from pangea.compute.model.ids import TaskId
from pangea.compute.model.packet import TaskPacket
from pangea.compute.orchestrator.core.records import Case, Ownership, Task, case_of, own_of
from pangea.compute.orchestrator.core.state import Core
from pangea.compute.orchestrator.rules import audit
from pangea.compute.orchestrator.scheduling.attempts import call_off


def settle_dispute(core: Core, task: Task) -> None:
    """Have the first difference between two answers executed here; under a tolerance, all of the task."""
    votes = case_of(task).votes
    if task.job.spec.tolerance:
        call_referee(core, task, None)
        return
    other = next(vote for vote in votes if vote.answer != votes[0].answer)
    leaf = audit.first_difference(votes[0], other)
    is_part = leaf is not None and leaf < task.packet.runs > 1
    call_referee(core, task, leaf if is_part else None)


def call_referee(core: Core, task: Task, leaf: int | None) -> None:
    """Execute a leaf of the task, or all of it, here: the local referee.

    A task with a voter that is before the referee already waits: if that one is found a liar, the matter settles itself.
    """
    own, votes = own_of(task), case_of(task).votes
    if is_adjourned(task):
        return
    for vote in votes:
        own.accused[vote.worker] = []
    case_of(task).accused = tuple(vote.worker for vote in votes)
    if leaf is None:
        audit_here(core, task)
    else:
        _probe(core, task, leaf)


def is_adjourned(task: Task) -> bool:
    """Put a task off if one of its voters is before the referee: why buy an opinion on what a liar said?"""
    accused = own_of(task).accused
    suspect = next((vote.worker for vote in case_of(task).votes if vote.worker in accused), None)
    if suspect is not None:
        accused[suspect].append(task)
    return suspect is not None


def adjourned(own: Ownership, case: Case) -> list[Task]:
    """The referee has spoken: the disputes that waited for it, once each."""
    workers, case.accused = case.accused, ()
    waiting: dict[TaskId, Task] = {}
    for worker in workers:
        waiting |= {task.packet.task_id: task for task in own.accused.pop(worker, [])}
    return list(waiting.values())


def sample(core: Core, task: Task) -> None:
    """Have some leaves of an answer executed here, drawn now that it is in hand."""
    case = case_of(task)
    leaves = audit.sample_leaves(task.job.spec, case.votes[0], core.trust, core.random)
    case.is_sampled, case.sampled = True, len(leaves)
    if len(leaves) == task.packet.runs:
        case.is_foreseen = True  # its worker is on probation, and knows it, or the task has one leaf
        audit_here(core, task)  # at once, and with its fuel
        return
    for leaf in leaves:
        _probe(core, task, leaf)


def _probe(core: Core, task: Task, leaf: int) -> None:
    packet = task.packet
    start, count = packet.spans()[leaf]
    size = packet.size_bytes * count // packet.count
    part = replace(packet, start=start, count=count, size_bytes=size, avoid=frozenset(), commit_first=False, packs=())
    enqueue_probe(core, task, part, leaf)


def audit_here(core: Core, task: Task) -> None:
    """Have all of a task executed here."""
    call_off(core, task.attempts)
    enqueue_probe(core, task, replace(task.packet, avoid=frozenset(), commit_first=False), None)


def enqueue_probe(core: Core, task: Task, packet: TaskPacket, leaf: int | None) -> None:
    """Have this node's own engine do something to find out about a task."""
    unqueue(core, task)
    case_of(task).probes += 1
    core.enqueue(Task(packet, task.job, core.now, probe_of=task, leaf=leaf))


def unqueue(core: Core, task: Task) -> None:
    """Take a task from its queue, if it waits there."""
    if task.is_queued:
        task.job.ready.remove(task)
        core.unqueue(task)

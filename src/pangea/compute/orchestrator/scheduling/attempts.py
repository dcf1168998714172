"""Attempts: who tries what, since when. Every one has a deadline, and a number that tells its news from anybody else's."""

from __future__ import annotations

from collections.abc import Iterable

from pangea.compute.model.packet import Budget, TaskPacket
from pangea.compute.orchestrator.core.commands import StartTask, StopTask
from pangea.compute.orchestrator.core.messages import Cancel, Delegate
from pangea.compute.orchestrator.core.records import Attempt, Job, Peer, Task
from pangea.compute.orchestrator.core.state import Core
from pangea.compute.orchestrator.core.timers import Timer
from pangea.compute.orchestrator.core.transitions import Cause, TaskState, move
from pangea.compute.orchestrator.limits import BATCH_MAX, LEASE_SECONDS
from pangea.compute.orchestrator.scheduling.offers import offer_idle, set_window

_SMOOTHING = 0.2
#: A child's window is settled anew after so many answers: how long tasks take has changed by then.
_WINDOW_EVERY = 8


def begin(core: Core, task: Task, peer: Peer) -> Attempt:
    """Note that `peer` is about to try `task`."""
    number = core.next_serial()
    seconds = task.job.spec.attempt_timeout
    # The own engine keeps its own time, chunk by chunk if it has to find the one to blame: this is for an engine that hangs.
    allowed = seconds * (1 + task.packet.count) + LEASE_SECONDS if peer is core.me else seconds + LEASE_SECONDS + peer.turnaround
    attempt = Attempt(number, task, peer, core.now, core.now + allowed)
    core.attempts[number] = peer.attempts[number] = attempt
    task.attempts.append(attempt)
    if task.case is not None:
        task.case.drawn = None
    core.timers.arm(attempt.expires, Timer.ATTEMPT, number)
    move(task, Cause.STARTED if peer is core.me else Cause.DELEGATED)
    return attempt


def start_here(core: Core, task: Task) -> None:
    """Have this node's engine execute a task."""
    attempt = begin(core, task, core.me)
    core.out.append(StartTask(attempt=attempt.number, spec=task.job.spec, packet=task.packet))


def delegate(core: Core, job: Job, batch: list[Attempt], peer: Peer) -> None:
    """Tell a child to do what has been begun in its name, with a budget smaller than ours."""
    job.used[peer.id] = None
    budget = Budget(
        depth=job.budget.depth - 1,
        fan_out=job.budget.fan_out,
        seconds=job.deadline - core.now,
        ancestors=(*job.budget.ancestors, core.me.id),
    )
    for first in range(0, len(batch), BATCH_MAX):
        tasks = tuple((attempt.number, _packet_for(attempt.task)) for attempt in batch[first : first + BATCH_MAX])
        core.send(peer.id, Delegate(spec=job.spec, budget=budget, tasks=tasks))
    core.arm_check()


def end(core: Core, attempt: Attempt) -> None:
    """Note that an attempt is over, however it ended."""
    del core.attempts[attempt.number]
    del attempt.peer.attempts[attempt.number]
    attempt.task.attempts.remove(attempt)
    attempt.peer.committed -= attempt.is_committed and attempt.asked_to_show is None
    attempt.peer.overdue -= attempt.is_overdue
    if attempt.task.case is not None:
        attempt.task.case.commitments.pop(attempt.number, None)
    offer_idle(core, attempt.peer)


def call_off(core: Core, attempts: Iterable[Attempt]) -> None:
    """Stop attempts whose answers nobody wants any more, here or at children."""
    told: dict[str, tuple[Peer, list[int]]] = {}
    for attempt in list(attempts):
        end(core, attempt)
        if attempt.peer is core.me:
            core.out.append(StopTask(attempt=attempt.number))
        else:
            told.setdefault(attempt.peer.id, (attempt.peer, []))[1].append(attempt.number)
    for peer, numbers in told.values():
        if peer.id in core.children:
            core.send(peer.id, Cancel(attempts=tuple(numbers)))


def answered_in_time(core: Core, attempt: Attempt, seconds: float) -> None:
    """Learn from an attempt that ended with an answer: `seconds` is what the worker says it took."""
    peer, elapsed = attempt.peer, core.now - attempt.since if attempt.took is None else attempt.took
    peer.answered += 1
    peer.turnaround += (_SMOOTHING if peer.turnaround else 1.0) * (elapsed - peer.turnaround)
    peer.reliability += _SMOOTHING * (1.0 - peer.reliability)
    if peer is not core.me and attempt.task.case is not None:
        core.trust.succeeded(peer.id, attempt.task.job.spec.runtime)
    said = min(max(0.01, seconds), 60.0)  # in this order: if it isn't a number, it counts as little
    core.task_seconds += _SMOOTHING * (min(said, max(elapsed, 0.01)) - core.task_seconds)
    if peer is not core.me and peer.answered % _WINDOW_EVERY == 1:
        set_window(core, peer)


def failed_to_answer(core: Core, attempt: Attempt) -> None:
    """Learn from an attempt that a machine failed: it falls faster than it rises."""
    peer = attempt.peer
    peer.reliability *= 0.5
    if peer is not core.me and attempt.task.case is not None:
        core.trust.failed(peer.id, attempt.task.job.spec.runtime)


def lost(task: Task) -> None:
    """Note that a task has no attempt under way any more and got no answer."""
    if not task.attempts and task.state in (TaskState.ASSIGNED, TaskState.COMPUTING, TaskState.VERIFYING):
        move(task, Cause.LOST)


def _packet_for(task: Task) -> TaskPacket:
    if task.case is None or not task.case.votes:
        return task.packet
    packet = task.packet
    return TaskPacket(
        task_id=packet.task_id,
        function=packet.function,
        start=packet.start,
        count=packet.count,
        size_bytes=packet.size_bytes,
        inputs=packet.inputs,
        avoid=frozenset(vote.worker for vote in task.case.votes),
        commit_first=packet.commit_first,
        packs=packet.packs,
        input=packet.input,
        input_bytes=packet.input_bytes,
    )

"""Answers that were committed to are shown, or not: what is asked of us, and what follows if a child doesn't show its own.

Who commits and doesn't show holds a task up for one deadline, and is struck off for it. Each node holds its own children to that,
and tells its parent in time that nothing comes: so nobody answers for what somebody below withholds.
"""

from __future__ import annotations

import math

from pangea.compute.model.ids import PeerId
from pangea.compute.model.outcome import FailureKind
from pangea.compute.model.packet import TaskResult, TaskStatus
from pangea.compute.orchestrator.core.commands import KeepTrust
from pangea.compute.orchestrator.core.messages import Cancel
from pangea.compute.orchestrator.core.records import Attempt
from pangea.compute.orchestrator.core.state import Core
from pangea.compute.orchestrator.core.timers import Timer
from pangea.compute.orchestrator.judging.sealing import ask_to_show, seconds_to_show
from pangea.compute.orchestrator.lifecycle.answers import finish_delegated, give_up, not_there_again, requeue
from pangea.compute.orchestrator.limits import COMING_BYTES_PER_SECOND, REVEAL_SECONDS_MIN
from pangea.compute.orchestrator.scheduling.attempts import end, failed_to_answer, lost

#: Of the shortest time that a child has of itself: who has had less was hurried by those above, and is not to blame.
_HURRIED = 0.75


def reveal(core: Core, parent: PeerId, origins: tuple[int, ...], seconds: float) -> None:
    """All votes are committed: show ours, or have those below show theirs, in less than this node has (0: not said)."""
    for origin in origins:
        task = core.by_origin.get((parent, origin))
        if task is None:
            continue
        if task.held is not None:
            finish_delegated(core, task, task.held)
            continue
        for attempt in task.attempts:
            ask_to_show(core, attempt, within=seconds or math.inf)


def coming(core: Core, peer: PeerId, results: tuple[tuple[int, TaskResult], ...]) -> None:
    """A child has shown what it committed to; that its results take their time to get here is not its fault."""
    shown = [(each, result) for number, result in results if (each := core.attempts.get(number)) and each.peer.id == peer]
    for attempt, result in shown:
        attempt.coming = result
    under_way = sum(each.coming.body_bytes for each in core.attempts.values() if each.coming and each.peer.id == peer)
    for attempt, _ in shown:
        if attempt.asked_to_show is not None:
            allowed = 2 * seconds_to_show(core, attempt.peer) + under_way / COMING_BYTES_PER_SECOND
            core.timers.arm(core.now + allowed, Timer.COMING, attempt.number)


def kept_back(core: Core, attempt: Attempt) -> None:
    """Results that were shown haven't come in time: the task goes to somebody else.

    That is held against a child that has signed for them itself, as if it hadn't shown them. One that passes on what somebody
    below has signed may not be able to have them either.
    """
    shown = attempt.coming
    assert shown is not None, "it was armed then"
    _give_to_another(core, attempt, is_to_blame=shown.worker == attempt.peer.id, what="didn't give the results that it showed")


def withheld(core: Core, attempt: Attempt) -> None:
    """A child has not shown what it committed to: a strike against it, and the task goes to somebody else at once."""
    asked = attempt.asked_to_show
    assert asked is not None, "it was asked"
    _give_to_another(core, attempt, is_to_blame=core.now - asked > _HURRIED * REVEAL_SECONDS_MIN, what="didn't show it")


def _give_to_another(core: Core, attempt: Attempt, *, is_to_blame: bool, what: str) -> None:
    task, peer = attempt.task, attempt.peer
    asked = attempt.asked_to_show
    assert asked is not None, "whoever hasn't committed has no deadline of this kind"
    runtime = task.job.spec.runtime
    if is_to_blame and core.trust.strike(peer.id, asked, core.now):
        why = f"it committed to an answer to {task.packet.task_id} and {what} in {core.now - asked:.3g} s"
        core.out.append(KeepTrust(worker=peer.id, runtime=runtime, record=core.trust.record(peer.id, runtime), why=why))
    core.send(peer.id, Cancel(attempts=(attempt.number,)))
    failed_to_answer(core, attempt)
    if task.job.own is not None:
        task.job.own.withheld += 1
        not_there_again(core, attempt)
        requeue(core, attempt)
        return
    end(core, attempt)
    lost(task)
    message = f"{peer.id} committed to an answer and {what}"
    give_up(
        core,
        task,
        TaskResult(task_id=task.packet.task_id, status=TaskStatus.FAILED, worker=core.me.id, failure=FailureKind.WORKER_LOST),
        message,
    )

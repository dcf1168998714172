"""What follows an answer to an attempt: a vote, a relay to the parent, another try, or nothing at all."""

from __future__ import annotations

from dataclasses import replace

from pangea.compute.model.ids import PeerId
from pangea.compute.model.outcome import MACHINE_FAULTS, FailureKind
from pangea.compute.model.packet import TaskResult, TaskStatus
from pangea.compute.orchestrator import judging
from pangea.compute.orchestrator.attempts import answered_in_time, call_off, end, failed_to_answer, lost
from pangea.compute.orchestrator.commands import StopTask
from pangea.compute.orchestrator.hunger import ask_again, feel_hungry
from pangea.compute.orchestrator.limits import (
    BACKOFF_SECONDS,
    BACKOFF_SECONDS_MAX,
    BATCH_MAX,
    FLUSH_SECONDS,
    MANAGER_TRIES_MAX,
    REFUSED_SECONDS,
)
from pangea.compute.orchestrator.messages import Answers, Cancel, Reveal
from pangea.compute.orchestrator.opinions import want_copies
from pangea.compute.orchestrator.ownership import Ending
from pangea.compute.orchestrator.placement import may_use
from pangea.compute.orchestrator.state import Attempt, Core, Parent, Task
from pangea.compute.orchestrator.timers import Timer
from pangea.compute.orchestrator.transitions import Cause, TaskState, move
from pangea.compute.verification.commitment import commitment


def settle(core: Core, peer: PeerId, number: int, result: TaskResult) -> None:
    """Take in one answer. Late, duplicate, foreign and mismatched ones change nothing."""
    attempt = core.attempts.get(number)
    if attempt is None or attempt.peer.id != peer or attempt.task.packet.task_id != result.task_id:
        return
    if result.status is TaskStatus.COMMITTED:
        _committed(core, attempt, result)
    elif result.status is TaskStatus.DONE or _is_verdict(result):
        _answered(core, attempt, result)
    elif result.status is TaskStatus.FAILED:
        machine_failed(core, attempt, result)
    else:
        _handed_back(core, attempt, result)


def machine_failed(core: Core, attempt: Attempt, result: TaskResult | None = None) -> None:
    """An attempt was lost to a machine: try another one, after a while, so many times."""
    task = attempt.task
    end(core, attempt)
    failed_to_answer(core, attempt)
    task.tries += 1
    task.failed_on = (*task.failed_on[-3:], attempt.peer.id)
    if task.attempts:
        _place_again(core, task)
        return
    lost(task)
    own = task.job.own
    limit = task.job.spec.retry_count if own is not None else min(MANAGER_TRIES_MAX, task.job.spec.retry_count)
    message = result.message if result is not None and result.message else "no answer"
    if task.tries <= limit:
        if own is not None:
            own.retries += 1
        _retry_later(core, task)
    elif own is None:
        _give_up(core, task, result, message)
    else:
        ending = f"{task.packet.task_id}: {task.tries} tries, none succeeded; the last: {message}"
        own.note_failure(Ending(cause="retries", message=ending, start=task.packet.start))
        core.due.append(task.job)


def attempt_timed_out(core: Core, attempt: Attempt) -> None:
    """An attempt's time is up: tell whoever has it to stop, and count it as a machine's failure."""
    task, peer, number = attempt.task, attempt.peer, attempt.number
    message = f"no answer from {peer.id} in {core.now - attempt.since:.3g} s"
    failure = TaskResult(
        task_id=task.packet.task_id,
        status=TaskStatus.FAILED,
        worker=peer.id,
        failure=FailureKind.TIMED_OUT,
        message=message,
    )
    if peer is core.me:
        core.out.append(StopTask(attempt=number))
    else:
        core.send(peer.id, Cancel(attempts=(number,)))
    machine_failed(core, attempt, failure)


def retry(core: Core, task: Task) -> None:
    """A task's time to wait is over."""
    forgive_if_all_failed(core, task)
    core.enqueue(task, first=True)


def requeue(core: Core, attempt: Attempt) -> None:
    """An attempt ended through nobody's fault: place the task again at once."""
    end(core, attempt)
    _place_again(core, attempt.task)


def _place_again(core: Core, task: Task) -> None:
    """An attempt is gone: what is left must still lead to an answer."""
    lost(task)
    if task.case is not None and task.case.probes:
        return
    if not task.attempts:
        core.enqueue(task, first=True)
        ask_again(core)
    elif task.packet.commit_first:
        want_copies(core, task)
        reveal_if_all_committed(core, task)


def pass_up(core: Core, task: Task, result: TaskResult) -> None:
    """Relay a final answer to the parent, and forget the task."""
    source = task.job.source
    call_off(core, task.attempts)
    task.job.tasks.pop(task.packet.task_id, None)
    if task.is_queued:
        task.job.ready.remove(task)
        core.unqueue(task)
    if source is not None and core.by_origin.pop((source, task.origin), None) is not None:
        core.delegated -= 1
        tell_parent(core, core.parents.get(source), task.origin, result)


def tell_parent(core: Core, parent: Parent | None, origin: int, result: TaskResult) -> None:
    """Gather an answer for the parent; a batch goes when it is full, when it has waited, or when nothing else is to come."""
    if parent is None:
        return
    parent.outbox.append((origin, result))
    if len(parent.outbox) >= BATCH_MAX or not core.children:
        flush(core, parent)
    elif not parent.flush_is_armed:
        parent.flush_is_armed = True
        core.timers.arm(core.now + FLUSH_SECONDS, Timer.FLUSH, parent)


def flush(core: Core, parent: Parent) -> None:
    """Send the parent what was gathered."""
    parent.flush_is_armed = False
    if parent.outbox:
        results, parent.outbox = tuple(parent.outbox), []
        core.send(parent.id, Answers(results=results))


def reveal(core: Core, parent: PeerId, origins: tuple[int, ...]) -> None:
    """All votes are committed: show ours, or have those below show theirs."""
    for origin in origins:
        task = core.by_origin.get((parent, origin))
        if task is None:
            continue
        if task.held is not None:
            finish_delegated(core, task, task.held)
            continue
        for attempt in task.attempts:
            if attempt.is_committed:
                core.send(attempt.peer.id, Reveal(attempts=(attempt.number,)))


def finish_delegated(core: Core, task: Task, result: TaskResult) -> None:
    """A parent's task has its answer."""
    if task.state is not TaskState.VERIFYING:
        move(task, Cause.ANSWERED)
    move(task, Cause.ACCEPTED)
    if result.failure is None:
        core.weights.observe(task.job.spec, task.packet.function, size_bytes=task.packet.size_bytes, fuel=result.fuel)
    pass_up(core, task, result)


def _is_verdict(result: TaskResult) -> bool:
    """A failure of the job, not of the machine: it would be the same anywhere, so it is an answer like any other."""
    return result.status is TaskStatus.FAILED and result.failure is not None and result.failure not in MACHINE_FAULTS


def _answered(core: Core, attempt: Attempt, result: TaskResult) -> None:
    task, own = attempt.task, attempt.task.job.own
    answered_in_time(core, attempt, result.seconds)
    sealed = None if task.case is None else task.case.commitments.get(attempt.number)
    end(core, attempt)
    if task.probe_of is not None:
        judging.probed(core, task, result)
    elif own is None:
        _answer_for_parent(core, task, attempt, result)
    elif (is_broken := _breaks_seal(core, attempt, result, sealed)) or not judging.vote_on(core, task, attempt, result):
        own.sealed_breaks += is_broken
        failed_to_answer(core, attempt)
        _not_there_again(core, attempt)
        _place_again(core, task)
    else:
        reveal_if_all_committed(core, task)


def _answer_for_parent(core: Core, task: Task, attempt: Attempt, result: TaskResult) -> None:
    if attempt.peer is core.me and task.packet.commit_first and result.failure is None:
        task.held = result
        move(task, Cause.ANSWERED)
        if task.job.source is not None:
            seal = commitment(result.worker, result.task_id, result.digest, result.fuel)
            promise = TaskResult(
                task_id=result.task_id, status=TaskStatus.COMMITTED, worker=result.worker, network=result.network, commitment=seal
            )
            tell_parent(core, core.parents.get(task.job.source), task.origin, promise)
        return
    finish_delegated(core, task, result)


def _breaks_seal(core: Core, attempt: Attempt, result: TaskResult, sealed: bytes | None) -> bool:
    if not attempt.task.packet.commit_first or attempt.peer is core.me or result.failure is not None:
        return False
    return sealed != commitment(result.worker, result.task_id, result.digest, result.fuel)


def _committed(core: Core, attempt: Attempt, result: TaskResult) -> None:
    task = attempt.task
    if not task.packet.commit_first or attempt.is_committed:
        return
    attempt.is_committed = True
    attempt.peer.committed += 1
    feel_hungry(core, attempt.peer)
    if task.case is not None:
        task.case.commitments[attempt.number] = result.commitment
        reveal_if_all_committed(core, task)
    elif task.job.source is not None:
        tell_parent(core, core.parents.get(task.job.source), task.origin, result)


def reveal_if_all_committed(core: Core, task: Task) -> None:
    """Once every vote asked for is committed, ask for all of them."""
    case = task.case
    if case is None or not task.packet.commit_first or not task.attempts or task.is_queued:
        return
    waiting = [attempt for attempt in task.attempts if not attempt.is_committed and attempt.peer is not core.me]
    if waiting:
        return
    for attempt in task.attempts:
        if attempt.is_committed and not attempt.is_revealed:
            attempt.is_revealed = True
            core.send(attempt.peer.id, Reveal(attempts=(attempt.number,)))


def _handed_back(core: Core, attempt: Attempt, result: TaskResult) -> None:
    """Refused or returned: nobody's failure, somebody else's work."""
    peer = attempt.peer
    if result.status is TaskStatus.REFUSED:
        peer.refuses_until = core.now + REFUSED_SECONDS
    _not_there_again(core, attempt)
    requeue(core, attempt)


def _not_there_again(core: Core, attempt: Attempt) -> None:
    """It is somebody else's turn, unless everybody has had theirs."""
    attempt.task.failed_on = (*attempt.task.failed_on[-3:], attempt.peer.id)
    forgive_if_all_failed(core, attempt.task)


def forgive_if_all_failed(core: Core, task: Task) -> None:
    """If everybody has had their turn, everybody may have another."""
    others = [peer.id for peer in core.children.values() if not peer.is_silent and may_use(core, task.job, peer)]
    if all(peer in task.failed_on for peer in (*others, core.me.id)):
        task.failed_on = ()


def _retry_later(core: Core, task: Task) -> None:
    wait = min(BACKOFF_SECONDS_MAX, BACKOFF_SECONDS * 2 ** (task.tries - 1)) * (0.5 + core.random.random())
    task.not_before = core.now + wait
    core.timers.arm(task.not_before, Timer.RETRY, task)


def _give_up(core: Core, task: Task, result: TaskResult | None, message: str) -> None:
    move(task, Cause.REJECTED)
    worker = result.worker if result is not None else core.me.id
    failure = TaskResult(
        task_id=task.packet.task_id,
        status=TaskStatus.FAILED,
        worker=worker,
        failure=None if result is None else result.failure,
        message=message,
    )
    pass_up(core, task, replace(failure, network=core.me.network))

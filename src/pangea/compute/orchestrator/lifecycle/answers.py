"""What follows an answer to an attempt: a vote, a relay to the parent, another try, or nothing at all."""

from __future__ import annotations

from dataclasses import replace

from pangea.compute.model.ids import PeerId
from pangea.compute.model.outcome import FAULTS_OF_THIS_KIND_OF_MACHINE, MACHINE_FAULTS, FailureKind
from pangea.compute.model.packet import TaskResult, TaskStatus
from pangea.compute.orchestrator.core.commands import StopTask
from pangea.compute.orchestrator.core.messages import Answers, Cancel
from pangea.compute.orchestrator.core.records import Attempt, Ending, Parent, Task, own_of
from pangea.compute.orchestrator.core.state import Core
from pangea.compute.orchestrator.core.timers import Timer
from pangea.compute.orchestrator.core.transitions import Cause, TaskState, move
from pangea.compute.orchestrator.judging import asking, judging, planting
from pangea.compute.orchestrator.judging.sealing import show_if_all_committed
from pangea.compute.orchestrator.judging.voting import go_on
from pangea.compute.orchestrator.limits import (
    BACKOFF_SECONDS,
    BACKOFF_SECONDS_MAX,
    BATCH_MAX,
    FLUSH_SECONDS,
    MANAGER_TRIES_MAX,
    REFUSED_SECONDS,
    WAYS_MAX,
)
from pangea.compute.orchestrator.scheduling.attempts import answered_in_time, call_off, end, failed_to_answer, lost
from pangea.compute.orchestrator.scheduling.offers import ask_again, offer_idle
from pangea.compute.orchestrator.scheduling.placement import may_use
from pangea.compute.verification.commitment import commitment


def settle(core: Core, peer: PeerId, number: int, result: TaskResult) -> None:
    """Take in one answer. Late, duplicate, foreign and mismatched ones change nothing."""
    attempt = core.attempts.get(number)
    if attempt is None or attempt.peer.id != peer or attempt.task.packet.task_id != result.task_id:
        return
    if attempt.task.inquiry is not None:
        end(core, attempt)
        asking.heard(core, attempt.task, result)
    elif attempt.task.is_planted:
        _settle_planted(core, attempt, result)
    elif result.status is TaskStatus.COMMITTED:
        _committed(core, attempt, result)
    elif result.status is TaskStatus.DONE or _is_verdict(result):
        _answered(core, attempt, result)
    elif result.status is TaskStatus.FAILED:
        machine_failed(core, attempt, result)
    else:
        _handed_back(core, attempt, result)


def _settle_planted(core: Core, attempt: Attempt, result: TaskResult) -> None:
    is_answer = result.status is TaskStatus.DONE or _is_verdict(result)
    if is_answer:
        answered_in_time(core, attempt, result.seconds)
    end(core, attempt)
    if not is_answer and result.status is TaskStatus.FAILED:
        failed_to_answer(core, attempt)
    planting.heard(core, attempt, result if is_answer else None)


def machine_failed(core: Core, attempt: Attempt, result: TaskResult | None = None) -> None:
    """An attempt was lost to a machine: try another one, after a while, so many times."""
    task = attempt.task
    end(core, attempt)
    if task.inquiry is not None:
        asking.heard(core, task, None)
        return
    failed_to_answer(core, attempt)
    if task.is_planted:
        return
    task.tries += 1
    task.failed_on = (*task.failed_on[-3:], attempt.peer.id)
    if result is not None and result.failure in FAULTS_OF_THIS_KIND_OF_MACHINE:
        task.unfit = (*task.unfit, attempt.peer.id)
    if task.attempts:
        _place_again(core, task)
        return
    lost(task)
    own = task.job.own
    limit = task.job.spec.retry_count if own is not None else min(MANAGER_TRIES_MAX, task.job.spec.retry_count)
    message = task.complaint = result.message if result is not None and result.message else "no answer"
    if task.tries <= limit and not is_hopeless(core, task):
        if own is not None:
            own.retries += 1
        _retry_later(core, task)
    elif own is None:
        give_up(core, task, result, message)
    elif task.probe_of is not None:
        judging.not_judged(core, task)
    else:
        fail_for_machines(core, task)


def fail_for_machines(core: Core, task: Task) -> None:
    """No machine could do an own task: that is why the job fails."""
    message = f"{task.packet.task_id}: {task.tries} tries, none succeeded; the last: {task.complaint}"
    own_of(task).note_failure(Ending(cause="retries", message=message, start=task.packet.start))
    core.due.append(task.job)


def is_hopeless(core: Core, task: Task) -> bool:
    """Whether every machine that may be asked has said that it is of a kind on which this can't be done."""
    others = [] if task.probe_of is not None else _askable(core, task)
    return all(peer in task.unfit for peer in (*others, core.me.id))


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
    if attempt.task.inquiry is not None:
        asking.heard(core, attempt.task, None)
    elif not attempt.task.is_planted:
        _place_again(core, attempt.task)


def _place_again(core: Core, task: Task) -> None:
    """An attempt is gone: what is left must still lead to an answer."""
    lost(task)
    if task.case is not None and task.case.probes:
        return
    if not task.attempts:
        core.enqueue(task, first=True)
        ask_again(core)
    elif task.packet.commit_first and task.case is not None:
        go_on(core, task)


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
    """Send the parent what was gathered: something was, else neither a timer is armed for it nor anybody calls."""
    parent.flush_is_armed = False
    results, parent.outbox = tuple(parent.outbox), []
    core.send(parent.id, Answers(results=results))


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
        not_there_again(core, attempt)
        _place_again(core, task)
    else:
        show_if_all_committed(core, task)


def _answer_for_parent(core: Core, task: Task, attempt: Attempt, result: TaskResult) -> None:
    source = task.job.source
    assert source is not None, "it isn't this node's own"
    _note_way(core, result.worker, attempt.peer.id)
    if attempt.peer is core.me and task.packet.commit_first and result.failure is None:
        task.held = result
        _stand_by(core, task, None)
        move(task, Cause.ANSWERED)
        seal = commitment(result.worker, result.task_id, result.digest, result.fuel)
        promise = TaskResult(
            task_id=result.task_id, status=TaskStatus.COMMITTED, worker=result.worker, network=result.network, commitment=seal
        )
        tell_parent(core, core.parents.get(source), task.origin, promise)
        return
    finish_delegated(core, task, result)


def _note_way(core: Core, worker: PeerId, child: PeerId) -> None:
    """Remember where a worker is to be found, should it be asked again."""
    if worker not in (child, core.me.id):
        core.ways.pop(worker, None)
        core.ways[worker] = child
        if len(core.ways) > WAYS_MAX:
            del core.ways[next(iter(core.ways))]


def _breaks_seal(core: Core, attempt: Attempt, result: TaskResult, sealed: bytes | None) -> bool:
    if not attempt.task.packet.commit_first or attempt.peer is core.me or result.failure is not None:
        return False
    return sealed != commitment(result.worker, result.task_id, result.digest, result.fuel)


def _committed(core: Core, attempt: Attempt, result: TaskResult) -> None:
    task = attempt.task
    if not task.packet.commit_first or attempt.is_committed:
        return
    attempt.is_committed, attempt.took = True, core.now - attempt.since
    attempt.peer.committed += 1
    attempt.peer.lapses = 0
    offer_idle(core, attempt.peer)
    if task.case is not None:
        task.case.commitments[attempt.number] = result.commitment
        show_if_all_committed(core, task)
    elif task.job.source is not None:
        _stand_by(core, task, attempt)
        tell_parent(core, core.parents.get(task.job.source), task.origin, result)


def _stand_by(core: Core, task: Task, attempt: Attempt | None) -> None:
    """A parent is told that its task is committed to: whoever else is at it would show what the commitment doesn't name."""
    call_off(core, [other for other in task.attempts if other is not attempt])
    if task.is_queued:
        task.job.ready.remove(task)
        core.unqueue(task)


def _handed_back(core: Core, attempt: Attempt, result: TaskResult) -> None:
    """Refused or returned: nobody's failure, somebody else's work."""
    peer = attempt.peer
    if result.status is TaskStatus.REFUSED:
        peer.refuses_until = core.now + REFUSED_SECONDS
    not_there_again(core, attempt)
    requeue(core, attempt)


def not_there_again(core: Core, attempt: Attempt) -> None:
    """Say so before the task is placed again: it is somebody else's turn, unless everybody has had theirs."""
    attempt.task.failed_on = (*attempt.task.failed_on[-3:], attempt.peer.id)
    forgive_if_all_failed(core, attempt.task)


def forgive_if_all_failed(core: Core, task: Task) -> None:
    """If everybody who can do it has had their turn, everybody may have another."""
    if all(peer in task.failed_on or peer in task.unfit for peer in (*_askable(core, task), core.me.id)):
        task.failed_on = ()


def _askable(core: Core, task: Task) -> list[PeerId]:
    return [peer.id for peer in core.children.values() if not peer.is_silent and may_use(core, task.job, peer)]


def _retry_later(core: Core, task: Task) -> None:
    wait = min(BACKOFF_SECONDS_MAX, BACKOFF_SECONDS * 2 ** (task.tries - 1)) * (0.5 + core.random.random())
    task.not_before = core.now + wait
    core.timers.arm(task.not_before, Timer.RETRY, task)


def give_up(core: Core, task: Task, result: TaskResult | None, message: str) -> None:
    """Tell the parent that a task of its fails here, and forget it."""
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

"""Work that comes in: from clients of this node, and from parents. What would loop, explode or overflow is refused."""

from __future__ import annotations

from itertools import accumulate

from pangea.compute.model.ids import JobId, PeerId
from pangea.compute.model.packet import Budget, JobSpec, TaskPacket, TaskResult, TaskStatus
from pangea.compute.orchestrator.core.commands import FailJob
from pangea.compute.orchestrator.core.events import ChunksReady, JobSubmitted
from pangea.compute.orchestrator.core.messages import Cancel, Delegate, Exclude, Recall
from pangea.compute.orchestrator.core.records import Job, Ownership, Peer, Task
from pangea.compute.orchestrator.core.state import PRIORITY_SECONDS, Core
from pangea.compute.orchestrator.core.timers import Timer
from pangea.compute.orchestrator.judging.judging import discard
from pangea.compute.orchestrator.lifecycle.answers import tell_parent
from pangea.compute.orchestrator.lifecycle.finishing import fail, forget, report
from pangea.compute.orchestrator.lifecycle.restoring import restore
from pangea.compute.orchestrator.limits import DELEGATED_TASKS_MAX, DEPTH_MAX, FAN_OUT_MAX, JOBS_MAX, SHUNNED_MAX
from pangea.compute.orchestrator.rules.packing import TREE_PACE, TaskSizer
from pangea.compute.orchestrator.rules.score import Role, score
from pangea.compute.orchestrator.scheduling.attempts import begin, delegate
from pangea.compute.orchestrator.scheduling.offers import ask_again, room


def submitted(core: Core, event: JobSubmitted) -> None:
    """A client's job. Its id is the client's choice: the same id again changes nothing while the job lives."""
    if (None, event.spec.job_id) in core.jobs:
        return
    budget = Budget(depth=DEPTH_MAX, fan_out=FAN_OUT_MAX, seconds=event.spec.timeout)
    job = _new_job(core, event.spec, None, budget)
    job.own = Ownership(
        sizer=TaskSizer(workers=1, min_bytes=event.spec.min_task_bytes, memory_bytes=event.spec.memory, pace=TREE_PACE)
    )
    restore(core, job, job.own, event.finished)
    if len(core.jobs) > JOBS_MAX:
        message = f"this node already has {JOBS_MAX:,} jobs; wait for one to end"
        core.out.append(FailJob(job_id=event.spec.job_id, cause="busy", message=message, report=report(core, job, job.own)))
        forget(core, job)
        return
    core.arm_check()


def chunks_ready(core: Core, event: ChunksReady) -> None:
    """More of an own job's input can be read."""
    job = core.jobs.get((None, event.job_id))
    if job is None or job.own is None or job.own.is_last:
        return
    own = job.own
    packs = accumulate(event.packs) if event.packs else range(1, event.count + 1)
    own.pack_ends.extend(own.chunks + end for end in packs)
    own.chunks += event.count
    own.size_bytes += event.size_bytes
    own.is_last = event.is_last
    core.list_job(job)
    core.due.append(job)
    reconsider_role(core, job)


def cancelled(core: Core, job_id: JobId) -> None:
    """The client doesn't want its job any more."""
    job = core.jobs.get((None, job_id))
    if job is not None:
        fail(core, job, "cancelled", "cancelled by the client")


def broken(core: Core, job_id: JobId, cause: str, message: str) -> None:
    """The driver can't go on with an own job."""
    job = core.jobs.get((None, job_id))
    if job is not None:
        fail(core, job, cause, message)


def delegated(core: Core, parent: PeerId, message: Delegate) -> None:
    """A parent's batch: taken as a whole, or refused task by task with the reason."""
    reason = _objection(core, parent, message)
    job = core.jobs.get((parent, message.spec.job_id))
    if job is None and not reason:
        job = _new_job(core, message.spec, parent, message.budget)
        core.arm_beat()
    for number, packet in message.tasks:
        is_full = core.delegated >= DELEGATED_TASKS_MAX
        is_barred = core.me.id in packet.avoid and not core.children
        if job is None or reason or is_full or is_barred:
            full = f"holds {DELEGATED_TASKS_MAX:,} tasks already" if is_full else "its answer would not count"
            _refuse(core, parent, number, packet, reason or full)
        elif (parent, number) in core.by_origin or packet.task_id in job.tasks:
            continue
        elif packet.only in (None, core.me.id):
            core.enqueue(_take(core, job, parent, number, packet))
        elif (child := _way_to(core, job, packet.only)) is not None:
            delegate(core, job, [begin(core, _take(core, job, parent, number, packet), child)], child)
        else:
            _refuse(core, parent, number, packet, f"{packet.only} isn't below")
    if job is not None:
        reconsider_role(core, job)
        if core.children:
            core.arm_check()


def cancelled_by_parent(core: Core, parent: PeerId, message: Cancel) -> None:
    """The parent doesn't want these answers any more, nor do we then."""
    for number in message.attempts:
        task = core.by_origin.pop((parent, number), None)
        if task is not None:
            core.delegated -= 1
            discard(core, task)


def recalled(core: Core, parent: PeerId, message: Recall) -> None:
    """Hand back what nobody here has begun, last come first."""
    left = message.count
    for job in [job for job in core.jobs.values() if job.source == parent]:
        for task in list(reversed(job.ready))[:left]:
            if task.tries == 0 and core.by_origin.pop((parent, task.origin), None) is not None:
                left -= 1
                core.delegated -= 1
                discard(core, task)
                _answer(core, parent, task.origin, task.packet, TaskStatus.RETURNED, "recalled")


def lending_changed(core: Core, *, is_paused: bool) -> None:
    """What parents gave and nobody here has begun goes back to them, and nothing new is taken, as long as lending is paused."""
    core.is_paused = is_paused
    for parent in core.parents if is_paused else ():
        recalled(core, parent, Recall(count=core.delegated))


def shunned(core: Core, parent: PeerId, message: Exclude) -> None:
    """The job's owner doesn't accept these workers: pass it on, and give them none of it."""
    job = core.jobs.get((parent, message.job_id))
    if job is None:
        return
    for worker in message.workers:
        job.shunned[worker] = None
    for worker in list(job.shunned)[:-SHUNNED_MAX]:
        del job.shunned[worker]
    for child in job.used:
        if child in core.children and child not in message.workers:
            core.send(child, message)


def reconsider_role(core: Core, job: Job) -> None:
    """Manager or worker? Once manager for a job, always: what is below has been warmed."""
    if job.role is Role.MANAGER or not core.children:
        return
    own = job.own
    size = job.pending_bytes + (own.remaining_bytes if own is not None else 0)
    job.score = score(job.spec, core.weights, size_bytes=size, free_cores=room(core, core.me))
    job.role = job.score.role
    if job.role is Role.MANAGER:
        ask_again(core)


def _new_job(core: Core, spec: JobSpec, source: PeerId | None, budget: Budget) -> Job:
    serial = core.next_serial()
    job = Job(
        spec=spec,
        source=source,
        budget=budget,
        arrived=core.now,
        deadline=core.now + min(budget.seconds, spec.timeout),
        rank=core.now + PRIORITY_SECONDS[spec.priority],
        serial=serial,
    )
    core.jobs[job.key] = job
    ask_again(core)
    core.timers.arm(job.deadline, Timer.DEADLINE, job)
    return job


def _objection(core: Core, parent: PeerId, message: Delegate) -> str:
    budget = message.budget
    if core.is_paused:
        return "paused by whoever runs this node"
    if core.me.id in budget.ancestors or message.spec.job_id in (job_id for source, job_id in core.jobs if source is None):
        return "a loop: this node is among the ancestors"
    if len(budget.ancestors) > DEPTH_MAX or budget.depth < 0 or budget.depth + len(budget.ancestors) > DEPTH_MAX:
        return f"deeper than {DEPTH_MAX}"
    if not 0 <= budget.fan_out <= FAN_OUT_MAX:
        return f"fan-out {budget.fan_out} is not between 0 and {FAN_OUT_MAX}"
    if not budget.seconds > 0:  # nor if it isn't a number
        return "no time left"
    if (parent, message.spec.job_id) not in core.jobs and len(core.jobs) >= JOBS_MAX:
        return f"has {JOBS_MAX:,} jobs already"
    return ""


def _way_to(core: Core, job: Job, worker: PeerId) -> Peer | None:
    """The child that leads to a worker that is asked again, which the job's owner may not want to work on it any more."""
    child = core.children.get(worker) or core.children.get(core.ways.get(worker, worker))
    if child is None or child.is_silent or job.budget.depth <= 0 or child.id in job.budget.ancestors:
        return None
    return child if child.id in job.used or len(job.used) < job.budget.fan_out else None


def _take(core: Core, job: Job, parent: PeerId, number: int, packet: TaskPacket) -> Task:
    task = Task(packet, job, core.now, origin=number)
    job.tasks[packet.task_id] = task
    core.by_origin[parent, number] = task
    core.delegated += 1
    return task


def _refuse(core: Core, parent: PeerId, number: int, packet: TaskPacket, reason: str) -> None:
    _answer(core, parent, number, packet, TaskStatus.REFUSED, reason)


def _answer(core: Core, parent: PeerId, number: int, packet: TaskPacket, status: TaskStatus, reason: str) -> None:
    result = TaskResult(task_id=packet.task_id, status=status, worker=core.me.id, message=reason)
    tell_parent(core, core.parents.get(parent), number, result)

"""How an own job comes to its end: closing checks, merge steps, the last merge, the report."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from pangea.compute.model.ids import PeerId, TaskId
from pangea.compute.model.options import VerificationMode
from pangea.compute.model.packet import TaskPacket
from pangea.compute.model.trace import Standing
from pangea.compute.orchestrator import audit
from pangea.compute.orchestrator.attempts import call_off
from pangea.compute.orchestrator.commands import DropJob, FailJob, FinishJob, KeepTrust, MergeJob
from pangea.compute.orchestrator.judging import consider, discard, doubt
from pangea.compute.orchestrator.limits import MERGE_FAN_IN, REPORTED_TASKS_MAX
from pangea.compute.orchestrator.ownership import Ending, Ownership, Phase
from pangea.compute.orchestrator.report import JobReport
from pangea.compute.orchestrator.standing import standing
from pangea.compute.orchestrator.state import Core, Job, Task
from pangea.compute.orchestrator.transitions import Cause, TaskState, move
from pangea.compute.orchestrator.trust import work_of

#: Modes in which one worker's last word is worth a check of its own before the end.
_CLOSING_MODES = (VerificationMode.ADAPTIVE,)


def go_on(core: Core, job: Job) -> None:
    """Take the job's next step, if all tasks of the present one are complete."""
    own = job.own
    if own is None or core.jobs.get(job.key) is not job or own.phase is Phase.MERGED:
        return
    if own.failure is not None:
        if not any(_is_before(task, own.failure) for task in job.tasks.values()):
            fail(core, job, own.failure.cause, own.failure.message)
        return
    if own.open or not own.is_last or own.next_chunk < own.chunks:
        return
    if own.phase is Phase.EXECUTING and job.spec.verification in _CLOSING_MODES and not own.is_closed:
        own.is_closed = True
        _close(core, own)
        if own.open:
            return
    prefix = _level_prefix(job, own.level) if own.phase is Phase.MERGING else ""
    level = [task for task in job.tasks.values() if task.packet.task_id.startswith(prefix)]
    own.results = sorted(level, key=lambda task: task.packet.start)
    if job.spec.associative and len(own.results) > MERGE_FAN_IN and core.children:
        _merge_level(core, job, own)
    else:
        own.phase = Phase.MERGED
        digests = tuple(_answer(task) for task in own.results)
        counts = tuple(task.packet.count for task in own.results)
        core.out.append(MergeJob(spec=job.spec, digests=digests, counts=counts))


def _is_before(task: Task, ending: Ending) -> bool:
    """Whether a task may still fail in a way that comes first."""
    is_merge = task.packet.function == "merge"
    return task.state is not TaskState.COMPLETE and not is_merge and task.packet.start < ending.start


def merged(core: Core, job: Job, digest: bytes) -> None:
    """The last merge is done: finish, or find out why it isn't what was expected."""
    own = job.own
    if own is None or own.phase is not Phase.MERGED:
        return
    if job.spec.expected and digest != job.spec.expected:
        if not own.is_doubted:
            own.is_doubted = True
            _doubt_all(core, job, own)
        if own.open:
            return
        fail(core, job, "verification", "the result is not the expected one, though this node executed every task itself")
        return
    for case in [task.case for task in job.tasks.values() if task.case is not None and job.spec.expected]:
        case.confidence, case.why = 1.0, "the job's result is the expected one"
    core.out.append(FinishJob(job_id=job.spec.job_id, digest=digest, report=report(core, job, own)))
    _keep_trust(core, job, own)
    forget(core, job)


def fail(core: Core, job: Job, cause: str, message: str) -> None:
    """End an own job without a result."""
    own = job.own
    if own is None:
        raise AssertionError(f"job {job.spec.job_id} belongs to {job.source}")
    core.out.append(FailJob(job_id=job.spec.job_id, cause=cause, message=message, report=report(core, job, own)))
    _keep_trust(core, job, own)
    forget(core, job)


def forget(core: Core, job: Job) -> None:
    """Drop a job with all it has under way, here and below."""
    attempts = [attempt for attempt in core.attempts.values() if attempt.task.job is job]
    call_off(core, attempts)
    for probe in [task for task in core.local if task.job is job]:
        core.local.remove(probe)
    job.ready.clear()
    for task in job.tasks.values():
        if job.source is not None and core.by_origin.pop((job.source, task.origin), None) is not None:
            core.delegated -= 1
        if task.state is not TaskState.COMPLETE:
            move(task, Cause.DROPPED)
    job.tasks.clear()
    core.unlist_job(job)
    if core.jobs.pop(job.key, None) is not None and job.source is not None:
        core.out.append(DropJob(parent=job.source, job_id=job.spec.job_id))


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """An own job's task that is complete, and the answer that stands for it."""

    packet: TaskPacket
    worker: PeerId
    digest: bytes
    fuel: int
    standing: Standing


def accepted(job: Job) -> list[Accepted]:
    """What an own job's result is made of, merge steps included, in the order of the tasks' making."""
    found = []
    for task in job.tasks.values():
        if task.state is TaskState.COMPLETE and task.case is not None and task.case.votes:
            vote = _vote(task)
            found.append(
                Accepted(
                    packet=task.packet,
                    worker=vote.worker,
                    digest=vote.digest,
                    fuel=vote.fuel,
                    standing=standing(task, vote),
                )
            )
    return found


def report(core: Core, job: Job, own: Ownership) -> JobReport:
    """The account of an own job, as it stands."""
    done = [task for task in job.tasks.values() if task.state is TaskState.COMPLETE and task.case is not None]
    execute = [task for task in done if task.packet.function == "execute"]
    is_checked = job.spec.verification is not VerificationMode.NONE
    known = [task.case.confidence for task in done if is_checked and task.case is not None and task.case.confidence is not None]
    target = job.spec.confidence
    below = [
        (task.packet.task_id, task.case.confidence, task.case.why)
        for task in done
        if task.case is not None and task.case.confidence is not None and task.case.confidence < target
    ]
    return JobReport(
        mode=job.spec.verification,
        confidence=min(known, default=None),
        joint_confidence=audit.joint_confidence(known) if known else None,
        chunks=sum(task.packet.count for task in execute),
        tasks=len(done),
        executions=own.executions,
        local=own.local,
        audits=own.audits,
        disputes=own.disputes,
        withdrawn=own.withdrawn,
        retries=own.retries,
        backups=own.backups,
        bans=tuple(own.bans),
        below_target=tuple(below[:REPORTED_TASKS_MAX]),
        below_target_count=len(below),
        notes=tuple(_notes(own)),
    )


def _keep_trust(core: Core, job: Job, own: Ownership) -> None:
    """What was learned of the job's workers outlives it."""
    for worker, tasks in own.votes_of.items():
        if worker != core.me.id:
            for function in {task.packet.function: None for task in tasks}:
                work = work_of(job.spec.runtime, function)
                core.out.append(KeepTrust(worker=worker, runtime=work, record=core.trust.record(worker, work)))


def _notes(own: Ownership) -> list[str]:
    notes = []
    if own.local and not own.remote:
        notes.append("no worker could be reached or trusted: everything ran on this node")
    if own.was_audited_for_want_of_workers:
        notes.append(
            f"{own.was_audited_for_want_of_workers} checks were made by this node itself: too few distinct workers to ask"
        )
    if own.was_audited_for_want_of_proof:
        notes.append(
            f"{own.was_audited_for_want_of_proof} checks were made by this node itself: its workers had not proven themselves yet"
        )
    if own.sealed_breaks:
        notes.append(f"{own.sealed_breaks} answers were not what their workers had committed to, and did not count")
    return notes


def _close(core: Core, own: Ownership) -> None:
    """Check each worker's last unchecked task: whoever began to lie late, and kept lying, is caught here."""
    for task in list(own.last_alone.values()):
        case = task.case
        if task.state is TaskState.COMPLETE and case is not None and len(case.votes) == 1:
            _reopen(core, own, task)
    own.last_alone.clear()


def _doubt_all(core: Core, job: Job, own: Ownership) -> None:
    """The result is wrong: whatever this node hasn't executed itself is in doubt."""
    for task in [task for task in job.tasks.values() if task.packet.function == "merge"]:
        discard(core, task)
    own.phase, own.level, own.results = Phase.EXECUTING, 0, []
    for task in list(job.tasks.values()):
        case = task.case
        if case is not None and not any(vote.is_trusted for vote in case.votes):
            case.must_audit = True
            _reopen(core, own, task)


def _reopen(core: Core, own: Ownership, task: Task) -> None:
    if task.case is not None:
        task.case.needed = 2
    doubt(core, own, task)
    consider(core, task, is_final=True)


def _merge_level(core: Core, job: Job, own: Ownership) -> None:
    """Queue one level of merge steps: neighbours, in groups."""
    own.phase = Phase.MERGING
    own.level += 1
    below, total = own.results, len(own.results)
    per_task = max(1, sum(task.packet.size_bytes for task in below) // total)
    groups = ceil(total / MERGE_FAN_IN)
    for group in range(groups):
        first, end = group * total // groups, (group + 1) * total // groups
        packet = TaskPacket(
            task_id=TaskId(f"{_level_prefix(job, own.level)}{group}"),
            function="merge",
            start=group,
            count=1,
            size_bytes=per_task * (end - first),
            inputs=tuple(_answer(task) for task in below[first:end]),
        )
        core.enqueue(own.open_task(core, job, packet))


def _level_prefix(job: Job, level: int) -> str:
    return f"{job.spec.job_id}:m{level}."


def _answer(task: Task) -> bytes:
    return _vote(task).digest


def _vote(task: Task) -> audit.Vote:
    """The answer that stands for a complete task: this node's own, if there is one."""
    votes = task.case.votes if task.case is not None else []
    trusted = [vote for vote in votes if vote.is_trusted]
    return (trusted or votes)[0]

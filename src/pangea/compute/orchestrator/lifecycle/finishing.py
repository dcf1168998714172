"""How an own job comes to its end: closing checks, merge steps, the last merge, the report."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from itertools import groupby, islice

from pangea.compute.flow import merging
from pangea.compute.model.ids import PeerId, TaskId
from pangea.compute.model.options import VerificationMode
from pangea.compute.model.packet import TaskPacket
from pangea.compute.model.trace import Provenance
from pangea.compute.orchestrator.core.commands import DropJob, FailJob, FinishJob, KeepTrust, MergeJob
from pangea.compute.orchestrator.core.records import Ending, Job, Ownership, Phase, Task
from pangea.compute.orchestrator.core.report import JobReport
from pangea.compute.orchestrator.core.state import Core
from pangea.compute.orchestrator.core.transitions import Cause, TaskState, move
from pangea.compute.orchestrator.judging import asking, closing
from pangea.compute.orchestrator.judging.judging import discard
from pangea.compute.orchestrator.judging.provenance import provenance_of
from pangea.compute.orchestrator.limits import REPORTED_TASKS_MAX
from pangea.compute.orchestrator.rules import audit
from pangea.compute.orchestrator.rules.crowds import BOLD_RATE
from pangea.compute.orchestrator.rules.score import Role
from pangea.compute.orchestrator.rules.trust import work_of
from pangea.compute.orchestrator.scheduling.attempts import call_off

#: Workers that were shut out are named up to so many.
_NAMED_MAX = 3


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
    closing.close(core, job, own)
    if own.open:
        return
    prefix = _level_prefix(job, own.level) if own.phase is Phase.MERGING else ""
    level = [task for task in job.tasks.values() if task.packet.task_id.startswith(prefix)]
    before = _size_of(own)
    own.results = sorted(level, key=lambda task: task.packet.start)
    groups = _groups(own, before) if job.spec.associative else []
    if groups:
        _merge_level(core, job, own, groups)
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
    own.is_as_expected = bool(job.spec.expected)
    for case in [task.case for task in job.tasks.values() if task.case is not None and own.is_as_expected]:
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
    for question in [attempt.task for attempt in attempts if attempt.task.inquiry is not None]:
        asking.heard(core, question, None)
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
    provenance: Provenance


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
                    provenance=provenance_of(task, vote),
                )
            )
    return found


def report(core: Core, job: Job, own: Ownership) -> JobReport:
    """The account of an own job, as it stands."""
    done = [task for task in job.tasks.values() if task.state is TaskState.COMPLETE and task.case is not None]
    execute = [task for task in done if task.packet.function == "execute"]
    is_checked = job.spec.verification is not VerificationMode.NONE
    known = [task.case.confidence for task in done if is_checked and task.case is not None and task.case.confidence is not None]
    target, sure = job.spec.confidence, closing.confidence(core, job, own)
    below = [
        (task.packet.task_id, task.case.confidence, task.case.why)
        for task in done
        if task.case is not None and task.case.confidence is not None and task.case.confidence < target
    ]
    return JobReport(
        mode=job.spec.verification,
        confidence=sure,
        target=target,
        lowest_confidence=min(known, default=None),
        chunks=sum(task.packet.count for task in execute),
        tasks=len(done),
        executions=own.executions,
        local=own.local,
        audits=own.audits,
        own_checks=own.checks,
        refusals=own.refusals,
        planted=own.planted,
        planted_wrong=own.planted_wrong,
        disputes=own.disputes,
        withdrawn=own.withdrawn,
        retries=own.retries,
        backups=own.backups,
        bans=tuple(own.bans),
        below_target=tuple(below[:REPORTED_TASKS_MAX]),
        below_target_count=len(below),
        notes=(*_of_tolerance(job, own), *_notes(core, job, own), *_of_rare_lies(job, own, sure)),
    )


def _of_tolerance(job: Job, own: Ownership) -> list[str]:
    is_compared = job.spec.tolerance and own.remote and job.spec.verification is not VerificationMode.NONE
    return [f"answers agreed within {job.spec.tolerance}"] if is_compared else []


def _of_rare_lies(job: Job, own: Ownership, sure: float | None) -> list[str]:
    """What `confidence` bought, where that leaves more in doubt about those who lie rarely."""
    is_bought = job.spec.verification in closing.SAMPLED_MODES and not own.was_beyond_us and not job.spec.expected
    if not is_bought or sure is None or sure >= job.spec.confidence:
        return []
    return [
        f"what was asked for holds against crowds that lie about {BOLD_RATE:.0%} of the tasks or more; rarer lies may get through"
    ]


def _keep_trust(core: Core, job: Job, own: Ownership) -> None:
    """What was learned of the job's workers outlives it."""
    for worker, tasks in own.votes_of.items():
        if worker != core.me.id:
            for function in {task.packet.function: None for task in tasks}:
                work = work_of(job.spec.runtime, function)
                core.out.append(KeepTrust(worker=worker, runtime=work, record=core.trust.record(worker, work)))


def _notes(core: Core, job: Job, own: Ownership) -> list[str]:
    notes = []
    if own.local and not own.remote:
        notes.append(f"{_why_here(core, job, own)}: everything ran on this node")
    if own.was_audited_for_want_of_workers:
        notes.append(
            f"{own.was_audited_for_want_of_workers} checks were made by this node itself: too few distinct workers to ask"
        )
    if own.was_audited_for_want_of_proof:
        notes.append(
            f"{own.was_audited_for_want_of_proof} checks were made by this node itself: its workers had not proven themselves yet"
        )
    notes += _of_looks(own)
    if own.bans:
        named = ", ".join(f"{worker} ({core.trust.verdict(worker)})" for worker in own.bans[:_NAMED_MAX])
        more = f" and {len(own.bans) - _NAMED_MAX} more" if len(own.bans) > _NAMED_MAX else ""
        notes.append(f"shut out, for what this node found by executing it itself: {named}{more}")
    if own.was_beyond_us:
        notes.append(f"{own.was_beyond_us} checks could not be made: this node's own machine can't execute what others could")
    if own.was_drawn_here:
        notes.append(f"{own.was_drawn_here} answers were drawn at the end and executed again by this node, for its confidence")
    if own.is_hostile:
        notes.append(f"{len(own.bans)} of its workers were caught: nobody's word counted any more, this node executed all itself")
    if own.withheld:
        notes.append(f"{own.withheld} answers were committed to and not shown: others gave theirs")
    if own.sealed_breaks:
        notes.append(f"{own.sealed_breaks} answers were not what their workers had committed to, and did not count")
    return notes


def _of_looks(own: Ownership) -> list[str]:
    """What the job's own check, and tasks whose answers were known, have come to."""
    notes = []
    if own.checks:
        refused = f", {own.refusals} were refused" if own.refusals else ""
        notes.append(f"{own.checks - own.refusals} answers have passed the job's own check{refused}")
    if own.was_uncheckable:
        notes.append(f"{own.was_uncheckable} answers could not be given to the job's own check: they were verified without")
    if own.planted:
        wrong = f", {own.planted_wrong} were wrong" if own.planted_wrong else ""
        notes.append(f"{own.planted} answers were to tasks that this node had executed before, as no worker could know{wrong}")
    return notes


def _why_here(core: Core, job: Job, own: Ownership) -> str:
    """What kept a job's tasks on its owner's node."""
    there = sum(1 for child in core.children.values() if not child.is_silent and child.id not in job.shunned)
    if there and job.role is Role.WORKER and job.score is not None:
        return f"the job is light enough for this node alone, though {there} are attached ({job.score})"
    if there and not own.bans:
        return f"this node was done before any of the {there} that are attached had a share in it"
    return "no worker could be reached or trusted"


def _doubt_all(core: Core, job: Job, own: Ownership) -> None:
    """The result is wrong: whatever this node hasn't executed itself is in doubt."""
    for task in [task for task in job.tasks.values() if task.packet.function == "merge"]:
        discard(core, task)
    own.phase, own.level, own.results = Phase.EXECUTING, 0, []
    for task in list(job.tasks.values()):
        case = task.case
        if case is not None and not any(vote.is_trusted for vote in case.votes):
            case.must_audit = True
            closing.reopen(core, own, task)


def _size_of(own: Ownership) -> int:
    """Bytes of what the last step was given."""
    return sum(own.sizes.get(_answer(task), 0) for task in own.results)


def _groups(own: Ownership, before: int) -> list[list[Task]]:
    """The next step of merging: neighbours, in groups that don't depend on how the job was cut into tasks; none: all at once."""
    rest = iter(own.results)
    if own.level:
        counts = merging.next_groups([own.sizes.get(_answer(task), 0) for task in own.results], before)
        return [list(islice(rest, count)) for count in counts]
    if not merging.first_groups(len(own.pack_ends), _size_of(own)):
        return []
    groups = groupby(rest, lambda task: bisect_right(own.pack_ends, task.packet.start) // merging.GROUP_PACKS)
    return [list(group) for _, group in groups]


def _merge_level(core: Core, job: Job, own: Ownership, groups: list[list[Task]]) -> None:
    """Queue one level of merge steps."""
    own.phase = Phase.MERGING
    own.level += 1
    per_task = max(1, sum(task.packet.size_bytes for task in own.results) // len(own.results))
    for number, group in enumerate(groups):
        packet = TaskPacket(
            task_id=TaskId(f"{_level_prefix(job, own.level)}{number}"),
            function="merge",
            start=number,
            count=1,
            size_bytes=per_task * len(group),
            inputs=tuple(_answer(task) for task in group),
        )
        core.enqueue(own.open_task(job, packet, core.now))


def _level_prefix(job: Job, level: int) -> str:
    return f"{job.spec.job_id}:m{level}."


def _answer(task: Task) -> bytes:
    return _vote(task).digest


def _vote(task: Task) -> audit.Vote:
    """The answer that stands for a complete task."""
    return audit.standing(task.case.votes if task.case is not None else [])

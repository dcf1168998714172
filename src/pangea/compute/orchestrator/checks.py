"""Every invariant of the orchestrator's state. A failure is a bug of ours."""

from __future__ import annotations

from pangea.compute.orchestrator.core.records import Job, Phase, Task
from pangea.compute.orchestrator.core.state import Core
from pangea.compute.orchestrator.core.transitions import TaskState
from pangea.compute.orchestrator.limits import COPIES_MAX_IN_ALL, DELEGATED_TASKS_MAX, DEPTH_MAX, JOBS_MAX

#: Of a manifest (design, section 11).
REDUNDANCY_MAX = 7
_NEEDS_ATTEMPT = {TaskState.ASSIGNED, TaskState.COMPUTING}


def check(core: Core) -> None:
    """Assert all of it.

    Raises:
        AssertionError: what doesn't hold.
    """
    _check_attempts(core)
    assert len(core.jobs) <= JOBS_MAX
    assert core.delegated == len(core.by_origin) <= DELEGATED_TASKS_MAX
    assert core.cores_below == sum(child.counted for child in core.children.values())
    assert [entry[:2] for entry in core.listed] == sorted(entry[:2] for entry in core.listed)
    for key, job in core.jobs.items():
        assert job.key == key
        assert job.is_listed == any(listed is job for *_, listed in core.listed)
        _check_job(core, job)
    for (source, origin), task in core.by_origin.items():
        assert task.origin == origin, f"{task!r} is entered under {origin}"
        assert task.job.source == source
        assert task.job.tasks.get(task.packet.task_id) is task


def _check_attempts(core: Core) -> None:
    for number, attempt in core.attempts.items():
        assert attempt.number == number
        assert attempt.peer.attempts.get(number) is attempt
        assert attempt in attempt.task.attempts
        assert attempt.peer is core.me or core.children.get(attempt.peer.id) is attempt.peer, f"{attempt.peer.id} is gone"
        assert core.jobs.get(attempt.task.job.key) is attempt.task.job, f"{attempt.task!r} is of a job that is gone"
    held = sum(len(peer.attempts) for peer in (core.me, *core.children.values()))
    assert held == len(core.attempts)
    assert len(core.me.attempts) <= core.me.cores


def _check_job(core: Core, job: Job) -> None:
    budget = job.budget
    assert budget.depth + len(budget.ancestors) <= DEPTH_MAX, "the budget has grown"
    assert len(job.used) <= budget.fan_out, f"{len(job.used)} children used, {budget.fan_out} allowed"
    assert core.me.id not in budget.ancestors
    assert not any(child in budget.ancestors for child in job.used), "delegated to an ancestor"
    assert sum(task.packet.size_bytes for task in job.ready) == job.pending_bytes
    if job.ready:
        assert job.is_listed, "work waits where nobody looks"
    for task in job.tasks.values():
        _check_task(core, task)
    if job.own is not None:
        assert job.own.open == sum(1 for task in job.tasks.values() if task.state is not TaskState.COMPLETE)
        assert job.own.phase is not Phase.MERGED or job.own.open == 0


def _check_task(core: Core, task: Task) -> None:
    if task.state in _NEEDS_ATTEMPT:
        assert task.attempts, f"{task!r} has no attempt under way"
    if task.state is TaskState.PENDING:
        assert not task.attempts, f"{task!r} is under way"
        assert task.is_queued or task.not_before > core.now - 1e-9 or task.tries, f"{task!r} is lost"
    if task.state is TaskState.COMPLETE:
        assert not task.attempts
        assert task.case is not None
        assert task.case.votes, f"{task!r} is complete by nobody's word"
    assert task.state not in (TaskState.FAILED, TaskState.CANCELLED), f"{task!r} should be gone"
    assert task.is_queued == (task in task.job.ready)
    limit = COPIES_MAX_IN_ALL + (REDUNDANCY_MAX if task.packet.commit_first else 0)
    assert len(task.attempts) <= limit, f"{task!r} has {len(task.attempts)} copies under way"
    peers = [attempt.peer.id for attempt in task.attempts]
    assert len(peers) == len(set(peers)), f"{task!r} runs twice at one peer"

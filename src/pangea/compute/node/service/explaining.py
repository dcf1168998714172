"""Why tasks of a job are where they are, and how many are where: what a client may ask of its own jobs."""

from __future__ import annotations

from collections import Counter

from pangea.compute.model.errors import UnknownTaskError
from pangea.compute.model.ids import JobId, TaskId
from pangea.compute.network.rpc.turns import in_turns
from pangea.compute.node.tree.driver import Driver
from pangea.compute.orchestrator.core.records import Task
from pangea.compute.orchestrator.core.transitions import TaskState
from pangea.compute.orchestrator.lifecycle.explain import Explanation

#: Tasks that are looked at, and such that are told of, before others have a turn.
_LOOKED_AT, _TOLD = 2_000, 10


async def unfinished_tasks(driver: Driver, job_id: JobId, offset: int, limit: int) -> list[Explanation]:
    """Why a job's unfinished tasks are where they are: `limit` of them, after `offset`."""
    tasks = in_turns(list(_tasks(driver, job_id).values()), _LOOKED_AT)
    unfinished = [task async for task in tasks if task.state is not TaskState.COMPLETE]
    told: list[Explanation] = []
    async for task in in_turns(unfinished[offset : offset + limit], _TOLD):
        if task.packet.task_id in _tasks(driver, job_id):  # it may have ended in between
            told += driver.core.explain(task.packet.task_id, now=driver.now())
    return told


def one_task(driver: Driver, job_id: JobId, task_id: str) -> list[Explanation]:
    """Why a task of a job is where it is.

    Raises:
        UnknownTaskError: the job has none of that name here.
    """
    if TaskId(task_id) not in _tasks(driver, job_id):
        raise UnknownTaskError(
            f"no task {task_id[:80]!r} of job {job_id} on this node",
            hint="it may not be cut yet; a job that has ended leaves its trace and its report",
        )
    return driver.core.explain(TaskId(task_id), now=driver.now())


async def task_counts(driver: Driver, job_id: JobId) -> Counter[TaskState]:
    """How many tasks of a job are in each state by now."""
    return Counter([task.state async for task in in_turns(list(_tasks(driver, job_id).values()), _LOOKED_AT)])


def _tasks(driver: Driver, job_id: JobId) -> dict[TaskId, Task]:
    job = driver.core.core.jobs.get((None, job_id))
    return job.tasks if job is not None else {}

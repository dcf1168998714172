"""A job taken up after a restart: what was complete isn't done again, and the result is put together in order all the same."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from pangea.compute.model.ids import JobId, PeerId, TaskId
from pangea.compute.model.packet import JobSpec, TaskPacket, TaskResult
from pangea.compute.orchestrator.core.commands import Command, FinishJob, KeepResult, MergeJob, StartTask
from pangea.compute.orchestrator.core.events import ChunksReady, Event, FinishedTask, JobMerged, JobSubmitted, TaskExecuted
from pangea.compute.orchestrator.machine import Orchestrator

ME, JOB = PeerId("me"), JobId("job")
SPANS = st.lists(st.tuples(st.integers(1, 5), st.integers(0, 4)), max_size=6)


def finished(spans: list[tuple[int, int]]) -> tuple[list[FinishedTask], int]:
    """Tasks of so many chunks, each after a gap of so many; and a number of chunks that has room for all."""
    tasks, at = [], 0
    for count, gap in spans:
        at += gap
        packet = TaskPacket(task_id=TaskId(f"{JOB}:{at}"), start=at, count=count, size_bytes=count)
        tasks.append(FinishedTask(packet=packet, digest=b"old %d" % at, fuel=1))
        at += count
    return tasks, at


@given(SPANS, st.integers(0, 4), st.lists(st.integers(1, 7), min_size=1, max_size=5), st.integers(1, 3))
def test_finished_tasks_are_not_cut_again(spans: list[tuple[int, int]], more: int, batches: list[int], cores: int) -> None:
    tasks, total = finished(spans)
    total = max(1, total + more)
    core = Orchestrator(ME, cores=cores, random=Random(1))
    commands: list[Command] = []
    now = 0.0

    def tell(event: Event) -> None:
        nonlocal now
        now += 0.01
        commands.extend(core.handle(event, now=now))
        core.check()

    tell(JobSubmitted(spec=JobSpec(job_id=JOB, module="m"), finished=tuple(tasks)))
    known, turn = 0, 0
    while known < total:
        count = min(batches[turn % len(batches)], total - known)
        known, turn = known + count, turn + 1
        tell(ChunksReady(job_id=JOB, count=count, size_bytes=count, is_last=known == total))
    begun: list[TaskPacket] = []
    merges: list[MergeJob] = []
    while commands:
        match commands.pop(0):
            case StartTask(attempt=attempt, packet=packet):
                begun.append(packet)
                digest = b"new %d" % packet.start
                result = TaskResult(task_id=packet.task_id, worker=ME, digest=digest, leaves=(b"",) * packet.runs, fuel=1)
                tell(TaskExecuted(attempt=attempt, result=result))
            case MergeJob() as merge:
                merges.append(merge)
                tell(JobMerged(job_id=JOB, digest=b"result"))
            case FinishJob() | KeepResult():
                pass
    old = {chunk for task in tasks for chunk in range(task.packet.start, task.packet.start + task.packet.count)}
    new = [chunk for packet in begun for chunk in range(packet.start, packet.start + packet.count)]
    assert sorted([*old, *new]) == list(range(total))
    assert len(merges) == 1
    starts = [int(digest.split()[1]) for digest in merges[0].digests]
    assert starts == sorted(starts)
    assert sum(merges[0].counts) == total

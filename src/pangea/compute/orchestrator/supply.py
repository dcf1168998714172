"""Where the next task comes from: what waits, else fresh chunks, else what only a second opinion can settle."""

from __future__ import annotations

from pangea.compute.model.ids import TaskId
from pangea.compute.model.options import VerificationMode
from pangea.compute.model.packet import TaskPacket, leaf_runs
from pangea.compute.orchestrator.judging import consider, is_waiting
from pangea.compute.orchestrator.limits import SCAN_MAX
from pangea.compute.orchestrator.ownership import TREE_PACE, Ownership, case_of
from pangea.compute.orchestrator.packing import LOCAL_PACE
from pangea.compute.orchestrator.placement import suits
from pangea.compute.orchestrator.restoring import skip_finished
from pangea.compute.orchestrator.state import Core, Job, Peer, Task


def next_task(core: Core, job: Job, peer: Peer) -> Task | None:
    """Take the job's next task for `peer`, if there is one that it may do."""
    task = _from_queue(core, job, peer)
    own = job.own
    if task is None and own is not None:
        task = cut(core, job, own) if own.may_cut() else _second_opinion(core, job, own, peer)
    if task is None and not job.ready and (own is None or not own.has_more()):
        core.unlist_job(job)
    return task


def cut(core: Core, job: Job, own: Ownership) -> Task:
    """A task of the next fresh chunks, sized by what chunks have been seen to cost."""
    own.sizer.workers = core.me.cores + core.cores_below
    own.sizer.pace = TREE_PACE if core.children else LOCAL_PACE
    if own.sizer.is_new and (seconds := core.weights.predict(job.spec, size_bytes=own.size_bytes)) is not None:
        own.sizer.observe(chunks=own.chunks, size_bytes=own.size_bytes, seconds=seconds)
    size = own.sizer.next_size(own.remaining_bytes)
    per_chunk = own.size_bytes / own.chunks
    within = max(1, int(size.size_bytes / per_chunk)) if per_chunk else size.chunks
    end = min(own.chunks, own.finished[0][0]) if own.finished else own.chunks
    count = min(size.chunks, within, end - own.next_chunk)
    packet = TaskPacket(
        task_id=TaskId(f"{job.spec.job_id}:{own.next_chunk}"),
        start=own.next_chunk,
        count=count,
        size_bytes=round(per_chunk * count),
        commit_first=job.spec.verification is VerificationMode.REDUNDANCY,
        runs=leaf_runs(count),
    )
    own.next_chunk += count
    skip_finished(own)
    return own.open_task(core, job, packet)


def _from_queue(core: Core, job: Job, peer: Peer) -> Task | None:
    ready = job.ready
    for _ in range(min(SCAN_MAX, len(ready))):
        task = ready.popleft()
        if suits(core, task, peer):
            core.unqueue(task)
            return task
        ready.append(task)
    return None


def _second_opinion(core: Core, job: Job, own: Ownership, peer: Peer) -> Task | None:
    for _ in range(min(SCAN_MAX, len(own.parked))):
        task = own.parked.popleft()
        case_of(task).is_parked = False
        if not is_waiting(task):
            continue
        if not suits(core, task, peer):
            case_of(task).is_parked = True
            own.parked.append(task)
            continue
        consider(core, task, is_final=True)
        if task.is_queued and (peer is core.me or suits(core, task, peer)):  # another may be drawn to check it
            job.ready.remove(task)  # the first in line: it has just been put there
            core.unqueue(task)
            return task
    return None

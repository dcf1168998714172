"""Where the next task comes from: what waits, else fresh chunks, else what only a second opinion can settle."""

from __future__ import annotations

from bisect import bisect_right
from itertools import pairwise

from pangea.compute.flow.merging import GROUP_PACKS
from pangea.compute.model.ids import TaskId
from pangea.compute.model.options import VerificationMode
from pangea.compute.model.packet import LEAVES_MAX, TaskPacket
from pangea.compute.orchestrator.core.records import Job, Ownership, Peer, Task, case_of
from pangea.compute.orchestrator.core.state import Core
from pangea.compute.orchestrator.judging.judging import consider, is_waiting
from pangea.compute.orchestrator.lifecycle.restoring import skip_finished
from pangea.compute.orchestrator.limits import SCAN_MAX
from pangea.compute.orchestrator.rules.packing import LOCAL_PACE, TREE_PACE
from pangea.compute.orchestrator.scheduling.placement import suits


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
    packs = _packs(own, min(size.chunks, within), GROUP_PACKS if job.spec.associative else LEAVES_MAX)
    count = sum(packs)
    packet = TaskPacket(
        task_id=TaskId(f"{job.spec.job_id}:{own.next_chunk}"),
        start=own.next_chunk,
        count=count,
        size_bytes=round(per_chunk * count),
        commit_first=job.spec.verification is VerificationMode.REDUNDANCY,
        packs=packs,
    )
    own.next_chunk += count
    skip_finished(own)
    return own.open_task(job, packet, core.now)


def _packs(own: Ownership, most: int, group: int) -> tuple[int, ...]:
    """The next packs: up to `most` chunks, but one pack at least; never beyond the last pack of a group of so many."""
    ends, start = own.pack_ends, own.next_chunk
    first = bisect_right(ends, start)
    until = own.finished[0][0] if own.finished else own.chunks
    last = min(bisect_right(ends, min(start + most, until)), (first // group + 1) * group)
    return tuple(end - begin for begin, end in pairwise([start, *ends[first : max(last, first + 1)]]))


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

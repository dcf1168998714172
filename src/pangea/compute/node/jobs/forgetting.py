"""Which ended jobs a node forgets: old ones, and of too many or too large those of whoever has most, the first to end first."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from pangea.compute.node.jobs.jobs import Job

#: Since a job's end or the node's start: so long its client may take to come for the result, however many others have ended. Of
#: those that ended before the start nobody knows which was last, if the clock has jumped.
ASKED_FOR_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeping:
    """What is kept of ended jobs.

    Attributes:
        seconds: that any is kept.
        jobs_max: of all owners, beside those that somebody may still come for.
        asked_for_max: of the latter; the owner that has most of them has no minute for what is more.
        bytes_per_owner_max: of content of one owner's, beside those that it may still come for. Its last job is kept anyway.
    """

    seconds: float
    jobs_max: int
    asked_for_max: int
    bytes_per_owner_max: int


def to_forget(
    jobs: Iterable[Job], keeping: Keeping, *, now: float, restored_at: float, bytes_of: Callable[[str], int]
) -> list[Job]:
    """Those of the ended `jobs` that are to go.

    An owner that ends very many, or very large ones, loses its own: others' results stay as long as they would without it.

    Args:
        jobs: all that have ended.
        keeping: how much is kept.
        now: on the loop's clock, and
        restored_at: when the node had its jobs again.
        bytes_of: the size of a blob.
    """

    def is_asked_for(job: Job) -> bool:
        return max(job.kept_since, restored_at) >= now - ASKED_FOR_SECONDS

    gone: list[Job] = []
    owners: dict[str, list[Job]] = {}
    for job in sorted(jobs, key=lambda job: -job.kept_since):
        if job.kept_since < now - keeping.seconds:
            gone.append(job)
        else:
            owners.setdefault(job.owner, []).append(job)
    for owner, own in owners.items():
        fit = _that_fit(own, keeping.bytes_per_owner_max, bytes_of)
        gone += [job for job in own[fit:] if not is_asked_for(job)]
        owners[owner] = own[:fit] + [job for job in own[fit:] if is_asked_for(job)]
    counts = {owner: len(own) for owner, own in owners.items()}
    fair, bound = _shares(counts, keeping.jobs_max), _shares(counts, keeping.jobs_max + keeping.asked_for_max)
    for owner, own in owners.items():
        gone += own[bound[owner] :]
        gone += [job for job in own[fair[owner] : bound[owner]] if not is_asked_for(job)]
    return gone


def _that_fit(own: list[Job], most: int, bytes_of: Callable[[str], int]) -> int:
    """How many of an owner's, the last to end first, have no more content together; a blob that several have counts once."""
    seen: set[str] = set()
    for place, job in enumerate(own):
        new = set(job.contents()) - seen
        seen |= new
        most -= sum(map(bytes_of, new)) + _beside_blobs(job, bytes_of)
        if most < 0:
            return max(1, place)
    return len(own)


def _beside_blobs(job: Job, bytes_of: Callable[[str], int]) -> int:
    """Bytes of its inputs and result in the journal; of a job with a large module, those of its inputs that exceed that."""
    ended, accepted = job.ended, job.accepted
    small = max(0, accepted.bytes_in - sum(map(bytes_of, accepted.blobs)))
    return small + (0 if ended is None or (ended.body is not None and ended.body.blob) else ended.size)


def _shares(counts: dict[str, int], most: int) -> dict[str, int]:
    """How many each may keep, so that all together have `most`: who has more than others gives first."""
    left = dict(counts)
    heap = [(-count, owner) for owner, count in counts.items()]
    heapq.heapify(heap)
    for _ in range(sum(counts.values()) - most):
        count, owner = heap[0]
        left[owner] = -count - 1
        heapq.heapreplace(heap, (count + 1, owner))
    return left

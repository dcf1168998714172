"""Work goes to whoever has room: from the queues to the hungry, then from the slow to the idle.

When queues are empty and somebody is idle, two things help: children hand back what they haven't begun (`Recall`), and tasks
that take too long get a backup copy elsewhere. Whichever copy answers first counts; so the end of a job waits for nobody.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice, takewhile

from pangea.compute.model.options import Locality
from pangea.compute.orchestrator.balancing.overdue import may_copy, may_pass_over, pass_over
from pangea.compute.orchestrator.balancing.supply import next_task
from pangea.compute.orchestrator.core.messages import Recall
from pangea.compute.orchestrator.core.records import Attempt, Job, Peer, Task
from pangea.compute.orchestrator.core.state import Core
from pangea.compute.orchestrator.judging.opinions import want_copies
from pangea.compute.orchestrator.judging.planting import plant
from pangea.compute.orchestrator.limits import (
    BACKUP_FACTOR,
    BACKUP_SECONDS_MIN,
    OVERDUE_FACTOR,
    OVERDUE_SECONDS_MIN,
    SUSPECT_SECONDS,
    THRESHOLD_SECONDS,
)
from pangea.compute.orchestrator.scheduling.attempts import begin, delegate, start_here
from pangea.compute.orchestrator.scheduling.offers import hungriest, idle, offer_idle, room, unsuited
from pangea.compute.orchestrator.scheduling.placement import may_use, reluctance, suits

#: A peer that was asked to hand back work isn't asked again for so long.
_RECALL_SECONDS = 0.5
#: Attempts and idle peers looked at when there is nothing else to do, oldest and best first.
_BACKUP_SCAN = 512
_IDLE_SCAN = 16


def balance(core: Core) -> None:
    """Place what can be placed, now."""
    if not core.listed and not core.local:
        return
    _feed_me(core, is_first=True)
    aside: list[Peer] = []
    far: list[tuple[Peer, bool]] = []
    while core.listed and (peer := hungriest(core)) is not None:
        jobs = [job for job in core.in_line() if peer.is_near or job.spec.locality is not Locality.PREFER_LOCAL]
        is_fed = _feed(core, peer, jobs)
        if not peer.is_near and room(core, peer) > 0:
            far.append((peer, is_fed))
        elif not is_fed:
            core.unfed.append(peer)
        elif room(core, peer) > 0:
            aside.append(peer)
    aside += _feed_far(core, far)
    for peer in aside:
        offer_idle(core, peer)
    _feed_me(core, is_first=False)


def look_for_overdue(core: Core) -> None:
    """Attempts that take far too long lose their claim: their tasks are placed again, their peers' room is counted anew.

    They aren't stopped: if they are long by nature, their answer still comes first.
    """
    for child in core.children.values():
        usual = child.turnaround if child.answered else 2 * (core.task_seconds + child.round_trip)
        limit = core.now - max(OVERDUE_SECONDS_MIN, OVERDUE_FACTOR * usual)
        old = list(takewhile(lambda each: each.since <= limit, child.attempts.values()))  # noqa: B023  # at once
        for attempt in old:
            is_here = attempt.number in core.attempts  # passing over one may settle the task of another
            if is_here and not attempt.is_overdue and not attempt.is_committed:  # who has committed has another deadline
                pass_over(core, attempt)
        offer_idle(core, child)


def relieve(core: Core) -> None:
    """Find work for the idle where others have too much of it. Called now and then while anything is under way.

    Idle are those with room after `balance`. While something waits, they are those whom nothing that waits suits.
    """
    if not core.attempts:
        return
    peers = unsuited(core, _IDLE_SCAN) if core.listed else idle(core, _IDLE_SCAN)
    if any(peer.is_near for peer in peers) or (peers and _may_send_far(core)):
        _recall(core, peers)
    for attempt in list(islice(core.attempts.values(), _BACKUP_SCAN)):
        if not peers:
            return
        task = attempt.task
        if task.packet.commit_first and task.case is not None:
            if attempt.number in core.attempts and _is_late(core, attempt) and may_pass_over(core, attempt, peers):
                pass_over(core, attempt)
        elif _is_late(core, attempt) and may_copy(task):
            fit = (peer for peer in _in_turn(task.job, peers) if may_use(core, task.job, peer) and suits(core, task, peer))
            peer = next(fit, None)
            if peer is not None:
                _back_up(core, task, peer)
                peers = [peer for peer in peers if room(core, peer) > 0]


def _feed_me(core: Core, *, is_first: bool) -> None:
    """Fill this node's own room: before the children with jobs that prefer it, after them with any."""
    while room(core, core.me) > 0:
        if core.local:
            probe = core.local.popleft()
            core.unqueue(probe)
            start_here(core, probe)
            continue
        jobs = (job for job in core.in_line() if not is_first or job.spec.locality is Locality.PREFER_LOCAL)
        found = next((task for job in jobs if (task := next_task(core, job, core.me)) is not None), None)
        if found is None:
            break
        core.is_own_turn = found.job.own is None
        start_here(core, found)
        want_copies(core, found)


def _feed_far(core: Core, peers: list[tuple[Peer, bool]]) -> list[Peer]:
    """Now that all near ones have what they want, feed those at other sites, fed already or not; those that want more yet."""
    prefer = [job for *_, job in core.listed if job.spec.locality is Locality.PREFER_LOCAL] if peers else []
    jobs = [job for job in prefer if not reluctance(core, job)]
    more: list[Peer] = []
    for peer, was_fed in peers:
        is_fed = _feed(core, peer, jobs) or was_fed
        if room(core, peer) > 0:
            (more if is_fed else core.unfed).append(peer)
    return more


def _feed(core: Core, peer: Peer, jobs: Iterable[Job]) -> bool:
    """Fill a child's room; False if nothing suits it."""
    free, is_fed = room(core, peer), False
    for job in jobs:
        batch = _batch(core, job, peer, free)
        if batch:
            core.is_own_turn = job.own is None
            delegate(core, job, batch, peer)
            for attempt in batch:
                want_copies(core, attempt.task)
            free -= len(batch)
            is_fed = True
        if free <= 0:
            break
    return is_fed


def _batch(core: Core, job: Job, peer: Peer, free: int) -> list[Attempt]:
    if not may_use(core, job, peer):
        return []
    if job.spec.locality is Locality.SPREAD:
        free = 1
    batch: list[Attempt] = []
    while len(batch) < free and (task := plant(core, job, peer) or next_task(core, job, peer)) is not None:
        batch.append(begin(core, task, peer))  # at once: what is begun can't be picked again
    return batch


def _recall(core: Core, takers: list[Peer]) -> None:
    """Ask the child with the longest queue to hand back what it hasn't begun: it may have room itself, but isn't the only one."""
    behind = [
        peer
        for peer in core.children.values()
        if len(peer.attempts) > peer.cores
        and peer.recalled_at + _RECALL_SECONDS < core.now
        and not peer.is_silent
        and any(taker is not peer for taker in takers)
    ]
    if behind:
        victim = max(behind, key=lambda peer: (len(peer.attempts) - peer.cores) * peer.turnaround)
        victim.recalled_at = core.now
        core.send(victim.id, Recall(count=len(victim.attempts) - victim.cores))


def _may_send_far(core: Core) -> bool:
    """Whether to move work that has a place already to another site: a job doesn't mind, or tasks are so long that it pays."""
    return core.task_seconds > THRESHOLD_SECONDS or any(
        job.spec.locality is not Locality.PREFER_LOCAL for job in core.jobs.values()
    )


def _in_turn(job: Job, peers: list[Peer]) -> list[Peer]:
    return sorted(peers, key=lambda peer: not peer.is_near) if job.spec.locality is Locality.PREFER_LOCAL else peers


def _is_late(core: Core, attempt: Attempt) -> bool:
    if attempt.is_committed:  # it waits for others, and has another deadline once it is to show
        return False
    age, peer = core.now - attempt.since, attempt.peer
    if peer is not core.me and age > SUSPECT_SECONDS and peer.last_heard < core.now - SUSPECT_SECONDS:
        return True
    usual = max(peer.turnaround if peer.answered else 0.0, core.task_seconds + peer.round_trip)
    return age > max(BACKUP_SECONDS_MIN, BACKUP_FACTOR * usual)


def _back_up(core: Core, task: Task, peer: Peer) -> None:
    if task.job.own is not None:
        task.job.own.backups += 1
    if peer is core.me:
        start_here(core, task)
    else:
        delegate(core, task.job, [begin(core, task, peer)], peer)

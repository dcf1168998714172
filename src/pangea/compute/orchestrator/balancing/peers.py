"""Neighbours come, speak, fall silent and go."""

from __future__ import annotations

from pangea.compute.model.ids import JobId, PeerId
from pangea.compute.orchestrator.balancing.heartbeat import beat, drop_jobs_of, tell_soon
from pangea.compute.orchestrator.core.commands import DropPeer, KeepTrust
from pangea.compute.orchestrator.core.events import PeerJoined, Relation
from pangea.compute.orchestrator.core.messages import Beat, Cancel, Lease
from pangea.compute.orchestrator.core.records import Parent, Peer
from pangea.compute.orchestrator.core.state import Core
from pangea.compute.orchestrator.judging.judging import catch
from pangea.compute.orchestrator.lifecycle.answers import requeue
from pangea.compute.orchestrator.lifecycle.finishing import forget
from pangea.compute.orchestrator.lifecycle.intake import reconsider_role
from pangea.compute.orchestrator.limits import BEAT_SECONDS, CHILDREN_MAX, LEASE_SECONDS
from pangea.compute.orchestrator.rules.trust import Verdict
from pangea.compute.orchestrator.scheduling.offers import offer_idle, set_window


def joined(core: Core, event: PeerJoined) -> None:
    """A link is up. A banned key is turned away."""
    if core.trust.is_banned(event.peer, core.now):
        core.out.append(DropPeer(peer=event.peer, reason=f"banned: {core.trust.verdict(event.peer)}"))
        return
    lost(core, event.peer)
    if event.relation is Relation.PARENT:
        core.parents[event.peer] = Parent(event.peer, last_heard=core.now)
        beat(core)
        return
    if len(core.children) >= CHILDREN_MAX:
        core.out.append(DropPeer(peer=event.peer, reason=f"this node has {CHILDREN_MAX:,} children already"))
        return
    peer = Peer(event.peer, event.network, event.round_trip, max(0, event.cores), last_heard=core.now, is_near=event.is_near)
    core.children[event.peer] = peer
    set_window(core, peer)
    offer_idle(core, peer)
    tell_soon(core)
    for job in core.jobs.values():
        reconsider_role(core, job)  # now there is somebody to delegate to


def lost(core: Core, peer_id: PeerId) -> None:
    """A link is down: what a child had is placed again, what a parent wanted is dropped."""
    child = core.children.pop(peer_id, None)
    if child is not None:
        core.cores_below -= child.counted
        _take_back(core, child)
        for job in core.jobs.values():
            job.used.pop(peer_id, None)  # the fan-out counts those that are there: churn doesn't use it up
        tell_soon(core)
    if core.parents.pop(peer_id, None) is not None:
        drop_jobs_of(core, peer_id)


def drop(core: Core, peer_id: PeerId, reason: str) -> None:
    """Have nothing to do with a neighbour any more."""
    lost(core, peer_id)
    core.out.append(DropPeer(peer=peer_id, reason=reason))


def relieve_suspect(core: Core, peer_id: PeerId) -> None:
    """Take back all that a child has but the question that it is asked."""
    child = core.children.get(peer_id)
    attempts = [] if child is None else [each for each in child.attempts.values() if each.task.inquiry is None]
    if attempts:
        core.send(peer_id, Cancel(attempts=tuple(attempt.number for attempt in attempts)))
    for attempt in attempts:
        requeue(core, attempt)


def shut_out(core: Core, peer_id: PeerId, why: str, verdict: Verdict) -> None:
    """Ban a peer, neighbour or not, and have nothing to do with it any more."""
    drop(core, peer_id, why)
    catch(core, peer_id, why, verdict)


def pardon(core: Core, peer_id: PeerId) -> None:
    """Lift a ban."""
    for runtime in core.trust.pardon(peer_id):
        core.out.append(KeepTrust(worker=peer_id, runtime=runtime, record=core.trust.record(peer_id, runtime)))


def heard(core: Core, peer_id: PeerId) -> bool:
    """Note that a neighbour has spoken; False if it isn't one."""
    child = core.children.pop(peer_id, None)
    if child is not None:
        core.children[peer_id] = child  # to the end: the least recently heard stay in front
        child.last_heard = core.now
        if child.is_silent:
            child.is_silent = False
            offer_idle(core, child)
        return True
    parent = core.parents.get(peer_id)
    if parent is not None:
        parent.last_heard = core.now
    return parent is not None


def told_of_subtree(core: Core, peer_id: PeerId, message: Beat) -> None:
    """A child says what stands behind it. The answer renews its lease."""
    child = core.children.get(peer_id)
    if child is None:
        return
    if (child.cores, child.adapters) != (message.cores, message.adapters):
        tell_soon(core)
    child.cores, child.wants = max(0, message.cores), message.window
    child.nodes, child.height, child.adapters = max(1, message.nodes), max(0, message.height), max(0, message.adapters)
    set_window(core, child)
    offer_idle(core, child)
    jobs = tuple(job.spec.job_id for job in core.jobs.values() if peer_id in job.used)
    core.send(peer_id, Lease(jobs=jobs))


def leased(core: Core, parent: PeerId, wanted: tuple[JobId, ...]) -> None:
    """A parent lives, and says which jobs it still wants: a cancel that got lost is made up for here."""
    stale = [job for job in core.jobs.values() if job.source == parent and job.spec.job_id not in wanted]
    for job in stale:
        if job.arrived < core.now - BEAT_SECONDS:  # a lease may have been written before the job was sent
            forget(core, job)


def look_for_silent(core: Core) -> None:
    """Children not heard for a lease get their work taken back; the link may still come to life."""
    for child in list(core.children.values()):
        if child.last_heard + LEASE_SECONDS > core.now:
            break
        if not child.is_silent:
            child.is_silent = True
            child.reliability *= 0.5
            _take_back(core, child)


def _take_back(core: Core, child: Peer) -> None:
    for attempt in list(child.attempts.values()):
        requeue(core, attempt)

"""Which peer should get work next: those with room, best first.

A child is kept just busy enough to hide the round trip: as many tasks as it has cores, and a few ahead, never a share up
front. So whoever is fast asks often, and nobody sits on work that others could do.
"""

from __future__ import annotations

import heapq
from itertools import islice
from math import ceil

from pangea.compute.orchestrator.core.records import Peer
from pangea.compute.orchestrator.core.state import Core
from pangea.compute.orchestrator.limits import CORES_UNSEEN, FLUSH_SECONDS, SLOW_START

#: Share of a child's cores that has a task waiting, at least: task lengths vary.
_AHEAD_MIN = 0.05
#: However much a child says it wants, it gets no more than this for each of its cores: it may hoard.
_WINDOW_PER_CORE = 3
#: … and, until it has answered, no more than `SLOW_START`, growing by this with each answer: it may have no cores at all.
_GROWTH_PER_ANSWER = 4
#: Committed answers take no room at a child, up to so many times its window: they wait for others' commitments.
_COMMITTED_PER_WINDOW = 4


def set_window(core: Core, peer: Peer) -> None:
    """Settle how many attempts `peer` may have under way: what it wants, and what it takes to hide the round trip.

    And how many of its cores count where work is cut for all: one that claims a million would have it cut to crumbs.
    """
    busy = min(max(peer.wants, peer.cores), _WINDOW_PER_CORE * peer.cores)
    hidden = (peer.round_trip + 2 * FLUSH_SECONDS * (peer.height > 0)) / core.task_seconds
    wanted = busy + ceil(peer.cores * min(1.0, max(_AHEAD_MIN, hidden)))
    peer.window = min(wanted, SLOW_START + _GROWTH_PER_ANSWER * peer.answered)
    core.cores_below -= peer.counted
    peer.counted = min(peer.cores, CORES_UNSEEN + _GROWTH_PER_ANSWER * peer.answered)
    core.cores_below += peer.counted


def room(core: Core, peer: Peer) -> int:
    """How many more attempts `peer` may get now."""
    if peer.is_silent or peer.refuses_until > core.now:
        return 0
    free = peer.window - len(peer.attempts)
    if peer.committed:
        free += min(peer.committed, _COMMITTED_PER_WINDOW * peer.window)
    if peer.overdue and peer.answered:
        free += min(peer.overdue, peer.window)
    return free


def mark(core: Core, peer: Peer) -> float:
    """How good a choice `peer` is: free capacity × trust × reliability, less for a long round trip."""
    return room(core, peer) * peer.reliability * peer.credibility / (1.0 + peer.round_trip)


def offer_idle(core: Core, peer: Peer) -> None:
    """Enter `peer` among those that want work, if it has room and isn't there yet."""
    if peer.is_idle or peer is core.me or room(core, peer) <= 0 or core.children.get(peer.id) is not peer:
        return
    peer.is_idle = True
    heapq.heappush(core.idle, (-mark(core, peer), core.next_serial(), peer))


def hungriest(core: Core) -> Peer | None:
    """Take the best of those that want work."""
    while core.idle:
        _, _, peer = heapq.heappop(core.idle)
        peer.is_idle = False
        if room(core, peer) > 0 and core.children.get(peer.id) is peer:
            return peer
    return None


def idle(core: Core, count: int) -> list[Peer]:
    """This node, if it has room, and the best `count` children that have."""
    best = heapq.nsmallest(count, core.idle)
    children = [peer for *_, peer in best if room(core, peer) > 0 and core.children.get(peer.id) is peer]
    return ([core.me] if room(core, core.me) > 0 else []) + children


def unsuited(core: Core, count: int) -> list[Peer]:
    """This node, if it has room, and `count` of the children that have, but for which nothing suitable was found."""
    children = islice((peer for peer in core.unfed if room(core, peer) > 0 and core.children.get(peer.id) is peer), count)
    return [*([core.me] if room(core, core.me) > 0 else []), *children]


def is_near_idle(core: Core) -> bool:
    """Whether this node or a near child has room although work waits, right after `balance`: what waits suits none of them."""
    return room(core, core.me) > 0 or any(
        peer.is_near and room(core, peer) > 0 and core.children.get(peer.id) is peer for peer in core.unfed
    )


def ask_again(core: Core) -> None:
    """What suited nobody may suit somebody now: enter those again that nothing was found for."""
    peers, core.unfed = core.unfed, []
    for peer in peers:
        offer_idle(core, peer)

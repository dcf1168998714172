"""Sealed votes: once all are committed they are shown, and none has seen another. Whoever has to show has a deadline."""

from __future__ import annotations

import math

from pangea.compute.orchestrator.core.messages import Reveal
from pangea.compute.orchestrator.core.records import Attempt, Peer, Task
from pangea.compute.orchestrator.core.state import Core
from pangea.compute.orchestrator.core.timers import Timer
from pangea.compute.orchestrator.limits import DEPTH_MAX, REVEAL_SECONDS_MIN


def ask_to_show(core: Core, attempt: Attempt, *, within: float = math.inf) -> None:
    """Have a child show what it has committed to. From now on that takes room there: who commits to much owes much.

    Args:
        core: this node's.
        attempt: the child's.
        within: seconds that this node itself has, by its parent. The child has less of that, whatever it says of those below it
            and however slow it was before: else its silence would be this node's.
    """
    if not attempt.is_committed or attempt.asked_to_show is not None:
        return
    peer = attempt.peer
    attempt.asked_to_show = core.now
    peer.committed -= 1
    levels, allowed = levels_of(peer), seconds_to_show(core, peer)
    allowed = max(REVEAL_SECONDS_MIN / 2, min(allowed, within * levels / (levels + 1)))
    core.send(peer.id, Reveal(attempts=(attempt.number,), milliseconds=round(1000 * allowed)))
    core.timers.arm(core.now + allowed, Timer.REVEAL, attempt.number)


def levels_of(peer: Peer) -> int:
    """Links on the way to the deepest node behind a child, as far as it is believed."""
    return 1 + min(peer.height, DEPTH_MAX)


def seconds_to_show(core: Core, peer: Peer) -> float:
    """How long a child may take to show what it has committed to: word has to go down and come up again."""
    return levels_of(peer) * max(REVEAL_SECONDS_MIN, core.task_seconds) + 2 * peer.round_trip


def show_if_all_committed(core: Core, task: Task) -> None:
    """Once every vote asked for is committed, ask for all of them. One that is overdue keeps nobody waiting."""
    if task.case is None or not task.packet.commit_first or not task.attempts or task.is_queued:
        return
    if any(not attempt.is_committed and not attempt.is_overdue and attempt.peer is not core.me for attempt in task.attempts):
        return
    for attempt in task.attempts:
        ask_to_show(core, attempt)

"""Signs of life: what a node tells its parents, how often, and when it takes one for lost."""

from __future__ import annotations

from pangea.compute.model.ids import PeerId
from pangea.compute.orchestrator.core.messages import Beat
from pangea.compute.orchestrator.core.state import Core
from pangea.compute.orchestrator.lifecycle.finishing import forget
from pangea.compute.orchestrator.limits import BEAT_SECONDS, FLUSH_SECONDS, IDLE_BEAT_SECONDS, LEASE_SECONDS


def beat(core: Core) -> None:
    """Tell parents that we live, unless they have just heard from us; give up those who are silent for a lease."""
    news = subtree(core)
    pause = BEAT_SECONDS if core.jobs else IDLE_BEAT_SECONDS
    for parent in core.parents.values():
        if parent.last_heard + LEASE_SECONDS - BEAT_SECONDS < core.now:
            drop_jobs_of(core, parent.id)
            parent.last_heard = core.now  # the next lease begins: it may come back
        if news != parent.knows or parent.last_told + pause <= core.now or parent.beat_at + LEASE_SECONDS / 2 < core.now:
            parent.knows, parent.beat_at = news, core.now
            core.send(parent.id, news)
    core.arm_beat()


def tell_soon(core: Core) -> None:
    """What stands behind this node has changed: its parents should know, once others had the time to change it, too."""
    if core.parents and (core.beat_due is None or core.beat_due > core.now + FLUSH_SECONDS):
        core.beat_at(core.now + FLUSH_SECONDS)


def subtree(core: Core) -> Beat:
    """What stands behind this node."""
    alive = [child for child in core.children.values() if not child.is_silent]
    return Beat(
        cores=core.me.cores + sum(child.cores for child in alive),
        window=core.me.cores + sum(child.window for child in alive),
        nodes=1 + sum(child.nodes for child in alive),
        height=1 + max(child.height for child in alive) if alive else 0,
        adapters=core.me.adapters + sum(child.adapters for child in alive),
    )


def drop_jobs_of(core: Core, parent: PeerId) -> None:
    """Nothing that a parent wanted is wanted any more."""
    for job in [job for job in core.jobs.values() if job.source == parent]:
        forget(core, job)

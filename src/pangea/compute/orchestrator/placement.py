"""Which task may go to which peer. Every rule that keeps the tree safe and votes apart is a line here."""

from __future__ import annotations

from pangea.compute.orchestrator.score import Role
from pangea.compute.orchestrator.state import Core, Job, Peer, Task


def may_use(core: Core, job: Job, peer: Peer) -> bool:
    """Whether `peer` may work on the job at all."""
    if peer is core.me:
        return True
    return (
        job.role is Role.MANAGER
        and job.budget.depth > 0
        and (peer.id in job.used or len(job.used) < job.budget.fan_out)
        and peer.id not in job.budget.ancestors
        and peer.id not in job.shunned
    )


def suits(core: Core, task: Task, peer: Peer) -> bool:
    """Whether an answer through `peer` would count: no second vote of one worker, one branch or one network."""
    if peer is core.me and task.packet.commit_first and (task.attempts or (task.case is not None and task.case.votes)):
        return False  # the owner's word would end the vote; it is the referee
    if peer.id in task.packet.avoid or peer.id in task.failed_on:
        return False
    if any(attempt.peer is peer for attempt in task.attempts):
        return False
    return task.case is None or not any(
        vote.branch == peer.id or vote.worker == peer.id or (vote.network and vote.network == peer.network)
        for vote in task.case.votes
    )

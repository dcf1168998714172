"""Which task may go to which peer. Every rule that keeps the tree safe and votes apart is a line here.

Each rule exists once, as a reason in words: `explain` prints it, placement asks whether there is none.
"""

from __future__ import annotations

from pangea.compute.model.options import Locality
from pangea.compute.orchestrator.core.records import Case, Job, Peer, Task
from pangea.compute.orchestrator.core.state import Core
from pangea.compute.orchestrator.limits import LAPSE_SECONDS, LAPSES_MAX, SUSPECT_SECONDS, UNPROVEN_SECONDS
from pangea.compute.orchestrator.rules.score import Role, score
from pangea.compute.orchestrator.scheduling.offers import is_near_idle, room

_NO_ADAPTER = "execute is a shader, and no adapter is there"


def objection_to_job(core: Core, job: Job, peer: Peer) -> str:
    """Why `peer` may not work on the job at all; empty if it may."""
    if peer is core.me:
        return ""
    if job.role is not Role.MANAGER:
        return "the job is light enough for this node alone"
    if job.budget.depth <= 0:
        return "the budget allows no further hop"
    if peer.id not in job.used and len(job.used) >= job.budget.fan_out:
        return "the job uses as many children as its budget allows"
    if peer.id in job.budget.ancestors:
        return "it is above this node: a loop"
    if peer.id in job.shunned:
        return "the owner doesn't accept it"
    return _NO_ADAPTER if job.spec.needs_adapter and not peer.adapters else ""


def objection(core: Core, task: Task, peer: Peer) -> str:
    """Why an answer through `peer` would not count: no second vote of one worker, one branch or one network."""
    if why := _unfit(core, task, peer):
        return why
    for attempt in task.attempts:
        if attempt.peer is peer:
            return "it is at it"
    if _is_held_up(core, task) and peer is not core.me and not peer.answered:
        return "one that has never answered holds it up, and so might this one"
    case = task.case
    if case is None:
        return ""
    if peer is core.me and task.packet.commit_first and (task.attempts or case.votes):
        return "this node is the referee, and others vote already"
    if task.packet.commit_first and peer.network and any(attempt.peer.network == peer.network for attempt in task.attempts):
        return "its network is at it already"
    for vote in case.votes:
        if vote.branch == peer.id or vote.worker == peer.id:
            return "an answer came through it already"
        if vote.network and vote.network == peer.network:
            return "an answer came from its network already"
    return f"{case.drawn} was drawn to check it" if _waits_for_another(core, task, case, peer) else ""


def _unfit(core: Core, task: Task, peer: Peer) -> str:
    """What speaks against `peer` whoever else is at the task."""
    if task.packet.only and peer.id != task.packet.only:
        return "another worker is asked about its own answer"
    if peer.id in task.packet.avoid:
        return "it has answered already"
    if task.is_shader and not peer.adapters:
        return _NO_ADAPTER
    if peer.id in task.failed_on:
        return "it failed or refused this task before"
    if peer.id in task.unfit:
        return "its kind of machine can't do this task"
    if task.packet.commit_first and not core.trust.may_vote(peer.id, core.now):
        return "it has committed to answers too often and not shown them"
    if task.packet.commit_first and peer.lapses >= LAPSES_MAX and core.now < peer.lapsed_at + LAPSE_SECONDS:
        return "others had to vote in its place too often lately"
    return ""


def _is_held_up(core: Core, task: Task) -> bool:
    """Whether a child that has never answered, nor committed, has had the task for a while: keys are cheap, and many do nothing.

    One more such child may try while this node has no room for it itself; not a third.
    """
    since = core.now - UNPROVEN_SECONDS
    late = sum(
        1
        for each in task.attempts
        if not (each.peer.answered or each.is_committed or each.peer is core.me) and each.since < since
    )
    return late > 1 or (late == 1 and room(core, core.me) > 0)


def _waits_for_another(core: Core, task: Task, case: Case, peer: Peer) -> bool:
    """Whether another branch was drawn to check the task, is there, and still has time to take it."""
    if case.drawn is None or not task.is_queued or case.drawn == peer.id or core.now >= case.drawn_until:
        return False
    drawn = core.children.get(case.drawn)
    return drawn is not None and not drawn.is_silent


def reluctance(core: Core, job: Job) -> str:
    """Why the job's work stays within the site for now; empty if it goes to far children, too. Near ones were asked first.

    The rule by which one node delegates, for all near ones together: what they are done with soon isn't worth the way.
    """
    if job.spec.locality is not Locality.PREFER_LOCAL or is_near_idle(core):
        return ""
    heard = core.now - SUSPECT_SECONDS
    cores = core.me.cores + sum(child.counted for child in core.children.values() if child.is_near and child.last_heard >= heard)
    size = job.pending_bytes + (job.own.remaining_bytes if job.own is not None else 0)
    left = score(job.spec, core.weights, size_bytes=size, free_cores=cores)
    if left.role is Role.MANAGER:
        return ""
    return f"it is at another site, and {cores:,} near cores do what is left in {left.seconds:.3g} s"


def may_use(core: Core, job: Job, peer: Peer) -> bool:
    """Whether `peer` may work on the job at all."""
    return not objection_to_job(core, job, peer)


def suits(core: Core, task: Task, peer: Peer) -> bool:
    """Whether an answer through `peer` would count."""
    return not objection(core, task, peer)

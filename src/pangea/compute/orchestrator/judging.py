"""The owner judges: answers become votes, votes are weighed, liars are caught, and what only they vouched for is withdrawn.

Rules: nobody is banned by vote, only by the owner's own execution. Whether an answer gets checked is drawn after it is in
hand. The policies themselves are in `audit`; this module carries out what they decide.
"""

from __future__ import annotations

from dataclasses import replace

from pangea.compute.model.ids import PeerId, TaskId
from pangea.compute.model.options import VerificationMode
from pangea.compute.model.packet import TaskPacket, TaskResult, leaf_span
from pangea.compute.orchestrator import audit
from pangea.compute.orchestrator.attempts import call_off
from pangea.compute.orchestrator.audit import Action, Vote
from pangea.compute.orchestrator.commands import DropResult, KeepResult, KeepTrust
from pangea.compute.orchestrator.messages import Shun
from pangea.compute.orchestrator.opinions import ask_more, note_agreement, others_left, passed_by_each_other
from pangea.compute.orchestrator.ownership import Ending, Ownership, Phase, case_of, own_of
from pangea.compute.orchestrator.standing import standing
from pangea.compute.orchestrator.state import Attempt, Case, Core, Job, Task
from pangea.compute.orchestrator.transitions import Cause, TaskState, move
from pangea.compute.orchestrator.trust import work_of
from pangea.compute.verification.merkle import root

FAILURE_PREFIX = b"failure:"


def vote_on(core: Core, task: Task, attempt: Attempt, result: TaskResult) -> bool:
    """Take an answer in as a vote and act on it; False if it doesn't count (the caller treats it as lost)."""
    own, case = own_of(task), case_of(task)
    if not _counts(core, task, attempt, result):
        return False
    is_trusted = attempt.peer is core.me
    vote = Vote(
        worker=result.worker,
        branch=attempt.peer.id,
        network=attempt.peer.network if result.worker == attempt.peer.id else result.network,
        digest=_digest_of(result),
        fuel=result.fuel,
        leaves=result.leaves,
        is_trusted=is_trusted,
    )
    move(task, Cause.ANSWERED)
    _unqueue(core, task)
    _note_vote(core, own, case, task, vote)
    if result.failure is not None:
        case.failure = result
    if not is_trusted:
        is_first = len(own.votes_of[vote.worker]) == 1
        is_due = audit.check_is_due(task.job.spec, vote, core.trust, core.random, is_first_of_worker=is_first)
        if is_due or (task.packet.function == "merge" and task.job.spec.verification is VerificationMode.ADAPTIVE):
            case.needed = 2  # a wrong merge spoils 64 right results
    else:
        _convict(core, audit.liars(case.votes, (vote.digest, vote.fuel)), task)
    if task.state is TaskState.VERIFYING:
        consider(core, task)
    return True


def consider(core: Core, task: Task, *, is_final: bool = False) -> None:
    """Weigh a task's votes and do what the policy says."""
    case, spec = case_of(task), task.job.spec
    if case.probes:
        return
    if not case.votes:
        _start_over(core, task)
        return
    _credit(core, task)
    is_failure = case.failure is not None and spec.verification is not VerificationMode.NONE
    if (is_failure or case.must_audit) and not _has_trusted(case):
        _call_referee(core, task, None)  # a failure ends the job: nobody's word is enough
        return
    decision = audit.judge(
        spec,
        case.votes,
        core.trust,
        needed=0 if case.is_sampled else case.needed,
        can_ask_more=spec.verification is VerificationMode.NONE or bool(task.attempts) or others_left(core, task),
        is_final=is_final,
        can_prove=len(core.local) < core.me.cores,  # so its engine never has more of them ahead than it can begin at once
        mutual=passed_by_each_other(task) if len(case.votes) > 1 else 0,
        function=task.packet.function,
    )
    case.why, case.confidence = decision.why, decision.confidence
    if decision.action is Action.ACCEPT:
        accept(core, task)
    elif decision.action is Action.PARK:
        if not task.attempts and not task.is_queued and not case.is_parked:
            case.is_parked = True
            own_of(task).parked.append(task)
            core.list_job(task.job)
    elif decision.action is Action.MORE:
        if not _is_adjourned(task):
            ask_more(core, task)
    elif decision.action is Action.PROBE:
        own_of(task).disputes += not case.is_disputed
        case.is_disputed = True
        _settle_dispute(core, task)
    elif decision.action is Action.SAMPLE:
        _sample(core, task)
    elif decision.action is Action.PROVE:
        own_of(task).was_audited_for_want_of_proof += 1
        _audit(core, task)
    else:
        own_of(task).was_audited_for_want_of_workers += spec.verification is not VerificationMode.HASH  # there it is the rule
        _audit(core, task)


def accept(core: Core, task: Task) -> None:
    """Take a task's answer as the right one, for now."""
    own, case = own_of(task), case_of(task)
    _unqueue(core, task)
    call_off(core, task.attempts)
    move(task, Cause.ACCEPTED)
    own.open -= 1
    vote = case.votes[0]
    answer = next(v for v in case.votes if v.is_trusted) if _has_trusted(case) else vote
    if answer.digest.startswith(FAILURE_PREFIX) and case.failure is not None:
        message = f"{task.packet.task_id}: {case.failure.message or case.failure.failure}"
        own.note_failure(Ending(cause="task", message=message, start=task.packet.start))
        core.due.append(task.job)
        return
    if len(case.votes) == 1 and not vote.is_trusted:
        own.last_alone[vote.worker] = task
    learn(core, task, answer.fuel)
    if task.packet.function == "execute":
        kept = KeepResult(
            job_id=task.job.spec.job_id,
            packet=task.packet,
            digest=answer.digest,
            fuel=answer.fuel,
            standing=standing(task, answer),
        )
        core.out.append(kept)
    if own.open == 0 or own.failure is not None:
        core.due.append(task.job)


def learn(core: Core, task: Task, fuel: int) -> None:
    """Learn from an accepted answer what the module costs."""
    packet, job = task.packet, task.job
    core.weights.observe(job.spec, packet.function, size_bytes=packet.size_bytes, fuel=fuel)
    if packet.function == "execute" and job.own is not None:
        seconds = core.weights.seconds(fuel)
        job.own.sizer.observe(chunks=packet.count, size_bytes=packet.size_bytes, seconds=seconds)


def is_waiting(task: Task) -> bool:
    """Whether a task waits for its voters' credibility or the referee's finding on one of them, and for nothing else."""
    is_idle = not task.attempts and not task.is_queued
    return task.state is TaskState.VERIFYING and is_idle and task.case is not None and not task.case.probes


def probed(core: Core, probe: Task, result: TaskResult) -> None:
    """Take in the owner's own execution of a task or of a part: the truth."""
    task = probe.probe_of
    if task is None or task.case is None:
        raise AssertionError(f"{probe!r} probes nothing")
    case, own = task.case, own_of(task)
    case.probes -= 1
    own.audits += 1
    own.local += 1
    own.executions += probe.packet.count / task.packet.count
    adjourned = [] if case.probes else _adjourned(own, case)
    if task.state is TaskState.VERIFYING:
        _hear_referee(core, task, probe, result)
    for other in adjourned:
        if is_waiting(other):
            consider(core, other)


def _hear_referee(core: Core, task: Task, probe: Task, result: TaskResult) -> None:
    case = case_of(task)
    if result.failure is not None and probe.leaf is not None:
        _audit(core, task)
    elif probe.leaf is None:
        case.votes.append(_truth(core, result))
        case.failure = result if result.failure is not None else case.failure
        _convict(core, audit.liars(case.votes, (_digest_of(result), result.fuel)), task)
    else:
        wrong = audit.liars_at(case.votes, probe.leaf, result.leaves[0])
        _convict(core, wrong, task)  # the others pass nothing: one right leaf says little of the rest
    if task.state is TaskState.VERIFYING:
        consider(core, task)


def catch(core: Core, worker: PeerId, why: str) -> None:
    """A lie is proven: ban the worker, tell its branch, withdraw all that it vouched for and that isn't merged yet."""
    if core.trust.is_banned(worker, core.now) or worker == core.me.id:
        return
    own = [job for job in core.jobs.values() if job.own is not None]
    runtimes = list(dict.fromkeys(job.spec.runtime for job in own)) or [""]
    core.trust.ban(worker, runtimes[0], core.now)
    for runtime in runtimes:
        core.out.append(KeepTrust(worker=worker, runtime=runtime, record=core.trust.record(worker, runtime), why=why))
    for job in own:
        _withdraw(core, job, worker)
    if worker in core.children:
        core.dropped.append(worker)


def _withdraw(core: Core, job: Job, worker: PeerId) -> None:
    own = job.own
    if own is None or own.phase is Phase.MERGED:
        return
    job.shunned[worker] = None
    branch = own.branches_of.get(worker)
    if branch is not None:
        own.bans.append(worker)
        _shun(core, job, branch, worker)
    own.last_alone.pop(worker, None)
    affected = own.votes_of.pop(worker, [])
    if affected:
        drop_merging(core, job, own)
    for task in affected:
        if task.job.tasks.get(task.packet.task_id) is task:
            _withdraw_from(core, own, task, worker)


def _shun(core: Core, job: Job, branch: PeerId, worker: PeerId) -> None:
    """Tell a branch, once, to give a worker none of the job."""
    own = job.own
    if own is not None and branch in core.children and branch != worker and own.shunned_through.get(worker) != branch:
        own.shunned_through[worker] = branch
        core.send(branch, Shun(job_id=job.spec.job_id, workers=(worker,)))


def _withdraw_from(core: Core, own: Ownership, task: Task, worker: PeerId) -> None:
    case = case_of(task)
    case.votes = [vote for vote in case.votes if vote.worker != worker]
    if case.failure is not None and case.failure.worker == worker:
        case.failure = None
    if task.state is TaskState.COMPLETE:
        own.withdrawn += 1
        doubt(core, own, task)
    if task.state is not TaskState.VERIFYING:
        return
    if not case.probes:
        consider(core, task)


def doubt(core: Core, own: Ownership, task: Task) -> None:
    """A complete task isn't, after all."""
    own.open += 1
    move(task, Cause.DOUBTED)
    if task.packet.function == "execute":
        core.out.append(DropResult(job_id=task.job.spec.job_id, task_id=task.packet.task_id))


def _start_over(core: Core, task: Task) -> None:
    """No answer is left: the task is as good as new."""
    case = case_of(task)
    case.is_disputed = case.is_sampled = False
    case.drawn = None
    case.failure, case.needed = None, 1
    move(task, Cause.WITHDRAWN)
    for attempt in task.attempts[:1]:
        move(task, Cause.STARTED if attempt.peer is core.me else Cause.DELEGATED)
    if not task.attempts:
        core.enqueue(task, first=True)


def drop_merging(core: Core, job: Job, own: Ownership) -> None:
    """Forget merge steps: something they were made of is in doubt."""
    if own.phase is not Phase.MERGING:
        return
    for task in [task for task in job.tasks.values() if task.packet.function == "merge"]:
        if task.state is not TaskState.COMPLETE:
            own.open -= 1
        discard(core, task)
    own.phase, own.level = Phase.EXECUTING, 0
    own.results = []
    core.due.append(job)  # it may be that nothing but merge steps was in doubt


def discard(core: Core, task: Task) -> None:
    """Nobody wants this task any more."""
    call_off(core, task.attempts)
    if task.is_queued:
        (core.local if task.probe_of is not None else task.job.ready).remove(task)
        core.unqueue(task)
    if task.state not in (TaskState.FAILED, TaskState.CANCELLED):
        move(task, Cause.DROPPED)
    task.job.tasks.pop(task.packet.task_id, None)


def _convict(core: Core, workers: tuple[PeerId, ...], task: Task) -> None:
    why = f"its answer to {task.packet.task_id} ({task.packet.function}) is not what this node found by executing it"
    for worker in workers:
        catch(core, worker, why)


def _credit(core: Core, task: Task) -> None:
    """Agreement of independent votes is a passed check for each, once a task."""
    case = case_of(task)
    if len(case.votes) > 1:
        _pass(core, task, list(audit.agreed(case.votes)))
    note_agreement(task)


def _pass(core: Core, task: Task, workers: list[PeerId]) -> None:
    case, work = case_of(task), work_of(task.job.spec.runtime, task.packet.function)
    for worker in workers:
        if worker == core.me.id or worker in case.passed or core.trust.is_banned(worker, core.now):
            continue
        case.passed.append(worker)
        core.trust.passed(worker, work, core.now)
        child = core.children.get(worker)
        if child is not None:
            weight = core.trust.weight(worker, task.job.spec.runtime)
            child.credibility = weight / (1.0 + weight)


def _counts(core: Core, task: Task, attempt: Attempt, result: TaskResult) -> bool:
    """Whether an answer may be a vote: from an unbanned worker that hasn't voted, as committed, if that was asked."""
    if attempt.peer is core.me:
        return True
    if task.job.spec.verification is VerificationMode.MERKLE and result.failure is None and root(result.leaves) != result.digest:
        return False  # what would be sampled is not what was promised
    if core.trust.is_banned(result.worker, core.now):
        _shun(core, task.job, attempt.peer.id, result.worker)  # it may have moved to a branch that doesn't know
        return False
    if result.worker == core.me.id:
        return False
    return all(vote.worker != result.worker for vote in case_of(task).votes)


def _note_vote(core: Core, own: Ownership, case: Case, task: Task, vote: Vote) -> None:
    case.votes.append(vote)
    own.executions += 1
    own.votes_of.setdefault(vote.worker, []).append(task)
    if vote.is_trusted:
        own.local += 1
    else:
        own.remote += 1
        own.branches_of[vote.worker] = vote.branch


def _settle_dispute(core: Core, task: Task) -> None:
    """Have the first difference between two answers executed here."""
    votes = case_of(task).votes
    other = next(vote for vote in votes if vote.answer != votes[0].answer)
    leaf = audit.first_difference(votes[0], other)
    is_part = leaf is not None and leaf < task.packet.runs > 1
    _call_referee(core, task, leaf if is_part else None)


def _call_referee(core: Core, task: Task, leaf: int | None) -> None:
    """Execute a leaf of the task, or all of it, here: the local referee.

    A task with a voter that is before the referee already waits: if that one is found a liar, the matter settles itself.
    """
    own, votes = own_of(task), case_of(task).votes
    if _is_adjourned(task):
        return
    for vote in votes:
        own.accused[vote.worker] = []
    case_of(task).accused = tuple(vote.worker for vote in votes)
    if leaf is None:
        _audit(core, task)
    else:
        _probe(core, task, leaf)


def _is_adjourned(task: Task) -> bool:
    """Put a task off if one of its voters is before the referee: why buy an opinion on what a liar said?"""
    accused = own_of(task).accused
    suspect = next((vote.worker for vote in case_of(task).votes if vote.worker in accused), None)
    if suspect is not None:
        accused[suspect].append(task)
    return suspect is not None


def _adjourned(own: Ownership, case: Case) -> list[Task]:
    """The referee has spoken: the disputes that waited for it, once each."""
    workers, case.accused = case.accused, ()
    waiting: dict[TaskId, Task] = {}
    for worker in workers:
        waiting |= {task.packet.task_id: task for task in own.accused.pop(worker, [])}
    return list(waiting.values())


def _sample(core: Core, task: Task) -> None:
    case = case_of(task)
    leaves = audit.sample_leaves(task.job.spec, case.votes[0], core.trust, core.random)
    case.is_sampled, case.sampled = True, len(leaves)
    if len(leaves) == task.packet.runs:
        _audit(core, task)  # at once, and with its fuel
        return
    for leaf in leaves:
        _probe(core, task, leaf)


def _probe(core: Core, task: Task, leaf: int) -> None:
    packet = task.packet
    start, count = leaf_span(packet.start, packet.count, packet.runs, leaf)
    size = packet.size_bytes * count // packet.count
    part = replace(packet, start=start, count=count, size_bytes=size, avoid=frozenset(), commit_first=False, runs=1)
    _enqueue_probe(core, task, part, leaf)


def _audit(core: Core, task: Task) -> None:
    """Have all of a task executed here."""
    call_off(core, task.attempts)
    _enqueue_probe(core, task, replace(task.packet, avoid=frozenset(), commit_first=False), None)


def _enqueue_probe(core: Core, task: Task, packet: TaskPacket, leaf: int | None) -> None:
    _unqueue(core, task)
    case_of(task).probes += 1
    core.enqueue(Task(packet, task.job, core.now, probe_of=task, leaf=leaf))


def _unqueue(core: Core, task: Task) -> None:
    if task.is_queued:
        task.job.ready.remove(task)
        core.unqueue(task)


def _truth(core: Core, result: TaskResult) -> Vote:
    return Vote(
        worker=core.me.id,
        branch=core.me.id,
        network="",
        digest=_digest_of(result),
        fuel=result.fuel,
        leaves=result.leaves,
        is_trusted=True,
    )


def _digest_of(result: TaskResult) -> bytes:
    return result.digest if result.failure is None else FAILURE_PREFIX + result.failure.value.encode()


def _has_trusted(case: Case) -> bool:
    return any(vote.is_trusted for vote in case.votes)

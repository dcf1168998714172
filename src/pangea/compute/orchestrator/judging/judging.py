"""The owner judges: answers become votes, votes are weighed, liars are caught, and what only they vouched for is withdrawn.

Rules: nobody is banned by vote, only by the owner's own execution. Whether an answer gets checked is drawn after it is in
hand. The policies themselves are in `audit`; this module carries out what they decide.
"""

from __future__ import annotations

from pangea.compute.model.ids import PeerId
from pangea.compute.model.options import VerificationMode
from pangea.compute.model.outcome import MACHINE_FAULTS
from pangea.compute.model.packet import TaskResult
from pangea.compute.orchestrator.core.commands import DropResult, Evidence, KeepResult, KeepTrust
from pangea.compute.orchestrator.core.messages import Exclude
from pangea.compute.orchestrator.core.records import Attempt, Case, Ending, Inquiry, Job, Ownership, Phase, Task, case_of, own_of
from pangea.compute.orchestrator.core.state import Core
from pangea.compute.orchestrator.core.transitions import Cause, TaskState, move
from pangea.compute.orchestrator.judging import own_check
from pangea.compute.orchestrator.judging.asking import ask, may_ask
from pangea.compute.orchestrator.judging.crediting import credit
from pangea.compute.orchestrator.judging.opinions import ask_more, others_left, passed_by_each_other
from pangea.compute.orchestrator.judging.provenance import provenance_of
from pangea.compute.orchestrator.judging.referee import (
    adjourned,
    audit_here,
    call_referee,
    is_adjourned,
    sample,
    settle_dispute,
    unqueue,
)
from pangea.compute.orchestrator.rules import audit
from pangea.compute.orchestrator.rules.audit import Action, Vote
from pangea.compute.orchestrator.rules.crowds import anchors_for
from pangea.compute.orchestrator.rules.trust import Verdict, work_of
from pangea.compute.orchestrator.scheduling.attempts import call_off
from pangea.compute.verification.merkle import root

#: Once so many of a job's workers were caught, and more than this share of all, nobody's word counts in it any more: odds are
#: reckoned for a fifth that lie, and in such a crowd they are none.
HOSTILE_MIN = 3
HOSTILE_SHARE = 0.25
_BEYOND_US = "this node's own machine can't execute it: what others agree on stands"


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
        digest=audit.answer_of(result)[0],
        fuel=result.fuel,
        leaves=result.leaves,
        is_trusted=is_trusted,
        is_checked=result.digest in case.passing,
        apart=result.apart,
    )
    move(task, Cause.ANSWERED)
    unqueue(core, task)
    _note_vote(core, own, case, task, vote)
    if result.failure is not None:
        case.failure = result
    own.note_size(result)
    if not is_trusted:
        _draw(core, task, vote)
    else:
        _convict(core, audit.liars(case.votes, vote), task)
        own_check.blame(core, task, vote)
    if task.state is TaskState.VERIFYING:
        consider(core, task)
    return True


def _draw(core: Core, task: Task, vote: Vote) -> None:
    """Draw whether an answer is to be compared with another one, or executed here."""
    own, case, spec = own_of(task), case_of(task), task.job.spec
    if spec.is_checkable(task.packet.function):
        case.must_audit |= core.random.random() < audit.CHECKED_SHARE
        return
    is_first = len(own.votes_of[vote.worker]) == 1
    case.is_foreseen = is_first and spec.verification is VerificationMode.HASH
    is_due = audit.check_is_due(spec, vote, core.trust, core.random, is_first_of_worker=is_first)
    if is_due or (task.packet.function == "merge" and spec.verification is VerificationMode.ADAPTIVE):
        case.needed = 2  # a wrong merge spoils 64 right results


def consider(core: Core, task: Task, *, is_final: bool = False) -> None:
    """Weigh a task's votes and do what the policy says."""
    case, spec = case_of(task), task.job.spec
    if case.probes:
        return
    if not case.votes:
        _start_over(core, task)
        return
    credit(core, task)
    if _is_looked_into(core, task):
        return
    decision = audit.judge(
        spec,
        case.votes,
        core.trust,
        needed=0 if case.is_sampled else case.needed,
        can_ask_more=spec.verification is VerificationMode.NONE or _may_ask(core, task),
        is_final=is_final,
        can_prove=len(core.local) < core.me.cores,  # so its engine never has more of them ahead than it can begin at once
        wants_anchor=_wants_anchor(task),
        mutual=passed_by_each_other(task) if len(case.votes) > 1 else 0,
        function=task.packet.function,
    )
    case.why, case.confidence = decision.why, decision.confidence
    if decision.action is Action.ACCEPT:
        accept(core, task)
    elif decision.action is Action.PARK:
        _park(core, task)
    elif decision.action is Action.MORE:
        if not is_adjourned(task):
            ask_more(core, task)
    elif decision.action is Action.PROBE:
        own_of(task).disputes += not case.is_disputed
        case.is_disputed = True
        settle_dispute(core, task)
    elif decision.action is Action.SAMPLE:
        sample(core, task)
    elif decision.action is Action.PROVE:
        own_of(task).was_audited_for_want_of_proof += 1
        audit_here(core, task)
    else:
        own_of(task).was_audited_for_want_of_workers += spec.verification is not VerificationMode.HASH  # there it is the rule
        audit_here(core, task)


def _is_looked_into(core: Core, task: Task) -> bool:
    """See to what no policy has to decide: there is no referee, or it is called, or the job's own check has yet to look."""
    case = case_of(task)
    if case.is_beyond_us and not _has_trusted(case):
        (own_check.undecided if case.refused else _settle_by_votes)(core, task)
    elif _needs_referee(task):
        call_referee(core, task, None)
    elif (vote := own_check.unchecked(task)) is not None:
        own_check.check_here(core, task, vote)
    else:
        return False
    return True


def _park(core: Core, task: Task) -> None:
    """Have a task wait until its voters are more credible, unless somebody is at it."""
    case = case_of(task)
    if not task.attempts and not task.is_queued and not case.is_parked:
        case.is_parked = True
        own_of(task).parked.append(task)
        core.list_job(task.job)


def _needs_referee(task: Task) -> bool:
    """Whether nobody's word is enough: a failure would end the job, the task was drawn, or its workers are a crowd of liars."""
    case, is_checked = case_of(task), task.job.spec.verification is not VerificationMode.NONE
    is_hostile = own_of(task).is_hostile and not any(vote.is_checked for vote in case.votes)
    is_grave = case.must_audit or (is_checked and (case.failure is not None or is_hostile))
    return is_grave and not _has_trusted(case)


def _wants_anchor(task: Task) -> bool:
    """Whether this node knows too little of those who vouch for a task, and has found them right too rarely in this job."""
    case, own, function = case_of(task), own_of(task), task.packet.function
    known = max(own.known.get((vote.worker, function), 0) for vote in case.votes)
    return known + len(own.anchors.get(function, ())) < anchors_for(task.job.spec.confidence)


def accept(core: Core, task: Task) -> None:
    """Take a task's answer as the right one, for now."""
    own, case = own_of(task), case_of(task)
    unqueue(core, task)
    call_off(core, task.attempts)
    move(task, Cause.ACCEPTED)
    own.open -= 1
    vote, answer = case.votes[0], audit.standing(case.votes)
    if answer.digest.startswith(audit.FAILURE_PREFIX) and case.failure is not None:
        message = f"{task.packet.task_id}: {case.failure.message or case.failure.failure}"
        own.note_failure(Ending(cause="task", message=message, start=task.packet.start))
        core.due.append(task.job)
        return
    if len(case.votes) == 1 and not vote.is_certain:
        own.last_alone[vote.worker] = task
    own.note_known(task)
    learn(core, task, answer.fuel)
    if task.packet.function == "execute":
        kept = KeepResult(
            job_id=task.job.spec.job_id,
            packet=task.packet,
            digest=answer.digest,
            fuel=answer.fuel,
            provenance=provenance_of(task, answer),
        )
        core.out.append(kept)
    if own.open == 0 or own.failure is not None:
        core.due.append(task.job)


def learn(core: Core, task: Task, fuel: int) -> None:
    """Learn from an accepted answer what the module costs."""
    packet, job = task.packet, task.job
    core.weights.observe(job.spec, packet.function, size_bytes=packet.size_bytes, fuel=fuel)
    if packet.function == "execute" and job.own is not None:
        seconds = core.weights.seconds(fuel, is_shader=task.is_shader)
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
    if probe.packet.function == own_check.CHECK:
        own_check.heard(probe, result)
        if is_waiting(task):
            consider(core, task)
        return
    case.probes -= 1
    own.audits += 1
    own.local += 1
    own.executions += probe.packet.count / task.packet.count
    waiting = [] if case.probes else adjourned(own, case)
    if task.state is TaskState.VERIFYING:
        _hear_referee(core, task, probe, result)
    for other in waiting:
        if is_waiting(other):
            consider(core, other)


def not_judged(core: Core, probe: Task) -> None:
    """This node's own machine can't execute a task: what others say must do, and the job is as sure as that makes it."""
    task = probe.probe_of
    if task is None or task.case is None:
        raise AssertionError(f"{probe!r} probes nothing")
    case, own = task.case, own_of(task)
    if probe.packet.function == own_check.CHECK:
        own_check.not_possible(probe)
        if is_waiting(task):
            consider(core, task)
        return
    case.probes -= 1
    case.is_beyond_us = True
    own.was_beyond_us += 1
    waiting = [] if case.probes else adjourned(own, case)
    for one in (task, *waiting):
        if one is task or is_waiting(one):
            consider(core, one)


def _settle_by_votes(core: Core, task: Task) -> None:
    """Without a referee: what two independent workers say and no more say otherwise; nobody is convicted of anything."""
    case, spec = case_of(task), task.job.spec
    ranked = sorted(audit.groups(case.votes), key=lambda group: -len(audit.independent(group)))
    counts = [len(audit.independent(group)) for group in ranked]
    is_clear = len(counts) == 1 or counts[0] > counts[1]
    is_sealed_full = task.packet.commit_first and len(case.votes) >= max(spec.redundancy, audit.REDUNDANCY_MIN)
    if not (is_clear and counts[0] >= audit.CHECKED_VOTES) and not is_sealed_full and _may_ask(core, task):
        ask_more(core, task)
    elif is_clear:
        case.votes = [vote for group in ranked for vote in group]
        case.why, case.confidence = _BEYOND_US, audit.support(ranked[0], core.trust, work_of(spec.runtime, task.packet.function))
        accept(core, task)
    else:
        message = f"{task.packet.task_id}: answers differ, and this node's machine can't execute it to find out who is right"
        own_of(task).note_failure(Ending(cause="verification", message=message, start=task.packet.start))
        core.due.append(task.job)


def _may_ask(core: Core, task: Task) -> bool:
    return task.on_time() > 0 or others_left(core, task)


def _hear_referee(core: Core, task: Task, probe: Task, result: TaskResult) -> None:
    case = case_of(task)
    if result.failure is not None and probe.leaf is not None:
        audit_here(core, task)
    elif probe.leaf is None:
        case.votes.append(truth := _truth(result))
        own_of(task).note_size(result)
        case.failure = result if result.failure is not None else case.failure
        _convict(core, audit.liars(case.votes, truth), task)
        own_check.blame(core, task, truth)
    else:
        wrong = audit.liars_at(case.votes, probe.leaf, result.leaves[0])
        _convict(core, wrong, task)  # the others pass nothing: one right leaf says little of the rest
    if task.state is TaskState.VERIFYING:
        consider(core, task)


def catch(
    core: Core, worker: PeerId, why: str, verdict: Verdict, evidence: Evidence | None = None, *, is_asked: bool = False
) -> bool:
    """A wrong answer is proven: shut the worker out, tell its branch, withdraw all it vouched for that isn't merged yet.

    Its link goes, too, unless it is to be asked something. False if it was shut out already.
    """
    if core.trust.is_banned(worker, core.now) or worker == core.me.id:
        return False
    own = [job for job in core.jobs.values() if job.own is not None]
    runtimes = list(dict.fromkeys(job.spec.runtime for job in own)) or [""]
    core.trust.ban(worker, runtimes[0], core.now, verdict)
    for runtime in runtimes:
        record = core.trust.record(worker, runtime)
        core.out.append(KeepTrust(worker=worker, runtime=runtime, record=record, why=why, evidence=evidence))
        evidence = None  # once
    for job in own:
        _withdraw(core, job, worker)
    if worker in core.children and not is_asked:
        core.dropped.append(worker)
    return True


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
        own.lies += 1
        own.anchors.clear()  # what crowds have in common is that all its members lie: the row begins anew
        drop_merging(core, job, own)
    for task in affected:
        if task.job.tasks.get(task.packet.task_id) is task:
            _withdraw_from(core, own, task, worker)
    if not own.is_hostile and _has_too_many_liars(core, own):
        own.is_hostile = True
        _believe_nobody(core, job, own)


def _has_too_many_liars(core: Core, own: Ownership) -> bool:
    """Whether more of a job's workers were caught than the odds of those left are reckoned with."""
    caught, others = len(own.bans), sum(worker != core.me.id for worker in own.votes_of)
    return caught >= HOSTILE_MIN and caught > HOSTILE_SHARE * (caught + others)


def _believe_nobody(core: Core, job: Job, own: Ownership) -> None:
    """What only others vouch for is in doubt: this node executes it itself."""
    drop_merging(core, job, own)
    for task in list(job.tasks.values()):
        if task.state is TaskState.COMPLETE and task.case is not None and not any(v.is_certain for v in task.case.votes):
            doubt(core, own, task)
            if not task.case.probes:
                consider(core, task)


def _shun(core: Core, job: Job, branch: PeerId, worker: PeerId) -> None:
    """Tell a branch, once, to give a worker none of the job."""
    own = job.own
    if own is not None and branch in core.children and branch != worker and own.shunned_through.get(worker) != branch:
        own.shunned_through[worker] = branch
        core.send(branch, Exclude(job_id=job.spec.job_id, workers=(worker,)))


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
    case.is_disputed = case.is_sampled = case.is_anchored = case.is_foreseen = False
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
    packet, said = task.packet, {vote.worker: vote for vote in case_of(task).votes if vote.worker in workers}
    truth = next((vote for vote in case_of(task).votes if vote.is_trusted), None)
    why = f"its answer to {packet.task_id} ({packet.function}) is not what this node found by executing it"
    for worker, vote in said.items():
        others = [other for other in said.values() if other.worker != worker]
        verdict = audit.verdict_on(vote, others)
        digest = b"" if vote.digest.startswith(audit.FAILURE_PREFIX) else vote.digest
        evidence = Evidence(job_id=task.job.spec.job_id, packet=packet, digest=digest, fuel=vote.fuel)
        is_asked = verdict is Verdict.FAULTY and may_ask(core, task, vote)
        if catch(core, worker, f"{why} ({verdict})", verdict, evidence, is_asked=is_asked) and is_asked:
            ask(core, task, Inquiry(said=vote, truth=truth, evidence=evidence))


def contradicts(task: Task, result: TaskResult) -> bool:
    """Whether somebody is shut out if this, found by this node's own engine, is the truth about an own task."""
    judged = task.probe_of or task
    is_off = task.packet.function == own_check.CHECK or task.job.spec.verification is VerificationMode.NONE
    if judged.case is None or is_off or result.failure in MACHINE_FAULTS:
        return False
    votes = [vote for vote in judged.case.votes if not vote.is_trusted]
    if task.leaf is not None:
        return result.failure is None and bool(audit.liars_at(votes, task.leaf, result.leaves[0]))
    return bool(audit.liars(votes, _truth(result)))


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
        function = task.packet.function
        own.known.setdefault((vote.worker, function), core.trust.anchors(vote.worker, work_of(task.job.spec.runtime, function)))
        own.branches_of[vote.worker] = vote.branch


def _truth(result: TaskResult) -> Vote:
    """What this node's own engine has found."""
    return Vote(
        worker=result.worker,
        branch=result.worker,
        network="",
        digest=audit.answer_of(result)[0],
        fuel=result.fuel,
        leaves=result.leaves,
        is_trusted=True,
        apart=result.apart,
    )


def _has_trusted(case: Case) -> bool:
    return any(vote.is_trusted for vote in case.votes)

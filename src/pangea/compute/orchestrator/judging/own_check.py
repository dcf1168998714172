"""The job's own check of results: what passes needs no second execution, what is refused is executed here, to learn who is wrong.

Its author vouches for it, so it counts for this job alone: nobody is trusted more elsewhere for what it passes, and nobody is
shut out for what it refuses. Only this node's own execution convicts: the worker, or the check, and then the job fails for it.
"""

from __future__ import annotations

from dataclasses import replace

from pangea.compute.model.packet import TaskResult, TaskStatus
from pangea.compute.orchestrator.core.records import Ending, Task, case_of, own_of
from pangea.compute.orchestrator.core.state import Core
from pangea.compute.orchestrator.judging.referee import enqueue_probe
from pangea.compute.orchestrator.rules import audit
from pangea.compute.orchestrator.rules.audit import Vote

#: The function of such a task: it never leaves this node.
CHECK = "check"
#: Its answer's digest if all results pass. Anything else, a failure of the check too, refuses them.
PASSES = b"passes"
REFUSED = b"refused"


def unchecked(task: Task) -> Vote | None:
    """An answer that the job's own check has still to look at; None: there is none, or it can't."""
    case = case_of(task)
    if not task.job.spec.is_checkable(task.packet.function) or case.is_uncheckable or case.must_audit:
        return None
    if any(vote.is_trusted for vote in case.votes):
        return None
    open_ones = (vote for vote in case.votes if not vote.is_checked and not vote.digest.startswith(audit.FAILURE_PREFIX))
    return next(open_ones, None)


def check_here(core: Core, task: Task, vote: Vote) -> None:
    """Have the job's check look at an answer, on this node's own machine."""
    packet = replace(task.packet, function=CHECK, inputs=(vote.digest,), avoid=frozenset(), commit_first=False)
    enqueue_probe(core, task, packet, None)


def heard(probe: Task, result: TaskResult) -> None:
    """Take in what the check says."""
    task = probe.probe_of
    assert task is not None, "it checks an answer to a task"
    case, own, digest = case_of(task), own_of(task), probe.packet.inputs[0]
    case.probes -= 1
    own.checks += 1
    if result.status is TaskStatus.DONE and result.digest == PASSES:
        case.passing = (*case.passing, digest)
        case.votes = [replace(vote, is_checked=True) if vote.digest == digest else vote for vote in case.votes]
    else:
        own.refusals += 1
        case.refused[digest] = result.message or "it says no"
        case.must_audit = True


def not_possible(probe: Task) -> None:
    """This node's machine can't run the check on it: the task is verified as if the job had none."""
    task = probe.probe_of
    assert task is not None, "it checks an answer to a task"
    case = case_of(task)
    case.probes -= 1
    case.is_uncheckable, case.needed = True, audit.CHECKED_VOTES
    own_of(task).was_uncheckable += 1


def blame(core: Core, task: Task, truth: Vote) -> None:
    """If the check has refused what this node has found to be right, the job is to blame, and fails."""
    said = case_of(task).refused.get(truth.digest)
    if said is None:
        return
    message = f"the job's own check refuses the right result: {said}"
    own_of(task).note_failure(Ending(cause="check", message=message, start=task.packet.start))
    core.due.append(task.job)


def undecided(core: Core, task: Task) -> None:
    """The check has refused an answer, and this node's machine can't execute the task to say which of the two is wrong."""
    said = next(iter(case_of(task).refused.values()))
    message = f"the job's own check refuses a result, and this node's machine can't execute it to find out who is right: {said}"
    own_of(task).note_failure(Ending(cause="check", message=message, start=task.packet.start))
    core.due.append(task.job)

"""Second opinions: who may still give one, who is to, and what the opinions of those who always ask each other are worth."""

from __future__ import annotations

from itertools import combinations

from pangea.compute.model.ids import PeerId
from pangea.compute.orchestrator.audit import Vote
from pangea.compute.orchestrator.hunger import feel_hungry
from pangea.compute.orchestrator.ownership import case_of, own_of
from pangea.compute.orchestrator.placement import may_use, suits
from pangea.compute.orchestrator.state import Core, Task

#: A branch that is drawn to check an answer has so long to take it, in tasks' lengths; then anybody may.
_DRAWN_TASKS = 2.0


def others_left(core: Core, task: Task) -> bool:
    """Whether a branch that has no part in the task yet could be asked."""
    job = task.job
    return any(not child.is_silent and suits(core, task, child) and may_use(core, job, child) for child in core.children.values())


def want_copies(core: Core, task: Task) -> None:
    """Under `redundancy` all votes are asked for at once: queue the task until it has attempts enough."""
    case = task.case
    is_here = any(attempt.peer is core.me for attempt in task.attempts)
    if case is None or not task.packet.commit_first or is_here:
        return
    if len(task.attempts) + len(case.votes) < votes_wanted(task) and others_left(core, task):
        core.enqueue(task, first=True)


def votes_wanted(task: Task) -> int:
    """Votes that `redundancy` asks for."""
    return max(task.job.spec.redundancy, 2)


def ask_more(core: Core, task: Task) -> None:
    """Queue a task for as many more votes as its mode wants."""
    case, is_sealed = case_of(task), task.packet.commit_first
    copies = votes_wanted(task) - len(case.votes) if is_sealed else 1
    if len(task.attempts) >= copies or task.is_queued:
        return
    if not is_sealed:
        _draw(core, task)
    core.enqueue(task, first=True)


def _draw(core: Core, task: Task) -> None:
    """Draw the branch that is to check an answer. Else it were whoever asks for work next, and accomplices know when to ask.

    Each is drawn as often as it has cores, as far as its answers bear that out.
    """
    job, case = task.job, case_of(task)
    case.drawn = None
    used = [core.children[name] for name in job.used if name in core.children]
    for known in (used, list(core.children.values())):
        fit = [child for child in known if not child.is_silent and suits(core, task, child) and may_use(core, job, child)]
        if fit:
            drawn = core.random.choices(fit, weights=[1 + min(child.cores, child.answered) for child in fit])[0]
            case.drawn, case.drawn_until = drawn.id, core.now + _DRAWN_TASKS * core.task_seconds
            feel_hungry(core, drawn)
            return


def note_agreement(task: Task) -> None:
    """Keep count of the tasks for which nobody but the same two have spoken."""
    case, between = case_of(task), own_of(task).between
    pair = _pair(case.votes[0], case.votes[1]) if len(case.votes) == 2 and case.passed else None
    if pair == case.pair:
        return
    if case.pair is not None:
        between[case.pair] -= 1
    if pair is not None:
        between[pair] = between.get(pair, 0) + 1
    case.pair = pair


def passed_by_each_other(task: Task) -> int:
    """Checks that a task's voters have passed in this job by nobody's word but each other's: each the same number, two by two."""
    votes, between = case_of(task).votes, own_of(task).between
    return sum(2 * between.get(_pair(one, other), 0) for one, other in combinations(votes, 2))


def _pair(one: Vote, other: Vote) -> tuple[PeerId, PeerId]:
    return (one.worker, other.worker) if one.worker < other.worker else (other.worker, one.worker)

"""Second opinions: who may still give one, who is to, and what the opinions of those who always ask each other are worth."""

from __future__ import annotations

from itertools import combinations

from pangea.compute.model.ids import PeerId
from pangea.compute.orchestrator.core.records import Peer, Task, case_of, own_of
from pangea.compute.orchestrator.core.state import Core
from pangea.compute.orchestrator.rules.audit import Vote
from pangea.compute.orchestrator.scheduling.offers import offer_idle
from pangea.compute.orchestrator.scheduling.placement import may_use, suits

#: A branch that is drawn to check an answer has so long to take it, in tasks' lengths; then anybody may.
_DRAWN_TASKS = 2.0
#: Branches tried before all are looked at.
_TRIED = 4


def others_left(core: Core, task: Task) -> bool:
    """Whether a branch that has no part in the task yet could be asked."""
    return any(_could(core, task, child) for child in core.children.values())


def want_copies(core: Core, task: Task) -> None:
    """Under `redundancy` all votes are asked for at once: queue the task until it has attempts enough."""
    case = task.case
    is_here = any(attempt.peer is core.me for attempt in task.attempts)
    if case is None or not task.packet.commit_first or is_here:
        return
    if task.on_time() + len(case.votes) < votes_wanted(task) and others_left(core, task):
        core.enqueue(task, first=True)


def votes_wanted(task: Task) -> int:
    """Votes that `redundancy` asks for."""
    return max(task.job.spec.redundancy, 2)


def ask_more(core: Core, task: Task) -> None:
    """Queue a task for as many more votes as its mode wants."""
    case, is_sealed = case_of(task), task.packet.commit_first
    copies = votes_wanted(task) - len(case.votes) if is_sealed else 1
    if task.on_time() >= copies or task.is_queued:
        return
    if not is_sealed:
        _draw(core, task)
    core.enqueue(task, first=True)


def _draw(core: Core, task: Task) -> None:
    """Draw the branch that is to check an answer. Else it were whoever asks for work next, and accomplices know when to ask.

    Each is drawn as often as it has cores, as far as its answers bear that out: first of those that work on the job already.
    """
    job, case = task.job, case_of(task)
    case.drawn = None
    drawn = _lot(core, task, [core.children[name] for name in job.used if name in core.children])
    drawn = drawn or _lot(core, task, list(core.children.values()))
    if drawn is not None:
        case.drawn, case.drawn_until = drawn.id, core.now + _DRAWN_TASKS * core.task_seconds
        offer_idle(core, drawn)


def _lot(core: Core, task: Task, known: list[Peer]) -> Peer | None:
    """One of those that could give a vote. Most can, so some are tried before all are looked at."""
    weights = [1 + min(child.cores, child.answered) for child in known]
    tried = core.random.choices(known, weights, k=_TRIED) if len(known) > _TRIED else []
    found = next((child for child in tried if _could(core, task, child)), None)
    if found is not None:
        return found
    fit = [(child, weight) for child, weight in zip(known, weights, strict=True) if _could(core, task, child)]
    return core.random.choices(*zip(*fit, strict=True))[0] if fit else None


def _could(core: Core, task: Task, child: Peer) -> bool:
    return not child.is_silent and suits(core, task, child) and may_use(core, task.job, child)


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

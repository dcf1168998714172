"""Before an own job goes on to merge: the last checks, and as many executions of its own as its confidence asks for."""

from __future__ import annotations

from collections.abc import Sequence

from pangea.compute.model.options import VerificationMode
from pangea.compute.orchestrator.core.records import Job, Ownership, Phase, Task, case_of
from pangea.compute.orchestrator.core.state import Core
from pangea.compute.orchestrator.core.transitions import TaskState
from pangea.compute.orchestrator.judging.judging import consider, doubt
from pangea.compute.orchestrator.rules import audit
from pangea.compute.orchestrator.rules.audit import Vote
from pangea.compute.orchestrator.rules.crowds import Crowd, anchors_wanted, crowds, joint, leaf_doubt, lone_doubt
from pangea.compute.orchestrator.rules.trust import work_of

#: Modes in which one worker's last word is worth a check of its own before the end.
_CLOSING_MODES = (VerificationMode.ADAPTIVE,)
#: Modes that execute here what is drawn at the end; `hash` and `merkle` have drawn theirs along the way, and do so only once a
#: lie was found.
SAMPLED_MODES = (VerificationMode.ADAPTIVE, VerificationMode.REDUNDANCY)
#: Tasks that are drawn at the end in any case, at most; of few tasks, a twentieth.
_FLOOR_MAX = 10


def close(core: Core, job: Job, own: Ownership) -> None:
    """Once all tasks of a phase are complete: open those again that are to be checked. None is open, none was."""
    mode = job.spec.verification
    if own.phase is Phase.EXECUTING and mode in _CLOSING_MODES and not own.is_closed:
        own.is_closed = True
        _check_last_words(core, own)
    is_drawing = mode in SAMPLED_MODES or (own.lies > 0 and mode is not VerificationMode.NONE)
    if not own.open and is_drawing and not job.spec.expected:
        _sample_here(core, job, own)


def reopen(core: Core, own: Ownership, task: Task) -> None:
    """A complete task is to be checked after all."""
    case_of(task).needed = 2
    doubt(core, own, task)
    consider(core, task, is_final=True)


def confidence(core: Core, job: Job, own: Ownership) -> float | None:
    """Probability that every accepted answer is right, 0 to 1: the least that it can be, for the reasons that `crowds` gives.

    None if nothing is said.
    """
    done = [task for task in job.tasks.values() if _is_done(task)]
    if job.spec.verification is VerificationMode.NONE or not done:
        return None
    if own.is_as_expected:
        return 1.0
    if own.is_hostile and any(case_of(task).is_beyond_us for task in done):
        return 0.0
    doubts = []
    for function in {task.packet.function: None for task in done}:
        unseen = _unseen(job, own, function)
        if own.bans and unseen and job.spec.verification not in SAMPLED_MODES:
            return 0.0  # a lie was found, and nothing is done about those who may have told it with the others
        if job.spec.verification is VerificationMode.MERKLE:
            doubts.append(leaf_doubt((_drawn_of(task) for task, _ in unseen), lies=own.lies))
            continue
        found = _crowds_of(job, own, function)
        doubts += [max((each.doubt for each in found), default=0.0), lone_doubt(_alone(core, job, function))]
    return joint(doubts)


def _drawn_of(task: Task) -> tuple[int, int]:
    """Leaves of a task that this node has executed itself, and how many it has."""
    case = case_of(task)
    return (case.sampled if case.is_sampled and not case.is_beyond_us else 0, task.packet.runs)


def _check_last_words(core: Core, own: Ownership) -> None:
    """Check each worker's last unchecked task: whoever began to lie late, and kept lying, is caught here."""
    for task in list(own.last_alone.values()):
        if task.state is TaskState.COMPLETE and len(case_of(task).votes) == 1:
            reopen(core, own, task)
    own.last_alone.clear()


def _sample_here(core: Core, job: Job, own: Ownership) -> None:
    """Draw from what this node has only others' word for, and execute it: from each crowd that has too few anchors."""
    function = "merge" if own.phase is Phase.MERGING else "execute"
    found, is_bought = _crowds_of(job, own, function), job.spec.verification in SAMPLED_MODES
    least = _floor(core, own, found[-1].unseen if found else 0, function) if is_bought else 0
    seen = (
        sum(task.packet.function == function and _is_done(task) for task in job.tasks.values()) - found[-1].unseen if found else 0
    )
    for crowd in found:
        wanted = max(anchors_wanted(crowd, 1.0 - job.spec.confidence), least if crowd is found[-1] else 0) if is_bought else 0
        if own.lies and crowd.unseen <= seen:
            wanted = crowd.unseen  # the rest costs no more than what was done, and then nothing is in doubt
        if wanted:
            unseen = [
                task for task, level in _unseen(job, own, function) if level <= crowd.level and not case_of(task).is_beyond_us
            ]
            for task in sorted(unseen, key=lambda _: core.random.random())[:wanted]:
                case_of(task).must_audit = True
                own.was_drawn_here += 1
                reopen(core, own, task)
            if own.open:
                return  # the others are looked at again when these are done


def _floor(core: Core, own: Ownership, unseen: int, function: str) -> int:
    """How many to draw at the least, once: anchors say what a crowd has done until now, and all may have turned since."""
    if function in own.was_drawn_for:
        return 0
    own.was_drawn_for.append(function)
    whole, rest = divmod(audit.AUDIT_FLOOR * unseen, 1.0)
    return min(unseen, _FLOOR_MAX, int(whole) + (core.random.random() < rest))


def _crowds_of(job: Job, own: Ownership, function: str) -> list[Crowd]:
    known = [anchors for (worker, work), anchors in own.known.items() if work == function and worker in own.votes_of]
    return crowds(known, own.anchors.get(function, ()), [level for _, level in _unseen(job, own, function)], lies=own.lies)


def _unseen(job: Job, own: Ownership, function: str) -> list[tuple[Task, int]]:
    """Tasks that this node has only others' word for, and how well it knows the best known of these."""
    return [
        (task, max(own.known.get((vote.worker, function), 0) for vote in _agreeing(case_of(task).votes)))
        for task in job.tasks.values()
        if task.packet.function == function and _is_done(task) and not any(vote.is_certain for vote in case_of(task).votes)
    ]


def _alone(core: Core, job: Job, function: str) -> list[tuple[int, int]]:
    """For each worker that alone vouches for something: its passes, and how many tasks these are."""
    counts: dict[str, int] = {}
    work = work_of(job.spec.runtime, function)
    passes: dict[str, int] = {}
    for task in job.tasks.values():
        if task.packet.function != function or not _is_done(task):
            continue
        votes = audit.independent(_agreeing(case_of(task).votes))
        if len(votes) == 1 and not any(vote.is_certain for vote in case_of(task).votes):
            worker = votes[0].worker
            counts[worker] = counts.get(worker, 0) + 1
            passes[worker] = core.trust.passes(worker, work)
    return [(passes[worker], count) for worker, count in counts.items()]


def _agreeing(votes: Sequence[Vote]) -> list[Vote]:
    """Those for the answer that stands: all, but where there was no referee."""
    return [vote for vote in votes if vote.agrees(votes[0])]


def _is_done(task: Task) -> bool:
    return task.state is TaskState.COMPLETE and task.case is not None and bool(task.case.votes)

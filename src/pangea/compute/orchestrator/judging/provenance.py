"""What speaks for an accepted answer: who gave it, and how it was checked. For accounts and pictures; it decides nothing."""

from __future__ import annotations

from functools import lru_cache

from pangea.compute.model.trace import Check, Provenance
from pangea.compute.orchestrator.core.records import Task
from pangea.compute.orchestrator.rules import audit
from pangea.compute.orchestrator.rules.audit import Vote


def provenance_of(task: Task, answer: Vote) -> Provenance:
    """What speaks for `answer`, the one that stands for an own task."""
    if task.case is None:
        raise AssertionError(f"{task!r} has no case")
    agreeing = [vote for vote in task.case.votes if vote.agrees(answer)]
    first = next(vote for vote in agreeing if vote.digest == answer.digest)
    votes = len(audit.independent(agreeing))
    if first.is_trusted:
        check = Check.HERE
    elif any(vote.is_trusted for vote in agreeing):
        check = Check.AGAIN
    elif first.is_checked:
        check = Check.OWN
    elif task.case.is_sampled:
        check = Check.PARTLY
    else:
        check = Check.VOTES if votes > 1 else Check.WORD
    return _provenance(first.worker, check, votes, task.tries + len(task.case.votes))


#: Most tasks of a job have the same few: one object for all, as nodes keep one for each task.
_provenance = lru_cache(4096)(Provenance)

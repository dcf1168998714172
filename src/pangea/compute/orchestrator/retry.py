"""What follows the end of a task."""

from __future__ import annotations

from enum import Enum, auto

from pangea.compute.model.outcome import Failure, FailureKind, Outcome


class Next(Enum):
    """What to do with a task that ended."""

    ACCEPT = auto()
    #: Run the same chunks one call at a time: the failing one gets named, and none starves beside a greedy one.
    RUN_SINGLY = auto()
    RETRY = auto()
    FAIL = auto()


#: Failures that concern the whole job: no single chunk is to blame.
_WHOLE_JOB = frozenset({FailureKind.BAD_MODULE, FailureKind.COMPILE_LIMIT, FailureKind.CANCELLED})


def decide(outcome: Outcome, *, function: str, count: int, singly: bool, attempt: int, retry_count: int) -> Next:
    """Decide what follows `outcome`.

    Args:
        outcome: how the task ended.
        function: what it called.
        count: chunks in it.
        singly: whether it called them one at a time already.
        attempt: 1 for the first try.
        retry_count: how many more tries the job allows after a failure of the machine.
    """
    if not isinstance(outcome, Failure):
        return Next.ACCEPT
    if outcome.kind in _WHOLE_JOB or (outcome.function == "init" and not outcome.is_machine_fault):
        return Next.FAIL
    unnamed = function == "execute" and count > 1 and not singly and outcome.index is None and not outcome.function
    if unnamed and outcome.kind is not FailureKind.WORKER_LOST:
        return Next.RUN_SINGLY
    if outcome.is_machine_fault and attempt <= retry_count:
        return Next.RETRY
    return Next.FAIL

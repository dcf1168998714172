"""What follows the end of a task."""

from __future__ import annotations

from enum import Enum, auto

from pangea.compute.model.outcome import FAULTS_OF_THIS_KIND_OF_MACHINE, Failure, FailureKind, Outcome


class Next(Enum):
    """What to do with a task that ended."""

    ACCEPT = auto()
    RETRY = auto()
    FAIL = auto()


#: Failures that concern the whole job: no single chunk is to blame.
_WHOLE_JOB = frozenset({FailureKind.BAD_MODULE, FailureKind.COMPILE_LIMIT, FailureKind.CANCELLED})


def decide(outcome: Outcome, *, attempt: int, retry_count: int) -> Next:
    """Decide what follows `outcome` on this machine.

    Args:
        outcome: how the task ended.
        attempt: 1 for the first try.
        retry_count: how many more tries the job allows after a failure of the machine.
    """
    if not isinstance(outcome, Failure):
        return Next.ACCEPT
    if outcome.kind in _WHOLE_JOB or (outcome.function == "init" and not outcome.is_machine_fault):
        return Next.FAIL
    is_lasting = outcome.kind in FAULTS_OF_THIS_KIND_OF_MACHINE  # this machine would only say it again
    if outcome.is_machine_fault and not is_lasting and attempt <= retry_count:
        return Next.RETRY
    return Next.FAIL

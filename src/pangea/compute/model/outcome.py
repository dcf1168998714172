"""How a task ends: as data. Made at the sandbox's edge and by the process that watches it; nothing else invents one."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class FailureKind(StrEnum):
    """Why a task has no result."""

    OUT_OF_FUEL = "out of fuel"
    OUT_OF_MEMORY = "out of memory"
    #: Of compiled code: how deep it may go depends on the CPU that it was compiled for.
    STACK_OVERFLOW = "stack overflow"
    TRAPPED = "trapped"
    GUEST_ERROR = "guest error"
    RESULT_TOO_LARGE = "result too large"
    BAD_RESULT = "bad result"
    BAD_MODULE = "bad module"
    COMPILE_LIMIT = "compile limit"
    TIMED_OUT = "timed out"
    #: The machine had none left for a sandbox, whatever the job's own limit.
    HOST_MEMORY = "no host memory"
    WORKER_LOST = "worker lost"
    #: The task is a shader, and this machine has nothing to run one on.
    NO_ADAPTER = "no adapter"
    CANCELLED = "cancelled"


#: What may come back the same on this machine, for ever, and yet not on another.
FAULTS_OF_THIS_KIND_OF_MACHINE = frozenset({FailureKind.STACK_OVERFLOW, FailureKind.NO_ADAPTER})

#: The machine's fault, so another attempt may succeed. All others would come back the same anywhere: those alone are signed,
#: compared and judged.
MACHINE_FAULTS = FAULTS_OF_THIS_KIND_OF_MACHINE | {FailureKind.TIMED_OUT, FailureKind.WORKER_LOST, FailureKind.HOST_MEMORY}

#: Failures that mean a limit of `model.limits` was reached.
LIMIT_KINDS = frozenset(
    {
        FailureKind.OUT_OF_FUEL,
        FailureKind.OUT_OF_MEMORY,
        FailureKind.STACK_OVERFLOW,
        FailureKind.RESULT_TOO_LARGE,
        FailureKind.COMPILE_LIMIT,
        FailureKind.TIMED_OUT,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A task that ended well.

    Attributes:
        results: the framed list of results (for split: of framed lists; for merge: of one result).
        fuel: fuel units used by the task's calls (not by `init`).
        seconds: time inside the sandbox.
        prints: what the guest printed, cut to a few kilobytes.
    """

    results: bytes
    fuel: int
    seconds: float
    prints: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A task that ended without a result.

    Attributes:
        kind: why.
        message: one line with the figures.
        limit: name of the limit in `model.limits.Limits` that was reached, or "".
        index: position of the failing chunk within the task, when known; else of the first one of the pack that failed, and
        count: how many chunks that pack has: one of them failed, or all of them together.
        traceback: the guest's own traceback and prints.
        function: the function that failed, when it isn't the task's own (`init`).
        fuel: fuel units used.
    """

    kind: FailureKind
    message: str
    limit: str = ""
    index: int | None = None
    count: int = 1
    traceback: str = ""
    function: str = ""
    fuel: int = 0

    @property
    def is_machine_fault(self) -> bool:
        """Whether another attempt may end differently."""
        return self.kind in MACHINE_FAULTS


Outcome = Finished | Failure

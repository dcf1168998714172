"""How a task ends: as data. Made at the sandbox's edge and by the process that watches it; nothing else invents one."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class FailureKind(StrEnum):
    """Why a task has no result."""

    OUT_OF_FUEL = "out of fuel"
    OUT_OF_MEMORY = "out of memory"
    STACK_OVERFLOW = "stack overflow"
    TRAPPED = "trapped"
    GUEST_ERROR = "guest error"
    RESULT_TOO_LARGE = "result too large"
    BAD_RESULT = "bad result"
    BAD_MODULE = "bad module"
    COMPILE_LIMIT = "compile limit"
    TIMED_OUT = "timed out"
    WORKER_LOST = "worker lost"
    CANCELLED = "cancelled"


#: The machine's fault, so another attempt may succeed. All other failures would come back the same anywhere.
MACHINE_FAULTS = frozenset({FailureKind.TIMED_OUT, FailureKind.WORKER_LOST})

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
        index: position of the failing chunk within the task, when known.
        traceback: the guest's own traceback and prints.
        function: the function that failed, when it isn't the task's own (`init`).
        fuel: fuel units used.
    """

    kind: FailureKind
    message: str
    limit: str = ""
    index: int | None = None
    traceback: str = ""
    function: str = ""
    fuel: int = 0

    @property
    def is_machine_fault(self) -> bool:
        """Whether another attempt may end differently."""
        return self.kind in MACHINE_FAULTS


Outcome = Finished | Failure

"""From a task's failure to the error a user reads: one place, so that every limit has its hint."""

from __future__ import annotations

from pangea.compute.model.errors import BadModuleError, JobCancelledError, JobFailedError, LimitExceededError, PangeaError
from pangea.compute.model.outcome import LIMIT_KINDS, Failure, FailureKind

_HINTS = {
    "fuel": "raise limits.fuel (--fuel), or make the chunks smaller; an endless loop ends here, too",
    "memory": "raise limits.memory (--memory), make the chunks smaller, or split with row_based or fixed_size",
    "time": "raise limits.time (--task-time), or make the chunks smaller",
    "stack": "recurse less deeply: the stack can't be raised",
    "result": "return less per chunk, or make the chunks smaller",
    "chunk": "let split make smaller chunks",
    "items": "let split make fewer, larger chunks",
    "module": "make the module smaller: strip it of debug information",
    "compile_time": "make the module smaller or simpler, or raise limits.compile_time",
    "compile_memory": "make the module smaller or simpler, or raise limits.compile_memory",
    "timeout": "raise timeout (--timeout), or give the job less to do",
}
_HINT_GUEST = "run it natively with run_local to debug it"
_HINT_IMPORT = "the sandbox has the standard library and the pure-Python packages that travel: docs/python_guest.md"
_HINT_MODULE = "docs/modules.md says what a module must export"


def error_of(failure: Failure, *, function: str, chunk_index: int | None, attempts: int = 1) -> PangeaError:
    """The error for a job that ended with `failure` in `function`, at chunk `chunk_index` if that is execute."""
    if failure.kind is FailureKind.CANCELLED:
        return JobCancelledError("the job was cancelled")
    if failure.kind is FailureKind.BAD_MODULE:
        return BadModuleError(failure.message, hint=_HINT_MODULE)
    where = f", at chunk {chunk_index}" if chunk_index is not None and not failure.function else ""
    tried = f", in each of {attempts} attempts" if attempts > 1 and failure.is_machine_fault else ""
    kind: type[JobFailedError] = LimitExceededError if failure.kind in LIMIT_KINDS else JobFailedError
    return kind(
        f"{failure.message}{where}{tried}",
        hint=_hint_for(failure),
        traceback=failure.traceback,
        function=failure.function or function,
        chunk_index=chunk_index,
        kind=str(failure.kind),
        limit=failure.limit,
        fuel=failure.fuel,
    )


def _hint_for(failure: Failure) -> str:
    if failure.limit:
        return _HINTS.get(failure.limit, "")
    if "ModuleNotFoundError: " in failure.message:
        return _HINT_IMPORT
    return _HINT_GUEST if failure.traceback else ""


def timeout_error(seconds: float, chunks: int) -> LimitExceededError:
    """The error for a job that ran into its own time limit, with `chunks` chunks done."""
    message = f"the job ran into its timeout of {seconds:g} s, with {chunks:,} chunks done"
    return LimitExceededError(message, hint=_HINTS["timeout"], kind=str(FailureKind.TIMED_OUT), limit="timeout")

"""From a task's failure to the error a user reads: one place, so that every limit has its hint."""

from __future__ import annotations

from pangea.compute.model.errors import (
    BadModuleError,
    JobCancelledError,
    JobFailedError,
    LimitExceededError,
    NoAdapterError,
    PangeaError,
)
from pangea.compute.model.outcome import FAULTS_OF_THIS_KIND_OF_MACHINE, LIMIT_KINDS, Failure, FailureKind

_HINTS = {
    "fuel": "raise limits.fuel (--fuel), or make the chunks smaller; an endless loop ends here, too",
    "turns": "let each invocation do less: more rows, with shorter loops",
    "memory": "raise limits.memory (--memory), make the chunks smaller, or split with row_based or fixed_size",
    "time": "raise limits.time (--task-time), make the chunks smaller, or put fewer into a pack with chunks_per_pack",
    "stack": "recurse less deeply: the stack can't be raised, and how deep it lets you go differs between CPUs",
    "result": "return less per chunk, or make the chunks smaller",
    "chunk": "let split make smaller chunks",
    "items": "let split make fewer, larger chunks",
    "module": "make the module smaller: strip it of debug information",
    "compile_time": "make the module smaller or simpler, or raise limits.compile_time",
    "compile_memory": "make the module smaller or simpler, or raise limits.compile_memory",
    "timeout": "raise timeout (--timeout), or give the job less to do",
}
_HINT_GUEST = "run it natively with run_local to debug it"
_HINT_HOST_MEMORY = (
    "free memory on the machine, run fewer workers (--workers), give the job less (limits.memory), or lift what holds it back"
    " (ulimit -v, a container's limit, the node's --memory-max)"
)
#: What a machine needs so that it can run shaders.
HINT_ADAPTER = (
    "pip install 'pangea-compute[gpu]', and a Vulkan driver: without a GPU, that in software will do (apt-get install"
    " mesa-vulkan-drivers libvulkan1)"
)
_HINT_TURNS = "a GPU takes them, and SwiftShader, if time does; or give the job more rows of fewer turns: docs/gpu.md"
_HINT_IMPORT = "the sandbox has the standard library and the pure-Python packages that travel: docs/python_guest.md"
_HINT_BYTES = 'return bytes, or declare what it returns, such as output="json" in its decorator: docs/jobs.md, Typed chunks'
_HINT_MODULE = "docs/modules.md says what a module must export"


def error_of(failure: Failure, *, function: str, chunk_index: int | None, attempts: int = 1) -> PangeaError:
    """The error for a job that ended with `failure` in `function`, at chunk `chunk_index` if that is execute.

    If no single chunk is to blame, `chunk_index` is the first of the pack that failed.
    """
    if failure.kind is FailureKind.CANCELLED:
        return JobCancelledError("the job was cancelled")
    if failure.kind is FailureKind.BAD_MODULE:
        return BadModuleError(failure.message, hint=_HINT_MODULE)
    if failure.kind is FailureKind.NO_ADAPTER:
        return NoAdapterError(failure.message, hint=_HINT_TURNS if failure.limit == "turns" else HINT_ADAPTER)
    where = ""
    if chunk_index is not None and not failure.function:
        where = f", at chunk {chunk_index}"
        if failure.count > 1:
            where = f", in the pack of chunks {chunk_index} to {chunk_index + failure.count - 1}"
    is_repeated = attempts > 1 and failure.is_machine_fault and failure.kind not in FAULTS_OF_THIS_KIND_OF_MACHINE
    tried = f", in each of {attempts} attempts" if is_repeated else ""
    kind: type[JobFailedError] = LimitExceededError if failure.kind in LIMIT_KINDS else JobFailedError
    return kind(
        f"{failure.message}{where}{tried}",
        hint=_hint_for(failure),
        traceback=failure.traceback,
        function=failure.function or function,
        chunk_index=chunk_index if failure.count == 1 else None,
        kind=str(failure.kind),
        limit=failure.limit,
        fuel=failure.fuel,
    )


def error_of_task(failure: Failure, *, function: str, first: int, attempts: int = 1) -> PangeaError:
    """The error for a job whose task ended so; `first` is the job's number of the task's first chunk, if it is of execute."""
    is_placed = function == "execute" and failure.index is not None
    index = first + (failure.index or 0) if is_placed else None
    return error_of(failure, function=function, chunk_index=index, attempts=attempts)


def _hint_for(failure: Failure) -> str:
    if failure.limit:
        return _HINTS.get(failure.limit, "")
    if failure.kind is FailureKind.HOST_MEMORY:
        return _HINT_HOST_MEMORY
    if "ModuleNotFoundError: " in failure.message:
        return _HINT_IMPORT
    if " must be bytes, not " in failure.message:
        return _HINT_BYTES
    return _HINT_GUEST if failure.traceback else ""


def timeout_error(seconds: float, chunks: int) -> LimitExceededError:
    """The error for a job that ran into its own time limit, with `chunks` chunks done."""
    message = f"the job ran into its timeout of {seconds:g} s, with {chunks:,} chunks done"
    return LimitExceededError(message, hint=_HINTS["timeout"], kind=str(FailureKind.TIMED_OUT), limit="timeout")

"""Make a job ready for an engine: its module compiled, its limits complete, its functions known."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from pangea.compute import runtime
from pangea.compute.client.failures import error_of
from pangea.compute.client.job import JobDefinition
from pangea.compute.client.module import ModuleJob
from pangea.compute.engine.cache import RefusedError, check_size
from pangea.compute.engine.engine import Engine
from pangea.compute.engine.task import Guest
from pangea.compute.model.errors import ManifestError
from pangea.compute.model.limits import Limits
from pangea.compute.model.units import CUSTOM_COPIES, PYTHON_MEMORY_BYTES, human_bytes

AnyJob = JobDefinition | ModuleJob


@dataclass(frozen=True)
class PreparedJob:
    """A job as a run needs it.

    Attributes:
        name: for messages.
        guest: what the engine instantiates.
        has_split, has_merge: whether those functions exist; without them split is the identity and merge concatenates.
        associative: whether results may be merged early, in groups.
        custom_bytes_max: the largest input that can be one segment under these limits.
    """

    name: str
    guest: Guest
    has_split: bool
    has_merge: bool
    associative: bool
    custom_bytes_max: int


def prepare(job: AnyJob, limits: Limits, engine: Engine, on_compile: Callable[[str], None]) -> PreparedJob:
    """Prepare `job` for `engine`; `on_compile` hears what is being compiled when that takes time.

    Raises:
        BadModuleError: the module is none of guest ABI 1.
        LimitExceededError: the module costs too much to compile.
        JobDefinitionError: the job's functions can't travel.
        ManifestError: the memory limit has no room for Python.
    """
    try:
        return (
            _prepare_python(job, limits, engine, on_compile)
            if isinstance(job, JobDefinition)
            else _prepare_module(job, limits, engine, on_compile)
        )
    except RefusedError as error:
        raise error_of(error.failure, function="compile", chunk_index=None) from None


def _prepare_python(job: JobDefinition, limits: Limits, engine: Engine, on_compile: Callable[[str], None]) -> PreparedJob:
    if limits.memory < PYTHON_MEMORY_BYTES:
        raise ManifestError(
            f"limits.memory is {human_bytes(limits.memory)}; a Python job needs at least {human_bytes(PYTHON_MEMORY_BYTES)}",
            hint="raise limits.memory (--memory)",
            field="limits.memory",
        )
    guest = Guest(runtime.sha256(), job.archive(), limits.with_fuel_for(python=True))
    # The runtime is ours: a user's limits on modules don't concern it.
    engine.prepare(guest.module, Limits(), runtime.load, lambda: on_compile("the Python runtime (once per machine)"))
    has_split, has_merge = job.split is not None, job.merge is not None
    room = _custom_bytes_max(limits, has_split=has_split, base=PYTHON_MEMORY_BYTES)
    return PreparedJob(job.name, guest, has_split, has_merge, job.associative, room)


def _prepare_module(job: ModuleJob, limits: Limits, engine: Engine, on_compile: Callable[[str], None]) -> PreparedJob:
    check_size(job.wasm, limits)
    guest = Guest(hashlib.sha256(job.wasm).hexdigest(), b"", limits.with_fuel_for(python=False))
    exports = engine.prepare(guest.module, limits, lambda: job.wasm, lambda: on_compile(job.name))
    has_split, has_merge = "split" in exports, "merge" in exports
    room = _custom_bytes_max(limits, has_split=has_split, base=0)
    return PreparedJob(job.name, guest, has_split, has_merge, job.associative, room)


def _custom_bytes_max(limits: Limits, *, has_split: bool, base: int) -> int:
    room = max(0, limits.memory - base) // CUSTOM_COPIES
    return room if has_split else min(room, limits.chunk)

"""Make a job's module ready for an engine: compiled, its limits complete, its functions known."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass

from pangea.compute import runtime
from pangea.compute.engine.cache import RefusedError, check_size
from pangea.compute.engine.engine import Engine
from pangea.compute.engine.failures import error_of
from pangea.compute.engine.task import Guest
from pangea.compute.model.errors import BadModuleError, ManifestError
from pangea.compute.model.limits import Limits
from pangea.compute.model.units import CUSTOM_COPIES, MODULE_BYTES_MAX, PYTHON_MEMORY_BYTES, human_bytes

_ZIP_MAGIC = b"PK\x03\x04"
_DESCRIPTION = "job.json"
_DESCRIPTION_BYTES_MAX = 16 << 20
OnCompile = Callable[[str], None]


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


def prepare(
    wasm_module: bytes, limits: Limits, engine: Engine, on_compile: OnCompile, *, name: str, associative: bool
) -> PreparedJob:
    """Prepare a job's module for `engine`.

    Args:
        wasm_module: a core module, or a job archive (a Python job).
        limits: of the job.
        engine: compiles it, unless its cache has it.
        on_compile: hears what is being compiled when that takes time.
        name: of the job, for messages.
        associative: whether the job says that merge is.

    Raises:
        BadModuleError: neither a job archive nor a module of guest ABI 1.
        LimitExceededError: the module costs too much to compile.
        ManifestError: the memory limit has no room for Python.
    """
    is_python = wasm_module.startswith(_ZIP_MAGIC)
    make = _prepare_python if is_python else _prepare_module
    try:
        guest, functions = make(wasm_module, limits, engine, on_compile, name)
    except RefusedError as error:
        raise error_of(error.failure, function="compile", chunk_index=None) from None
    has_split, has_merge = "split" in functions, "merge" in functions
    room = max(0, limits.memory - (PYTHON_MEMORY_BYTES if is_python else 0)) // CUSTOM_COPIES
    custom_bytes_max = room if has_split else min(room, limits.chunk)
    return PreparedJob(name, guest, has_split, has_merge, associative, custom_bytes_max)


def _prepare_python(archive: bytes, limits: Limits, engine: Engine, on_compile: OnCompile, name: str) -> tuple[Guest, set[str]]:
    if limits.memory < PYTHON_MEMORY_BYTES:
        raise ManifestError(
            f"limits.memory is {human_bytes(limits.memory)}; a Python job needs at least {human_bytes(PYTHON_MEMORY_BYTES)}",
            hint="raise limits.memory (--memory)",
            field="limits.memory",
        )
    functions = _functions_of(archive, name)
    guest = Guest(runtime.sha256(), archive, limits.with_fuel_for(python=True))
    # The runtime is ours: a user's limits on modules don't concern it.
    engine.prepare(guest.module, Limits(), runtime.load, lambda: on_compile("the Python runtime (once per machine)"))
    return guest, functions


def _functions_of(archive: bytes, name: str) -> set[str]:
    """Which functions the archive's `job.json` says the job has."""
    if len(archive) > MODULE_BYTES_MAX:
        raise BadModuleError(f"{name}: the job archive is {human_bytes(len(archive))}; at most {human_bytes(MODULE_BYTES_MAX)}")
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as files:
            if files.getinfo(_DESCRIPTION).file_size > _DESCRIPTION_BYTES_MAX:
                raise ValueError(f"{_DESCRIPTION} is too large")
            description = json.loads(files.read(_DESCRIPTION))
        needed, functions = description["runtime"], set(description["entry"])
    except (zipfile.BadZipFile, KeyError, TypeError, ValueError, NotImplementedError, RuntimeError) as error:
        message = f"{name}: the job archive can't be read"
        raise BadModuleError(message, hint="make it with Job.archive() of this package") from error
    if needed != runtime.sha256():
        raise BadModuleError(
            f"{name}: the job was made for the Python runtime {str(needed)[:12]}…, this machine has {runtime.sha256()[:12]}…",
            hint="use the same version of pangea-compute on both sides",
        )
    return functions


def _prepare_module(wasm: bytes, limits: Limits, engine: Engine, on_compile: OnCompile, name: str) -> tuple[Guest, set[str]]:
    check_size(wasm, limits)
    guest = Guest(hashlib.sha256(wasm).hexdigest(), b"", limits.with_fuel_for(python=False))
    return guest, set(engine.prepare(guest.module, limits, lambda: wasm, lambda: on_compile(name)))

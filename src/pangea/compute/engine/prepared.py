"""Make a job's module ready for an engine: compiled, its limits complete, its functions known."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from pangea.compute import runtime
from pangea.compute.engine.cache import RefusedError, check_size
from pangea.compute.engine.engine import Engine
from pangea.compute.engine.failures import error_of
from pangea.compute.engine.job_archive import DESCRIPTION, description_in, open_archive, read_of
from pangea.compute.engine.task import Guest, Task
from pangea.compute.model import frames
from pangea.compute.model.errors import BadModuleError, JobDefinitionError, ManifestError, NoAdapterError
from pangea.compute.model.gpu import SHADER_NAME, GpuProgram
from pangea.compute.model.ids import Function
from pangea.compute.model.limits import Limits
from pangea.compute.model.outcome import Failure, FailureKind
from pangea.compute.model.tolerance import Tolerance
from pangea.compute.model.units import CHUNK_BYTES_MAX, CUSTOM_COPIES, MODULE_BYTES_MAX, PYTHON_MEMORY_BYTES, human_bytes
from pangea.compute.model.wgsl import SOURCE_CHARACTERS_MAX

_ZIP_MAGIC = b"PK\x03\x04"
#: The archive of the job's own check, within a job archive.
CHECKER = "check.zip"
#: The module of a kernel that is the job's execute.
KERNEL = "execute.wasm"
_MAKE_IT = "make it with Job.archive() of this package"
OnCompile = Callable[[str], None]


@dataclass(frozen=True)
class PreparedJob:
    """A job as a run needs it.

    Attributes:
        name: for messages.
        guest: what the engine instantiates.
        kernel: what it does for execute, if that is a kernel in a module of its own, or a shader.
        checker: what it does to check results of execute: its execute is a call of the job's own check (`flow.own_check`).
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
    kernel: Guest | None = None
    checker: Guest | None = None

    @property
    def tolerance(self) -> Tolerance | None:
        """By how much results of execute may differ and be the same answer; None: by nothing."""
        program = self.guest_of("execute").gpu
        return None if program is None else program.tolerance

    def guest_of(self, function: Function) -> Guest:
        """What the engine instantiates for one of the job's functions."""
        return self.kernel if self.kernel is not None and function == "execute" else self.guest


def prepare(
    wasm_module: bytes,
    limits: Limits,
    engine: Engine,
    on_compile: OnCompile,
    *,
    name: str,
    associative: bool,
    is_strangers: bool = False,
) -> PreparedJob:
    """Prepare a job's module for `engine`.

    Args:
        wasm_module: a core module, or a job archive (a Python job).
        limits: of the job.
        engine: compiles it, unless its cache has it.
        on_compile: hears what is being compiled when that takes time.
        name: of the job, for messages.
        associative: whether the job says that merge is.
        is_strangers: whether somebody else than this user has brought the module.

    Raises:
        BadModuleError: neither a job archive nor a module of guest ABI 1.
        LimitExceededError: the module costs too much to compile.
        ManifestError: the memory limit has no room for Python.
        NoAdapterError: execute is a shader, and there is nothing to run it on.
    """
    is_python, kernel, checker = wasm_module.startswith(_ZIP_MAGIC), None, None
    try:
        if is_python:
            guest, functions, kernel = _prepare_python(wasm_module, limits, engine, on_compile, name, is_strangers=is_strangers)
            if (checker := _checker_of(wasm_module, guest, name)) is not None:
                _prepare_runtime(engine, on_compile)
        else:
            guest, functions = _prepare_module(wasm_module, limits, engine, on_compile, name, is_strangers=is_strangers)
    except RefusedError as error:
        raise error_of(error.failure, function="compile", chunk_index=None) from None
    has_split, has_merge = "split" in functions, "merge" in functions
    room = max(0, limits.memory - (PYTHON_MEMORY_BYTES if is_python else 0)) // CUSTOM_COPIES
    custom_bytes_max = room if has_split else min(room, limits.chunk)
    return PreparedJob(name, guest, has_split, has_merge, associative, custom_bytes_max, kernel, checker)


def _prepare_python(
    archive: bytes, limits: Limits, engine: Engine, on_compile: OnCompile, name: str, *, is_strangers: bool
) -> tuple[Guest, set[str], Guest | None]:
    if limits.memory < PYTHON_MEMORY_BYTES:
        raise ManifestError(
            f"limits.memory is {human_bytes(limits.memory)}; a Python job needs at least {human_bytes(PYTHON_MEMORY_BYTES)}",
            hint="raise limits.memory (--memory)",
            field="limits.memory",
        )
    functions, wasm, program = _functions_of(archive, name)
    guest = Guest(runtime.sha256(), archive, limits.with_fuel_for(python=True))
    if functions or (wasm is None and program is None):
        _prepare_runtime(engine, on_compile)
    if program is not None:
        return guest, functions, prepare_shader(program, guest.limits, engine, name)
    if wasm is None:
        return guest, functions, None
    check_size(wasm, limits)
    kernel = Guest(hashlib.sha256(wasm).hexdigest(), b"", guest.limits, is_strangers)
    engine.prepare(kernel.module, limits, lambda: wasm, lambda: on_compile(f"the kernel of {name}"), is_strangers=is_strangers)
    return guest, functions, kernel


def _prepare_runtime(engine: Engine, on_compile: OnCompile) -> None:
    """It is ours: a user's limits on modules don't concern it."""
    engine.prepare(runtime.sha256(), Limits(), runtime.load, lambda: on_compile("the Python runtime (once per machine)"))


def _checker_of(archive: bytes, guest: Guest, name: str) -> Guest | None:
    """The job's own check, if it has one: Python, whatever execute is, under the job's limits."""
    try:
        with open_archive(archive) as files:
            named = description_in(files).get("check")
            if named is None:
                return None
            code = read_of(files, CHECKER, MODULE_BYTES_MAX)
    except (zipfile.BadZipFile, KeyError, ValueError, RuntimeError) as error:
        raise BadModuleError(f"{name}: the job's own check can't be read", hint=_MAKE_IT) from error
    if hashlib.sha256(code).hexdigest() != named or _functions_of(code, name)[0] != {"execute"}:
        raise BadModuleError(f"{name}: the job's own check isn't the one that {DESCRIPTION} names", hint=_MAKE_IT)
    return Guest(guest.module, code, replace(guest.limits, chunk=CHUNK_BYTES_MAX))


def prepare_shader(program: GpuProgram, limits: Limits, engine: Engine, name: str) -> Guest:
    """Have a shader compiled, by a task of no chunks: what is wrong with it, or lacking here, is known before anything runs.

    Raises:
        NoAdapterError: there is nothing to run it on.
        BadModuleError: the compiler refuses it.
    """
    if not engine.takes_shaders:
        message = f"{name}: execute is a shader, and {engine.place} runs none"
        raise NoAdapterError(message, hint="leave engine= out, or name a node with an adapter: node=…")
    guest = Guest(hashlib.sha256(program.text.encode()).hexdigest(), b"", limits, gpu=program)
    outcome = engine.submit(Task(guest, "execute", 0, [frames.header(0)])).result()
    if isinstance(outcome, Failure) and outcome.kind is FailureKind.BAD_MODULE:
        raise BadModuleError(f"{name}: {outcome.message}", hint="docs/gpu.md says what a shader may be")
    if isinstance(outcome, Failure):
        raise error_of(outcome, function="compile", chunk_index=None)
    return guest


def _functions_of(archive: bytes, name: str) -> tuple[set[str], bytes | None, GpuProgram | None]:
    """Which functions the archive's `job.json` says are Python, and the module or the shader of execute, if it has one."""
    if len(archive) > MODULE_BYTES_MAX:
        raise BadModuleError(f"{name}: the job archive is {human_bytes(len(archive))}; at most {human_bytes(MODULE_BYTES_MAX)}")
    try:
        with open_archive(archive) as files:
            description = description_in(files)
            needed, functions = description["runtime"], set(description["entry"])
            kernel = _kernel_in(files, description["kernels"]["execute"]) if "kernels" in description else None
            program = _shader_in(files, description["gpu"]) if "gpu" in description else None
    except JobDefinitionError as error:
        raise BadModuleError(f"{name}: {error.message}", hint=error.hint) from error
    except (zipfile.BadZipFile, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise BadModuleError(f"{name}: the job archive can't be read", hint=_MAKE_IT) from error
    if needed != runtime.sha256():
        raise BadModuleError(
            f"{name}: the job was made for the Python runtime {str(needed)[:12]}…, this machine has {runtime.sha256()[:12]}…",
            hint="use the same version of pangea-compute on both sides",
        )
    return functions, kernel, program


def _shader_in(files: zipfile.ZipFile, declared: Any) -> GpuProgram:
    return GpuProgram.of_json(declared, read_of(files, SHADER_NAME, 4 * SOURCE_CHARACTERS_MAX).decode())


def _kernel_in(files: zipfile.ZipFile, named: object) -> bytes:
    """The kernel's module, which has the SHA-256 that `job.json` names.

    Raises:
        ValueError: it hasn't, or unpacks to more than a module may have.
    """
    wasm = read_of(files, KERNEL, MODULE_BYTES_MAX)
    if hashlib.sha256(wasm).hexdigest() != named:
        raise ValueError(f"{KERNEL} isn't the module that {DESCRIPTION} names")
    return wasm


def _prepare_module(
    wasm: bytes, limits: Limits, engine: Engine, on_compile: OnCompile, name: str, *, is_strangers: bool
) -> tuple[Guest, set[str]]:
    check_size(wasm, limits)
    guest = Guest(hashlib.sha256(wasm).hexdigest(), b"", limits.with_fuel_for(python=False), is_strangers)
    exports = engine.prepare(guest.module, limits, lambda: wasm, lambda: on_compile(name), is_strangers=is_strangers)
    return guest, set(exports)

"""Compiled modules on disk, and the child process that compiles them.

An entry is named by module, wasmtime version, profile and CPU, so that code made elsewhere is never taken for ours. It is
native code: the folder is the user's alone (mode 0700), the code's own SHA-256 stands beside it and is checked before each
first use. A module that was refused is remembered too, so that it costs its compile time once.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import tempfile
import time
from dataclasses import asdict, dataclass
from functools import cache as memoize
from pathlib import Path
from typing import Any

import platformdirs

from pangea.compute.engine.files import new_file
from pangea.compute.engine.launch import launch
from pangea.compute.model.errors import UnavailableError
from pangea.compute.model.limits import Limits
from pangea.compute.model.outcome import Failure, FailureKind
from pangea.compute.model.units import GIB, human_bytes

_COMPILED_BYTES_MAX = GIB
#: A refusal for lack of time or memory is forgotten after a day: the machine may have been busy.
_REFUSAL_SECONDS = 24 * 3600.0


class RefusedError(Exception):
    """A module that this engine doesn't run; carries the outcome."""

    def __init__(self, failure: Failure) -> None:
        """Wrap `failure`."""
        super().__init__(failure.message)
        self.failure = failure


@dataclass(frozen=True)
class Entry:
    """A compiled module: its open file, and the names of its ABI exports."""

    file: int
    exports: tuple[str, ...]


class ModuleCache:
    """The folder of compiled modules for one profile."""

    def __init__(self, folder: Path, profile: str) -> None:
        """Use `folder`, which `open_folder` has seen to."""
        self._folder = folder
        self._suffix = f"{profile}-{cpu_id()}"
        self._open: dict[str, Entry] = {}

    def get(self, module: str, limits: Limits) -> Entry | None:
        """The compiled code of `module` (SHA-256), or None when it has to be compiled first.

        Raises:
            RefusedError: it was compiled before and refused.
        """
        if module in self._open:
            return self._open[module]
        description = self._read_description(module)
        if description is None:
            return None
        if refusal := description.get("refused"):
            failure = Failure(**{**refusal, "kind": FailureKind(refusal["kind"])})
            if self._still_refused(failure, description["at"], description["limits"], limits):
                raise RefusedError(failure)
            return None
        return self._open_code(module, description)

    def _still_refused(self, failure: Failure, at: float, under: dict[str, Any], limits: Limits) -> bool:
        if failure.kind is FailureKind.BAD_MODULE:
            return True
        return under == limits.to_json() and time.time() - at < _REFUSAL_SECONDS

    def _open_code(self, module: str, description: dict[str, Any]) -> Entry | None:
        try:
            file = os.open(self._path(module, "code"), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        with os.fdopen(os.dup(file), "rb") as code:
            if hashlib.file_digest(code, "sha256").hexdigest() != description["sha256"]:
                os.close(file)
                return None  # torn or altered: compile it again
        self._open[module] = Entry(file, tuple(description["exports"]))
        return self._open[module]

    def compile(self, module: str, wasm: bytes, limits: Limits) -> Entry:
        """Compile `wasm`, whose SHA-256 is `module`, in a jailed child, and keep the outcome.

        Raises:
            RefusedError: it is no module of guest ABI 1, or costs more than its limits to compile.
            UnavailableError: the cache folder can't be written.
        """
        try:
            self._compile(module, wasm, limits)
        except OSError as error:
            raise UnavailableError(
                f"compiled code can't be written to {self._folder}: {error.strerror or error}",
                hint="free some space, or set PANGEA_CACHE_DIR to a folder with room",
            ) from error
        entry = self.get(module, limits)
        assert entry is not None
        return entry

    def _compile(self, module: str, wasm: bytes, limits: Limits) -> None:
        check_size(wasm, limits)
        with new_file(self._path(module, "code"), 0o600) as target:
            answer = _compile_in_child(wasm, target.fileno(), limits)
            if "failure" in answer:
                raise self._refused(module, answer["failure"], limits)
            with os.fdopen(os.dup(target.fileno()), "rb") as code:
                code.seek(0)
                digest = hashlib.file_digest(code, "sha256").hexdigest()
        self._write_description(module, {"sha256": digest, "exports": answer["exports"]})

    def _refused(self, module: str, refusal: dict[str, Any], limits: Limits) -> RefusedError:
        self._write_description(module, {"refused": refusal, "at": time.time(), "limits": limits.to_json()})
        return RefusedError(Failure(**{**refusal, "kind": FailureKind(refusal["kind"])}))

    def _path(self, module: str, kind: str) -> Path:
        return self._folder / f"{module}-{self._suffix}.{kind}"

    def _read_description(self, module: str) -> dict[str, Any] | None:
        try:
            description = json.loads(self._path(module, "json").read_text())
        except (FileNotFoundError, ValueError):
            return None
        is_whole = isinstance(description, dict) and ("refused" in description or {"sha256", "exports"} <= description.keys())
        return description if is_whole else None

    def _write_description(self, module: str, description: dict[str, Any]) -> None:
        with new_file(self._path(module, "json"), 0o600) as file:
            file.write(json.dumps(description).encode())

    def close(self) -> None:
        """Close the open files."""
        for entry in self._open.values():
            os.close(entry.file)
        self._open.clear()


def check_size(wasm: bytes, limits: Limits) -> None:
    """Hold a module to its size limit, whether it was compiled before (under another limit) or not.

    Raises:
        RefusedError: it is larger.
    """
    if len(wasm) > limits.module:
        message = f"the module is {human_bytes(len(wasm))}, the limit is {human_bytes(limits.module)}"
        raise RefusedError(Failure(kind=FailureKind.COMPILE_LIMIT, message=message, limit="module"))


def open_folder(folder: Path | None = None) -> Path:
    """Make `folder` (or the default one), for this user alone.

    Raises:
        UnavailableError: it can't be made, or belongs to somebody else.
    """
    folder = folder or default_folder()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        owner = folder.stat()
        if owner.st_uid != os.getuid():
            raise PermissionError(f"it belongs to user {owner.st_uid}")
        folder.chmod(0o700)
    except OSError as error:
        raise UnavailableError(
            f"the cache folder {folder} can't be used: {error.strerror or error}",
            hint="set PANGEA_CACHE_DIR to a folder of your own",
        ) from error
    return folder


def default_folder() -> Path:
    """Where compiled modules are kept."""
    return Path(os.environ.get("PANGEA_CACHE_DIR") or platformdirs.user_cache_path("pangea-compute"))


@memoize
def cpu_id() -> str:
    """Names this CPU's instruction set: compiled code may use all of it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    features = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    return f"{os.uname().machine}-{hashlib.sha256(features.encode()).hexdigest()[:12]}"


def _compile_in_child(wasm: bytes, target: int, limits: Limits) -> dict[str, Any]:
    """The child's answer: {"exports": […]}, or {"failure": …}."""
    with tempfile.TemporaryFile() as source, tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as stderr:
        source.write(wasm)
        source.flush()
        numbers = {name: getattr(limits, name) for name in limits.__slots__}
        arguments = (source.fileno(), target, said.fileno(), os.getpid(), numbers)
        child = launch("pangea.compute.engine.compiler", "main", arguments, arguments[:3], stderr)
        try:
            status = child.wait(limits.compile_time)
        except subprocess.TimeoutExpired:
            return _over(f"compiling takes longer than the limit of {limits.compile_time:g} s", "compile_time")
        finally:
            child.kill()
            child.wait()
        said.seek(0)
        if status == 0:
            answer: dict[str, Any] = json.load(said)
            if "error" in answer:
                raise OSError(answer["error"])
            return answer
        if status in (-24, -9):  # SIGXCPU, SIGKILL
            return _over("compiling was stopped for using too much of the machine", "compile_time")
        return _over(f"compiling needs more memory than the limit of {human_bytes(limits.compile_memory)}", "compile_memory")


def _over(message: str, limit: str) -> dict[str, Any]:
    return {"failure": asdict(Failure(kind=FailureKind.COMPILE_LIMIT, message=message, limit=limit))}

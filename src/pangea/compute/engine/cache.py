"""Compiled modules on disk, and the child process that compiles them.

An entry is named by module, wasmtime version, profile and CPU, so that code made elsewhere is never taken for ours. It is
native code: the folder is the user's alone (mode 0700), the code's own SHA-256 stands beside it and is checked before its first
use, once after each start of the machine: a power cut can tear a file, and whatever else changes one shows in its state. A module
that was refused is remembered too, so that it costs its compile time once.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import subprocess
import tempfile
import threading
import time
import weakref
from collections import OrderedDict
from dataclasses import asdict, replace
from functools import cache as memoize
from pathlib import Path
from typing import Any

from pangea.compute.engine import jail, ulimits
from pangea.compute.engine.cache_folder import FOLDER_BYTES_MAX, keep_within
from pangea.compute.engine.descriptors import hold_standard
from pangea.compute.engine.files import new_file
from pangea.compute.engine.launch import launch
from pangea.compute.engine.places import cache_folder
from pangea.compute.model.errors import UnavailableError
from pangea.compute.model.limits import Limits
from pangea.compute.model.outcome import Failure, FailureKind
from pangea.compute.model.plain_json import dumps, loads
from pangea.compute.model.units import GIB, MIB, human_bytes

_COMPILED_BYTES_MAX = GIB
#: Files that are kept open, of the modules that were used last; opening one again takes a look at its bytes.
_OPEN_MAX = 64
#: How often it is noted that a module is in use.
_NOTED_SECONDS = 60.0
#: A file that has changed so lately could change again and show the same time: clocks of file systems tick 100 times a second.
_SETTLED_NS = 2_000_000_000
#: Code smaller than this is hashed in less time than it takes to note that it was.
_NOTED_BYTES_MIN = 4 * MIB
_BOOT_FILE = Path("/proc/sys/kernel/random/boot_id")
#: A refusal for what compiling cost is forgotten after a day: another version of this machine's software may do better.
_REFUSAL_SECONDS = 24 * 3600.0
#: For the Python guest, which is ours and takes some 10 s: never met, however busy the machine is.
_OWN_COMPILE_SECONDS = 1800.0


class RefusedError(Exception):
    """A module that this engine doesn't run; carries the outcome."""

    def __init__(self, failure: Failure) -> None:
        """Wrap `failure`."""
        super().__init__(failure.message)
        self.failure = failure


class Entry:
    """A compiled module: its open file, and the names of its ABI exports. The file is open as long as somebody has the entry."""

    __slots__ = ("_description", "_noted", "exports", "file")

    def __init__(self, file: int, exports: tuple[str, ...], description: Path) -> None:
        """An entry that closes `file` when nobody needs it any more; its use is noted in the file `description`."""
        self.file: int = file
        self.exports: tuple[str, ...] = exports
        self._description = description
        self._noted = -_NOTED_SECONDS

    def used(self) -> None:
        """Note now and then that it is in use: in its description's time of change, as that of reading needn't be kept."""
        if (now := time.monotonic()) - self._noted >= _NOTED_SECONDS:
            self._noted = now
            with contextlib.suppress(OSError):
                os.utime(self._description)

    def __del__(self) -> None:
        os.close(self.file)


class ModuleCache:
    """The folder of compiled modules for one profile."""

    def __init__(self, folder: Path, profile: str, *, bytes_max: int = FOLDER_BYTES_MAX) -> None:
        """Use `folder`, which `open_folder` has seen to; its modules may have `bytes_max` bytes together."""
        self._folder = folder
        self._bytes_max = bytes_max
        self._suffix = f"{profile}-{cpu_id()}"
        self._open: OrderedDict[str, Entry] = OrderedDict()
        self._lock = threading.Lock()
        self._turns: weakref.WeakValueDictionary[str, threading.Lock] = weakref.WeakValueDictionary()

    def turn(self, module: str) -> threading.Lock:
        """Held by the one thread that compiles `module`; that takes no longer than compiling may."""
        with self._lock:
            turn = self._turns.get(module)
            if turn is None:
                turn = self._turns[module] = threading.Lock()
            return turn

    def get(self, module: str, limits: Limits) -> Entry | None:
        """The compiled code of `module` (SHA-256), or None when it has to be compiled first.

        Raises:
            RefusedError: it was compiled before and refused.
        """
        with self._lock:
            if (entry := self._open.get(module)) is not None:
                self._open.move_to_end(module)
                entry.used()
                return entry
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
        if not self._is_whole(module, file, description["sha256"]):
            os.close(file)
            return None  # torn or altered: compile it again
        with self._lock:
            if module in self._open:  # another thread was faster
                os.close(file)
            else:
                self._open[module] = Entry(file, tuple(description["exports"]), self._path(module, "json"))
            entry = self._open[module]
            entry.used()
            if len(self._open) > _OPEN_MAX:
                self._open.popitem(last=False)
            return entry

    def _is_whole(self, module: str, file: int, sha256: str) -> bool:
        """Whether code has the bytes that compiling gave. Hashing takes 50 ms for the Python guest, so what was seen is noted."""
        path, now = self._path(module, "seen"), os.fstat(file)
        state = [sha256, *_state_of(now)]
        with contextlib.suppress(OSError, ValueError):
            if loads(path.read_text()) == state:
                return True
        with os.fdopen(os.dup(file), "rb") as code:
            if hashlib.file_digest(code, "sha256").hexdigest() != sha256:
                return False
        if now.st_size >= _NOTED_BYTES_MIN and time.time_ns() - now.st_ctime_ns > _SETTLED_NS:
            with contextlib.suppress(OSError), new_file(path, 0o600) as seen:
                seen.write(dumps(state).encode())
        return True

    def compile(self, module: str, wasm: bytes, limits: Limits, *, is_own: bool = False) -> Entry:
        """Compile `wasm`, whose SHA-256 is `module`, in a jailed child, and keep the outcome.

        A refusal is kept if it was the module's fault. That this machine was too busy to compile it in time isn't.

        Args:
            module: its SHA-256.
            wasm: its bytes.
            limits: what compiling may cost.
            is_own: it is the Python guest: it has a meter of its own, and all the time it needs.

        Raises:
            RefusedError: it is no module of guest ABI 1, or costs more than its limits to compile.
            UnavailableError: the cache folder can't be written.
        """
        try:
            self._compile(module, wasm, replace(limits, compile_time=_OWN_COMPILE_SECONDS) if is_own else limits, is_own)
        except OSError as error:
            raise UnavailableError(
                f"compiled code can't be written to {self._folder}: {error.strerror or error}",
                hint="free some space, or set PANGEA_CACHE_DIR to a folder with room",
            ) from error
        entry = self.get(module, limits)
        assert entry is not None
        return entry

    def _compile(self, module: str, wasm: bytes, limits: Limits, is_own: bool) -> None:
        check_size(wasm, limits)
        with new_file(self._path(module, "code"), 0o600) as target:
            answer = _compile_in_child(wasm, target.fileno(), limits, is_own)
            if "failure" in answer:
                raise self._refused(module, answer["failure"], limits, is_kept="machine" not in answer)
            with os.fdopen(os.dup(target.fileno()), "rb") as code:
                code.seek(0)
                digest = hashlib.file_digest(code, "sha256").hexdigest()
        self._write_description(module, {"sha256": digest, "exports": answer["exports"]})

    def _refused(self, module: str, refusal: dict[str, Any], limits: Limits, *, is_kept: bool) -> RefusedError:
        if is_kept:
            self._write_description(module, {"refused": refusal, "at": time.time(), "limits": limits.to_json()})
        return RefusedError(Failure(**{**refusal, "kind": FailureKind(refusal["kind"])}))

    def _path(self, module: str, kind: str) -> Path:
        return self._folder / f"{module}-{self._suffix}.{kind}"

    def _read_description(self, module: str) -> dict[str, Any] | None:
        try:
            description = loads(self._path(module, "json").read_text())
        except (FileNotFoundError, ValueError):
            return None
        is_whole = isinstance(description, dict) and ("refused" in description or {"sha256", "exports"} <= description.keys())
        return description if is_whole else None

    def _write_description(self, module: str, description: dict[str, Any]) -> None:
        path = self._path(module, "json")
        with new_file(path, 0o600) as file:
            file.write(dumps(description).encode())
        keep_within(self._folder, self._bytes_max, keep=path.stem)

    def close(self) -> None:
        """Close the files that no task needs."""
        self._open.clear()


def _state_of(found: os.stat_result) -> list[str | int]:
    """What changes with a file's bytes, while the machine runs: the kernel sets the time of change, and nobody else can."""
    return [_boot(), found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns]


@memoize
def _boot() -> str:
    return _BOOT_FILE.read_text().strip()


def check_size(wasm: bytes, limits: Limits) -> None:
    """Hold a module to its size limit, whether it was compiled before (under another limit) or not.

    Raises:
        RefusedError: it is larger.
    """
    if len(wasm) > limits.module:
        message = f"the module is {human_bytes(len(wasm))}, the limit is {human_bytes(limits.module)}"
        raise RefusedError(Failure(kind=FailureKind.COMPILE_LIMIT, message=message, limit="module"))


def open_folder(folder: Path | None = None) -> Path:
    """Make `folder` (or this user's own), for this user alone.

    Raises:
        UnavailableError: it can't be made, or belongs to somebody else.
    """
    folder = folder or cache_folder()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        for found in (folder.lstat(), folder.stat()):  # others may write into what is above it: a link of theirs is theirs
            if found.st_uid != os.getuid():
                raise PermissionError(f"it belongs to user {found.st_uid}")
        folder.chmod(0o700)
    except OSError as error:
        raise UnavailableError(
            f"the cache folder {folder} can't be used: {error.strerror or error}",
            hint="set PANGEA_CACHE_DIR to a folder that you may write to",
        ) from error
    return folder


@memoize
def cpu_id() -> str:
    """Names this CPU's instruction set: compiled code may use all of it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    features = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    return f"{os.uname().machine}-{hashlib.sha256(features.encode()).hexdigest()[:12]}"


def _compile_in_child(wasm: bytes, target: int, limits: Limits, is_own: bool) -> dict[str, Any]:
    """The child's answer: {"exports": […]}, or {"failure": …}, with {"machine": true} if it wasn't the module's fault."""
    hold_standard()
    with tempfile.TemporaryFile() as source, tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as stderr:
        source.write(wasm)
        source.flush()
        numbers = {name: getattr(limits, name) for name in limits.__slots__}
        arguments = (source.fileno(), target, said.fileno(), os.getpid(), numbers, is_own)
        child = launch("pangea.compute.engine.compiler", "main", arguments, arguments[:3], stderr)
        try:
            status = child.wait(limits.compile_time)
        except subprocess.TimeoutExpired:
            return _overdue(child.pid, limits)
        finally:
            child.kill()
            child.wait()
        said.seek(0)
        if status == 0:
            answer: dict[str, Any] = loads(said.read().decode())
            if "error" in answer:
                raise OSError(answer["error"])
            return answer
        if status == -signal.SIGKILL:
            _check_cpu(limits)
            return {**_over("compiling was stopped from outside", "compile_time"), "machine": True}
        if status == -signal.SIGXCPU:
            _check_cpu(limits)
            return _over("compiling was stopped for using too much of the machine", "compile_time")
        _check_memory(limits)
        return _over(f"compiling needs more memory than the limit of {human_bytes(limits.compile_memory)}", "compile_memory")


def _check_cpu(limits: Limits) -> None:
    """What the shell forbids says nothing of the module, and isn't remembered.

    Raises:
        UnavailableError: it allows less than `limits` does.
    """
    allowed, wanted = ulimits.cpu_seconds(), jail.compiler_cpu_seconds(limits.compile_time)
    if allowed is not None and allowed < wanted:
        raise UnavailableError(
            f"compiling was stopped: it may take {wanted} s of CPU time, and this process allows {allowed} s (ulimit -t)",
            hint=f"ulimit -t {wanted}, or unlimited",
        )


def _check_memory(limits: Limits) -> None:
    """Likewise.

    Raises:
        UnavailableError: it allows less than `limits` does.
    """
    allowed = ulimits.memory_bytes()
    if allowed is not None and allowed < limits.compile_memory:
        raise UnavailableError(
            f"compiling failed: it may take {human_bytes(limits.compile_memory)}, and this process allows {human_bytes(allowed)}"
            " (ulimit -d, ulimit -v)",
            hint="lift the limit, or set limits.compile_memory",
        )


def _overdue(child: int, limits: Limits) -> dict[str, Any]:
    """Time is over. If the child had a core to itself for all of it, that is the module's fault."""
    used, most = _cpu_seconds(child), limits.compile_time
    if used >= most:
        return _over(f"compiling takes longer than the limit of {most:g} s", "compile_time")
    message = f"compiling wasn't done within the limit of {most:g} s, of which this busy machine gave it {used:.1f} s"
    return {**_over(message, "compile_time"), "machine": True}


def _cpu_seconds(process: int) -> float:
    """CPU time that a process has used. Source: proc(5), fields 14 and 15 of stat."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _over(message: str, limit: str) -> dict[str, Any]:
    return {"failure": asdict(Failure(kind=FailureKind.COMPILE_LIMIT, message=message, limit=limit))}

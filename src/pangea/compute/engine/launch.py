"""Start a child of this Python that shares nothing: no environment, no open files but the given, no import path tricks."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import weakref
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

_BOOT = "import sys; sys.path += {path!r}; from {module} import {function}; {function}(*{arguments!r})"

#: The folder that this package is imported from.
_OURS = str(Path(__file__).resolve().parents[3])
_launching = threading.Lock()
_launched: weakref.WeakSet[subprocess.Popen[bytes]] = weakref.WeakSet()


def launch(
    module: str, function: str, arguments: Sequence[object], descriptors: Sequence[int], stderr: IO[bytes]
) -> subprocess.Popen[bytes]:
    """Call `module.function(*arguments)` in a new process that keeps `descriptors` open.

    Args:
        module: full name of the module.
        function: a function of it.
        arguments: plain values, shown by `repr`.
        descriptors: open files that the child inherits under the same numbers.
        stderr: where its complaints go.
    """
    code = _BOOT.format(path=_import_path(), module=module, function=function, arguments=tuple(arguments))
    with _launching:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", code],
            stdin=subprocess.DEVNULL,
            stdout=stderr,
            stderr=stderr,
            env={},
            pass_fds=tuple(descriptors),
            start_new_session=True,  # Ctrl-C in a terminal reaches the whole foreground group
        )
        _launched.add(process)
    return process


def _begin_anew() -> None:
    """In a forked child nobody else is launching, and what was launched is its parent's."""
    global _launching, _launched
    _launching, _launched = threading.Lock(), weakref.WeakSet()


os.register_at_fork(after_in_child=_begin_anew)


def _import_path() -> list[str]:
    """This process's import path, to follow the standard library's: installed packages first, and whoever's folders last.

    A user's own `json.py` or `wasmtime.py` beside the job is the job's, and no business of the child's.
    """
    path = [os.path.abspath(entry or ".") for entry in sys.path]
    return sorted(path, key=lambda entry: not (entry == _OURS or entry.endswith(("site-packages", "dist-packages"))))


def reap_inherited() -> int:
    """Let go of processes that have ended and were left to this one by their parents, as process 1 has to; how many there were.

    A worker that is killed leaves the process that it had forked. Children of our own are their launcher's to wait for.
    """
    with _launching:  # what is being launched isn't known yet
        own = {process.pid for process in _launched if process.returncode is None}
        left = [pid for pid in _children() if pid not in own]
    reaped = 0
    for pid in left:
        with suppress(ChildProcessError):
            reaped += os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG) is not None
    return reaped


def _children() -> list[int]:
    """Processes whose parent is this one."""
    found = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError, ValueError, IndexError):  # gone meanwhile, or no process
            pid, status = int(entry.name), (entry / "stat").read_text()
            if int(status.rpartition(")")[2].split()[1]) == os.getpid():
                found.append(pid)
    return found

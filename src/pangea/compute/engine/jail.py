"""Take from a process what a guest must not have, in case it ever breaks out of its sandbox.

Called by worker processes about themselves, before any guest byte is read. What the kernel refuses is reported by
`pangea doctor`, not hidden.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
from dataclasses import dataclass

from pangea.compute.model.units import MIB

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 1, 4, 38
_CLONE_NEWUSER, _CLONE_NEWNET = 0x1000_0000, 0x4000_0000
#: Python, wasmtime and the work of copying, beside the guest's memory.
_HOST_DATA_BYTES = 192 * MIB
_OPEN_FILES_MAX = 64


@dataclass(frozen=True)
class Jail:
    """What was taken away; `network` is False where the kernel allows no namespace of one's own."""

    no_new_privileges: bool
    network: bool


def enter(parent: int) -> Jail:
    """Jail this process; it dies when the thread that started it, of process `parent`, dies."""
    die_with_parent(parent)
    libc = ctypes.CDLL(None, use_errno=True)
    no_new = libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
    libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    network = libc.unshare(_CLONE_NEWNET) == 0 or libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET) == 0
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_NOFILE, _OPEN_FILES_MAX)
    os.umask(0o077)
    return Jail(no_new_privileges=no_new, network=network)


def enter_task(parent: int, memory: int, seconds: float) -> None:
    """Tighten the jail for one task: its memory in bytes, and CPU seconds behind the time limit that the parent keeps."""
    die_with_parent(parent)
    limit_data(memory)
    cpu = int(seconds) + 5
    resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu))


def limit_data(memory: int) -> None:
    """Bound writable memory: `RLIMIT_DATA`, since Wasmtime reserves more address space than it ever uses."""
    soft = memory + _HOST_DATA_BYTES
    resource.setrlimit(resource.RLIMIT_DATA, (soft, resource.getrlimit(resource.RLIMIT_DATA)[1]))


def enter_compiler(parent: int, memory: int, seconds: float, output_max: int) -> None:
    """Jail a process that compiles one module into one file."""
    die_with_parent(parent)
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if libc.unshare(_CLONE_NEWNET) != 0:
        libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, output_max)
    _limit(resource.RLIMIT_DATA, memory)
    _limit(resource.RLIMIT_CPU, int(seconds * (os.cpu_count() or 1)) + 1)


def die_with_parent(parent: int) -> None:
    """Be killed when the parent dies; if that has happened already, exit now."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def _limit(which: int, value: int) -> None:
    resource.setrlimit(which, (value, value))

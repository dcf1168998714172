"""Take from a process what a guest must not have, in case it ever breaks out of its sandbox.

Called by worker and compiler processes about themselves, before any guest byte is read. What the kernel refuses is reported
by `pangea doctor`, not hidden.

Sources: prctl(2), capabilities(7), landlock(7), setrlimit(2); numbers from the kernel's uapi headers.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import struct
from dataclasses import dataclass

from pangea.compute.model.units import MIB

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 1, 4, 24, 38
_CLONE_NEWUSER, _CLONE_NEWNET = 0x1000_0000, 0x4000_0000
_CAPABILITY_VERSION_3, _CAPABILITIES = 0x2008_0522, 64
_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446
_LANDLOCK_VERSION_FLAG, _LANDLOCK_PATH_BENEATH, _LANDLOCK_READ_FILE = 1, 1, 1 << 2
#: Kinds of access to files that each Landlock version can forbid: the first 13, then refer, truncate, device control.
_LANDLOCK_FILE_BITS = {1: 13, 2: 14, 3: 15, 4: 15}
_LANDLOCK_FILE_BITS_NEWEST = 16
#: Python, wasmtime and the work of copying, beside the guest's memory.
_HOST_DATA_BYTES = 192 * MIB
_OPEN_FILES_MAX = 64

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Jail:
    """What was taken away; False where the kernel doesn't allow it.

    Attributes:
        no_new_privileges: no program can give this process more rights.
        network: it has a network namespace of its own, with nothing in it.
        files: it can open no file but compiled modules (Landlock); a task can open none.
        capabilities: it has none, whoever started it.
    """

    no_new_privileges: bool
    network: bool
    files: bool
    capabilities: bool


def enter(parent: int, readable: str) -> Jail:
    """Jail this process; it dies when the thread that started it, of process `parent`, dies.

    Args:
        parent: process id.
        readable: the only folder whose files it may still open, to read.
    """
    jail = _give_up(parent, readable)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_NOFILE, _OPEN_FILES_MAX)
    os.umask(0o077)
    return jail


def enter_task(parent: int, memory: int) -> None:
    """Tighten the jail for one task with its memory in bytes."""
    die_with_parent(parent)
    forbid_files("")
    limit_data(memory)


def limit_cpu(seconds: float) -> None:
    """Bound the CPU time of one task, behind the time limit that the parent keeps."""
    _limit(resource.RLIMIT_CPU, int(seconds) + 5)


def enter_compiler(parent: int, memory: int, seconds: float, output_max: int) -> Jail:
    """Jail a process that compiles one module into one open file."""
    jail = _give_up(parent, "")
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, output_max)
    _limit(resource.RLIMIT_DATA, memory)
    _limit(resource.RLIMIT_CPU, int(seconds * (os.cpu_count() or 1)) + 1)
    return jail


def limit_data(memory: int) -> None:
    """Bound writable memory: `RLIMIT_DATA`, since Wasmtime reserves more address space than it ever uses."""
    soft = memory + _HOST_DATA_BYTES
    resource.setrlimit(resource.RLIMIT_DATA, (soft, resource.getrlimit(resource.RLIMIT_DATA)[1]))


def die_with_parent(parent: int) -> None:
    """Be killed when the parent dies; if that has happened already, exit now."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def forbid_files(readable: str) -> bool:
    """Forbid this process to open, make or change any file, but to read those under folder `readable` ("" for none).

    Files that are open stay open. Returns False where the kernel has no Landlock.
    """
    version = _libc.syscall(_LANDLOCK_CREATE, None, ctypes.c_size_t(0), _LANDLOCK_VERSION_FLAG)
    if version < 1:
        return False
    forbidden = (1 << _LANDLOCK_FILE_BITS.get(version, _LANDLOCK_FILE_BITS_NEWEST)) - 1
    attribute = ctypes.create_string_buffer(struct.pack("=Q", forbidden), 8)
    rules = _libc.syscall(_LANDLOCK_CREATE, attribute, ctypes.c_size_t(8), 0)
    if rules < 0:
        return False
    try:
        if readable:
            _allow_reading(rules, readable)
        return bool(_libc.syscall(_LANDLOCK_RESTRICT, rules, 0) == 0)
    finally:
        os.close(rules)


def _allow_reading(rules: int, folder: str) -> None:
    place = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        rule = ctypes.create_string_buffer(struct.pack("=Qi", _LANDLOCK_READ_FILE, place), 12)
        _libc.syscall(_LANDLOCK_ADD, rules, _LANDLOCK_PATH_BENEATH, rule, 0)
    finally:
        os.close(place)


def _give_up(parent: int, readable: str) -> Jail:
    die_with_parent(parent)
    network = _libc.unshare(_CLONE_NEWNET) == 0 or _libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET) == 0
    no_new = _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
    _libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    die_with_parent(parent)  # once more: a change of credentials clears it
    return Jail(no_new_privileges=no_new, network=network, files=forbid_files(readable), capabilities=_drop_capabilities())


def _drop_capabilities() -> bool:
    """Root without capabilities is a user like others: it can't raise its limits again."""
    for capability in range(_CAPABILITIES):
        _libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)  # refused beyond the kernel's last one, or without the right
    header = ctypes.create_string_buffer(struct.pack("=Ii", _CAPABILITY_VERSION_3, 0), 8)
    return bool(_libc.capset(header, ctypes.create_string_buffer(bytes(24), 24)) == 0)


def _limit(which: int, value: int) -> None:
    resource.setrlimit(which, (value, value))

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
import stat
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pangea.compute.engine import seccomp
from pangea.compute.model.units import MIB, OWN_STACK_BYTES

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 1, 4, 24, 38
_CLONE_NEWUSER, _CLONE_NEWNET = 0x1000_0000, 0x4000_0000
_CAPABILITY_VERSION_3, _CAPABILITIES = 0x2008_0522, 64
_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446
_LANDLOCK_VERSION_FLAG, _LANDLOCK_PATH_BENEATH = 1, 1
_LANDLOCK_WRITE_FILE, _LANDLOCK_READ_FILE, _LANDLOCK_READ_FOLDER = 1 << 1, 1 << 2, 1 << 3
#: Kinds of access to files that each Landlock version can forbid: the first 13, then refer, truncate, device control.
_LANDLOCK_FILE_BITS = {1: 13, 2: 14, 3: 15, 4: 15}
_LANDLOCK_FILE_BITS_NEWEST = 16
#: Python, wasmtime and the work of copying, beside the guest's memory.
_HOST_DATA_BYTES = 192 * MIB
_OPEN_FILES_MAX = 64
#: Beside a job's buffers, for the driver: it compiles, and has threads.
_DRIVER_DATA_BYTES = 512 * MIB
#: Where drivers lie, with what they read of the machine; and the adapters themselves.
_DRIVER_FOLDERS = ("/usr", "/lib", "/lib64", "/etc", "/opt", "/proc", "/sys")
_ADAPTERS = ("/dev/dri", "/dev/nvidia*", "/dev/kfd")
#: Drivers write nothing to disk, and look for no display. Software runs eight invocations in step at most: `model.gpu.TURNS_MAX`.
DRIVER_ENVIRONMENT = {"MESA_SHADER_CACHE_DISABLE": "true", "XDG_RUNTIME_DIR": "/", "LP_NATIVE_VECTOR_WIDTH": "256"}

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Jail:
    """What was taken away; False where the kernel doesn't allow it.

    Attributes:
        no_new_privileges: no program can give this process more rights.
        network: it has a network namespace of its own, with nothing in it.
        files: it can open no file but compiled modules (Landlock); a task can open none.
        capabilities: it has none, whoever started it.
        calls: it can make only the system calls that its work takes (seccomp); a task fewer still.
    """

    no_new_privileges: bool
    network: bool
    files: bool
    capabilities: bool
    calls: bool = False


def enter(parent: int, readable: str) -> Jail:
    """Jail this process; it dies when the thread that started it, of process `parent`, dies.

    Args:
        parent: process id.
        readable: the only folder whose files it may still open, to read.
    """
    jail = _give_up(parent, {readable: _LANDLOCK_READ_FILE})
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_NOFILE, _OPEN_FILES_MAX)
    _limit_stack()
    os.umask(0o077)
    return replace(jail, calls=seccomp.restrict(seccomp.Role.WORKER))


def _limit_stack() -> None:
    """Allow the main thread the stack that a guest may use, and as much for us, where this machine allows less."""
    soft, hard = resource.getrlimit(resource.RLIMIT_STACK)
    needed = 2 * OWN_STACK_BYTES
    if soft != resource.RLIM_INFINITY and soft < needed:
        room = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_STACK, (room, hard))


def enter_task(parent: int, memory: int) -> None:
    """Tighten the jail for one task with its memory in bytes: no file, no process, no call beyond what computing takes."""
    die_with_parent(parent)
    forbid_files({})
    limit_data(memory)
    _limit(resource.RLIMIT_NPROC, 0)  # root is exempt; seccomp makes no exception
    seccomp.restrict(seccomp.Role.TASK)


def prepare_gpu(parent: int, readable: Sequence[str]) -> Jail:
    """Jail this process as far as a driver allows that is still to be loaded, and that starts threads; then `enter_gpu`.

    Args:
        parent: process id.
        readable: files and folders that the interpreter reads.
    """
    adapters = [str(each) for name in _ADAPTERS for each in Path("/").glob(name[1:])]
    files = dict.fromkeys([*readable, *_DRIVER_FOLDERS], _LANDLOCK_READ_FILE | _LANDLOCK_READ_FOLDER)
    jail = _give_up(parent, files | dict.fromkeys(adapters, _LANDLOCK_READ_FILE | _LANDLOCK_WRITE_FILE))
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_NOFILE, 4 * _OPEN_FILES_MAX)
    os.umask(0o077)
    return jail


def enter_gpu(jail: Jail, *, is_software: bool) -> Jail:
    """Close the jail of a process whose driver is loaded: software opens nothing any more, an adapter its own files alone."""
    return replace(jail, calls=seccomp.restrict(seccomp.Role.SOFTWARE_GPU if is_software else seccomp.Role.GPU))


def held_data() -> int:
    """Bytes of writable memory that this process has now, as `RLIMIT_DATA` counts them."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmData:"))


def limit_gpu(held: int, memory: int) -> None:
    """Bound writable memory to what the process held with its driver loaded, a job's, and what the driver may need; in bytes."""
    most = resource.getrlimit(resource.RLIMIT_DATA)[1]
    soft = held + memory + _DRIVER_DATA_BYTES
    resource.setrlimit(resource.RLIMIT_DATA, (soft if most == resource.RLIM_INFINITY else min(soft, most), most))


def limit_cpu(seconds: float) -> None:
    """Bound the CPU time of this process, behind the time limit that the parent keeps; the next task may move it.

    Where less is allowed already, the task is told a second before the kernel kills it, so that the cause is known.
    """
    most = resource.getrlimit(resource.RLIMIT_CPU)[1]
    soft = int(seconds) + 5
    if most != resource.RLIM_INFINITY and most <= soft:
        soft = max(1, most - 1)
    resource.setrlimit(resource.RLIMIT_CPU, (soft, most))


def enter_compiler(parent: int, memory: int, seconds: float, output_max: int) -> Jail:
    """Jail a process that compiles one module into one open file."""
    jail = _give_up(parent, {})
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, output_max)
    _limit(resource.RLIMIT_DATA, memory)
    _limit(resource.RLIMIT_CPU, compiler_cpu_seconds(seconds))
    return replace(jail, calls=seccomp.restrict(seccomp.Role.COMPILER))


def compiler_cpu_seconds(seconds: float) -> int:
    """The CPU time that compiling for `seconds` can take on all cores."""
    return int(seconds * (os.cpu_count() or 1)) + 1


def limit_data(memory: int) -> None:
    """Bound writable memory: `RLIMIT_DATA`, since Wasmtime reserves more address space than it ever uses."""
    soft, most = memory + _HOST_DATA_BYTES, resource.getrlimit(resource.RLIMIT_DATA)[1]
    resource.setrlimit(resource.RLIMIT_DATA, (soft if most == resource.RLIM_INFINITY else min(soft, most), most))


def die_with_parent(parent: int) -> None:
    """Be killed when the parent dies; if that has happened already, exit now."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def forbid_files(allowed: Mapping[str, int]) -> bool:
    """Forbid this process to open, make or change any file but those in, or under, the places `allowed`, with Landlock's bits.

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
        for path, access in allowed.items():
            _allow(rules, path, access)
        return bool(_libc.syscall(_LANDLOCK_RESTRICT, rules, 0) == 0)
    finally:
        os.close(rules)


def _allow(rules: int, path: str, access: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:  # there is none
        return
    try:
        if not stat.S_ISDIR(os.fstat(place).st_mode):
            access &= ~_LANDLOCK_READ_FOLDER
        rule = ctypes.create_string_buffer(struct.pack("=Qi", access, place), 12)
        _libc.syscall(_LANDLOCK_ADD, rules, _LANDLOCK_PATH_BENEATH, rule, 0)
    finally:
        os.close(place)


def _give_up(parent: int, files: Mapping[str, int]) -> Jail:
    die_with_parent(parent)
    network = _libc.unshare(_CLONE_NEWNET) == 0 or _libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET) == 0
    no_new = _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
    _libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    die_with_parent(parent)  # once more: a change of credentials clears it
    return Jail(no_new_privileges=no_new, network=network, files=forbid_files(files), capabilities=_drop_capabilities())


def _drop_capabilities() -> bool:
    """Root without capabilities is a user like others: it can't raise its limits again."""
    for capability in range(_CAPABILITIES):
        _libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)  # refused beyond the kernel's last one, or without the right
    header = ctypes.create_string_buffer(struct.pack("=Ii", _CAPABILITY_VERSION_3, 0), 8)
    return bool(_libc.capset(header, ctypes.create_string_buffer(bytes(24), 24)) == 0)


def _limit(which: int, value: int) -> None:
    """Set a limit, or keep what is lower already: only root may raise one."""
    most = resource.getrlimit(which)[1]
    value = value if most == resource.RLIM_INFINITY else min(value, most)
    resource.setrlimit(which, (value, value))

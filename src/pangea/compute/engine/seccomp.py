"""The system calls that a process may still make: an allow list, enforced by the kernel (seccomp).

A list for each role. A worker forks tasks and opens compiled code. A task computes: it reads and writes what is open, asks for
memory, and ends; it starts nothing, opens nothing, makes no memory executable, signals nobody. A compiler may have threads
besides; so may a driver of adapters, which makes memory executable and, unless it is software, speaks to the adapter (`ioctl`).
What isn't on the list fails with "operation not permitted", so that honest code that the list has forgotten says what it wanted.

Sources: seccomp(2), the kernel's uapi headers (`linux/filter.h`, `linux/seccomp.h`, `asm/unistd`).
"""

from __future__ import annotations

import ctypes
import errno
import platform
import struct
from collections.abc import Iterable
from enum import Enum

_ARCHES = {"x86_64": 0xC000_003E, "aarch64": 0xC000_00B7}
_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, _SECCOMP_SET_MODE_FILTER = 22, 2, 1
#: Or the kernel slows the whole process down against leaks between programs; what is here to leak is the guest's own.
_SPEC_ALLOW = 4
_ALL_THREADS = 1
_RET_KILL, _RET_ERRNO, _RET_ALLOW = 0x8000_0000, 0x0005_0000, 0x7FFF_0000
_LOAD, _JUMP_EQUAL, _JUMP_SET, _JUMP_GREATER_EQUAL, _RETURN = 0x20, 0x15, 0x45, 0x35, 0x06
_AT_NUMBER, _AT_ARCH, _AT_ARGUMENTS = 0, 4, 16
_X32 = 0x4000_0000
_PROT_EXEC, _CLONE_THREAD = 4, 0x1_0000
#: Whether it is a terminal, and whether to wait: all that `ioctl` is needed for.
_TCGETS, _FIONBIO = 0x5401, 0x5421

#: Numbers on x86-64 and on aarch64; None where there is no such call.
_CALLS: dict[str, tuple[int | None, int | None]] = {
    "read": (0, 63), "write": (1, 64), "readv": (19, 65), "writev": (20, 66), "pread64": (17, 67), "pwrite64": (18, 68),
    "preadv": (295, 69), "pwritev": (296, 70), "preadv2": (327, 286), "pwritev2": (328, 287),
    "close": (3, 57), "fstat": (5, 80), "newfstatat": (262, 79), "statx": (332, 291), "lseek": (8, 62), "fcntl": (72, 25),
    "ftruncate": (77, 46), "poll": (7, None), "ppoll": (271, 73), "select": (23, None), "pselect6": (270, 72),
    "recvmsg": (47, 212), "sendmsg": (46, 211), "recvfrom": (45, 207), "sendto": (44, 206), "getsockopt": (55, 209),
    "getsockname": (51, 204),
    "mmap": (9, 222), "mprotect": (10, 226), "munmap": (11, 215), "mremap": (25, 216), "madvise": (28, 233), "brk": (12, 214),
    "rt_sigaction": (13, 134), "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139), "sigaltstack": (131, 132),
    "futex": (202, 98), "sched_yield": (24, 124), "sched_getaffinity": (204, 123), "membarrier": (324, 283),
    "getpid": (39, 172), "getppid": (110, 173), "gettid": (186, 178), "getrandom": (318, 278), "getrusage": (98, 165),
    "clock_gettime": (228, 113), "clock_nanosleep": (230, 115), "nanosleep": (35, 101), "gettimeofday": (96, 169),
    "restart_syscall": (219, 128), "set_robust_list": (273, 99), "rseq": (334, 293), "set_tid_address": (218, 96),
    "exit": (60, 93), "exit_group": (231, 94), "ioctl": (16, 29), "prlimit64": (302, 261), "getrlimit": (97, 163),
    "setrlimit": (160, 164), "uname": (63, 160), "getuid": (102, 174), "geteuid": (107, 175), "getgid": (104, 176),
    "getegid": (108, 177),
    # Beyond a task's:
    "openat": (257, 56), "open": (2, None), "access": (21, None), "faccessat2": (439, 439), "readlink": (89, None),
    "readlinkat": (267, 78), "stat": (4, None), "lstat": (6, None), "getcwd": (79, 17), "pipe2": (293, 59), "dup": (32, 23),
    "clone": (56, 220), "fork": (57, None), "vfork": (58, None), "wait4": (61, 260), "waitid": (247, 95),
    "pidfd_open": (434, 434), "kill": (62, 129), "prctl": (157, 167), "landlock_create_ruleset": (444, 444),
    "landlock_add_rule": (445, 445), "landlock_restrict_self": (446, 446), "seccomp": (317, 277), "getdents64": (217, 61),
    "clone3": (435, 435), "tgkill": (234, 131), "sched_setaffinity": (203, 122), "sysinfo": (99, 179), "capget": (125, 90),
    "getsid": (124, 156), "fallocate": (285, 47),
    "fsync": (74, 82), "memfd_create": (319, 279), "eventfd2": (290, 19),
}  # fmt: skip
_OF_A_WORKER = (
    "openat open access faccessat2 readlink readlinkat stat lstat getcwd pipe2 dup clone fork vfork wait4 waitid pidfd_open kill"
    " prctl landlock_create_ruleset landlock_add_rule landlock_restrict_self seccomp getdents64 tgkill"
).split()
_OF_A_COMPILER = "dup clone prctl openat getcwd readlink readlinkat tgkill sched_setaffinity sysinfo fallocate fsync".split()
#: A driver's threads, its compiler, and memory that it shares with itself; then what an adapter's files take.
_OF_SOFTWARE = "clone prctl tgkill sched_setaffinity sysinfo memfd_create eventfd2 fallocate dup".split()
_OF_AN_ADAPTER = "openat open access faccessat2 readlink readlinkat stat lstat getdents64".split()
_BEYOND_A_TASK = {*_OF_A_WORKER, *_OF_A_COMPILER, *_OF_SOFTWARE, "clone3"}


class Role(Enum):
    """Who a process is."""

    WORKER = "worker"
    TASK = "task"
    COMPILER = "compiler"
    SOFTWARE_GPU = "software adapter"
    GPU = "adapter"


def allowed(role: Role) -> set[str]:
    """Names of the calls that a process may make, some with certain arguments only."""
    task = {name for name in _CALLS if name not in _BEYOND_A_TASK}
    more: dict[Role, list[str]] = {
        Role.WORKER: _OF_A_WORKER,
        Role.TASK: [],
        Role.COMPILER: _OF_A_COMPILER,
        Role.SOFTWARE_GPU: _OF_SOFTWARE,
        Role.GPU: [*_OF_SOFTWARE, *_OF_AN_ADAPTER],
    }
    return task | {*more[role]}


def restrict(role: Role) -> bool:
    """Leave this process, and all that it starts, only the calls of its role; for good. False where the kernel has no seccomp.

    A driver's threads, which run already, are left no more than that, either.

    `no_new_privs` must have been set.
    """
    machine = platform.machine()
    if machine not in _ARCHES:
        return False
    code = program(role, machine)
    count = len(code) // 8
    buffer = ctypes.create_string_buffer(code, len(code))
    head = ctypes.create_string_buffer(struct.pack("=HxxxxxxQ", count, ctypes.addressof(buffer)), 16)
    libc = ctypes.CDLL(None, use_errno=True)
    number = _CALLS["seccomp"][_column(machine)]
    has_threads = role in (Role.GPU, Role.SOFTWARE_GPU)
    if libc.syscall(number, _SECCOMP_SET_MODE_FILTER, _SPEC_ALLOW | (_ALL_THREADS if has_threads else 0), head) == 0:
        return True
    if has_threads:
        return False
    return bool(libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, head, 0, 0) == 0)


def program(role: Role, machine: str) -> bytes:
    """The filter as the kernel wants it: classic BPF, 8 bytes an instruction."""
    column, names = _column(machine), allowed(role)
    code = [_word(_LOAD, _AT_ARCH), _jump(_JUMP_EQUAL, _ARCHES[machine], 1, 0), _word(_RETURN, _RET_KILL)]
    code += [_word(_LOAD, _AT_NUMBER)]
    if machine == "x86_64":
        code += [_jump(_JUMP_GREATER_EQUAL, _X32, 0, 1), _word(_RETURN, _RET_KILL)]
    for name, numbers in _CALLS.items():
        if (number := numbers[column]) is None:
            continue
        answer = list(_answer(name, role)) if name in names else []
        if name == "clone3":
            answer = [_word(_RETURN, _RET_ERRNO | errno.ENOSYS)]  # then the C library uses clone, whose flags can be looked at
        if answer:
            code += [_jump(_JUMP_EQUAL, number, 0, len(answer)), *answer]
    return b"".join([*code, _word(_RETURN, _RET_ERRNO | errno.EPERM)])


def _answer(name: str, role: Role) -> Iterable[bytes]:
    """What becomes of an allowed call; some are allowed with certain arguments only."""
    allow, deny = _word(_RETURN, _RET_ALLOW), _word(_RETURN, _RET_ERRNO | errno.EPERM)
    if name in ("mmap", "mprotect") and role is Role.TASK:
        return [_argument(2), _jump(_JUMP_SET, _PROT_EXEC, 0, 1), deny, allow]
    if name == "ioctl" and role is not Role.GPU:
        return [_argument(1), _jump(_JUMP_EQUAL, _TCGETS, 1, 0), _jump(_JUMP_EQUAL, _FIONBIO, 0, 1), allow, deny]
    if name == "clone" and role is not Role.WORKER:
        return [_argument(0), _jump(_JUMP_SET, _CLONE_THREAD, 0, 1), allow, deny]
    return [allow]


def _argument(index: int) -> bytes:
    """Load the lower half of an argument."""
    return _word(_LOAD, _AT_ARGUMENTS + 8 * index)


def _word(code: int, value: int) -> bytes:
    return struct.pack("=HBBI", code, 0, 0, value)


def _jump(code: int, value: int, if_so: int, if_not: int) -> bytes:
    return struct.pack("=HBBI", code, if_so, if_not, value)


def _column(machine: str) -> int:
    return list(_ARCHES).index(machine)

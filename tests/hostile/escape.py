"""What a guest could do that has broken out of its sandbox: it runs in the jail, beside the tests' canaries."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import platform
import resource
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pangea.compute.engine import jail

_PR_GET_NO_NEW_PRIVS = 39
_CAPABILITY_VERSION_3 = 0x2008_0522


def tried(act: Callable[[], object]) -> str:
    """What comes of `act`: "done …", or the error's name."""
    try:
        return f"done {act()!r}"
    except OSError as error:
        return f"{type(error).__name__} {error.errno}"
    except ValueError as error:  # setrlimit's word for EPERM
        return f"{type(error).__name__} {error}"


def _written(path: str) -> int:
    with open(path, "wb", buffering=0) as file:
        return file.write(b"stolen")


def _connected(port: int) -> str:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        return connection.recv(6).decode()


def report(port: int, folder: str) -> dict[str, Any]:
    """Try everything, and say how far it went."""
    return {
        "environment": dict(os.environ),
        "descriptors": {number: _target(number) for number in range(256)},
        "read": tried(lambda: Path(f"{folder}/canary").read_text()),
        "password": tried(lambda: Path("/etc/passwd").read_text()),
        "list": tried(lambda: os.listdir(folder)),
        "raise limits": tried(lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))),
        "write": tried(lambda: _written(f"{folder}/stolen")),
        "append": tried(lambda: _written(f"{folder}/canary")),
        "connect": tried(lambda: _connected(port)),
        "interfaces": tried(socket.if_nameindex),
        "core": resource.getrlimit(resource.RLIMIT_CORE),
        "files": resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        "capabilities": _effective_capabilities(),
        "no new privileges": ctypes.CDLL(None).prctl(_PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0),
        "session": os.getsid(0) == os.getpid(),
    }


def _effective_capabilities() -> int:
    header = ctypes.create_string_buffer(struct.pack("=Ii", _CAPABILITY_VERSION_3, 0), 8)
    sets = ctypes.create_string_buffer(24)
    assert ctypes.CDLL(None).capget(header, sets) == 0
    low, _, _, high, _, _ = struct.unpack("=6I", sets.raw)
    return int(low | high << 32)


def _target(number: int) -> str:
    with contextlib.suppress(OSError):
        return os.readlink(f"/proc/self/fd/{number}")
    return "gone"


def main(answer: int, parent: int, port: int, folder: str) -> None:
    """Enter the jail, try to get out, and tell through the socket `answer`."""
    entered = jail.enter(parent, "")
    with socket.socket(fileno=answer) as said:
        said.sendall(json.dumps({"jail": asdict(entered), **report(port, folder)}).encode())


def compile_side(answer: int, parent: int, port: int, folder: str) -> None:
    """The same from the jail of the process that compiles."""
    entered = jail.enter_compiler(parent, 1 << 30, 10, 1 << 20)
    with socket.socket(fileno=answer) as said:
        said.sendall(json.dumps({"jail": asdict(entered), **report(port, folder)}).encode())


def linger(answer: int, parent: int) -> None:
    """Enter the jail, say so, and stay until killed."""
    jail.enter(parent, "")
    with socket.socket(fileno=answer) as said:
        said.sendall(b"%d" % os.getpid())
        threading.Event().wait(3600)


#: Calls that no computation needs, by their numbers on x86-64 and aarch64.
_CALLS = {
    "execve": (59, 221), "ptrace": (101, 117), "process_vm_readv": (310, 270), "mount": (165, 40), "unshare": (272, 97),
    "setns": (308, 268), "bpf": (321, 280), "perf_event_open": (298, 241), "io_uring_setup": (425, 425), "keyctl": (250, 219),
    "memfd_create": (319, 279), "userfaultfd": (323, 282), "kexec_load": (246, 104), "init_module": (175, 105),
    "reboot": (169, 142), "chroot": (161, 51), "pivot_root": (155, 41), "socket": (41, 198), "openat": (257, 56),
    "clone": (56, 220), "pidfd_open": (434, 434), "prctl": (157, 167), "kill": (62, 129), "tgkill": (234, 131),
    "personality": (135, 92), "setuid": (105, 146), "a call of the future": (9999, 9999),
}  # fmt: skip


def forbidden(answer: int, parent: int) -> None:
    """Enter the jail of a task, call what no task needs, and tell what each call says."""
    entered = jail.enter(parent, "")
    jail.enter_task(parent, 64 << 20)
    libc, column = ctypes.CDLL(None, use_errno=True), ["x86_64", "aarch64"].index(platform.machine())
    libc.mmap.restype = ctypes.c_void_p
    found: dict[str, Any] = {}
    for name, numbers in _CALLS.items():
        ctypes.set_errno(0)
        result = libc.syscall(numbers[column], 0, 0, 0, 0, 0, 0)
        found[name] = (result, ctypes.get_errno())
    for name, call in {
        "executable memory": lambda: libc.mmap(None, ctypes.c_size_t(4096), 7, 0x22, -1, 0),
        "memory made executable": lambda: libc.mprotect(ctypes.c_void_p(_page()), ctypes.c_size_t(4096), 5),
        "fork": os.fork,
    }.items():
        ctypes.set_errno(0)
        found[name] = tried(call)
    with socket.socket(fileno=answer) as said:
        said.sendall(
            json.dumps({"jail": asdict(entered), "found": found, "processes": resource.getrlimit(resource.RLIMIT_NPROC)}).encode()
        )


def _page() -> int:
    """The address of a page of this process."""
    global _kept
    _kept = ctypes.create_string_buffer(3 * 4096)
    return (ctypes.addressof(_kept) + 4095) & ~4095


_kept: Any = None


def memory(answer: int, parent: int, limit: int) -> None:
    """Enter the jail of a task with `limit` bytes, and take memory until there is none."""
    jail.enter(parent, "")
    jail.enter_task(parent, limit)
    jail.limit_cpu(5)
    taken: list[bytearray] = []
    with contextlib.suppress(MemoryError):
        while len(taken) < 4096:
            taken.append(bytearray(1 << 20))
    megabytes = len(taken)
    del taken
    with socket.socket(fileno=answer) as said:
        said.sendall(json.dumps({"megabytes": megabytes, "cpu": resource.getrlimit(resource.RLIMIT_CPU)}).encode())

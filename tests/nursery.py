"""Processes of `pangea` for tests, forked from one process that has imported it: a start costs half a second of imports less.

They are processes as others are, with a data directory, signals and an end of their own; what they import is what they would.
Where it matters how a process came to be (its command line, its interpreter's environment, another network), it is started anew.

The nursery is a child of the test's process and has one thread. Requests go down a socket, with the descriptors that are to be
the new process's 0, 1 and 2, and a pipe for its exit code; up comes its id, with a descriptor that stands for it. Whatever it
has started ends with it.

Sources: pidfd_open(2), unix(7) on SCM_RIGHTS.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import NoReturn

PANGEA = str(Path(sys.executable).with_name("pangea"))
_ROOT = Path(__file__).parents[1]
_IMPORTED = (
    *("cli.main", "cli.config", "cli.job", "cli.node", "cli.peer", "cli.run", "cli.verify"),
    *("client.clients.client", "client.submission.submit", "node.service.daemon", "testing.byzantine"),
)
_REQUEST_BYTES_MAX = 1 << 20
#: What an interpreter and its libraries read when they start.
_READ_AT_START = ("PYTHON", "LC_", "LANG", "LD_", "TZ")


class Forked:
    """A process from the nursery, with what tests use of `subprocess.Popen`."""

    def __init__(self, words: Sequence[str], pid: int, handle: int, ending: int) -> None:
        """Process `pid`, for which `handle` stands, and whose exit code comes through the pipe `ending`."""
        self.args, self.pid = words, pid
        self.returncode: int | None = None
        self._handle, self._ending = handle, ending

    def poll(self) -> int | None:
        """Its exit code if it has ended, negative for a signal."""
        return self._ended(0.0)

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code, once it has ended.

        Raises:
            subprocess.TimeoutExpired: that takes longer than `timeout` seconds.
        """
        code = self._ended(timeout)
        if code is None:
            raise subprocess.TimeoutExpired([*self.args], timeout or 0.0)
        return code

    def send_signal(self, number: int) -> None:
        """Send it a signal, if it hasn't ended."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._handle, signal.Signals(number))

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def _ended(self, seconds: float | None) -> int | None:
        if self.returncode is None and select.select([self._ending], [], [], seconds)[0]:
            said = os.read(self._ending, 16)
            assert said, "the nursery is gone"
            self.returncode = int(said)
            os.close(self._ending)
            os.close(self._handle)
        return self.returncode


class Nursery:
    """The test process's end."""

    def __init__(self) -> None:
        """Start it; the first process waits until all is imported."""
        self._lock = threading.Lock()
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.nursery", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                cwd=_ROOT,
            )

    def start(
        self,
        words: Sequence[str],
        environment: Mapping[str, str],
        *,
        stdin: int = 0,
        stdout: int,
        stderr: int,
        folder: Path | None = None,
    ) -> Forked:
        """`pangea` with these arguments."""
        request = json.dumps([[*words], dict(environment), str(folder or Path.cwd())]).encode()
        ending, theirs = os.pipe()
        try:
            with self._lock:
                socket.send_fds(self._socket, [request], [stdin, stdout, stderr, theirs])
                said, handles, _, _ = socket.recv_fds(self._socket, 16, 1)
        finally:
            os.close(theirs)
        assert said, "the nursery is gone"
        return Forked([PANGEA, *words], int(said), handles[0], ending)

    def close(self) -> None:
        """End it, and whatever it has started."""
        self._socket.close()
        self._process.wait()


_nursery: Nursery | None = None


def nursery() -> Nursery:
    """The one of this process."""
    global _nursery
    if _nursery is None:
        _nursery = Nursery()
        atexit.register(_nursery.close)
    return _nursery


def is_like_here(environment: Mapping[str, str]) -> bool:
    """Whether an interpreter with this environment would start as the nursery's has."""
    names = {name for name in (*environment, *os.environ) if name.startswith(_READ_AT_START)}
    return all(environment.get(name) == os.environ.get(name) for name in names)


class _Children:
    """The nursery's end: what it has started, by the descriptor that stands for each."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self._running: dict[int, tuple[int, int]] = {}

    def serve(self) -> list[str] | None:
        """Start what is asked for, and tell how each has ended; in a new process: its arguments, in the nursery None."""
        while True:
            ready, _, _ = select.select([self._line.fileno(), *self._running], [], [])
            for handle in self._running.keys() & ready:
                self._ended(handle)
            if self._line.fileno() in ready:
                request, descriptors, _, _ = socket.recv_fds(self._line, _REQUEST_BYTES_MAX, 4)
                if not request:
                    self._end_all()
                    return None
                if (words := self._fork(request, descriptors)) is not None:
                    return words

    def _fork(self, request: bytes, descriptors: list[int]) -> list[str] | None:
        words, environment, folder = json.loads(request)
        if pid := os.fork():
            handle = os.pidfd_open(pid)
            self._running[handle] = pid, descriptors.pop()
            socket.send_fds(self._line, [b"%d" % pid], [handle])
            for each in descriptors:
                os.close(each)
            return None
        self._line.close()
        for number, each in enumerate(descriptors[:3]):
            os.dup2(each, number)
        for each in (*descriptors, *self._running, *(ending for _, ending in self._running.values())):
            os.close(each)
        os.environ.clear()
        os.environ.update(environment)
        os.chdir(folder)
        return [str(each) for each in words]

    def _ended(self, handle: int) -> None:
        pid, ending = self._running.pop(handle)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        with contextlib.suppress(BrokenPipeError):
            os.write(ending, b"%d" % code)
        os.close(ending)
        os.close(handle)

    def _end_all(self) -> None:
        for handle, (pid, _) in [*self._running.items()]:
            os.kill(pid, signal.SIGKILL)
            self._ended(handle)


def _bear() -> Iterator[list[str]]:
    """The arguments of `pangea`, in each new process; none in the nursery, at its end."""
    for name in _IMPORTED:
        import_module(f"pangea.compute.{name}")
    assert len(os.listdir("/proc/self/task")) == 1, "a process with threads can't be forked"
    gc.freeze()
    words = _Children(socket.socket(fileno=int(sys.argv[1]))).serve()
    if words is not None:
        yield words


def _main() -> NoReturn:
    for words in _bear():
        from pangea.compute.cli.start import main

        sys.argv = [PANGEA, *words]
        main()
    sys.exit(0)


if __name__ == "__main__":
    _main()

"""The node's side of one worker process: start it, give it tasks, keep its time, and replace it when it dies."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import subprocess
import tempfile
import threading
import time
from typing import Any

from pangea.compute.engine.channel import ChannelError, Records, SharedMemory
from pangea.compute.engine.launch import launch
from pangea.compute.engine.task import Guest, Task
from pangea.compute.model.errors import InputError, UnavailableError
from pangea.compute.model.outcome import Failure, FailureKind, Finished, Outcome
from pangea.compute.model.units import human_bytes

_START_SECONDS = 30.0
_STOP_SECONDS = 2.0
#: Beyond the guest's own time: starting a task, and moving its bytes.
_GRACE_SECONDS = 0.1
_STDERR_MAX = 4_096


class WorkerProcess:
    """A running worker process. Used by one thread, except `kill`."""

    def __init__(self) -> None:
        """Start the process and wait until it is jailed.

        Raises:
            UnavailableError: it doesn't start, or its wasmtime is too old.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._records = Records(ours)
        self._memory = SharedMemory.create()
        self._stderr = tempfile.TemporaryFile(buffering=0)
        self._guest_key = ""
        self._killed = threading.Event()
        arguments = (theirs.fileno(), self._memory.descriptor, os.getpid())
        try:
            with theirs:
                self._process: subprocess.Popen[bytes] = launch(
                    "pangea.compute.engine.worker", "main", arguments, arguments[:2], self._stderr
                )
            self.hello: dict[str, Any] = self._greeting()
        except BaseException:
            self.close()
            raise

    def _greeting(self) -> dict[str, Any]:
        try:
            record, _ = self._records.receive(_START_SECONDS)
            hello: dict[str, Any] = record["hello"]
        except (ChannelError, TimeoutError, KeyError) as error:
            raise UnavailableError(
                f"a worker process didn't start: {self._complaint() or error}",
                hint="run `pangea doctor` to see what this machine lacks",
            ) from error
        if hello["problem"]:
            raise UnavailableError(hello["problem"], hint="pip install --upgrade wasmtime")
        return hello

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    def run(self, task: Task, code_file: int) -> Outcome:
        """Run `task`, whose module's compiled code is open as `code_file`.

        The process is not usable after an outcome of the machine's fault: ask `is_alive`.
        """
        try:
            if self._guest_key != task.guest.key and (failure := self._load(task.guest, code_file)):
                return failure
            size = self._memory.write(task.parts)
            run = {"function": task.function, "size": size, "count": task.count, "singly": task.singly}
            self._records.send({"run": run})
            return self._outcome(task)
        except TimeoutError:
            self.kill()
            limit = f"its time limit of {task.guest.limits.time:g} s"
            return Failure(kind=FailureKind.TIMED_OUT, message=f"{task.function} ran into {limit}", limit="time")
        except ChannelError as error:
            return self._lost(str(error))
        except OSError as error:
            if error.errno != errno.EFAULT:
                raise
            raise InputError("an input file was cut short while it was read", hint="give the job a file at rest") from error

    def _load(self, guest: Guest, code_file: int) -> Failure | None:
        self._guest_key = ""
        self._memory.write([guest.code])
        limits = {name: getattr(guest.limits, name) for name in guest.limits.__slots__}
        self._records.send({"load": {"limits": limits, "code_bytes": len(guest.code)}}, [code_file])
        try:
            record, _ = self._records.receive(guest.limits.time + _GRACE_SECONDS)
        except TimeoutError:
            self.kill()
            message = f"the job's top level ran into its time limit of {guest.limits.time:g} s"
            return Failure(kind=FailureKind.TIMED_OUT, message=message, limit="time", function="init")
        if failure := record.get("failure"):
            return _failure(failure)
        self._guest_key = guest.key
        return None

    def _outcome(self, task: Task) -> Outcome:
        deadline = time.monotonic() + task.guest.limits.time + _GRACE_SECONDS
        while True:
            record, _ = self._records.receive(max(0.001, deadline - time.monotonic()))
            if "progress" in record:  # a call of its own has ended; the next one gets the full time
                deadline = time.monotonic() + task.guest.limits.time + _GRACE_SECONDS
            elif "need" in record:
                if failure := self._give_room(record["need"], task):
                    return failure
            elif "done" in record:
                return self._finished(record["done"])
            elif "failure" in record:
                return _failure(record["failure"])
            else:
                return self._lost(str(record.get("lost", "it sent an unknown record")))

    def _give_room(self, size: int, task: Task) -> Failure | None:
        most = 2 * task.guest.limits.memory
        if size > most:
            self.kill()
            message = f"the results of one task are {human_bytes(size)}, more than {human_bytes(most)}"
            return Failure(kind=FailureKind.RESULT_TOO_LARGE, message=message, limit="result")
        self._memory.grow(size)
        self._records.send({"capacity": self._memory.size})
        return None

    def _finished(self, done: dict[str, Any]) -> Finished:
        results = self._memory.read(done["size"])
        self._memory.shrink()
        return Finished(results=results, fuel=done["fuel"], seconds=done["seconds"], prints=done["prints"])

    def _lost(self, reason: str) -> Failure:
        if self._killed.is_set():
            return Failure(kind=FailureKind.CANCELLED, message="the task was cancelled")
        complaint = self._complaint()
        message = f"the worker process was lost: {reason}{f' ({complaint})' if complaint else ''}"
        return Failure(kind=FailureKind.WORKER_LOST, message=message)

    def _complaint(self) -> str:
        """The last line that the process wrote to its standard error."""
        size = os.fstat(self._stderr.fileno()).st_size
        text = os.pread(self._stderr.fileno(), _STDERR_MAX, max(0, size - _STDERR_MAX)).decode("utf-8", "replace")
        lines = [line for line in text.splitlines() if line.strip()]
        return lines[-1].strip() if lines else ""

    @property
    def is_alive(self) -> bool:
        """Whether another task can be given to it."""
        return not self._killed.is_set() and self._process.poll() is None

    def kill(self) -> None:
        """End the process at once, and with it the task that it runs. From any thread."""
        self._killed.set()
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    def close(self) -> None:
        """End the process and free all that belongs to it."""
        self._records.close()
        if process := getattr(self, "_process", None):
            process.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_STOP_SECONDS)
        self._memory.close()
        self._stderr.close()


def _failure(record: dict[str, Any]) -> Failure:
    return Failure(**{**record, "kind": FailureKind(record["kind"])})

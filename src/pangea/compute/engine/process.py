"""The node's side of one worker process: start it, give it tasks, keep its time, and replace it when it dies."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import subprocess
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pangea.compute.engine.channel import ChannelError, Records, SharedMemory
from pangea.compute.engine.launch import launch
from pangea.compute.engine.task import Guest, Task
from pangea.compute.model import frames
from pangea.compute.model.errors import InputError, UnavailableError
from pangea.compute.model.outcome import Failure, FailureKind, Finished, Outcome
from pangea.compute.model.units import MIB, human_bytes

_START_SECONDS = 30.0
_STOP_SECONDS = 2.0
#: Beyond the guest's own time: starting a task, and moving its bytes.
_GRACE_SECONDS = 0.1
_STDERR_MAX = 65_536
#: Room for results that a task finds behind its input, so that few have to ask.
_ROOM_BYTES = MIB


class WorkerProcess:
    """A running worker process. Used by one thread, except `cancel` and `kill`.

    What it sends is believed no more than a guest is: a record that isn't as expected ends it.
    """

    def __init__(self, modules: Path) -> None:
        """Start the process and wait until it is jailed.

        Args:
            modules: the folder of compiled modules, all it may read.

        Raises:
            UnavailableError: it doesn't start, or its wasmtime is too old.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._records = Records(ours)
        self._memory = SharedMemory.create()
        self._stderr, stderr = os.pipe()
        os.set_blocking(self._stderr, False)
        self._guest_key = ""
        self._number = 0
        self._killed = threading.Event()
        self._cancelled = threading.Event()
        arguments = (theirs.fileno(), self._memory.descriptor, os.getpid(), str(modules))
        try:
            with theirs, os.fdopen(stderr, "wb") as complaints:
                self._process: subprocess.Popen[bytes] = launch(
                    "pangea.compute.engine.worker", "main", arguments, (theirs.fileno(), self._memory.descriptor), complaints
                )
            self.hello: dict[str, Any] = self._greeting()
        except BaseException:
            self.close()
            raise

    def _greeting(self) -> dict[str, Any]:
        try:
            hello: dict[str, Any] = self._receive(_START_SECONDS)["hello"]
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

        Raises:
            InputError: the task's bytes can't be read any more: their file was cut short.
        """
        try:
            if self._guest_key != task.guest.key and (failure := self._load(task.guest, code_file)):
                return failure
            return self._run(task)
        except ChannelError as error:
            return self._lost(str(error))
        except (KeyError, TypeError, ValueError, AttributeError):
            self.kill()
            return Failure(kind=FailureKind.WORKER_LOST, message="the worker process was lost: it sent a malformed record")
        except OSError as error:
            if error.errno != errno.EFAULT:
                raise
            raise InputError("an input file was cut short while it was read", hint="give the job a file at rest") from error

    def _load(self, guest: Guest, code_file: int) -> Failure | None:
        self._guest_key = ""
        self._memory.write([guest.code])
        limits = {name: getattr(guest.limits, name) for name in guest.limits.__slots__}
        self._ask("load", {"limits": limits, "code_bytes": len(guest.code)}, [code_file])
        try:
            answer = self._answer(guest.limits.time + _GRACE_SECONDS)
        except TimeoutError:
            self.kill()
            message = f"the job's top level ran into its time limit of {guest.limits.time:g} s"
            return Failure(kind=FailureKind.TIMED_OUT, message=message, limit="time", function="init")
        if "loaded" in answer:
            self._guest_key = guest.key
            return None
        return _failure(answer["failure"])

    def _run(self, task: Task) -> Outcome:
        size = self._memory.write(task.parts)
        self._memory.grow(size + _ROOM_BYTES)
        self._ask("run", {"function": task.function, "size": size, "count": task.count, "singly": task.singly})
        at: int | None = None if task.count > 1 and not self._is_one_by_one(task) else 0
        deadline = time.monotonic() + task.guest.limits.time + _GRACE_SECONDS
        while True:
            try:
                answer = self._answer(max(0.001, deadline - time.monotonic()))
            except TimeoutError:
                return self._overdue(task, at)
            if "progress" in answer:  # a call of its own has ended; the next one gets the full time
                at = int(answer["progress"]) + 1
                deadline = time.monotonic() + task.guest.limits.time + _GRACE_SECONDS
            elif "need" in answer:
                self._give_room(int(answer["need"]), size, task)
            elif "done" in answer:
                return self._finished(answer["done"])
            elif "failure" in answer:
                return _failure(answer["failure"])
            else:
                return self._lost(str(answer["lost"]))

    def _is_one_by_one(self, task: Task) -> bool:
        return task.singly or task.function == "split"

    def _overdue(self, task: Task, at: int | None) -> Failure:
        self.kill()
        message = f"{task.function} ran into its time limit of {task.guest.limits.time:g} s"
        return Failure(kind=FailureKind.TIMED_OUT, message=message, limit="time", index=at)

    def _ask(self, what: str, record: dict[str, Any], descriptors: Sequence[int] = ()) -> None:
        self._number += 1
        self._records.send({what: {**record, "number": self._number}}, descriptors)

    def _answer(self, seconds: float) -> dict[str, Any]:
        """The next answer to what was asked last; any other would be taken for another task's."""
        answer = self._receive(seconds)
        if answer.get("number") != self._number:
            self.kill()
            raise ChannelError("it answered what it wasn't asked")
        return answer

    def _receive(self, seconds: float) -> dict[str, Any]:
        record, descriptors = self._records.receive(seconds)
        for descriptor in descriptors:  # it has no business sending any
            os.close(descriptor)
        return record

    def _give_room(self, size: int, input_bytes: int, task: Task) -> None:
        """Make room for results, up to twice what is asked for, and no more than the task's results may have.

        Raises:
            ChannelError: more was asked for: an honest worker has checked its guest's results.
        """
        limits = task.guest.limits
        each = limits.memory if task.function == "split" else limits.result
        most = input_bytes + task.count * (each + frames.ENTRY_OVERHEAD_BYTES) + _ROOM_BYTES
        if size > most:
            self.kill()
            raise ChannelError(f"it asked for {human_bytes(size)}, the most its task can need is {human_bytes(most)}")
        self._memory.grow(min(2 * size, most))
        self._records.send({"capacity": self._memory.size})

    def _finished(self, done: dict[str, Any]) -> Finished:
        results = self._memory.read(int(done["start"]), int(done["size"]))
        self._memory.shrink()
        return Finished(results=results, fuel=int(done["fuel"]), seconds=float(done["seconds"]), prints=str(done["prints"]))

    def _lost(self, reason: str) -> Failure:
        if self._cancelled.is_set():
            return Failure(kind=FailureKind.CANCELLED, message="the task was cancelled")
        complaint = self._complaint()
        message = f"the worker process was lost: {reason}{f' ({complaint})' if complaint else ''}"
        return Failure(kind=FailureKind.WORKER_LOST, message=message)

    def _complaint(self) -> str:
        """The last line that the process wrote to its standard error."""
        try:
            text = os.read(self._stderr, _STDERR_MAX).decode("utf-8", "replace")
        except BlockingIOError:
            return ""
        lines = [line for line in text.splitlines() if line.strip()]
        return lines[-1].strip() if lines else ""

    @property
    def is_alive(self) -> bool:
        """Whether another task can be given to it."""
        return not self._killed.is_set() and self._process.poll() is None

    def cancel(self) -> None:
        """Give up the task that it runs. From any thread."""
        self._cancelled.set()
        self.kill()

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
        if self._stderr >= 0:
            os.close(self._stderr)
            self._stderr = -1


def _failure(record: dict[str, Any]) -> Failure:
    return Failure(**{**record, "kind": FailureKind(record["kind"])})

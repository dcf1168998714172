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
from dataclasses import replace
from pathlib import Path
from typing import Any

from pangea.compute import runtime
from pangea.compute.engine.channel import ChannelError, Progress, Records, SharedMemory
from pangea.compute.engine.descriptors import hold_standard
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
#: Of a task's packs together, in characters: as much as one of them may print.
_PRINTS_MAX = 8_192
#: Failures that no single chunk is to blame for, or that the same calls don't lead to again.
_NO_CHUNKS = (
    *(FailureKind.CANCELLED, FailureKind.BAD_MODULE),
    *(FailureKind.TIMED_OUT, FailureKind.WORKER_LOST, FailureKind.HOST_MEMORY),
)
#: Packs of one child at most: each has its time, and all of them their CPU time.
_PACKS_MAX = 1024
#: While several packs run, how often it is looked whether another one has begun: it may have so much more than its time.
_LOOK_SECONDS = 0.05
#: Room for results that a task finds behind its input, so that few have to ask.
_ROOM_BYTES = MIB


class WorkerProcess:
    """A running worker process. Used by one thread, except `cancel` and `kill`.

    What it sends is believed no more than a guest is: a record that isn't as expected ends it.
    """

    #: The module whose `main` the process runs, and what to do where that says it can't.
    _MODULE = "pangea.compute.engine.worker"
    _REMEDY = "pip install --upgrade wasmtime"

    def __init__(self, modules: Path) -> None:
        """Start the process and wait until it is jailed.

        Args:
            modules: the folder of compiled modules, all it may read.

        Raises:
            UnavailableError: it doesn't start, or its wasmtime is too old.
        """
        self._start(str(modules))

    def _start(self, argument: str) -> None:
        hold_standard()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._records = Records(ours)
        self._memory = SharedMemory.create()
        self._progress = Progress.create()
        self._stderr, stderr = os.pipe()
        os.set_blocking(self._stderr, False)
        self._guest_key = ""
        self._number = 0
        self._killed = threading.Event()
        self._cancelled = threading.Event()
        inherited = (theirs.fileno(), self._memory.descriptor, self._progress.descriptor)
        try:
            with theirs, os.fdopen(stderr, "wb") as complaints:
                self._process: subprocess.Popen[bytes] = launch(
                    self._MODULE, "main", (*inherited, os.getpid(), argument), inherited, complaints
                )
            self._progress.passed_on()
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
            raise UnavailableError(hello["problem"], hint=self._REMEDY)
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
            if self._guest_key != task.guest.key and (failure := self._load(task.guest, code_file, len(task.spans))):
                return failure
            return self._run(task)
        except ChannelError as error:
            return self._lost(str(error))
        except (KeyError, TypeError, ValueError, AttributeError):
            self.kill()
            return Failure(kind=FailureKind.WORKER_LOST, message="the worker process was lost: it sent a malformed record")
        except OSError as error:
            if error.errno in (errno.ENOMEM, errno.ENOSPC, errno.EFBIG):
                return Failure(
                    kind=FailureKind.HOST_MEMORY, message=f"the machine has no memory for the task's bytes: {error.strerror}"
                )
            if error.errno != errno.EFAULT:
                raise
            raise cut_short() from error

    def _load(self, guest: Guest, code_file: int, packs: int) -> Failure | None:
        self._guest_key = ""
        self._memory.write([guest.code])
        limits = {name: getattr(guest.limits, name) for name in guest.limits.__slots__}
        image = os.memfd_create("pangea-image", os.MFD_CLOEXEC)
        try:
            os.ftruncate(image, guest.limits.memory)  # takes no memory but for what is written into it
            is_own = guest.module == runtime.sha256()
            load = {"limits": limits, "code_bytes": len(guest.code), "packs": packs, "is_own": is_own}
            self._ask("load", load, [code_file, image])
        finally:
            os.close(image)
        try:
            answer = self._answer(guest.limits.time + _GRACE_SECONDS)
        except TimeoutError:
            self.kill()
            message = f"the job's top level ran into its time limit of {guest.limits.time:g} s"
            return Failure(kind=FailureKind.TIMED_OUT, message=message, limit="time", function="init")
        if "loaded" in answer:
            self._guest_key = guest.key
            return None
        return failure_of(answer["failure"])

    def _run(self, task: Task) -> Outcome:
        """Run the packs of a task until one fails: in one child of the process, as long as each finds a fresh instance there."""
        done: list[Finished] = []
        number, count = 0, len(task.spans)
        while number < count:
            part = task.part(number, min(count, number + _PACKS_MAX))
            outcome, ended = self._run_part(part)
            if isinstance(outcome, Failure):
                return self._named(task, outcome, number + ended)
            done.append(outcome)
            number += ended
        return done[0] if len(done) == 1 else _joined(done, task.count)

    def _run_part(self, task: Task, *, one_by_one: bool = False) -> tuple[Outcome, int]:
        """How it ended, and how many packs had ended before."""
        size = self._memory.write(task.parts)
        self._memory.grow(size + _ROOM_BYTES)
        self._progress.packs = 0
        self._ask("run", {"function": task.function, "size": size, "packs": task.spans, "one_by_one": one_by_one})
        done, deadline = 0, self._deadline(task)
        while True:
            left = deadline - time.monotonic()
            try:
                answer: dict[str, Any] | None = self._answer(
                    max(0.001, left if len(task.packs) < 2 else min(left, _LOOK_SECONDS))
                )
            except TimeoutError:
                answer = None
            last = done
            done = _between(self._progress.packs, done, len(task.spans))
            if done > last:  # the next pack gets the full time
                deadline = self._deadline(task)
            if answer is not None:
                if "need" not in answer:
                    return self._ended(task, answer, done)
                self._give_room(int(answer["need"]), size, task)
            elif time.monotonic() >= deadline:
                return self._overdue(task), min(done, len(task.spans) - 1)

    def _ended(self, task: Task, answer: dict[str, Any], done: int) -> tuple[Outcome, int]:
        """How it ended, from the last answer, and how many packs had ended before."""
        if "done" in answer:
            return self._finished(answer["done"]), _between(answer["done"]["packs"], max(1, done), len(task.spans))
        before = min(done, len(task.spans) - 1)
        if "failure" in answer:
            return failure_of(answer["failure"]), before
        return self._lost(str(answer["lost"])), before

    @staticmethod
    def _deadline(task: Task) -> float:
        return time.monotonic() + task.guest.limits.time + _GRACE_SECONDS

    def _named(self, task: Task, failure: Failure, number: int) -> Failure:
        """The failure of a pack, with the place in the task of the chunk that failed; if no chunk is to blame, of the pack.

        A guest that took all chunks in one call doesn't say which one it was at: the same calls, one by one, lead there again.
        """
        first, count = sum(items for items, _ in task.spans[:number]), task.spans[number][0]
        if task.function != "execute" or failure.function:
            return failure if failure.index is None else replace(failure, index=first + failure.index)
        index = 0 if count == 1 else failure.index
        if index is None and failure.kind not in _NO_CHUNKS:
            again, _ = self._run_part(task.part(number, number + 1), one_by_one=True)
            index = again.index if isinstance(again, Failure) and again.kind is failure.kind else None
        if index is None:
            return replace(failure, index=first, count=count)
        return replace(failure, index=first + index)

    def _overdue(self, task: Task) -> Failure:
        self.kill()
        message = f"{task.function} ran into its time limit of {task.guest.limits.time:g} s"
        return Failure(kind=FailureKind.TIMED_OUT, message=message, limit="time")

    def _ask(self, what: str, record: dict[str, Any], descriptors: Sequence[int] = ()) -> None:
        self._number += 1
        self._records.send({what: {**record, "number": self._number}}, descriptors)

    def _answer(self, seconds: float) -> dict[str, Any]:
        """The next answer to what was asked last; any other would be taken for another task's."""
        answer = self._receive(seconds)
        while "lost" in answer and answer["number"] < self._number:  # that task's process had answered before it was lost
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
        self._progress.close()
        if self._stderr >= 0:
            os.close(self._stderr)
            self._stderr = -1


def cut_short() -> InputError:
    """For a file that a task's bytes are read from, and that has lost some: writing them gave EFAULT."""
    return InputError("an input file was cut short while it was read", hint="give the job a file at rest")


def _between(number: object, low: int, high: int) -> int:
    """A number of packs that makes sense."""
    if not isinstance(number, int) or not low <= number <= high:
        raise ValueError(number)
    return number


def _joined(done: Sequence[Finished], count: int) -> Finished:
    """What packs gave, as one framed list of `count` results."""
    bodies = [memoryview(each.results)[frames.HEADER_BYTES :] for each in done]
    return Finished(
        results=b"".join([frames.header(count), *bodies]),
        fuel=sum(each.fuel for each in done),
        seconds=sum(each.seconds for each in done),
        prints="".join(each.prints for each in done)[:_PRINTS_MAX],
    )


def failure_of(record: dict[str, Any]) -> Failure:
    """The failure that a process has sent."""
    return Failure(**{**record, "kind": FailureKind(record["kind"])})

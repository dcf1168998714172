"""A worker process: jailed, warmed with one job, forking a disposable child for each task.

The process itself never runs a task. It maps the compiled module and, for a job with `init`, runs that once; every task is
then a fork of this state: as fresh as a new instance, and cheaper than `init` again (about 2.5 ms whatever `init` costs).
A child that dies or is killed loses nothing else. The node keeps the time and kills the whole process when it is over.

Records from the node: {"load": …} with the compiled code's file, then any number of {"run": …}. Answers: {"hello": …} at
the start, {"loaded": true}, {"done": …}, {"failure": …}, {"progress": n}, {"need": bytes} (answered by the node's
{"capacity": …}), {"lost": reason}.
"""

from __future__ import annotations

import contextlib
import gc
import os
import select
import signal
import socket
import sys
import time
import traceback
from dataclasses import asdict
from typing import Any, NoReturn

from pangea.compute.engine import jail, sandbox
from pangea.compute.engine.channel import ChannelError, Records, SharedMemory
from pangea.compute.model import frames
from pangea.compute.model.limits import Limits
from pangea.compute.model.outcome import Failure, FailureKind
from pangea.compute.model.units import human_bytes

#: Errors and prints are cut to this many characters each, so that a record fits its packet whatever JSON makes of them.
_TEXT_MAX = 8_192


class Worker:
    """The state of a worker process: its ends of the channel, and the job it is warmed with."""

    def __init__(self, records: Records, memory: SharedMemory) -> None:
        """Serve over `records` and `memory`."""
        self._records = records
        self._memory = memory
        self._compiled: sandbox.CompiledModule | None = None
        self._warm: sandbox.Sandbox | None = None
        self._limits = Limits()

    def serve(self) -> None:
        """Answer records until the node closes the channel."""
        while True:
            record, descriptors = self._records.receive()
            if "load" in record:
                self._answer(lambda load=record["load"], files=descriptors: self._load(load, files))
            elif "run" in record:
                self._fork(record["run"])

    def _answer(self, work: Any) -> None:
        try:
            self._records.send(work())
        except sandbox.SandboxError as error:
            self._records.send({"failure": _wire(error.failure)})

    def _load(self, load: dict[str, Any], descriptors: list[int]) -> dict[str, Any]:
        self._warm = None
        self._limits = Limits(**load["limits"])
        jail.limit_data(self._limits.memory)
        try:
            self._compiled = sandbox.CompiledModule.load(f"/proc/self/fd/{descriptors[0]}")
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        if load["code_bytes"]:
            self._warm = self._initialised(load["code_bytes"])
        gc.collect()
        gc.freeze()  # a collection in the child would touch, and so copy, every page of ours: 5 ms a task
        return {"loaded": True}

    def _initialised(self, size: int) -> sandbox.Sandbox:
        assert self._compiled is not None
        guest = sandbox.Sandbox(self._compiled, self._limits)
        try:
            self._memory.read_into(guest.reserve(size))
            guest.call("init", sandbox.ERROR_BYTES_MAX)
        except sandbox.SandboxError as error:
            raise sandbox.SandboxError(_in_function(error.failure, "init")) from None
        return guest

    def _fork(self, run: dict[str, Any]) -> None:
        parent = os.getpid()
        child = os.fork()
        if child == 0:
            self._be_task(run, parent)
        handle = os.pidfd_open(child)
        try:
            waiting = select.poll()
            waiting.register(handle, select.POLLIN)
            waiting.register(self._records.socket, 0)  # only hang-up: the child talks on this socket
            waiting.poll()
        finally:
            os.close(handle)
        # Either the child has ended or the node is gone; in both cases it must not go on.
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL) if not _has_ended(child) else None
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if status != 0:
            self._records.send({"lost": _end_of(status)})

    def _be_task(self, run: dict[str, Any], parent: int) -> NoReturn:
        status = 1
        try:
            jail.enter_task(parent, self._limits.memory, self._limits.time * max(1, run["count"]))
            try:
                guest = self._warm or sandbox.Sandbox(self._loaded(), self._limits)
                self._records.send({"done": _TaskRun(guest, self._limits, self._records, self._memory, run).done()})
            except sandbox.SandboxError as error:
                self._records.send({"failure": _wire(error.failure)})
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(status)

    def _loaded(self) -> sandbox.CompiledModule:
        assert self._compiled is not None, "run before load"
        return self._compiled


class _TaskRun:
    """One task, inside its own process."""

    def __init__(
        self, guest: sandbox.Sandbox, limits: Limits, records: Records, memory: SharedMemory, run: dict[str, Any]
    ) -> None:
        self._guest = guest
        self._limits = limits
        self._records = records
        self._memory = memory
        self._function: str = run["function"]
        self._size: int = run["size"]
        self._count: int = run["count"]
        self._singly: bool = run["singly"]

    def done(self) -> dict[str, Any]:
        """Run the task and leave its results in shared memory."""
        started = time.perf_counter()
        if not self._guest.has(self._function):
            message = f"the module exports no function '{self._function}'"
            raise sandbox.SandboxError(Failure(kind=FailureKind.BAD_MODULE, message=message))
        whole = self._function == "merge"
        if whole or (self._function == "execute" and not self._singly and self._guest.has("execute_many")):
            parts, fuel = self._one_call(self._function if whole else "execute_many")
        else:
            parts, fuel = self._call_each()
        size = sum(map(len, parts))
        seconds = time.perf_counter() - started
        self._make_room(size)
        self._memory.store(parts)
        prints = self._prints()
        return {"size": size, "fuel": fuel, "seconds": seconds, "prints": prints[:_TEXT_MAX]}

    def _one_call(self, function: str) -> tuple[list[frames.Buffer], int]:
        """Pass the whole frame in one call: `merge`, or `execute_many`."""
        # All chunks together get the fuel of one: a task should last a fraction of a second, and one that needs more runs
        # again singly, where each chunk has fuel of its own. So whether a chunk runs out doesn't depend on its company.
        self._guest.refuel(self._limits.fuel)
        self._memory.read_into(self._guest.reserve(self._size))
        if function == "merge":
            result = self._guest.call(function, self._limits.result)
            return [frames.pack([result])], self._guest.fuel_used
        result = self._guest.call(function, self._limits.memory)
        fuel = self._guest.fuel_used
        self._check_results(result)
        return [result], fuel

    def _check_results(self, frame: memoryview) -> None:
        start = frames.HEADER_BYTES
        try:
            if frames.count_of(frame) != self._count:
                raise frames.FrameError(f"{frames.count_of(frame)} results for {self._count} chunks")
            for index, end in enumerate(frames.ends(frame)):
                self._check_size(end - start - frames.ENTRY_OVERHEAD_BYTES, index)
                start = end
        except frames.FrameError as error:
            message = f"execute_many returned a malformed list: {error}"
            raise sandbox.SandboxError(Failure(kind=FailureKind.BAD_RESULT, message=message)) from None

    def _check_size(self, size: int, index: int) -> None:
        if size > self._limits.result:
            message = f"the result of execute is {human_bytes(size)}, the limit is {human_bytes(self._limits.result)}"
            failure = Failure(kind=FailureKind.RESULT_TOO_LARGE, message=message, limit="result", index=index)
            raise sandbox.SandboxError(failure)

    def _call_each(self) -> tuple[list[frames.Buffer], int]:
        """Call the function once per item, with fuel of its own each time."""
        frame = bytearray(self._size)
        self._memory.read_into(memoryview(frame))
        results: list[frames.Buffer] = [frames.header(self._count)]
        fuel, start = 0, frames.HEADER_BYTES
        for index, end in enumerate(frames.ends(frame)):
            item = memoryview(frame)[start + frames.ENTRY_OVERHEAD_BYTES : end]
            start = end
            try:
                result = self._call_one(item)
            except sandbox.SandboxError as error:
                raise sandbox.SandboxError(_at(error.failure, index)) from None
            fuel += self._guest.fuel_used
            results += [frames.entry_header(len(result)), result]
            if self._count > 1:
                self._records.send({"progress": index})
        return results, fuel

    def _call_one(self, item: memoryview) -> bytes:
        self._guest.refuel(self._limits.fuel)
        self._guest.reserve(len(item))[:] = item
        if self._function != "split":
            return bytes(self._guest.call(self._function, self._limits.result))
        result = bytes(self._guest.call("split", self._limits.memory))
        self._check_chunks(result)
        return result

    def _check_chunks(self, frame: bytes) -> None:
        start = frames.HEADER_BYTES
        try:
            if (count := frames.count_of(frame)) > self._limits.items:
                message = f"split returned {count:,} chunks, the limit is {self._limits.items:,}"
                raise sandbox.SandboxError(Failure(kind=FailureKind.RESULT_TOO_LARGE, message=message, limit="items"))
            for index, end in enumerate(frames.ends(frame)):
                size, start = end - start - frames.ENTRY_OVERHEAD_BYTES, end
                if size > self._limits.chunk:
                    message = f"chunk {index} of split is {human_bytes(size)}, the limit is {human_bytes(self._limits.chunk)}"
                    raise sandbox.SandboxError(Failure(kind=FailureKind.RESULT_TOO_LARGE, message=message, limit="chunk"))
        except frames.FrameError as error:
            message = f"split returned a malformed list: {error}"
            raise sandbox.SandboxError(Failure(kind=FailureKind.BAD_RESULT, message=message)) from None

    def _make_room(self, size: int) -> None:
        if size > self._memory.size:
            self._records.send({"need": size})
            record, _ = self._records.receive(seconds=self._limits.time + 1)
            assert record.get("capacity", 0) >= size, f"asked for {size} bytes, was given {record}"

    def _prints(self) -> str:
        """What was printed; a guest that fails at this is not worth failing the task for: its results are there."""
        try:
            self._guest.refuel(self._limits.fuel)
            return self._guest.take_prints()
        except sandbox.SandboxError as error:
            return f"[the captured prints can't be read: {error.failure.message}]"


def _has_ended(child: int) -> bool:
    return os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _end_of(status: int) -> str:
    if status < 0:
        return f"its process was killed by {signal.Signals(-status).name}"
    return f"its process ended with status {status}"


def _at(failure: Failure, index: int) -> Failure:
    return Failure(**{**asdict(failure), "index": index})


def _in_function(failure: Failure, function: str) -> Failure:
    return Failure(**{**asdict(failure), "function": function})


def _wire(failure: Failure) -> dict[str, Any]:
    text = failure.traceback
    if len(text) > 2 * _TEXT_MAX:
        text = f"{text[:_TEXT_MAX]}\n  ...\n{text[-_TEXT_MAX:]}"
    return {**asdict(failure), "message": failure.message[:_TEXT_MAX], "traceback": text}


def main(socket_descriptor: int, memory_descriptor: int, parent: int) -> None:
    """Run a worker process until the node goes away."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the node's to handle
    records = Records(socket.socket(fileno=socket_descriptor))
    jailed = jail.enter(parent)
    gc.disable()
    records.send({"hello": {"profile": sandbox.profile_id(), "problem": sandbox.version_problem(), **asdict(jailed)}})
    with contextlib.suppress(ChannelError):
        Worker(records, SharedMemory(memory_descriptor)).serve()

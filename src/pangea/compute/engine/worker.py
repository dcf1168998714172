"""A worker process: jailed, warmed with one job, forking a disposable child for each task.

The process itself never runs a task. It maps the compiled module and, for a job with `init`, runs that once; every task is
then a fork of this state: as fresh as a new instance, and cheaper than `init` again (about 2.5 ms whatever `init` costs).
One child is forked ahead and waits, jailed, so that a task needn't wait for its fork. A child that dies or is killed loses
nothing else. The node keeps the time and kills the whole process when it is over.

Records from the node: {"load": …} with the compiled code's file, then any number of {"run": …}. Answers: {"hello": …} at
the start, {"loaded": true}, {"done": …}, {"failure": …}, {"progress": n}, {"need": bytes} (answered by the node's
{"capacity": …}), {"lost": reason}. Each answer carries the number of the record that it answers.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import select
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from typing import Any, NoReturn

from pangea.compute.engine import jail, sandbox
from pangea.compute.engine.channel import ChannelError, Records, SharedMemory, SharedWriter
from pangea.compute.model import frames
from pangea.compute.model.frames import Buffer
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
        self._spare: _Child | None = None

    def serve(self) -> None:
        """Answer records until the node closes the channel."""
        while True:
            record, descriptors = self._records.receive()
            if "load" in record:
                self._forget_spare()
                self._answer(partial(self._load, record["load"], descriptors), record["load"]["number"])
                self._spare = self._fork() if self._compiled is not None else None
            elif "run" in record:
                self._run(record["run"])

    def _answer(self, work: Callable[[], dict[str, Any]], number: int) -> None:
        """Send what `work` returns, or the failure that it ended with, as the answer to record `number`."""
        try:
            answer = work()
        except sandbox.SandboxError as error:
            answer = {"failure": _wire(error.failure)}
        except MemoryError:
            message = f"the worker process ran out of memory beside the guest's {human_bytes(self._limits.memory)}"
            answer = {"failure": _wire(Failure(kind=FailureKind.OUT_OF_MEMORY, message=message, limit="memory"))}
        self._records.send({**answer, "number": number})

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
            raise sandbox.SandboxError(replace(error.failure, function="init")) from None
        return guest

    def _run(self, run: dict[str, Any]) -> None:
        """Have the waiting child run this, then fork the next one, while the node takes in the result."""
        child, self._spare = self._spare or self._fork(), None
        if not child.begin(run):
            child.end()
            child = self._fork()
            child.begin(run)
        handle = os.pidfd_open(child.pid)
        try:
            waiting = select.poll()
            waiting.register(handle, select.POLLIN)
            waiting.register(self._records.socket, 0)  # only hang-up: the child talks on this socket
            waiting.poll()
        finally:
            os.close(handle)
        # Either the child has ended or the node is gone; in both cases it must not go on.
        status = child.end()
        if status != 0:
            self._records.send({"lost": _end_of(status), "number": run["number"]})
        self._spare = self._fork()

    def _fork(self) -> _Child:
        parent = os.getpid()
        orders, order = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(order)
            self._be_task(orders, parent)
        os.close(orders)
        return _Child(pid, order)

    def _forget_spare(self) -> None:
        if self._spare is not None:
            self._spare.end()
            self._spare = None

    def _be_task(self, orders: int, parent: int) -> NoReturn:
        """Be a child: jail itself, wait for the one task it is for, run it, end."""
        status = 1
        try:
            jail.enter_task(parent, self._limits.memory)
            with os.fdopen(orders, "rb") as pipe:
                run = json.load(pipe)
            jail.limit_cpu(self._limits.time * max(1, run["count"]))
            self._answer(lambda: self._done(run), run["number"])
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            try:
                sys.stderr.flush()
            finally:
                os._exit(status)

    def _done(self, run: dict[str, Any]) -> dict[str, Any]:
        guest = self._warm or sandbox.Sandbox(self._loaded(), self._limits)
        return {"done": _TaskRun(guest, self._limits, self._records, self._memory, run).done()}

    def _loaded(self) -> sandbox.CompiledModule:
        assert self._compiled is not None, "run before load"
        return self._compiled


class _Child:
    """A forked process that waits for one task: closing `order` unwritten would tell it that none comes."""

    def __init__(self, pid: int, order: int) -> None:
        self.pid = pid
        self._order = order

    def begin(self, run: dict[str, Any]) -> bool:
        """Hand it its task; False if it is dead. The pipe is closed before any other fork, so no sibling holds it open."""
        try:
            with os.fdopen(self._order, "wb") as pipe:
                pipe.write(json.dumps(run).encode())
        except BrokenPipeError:
            return False
        finally:
            self._order = -1
        return True

    def end(self) -> int:
        """Kill it unless it has ended, and reap it; returns its exit status, negative for a signal."""
        if self._order >= 0:
            os.close(self._order)
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL) if not _has_ended(self.pid) else None
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


class _TaskRun:
    """One task, inside its own process."""

    def __init__(
        self, guest: sandbox.Sandbox, limits: Limits, records: Records, memory: SharedMemory, run: dict[str, Any]
    ) -> None:
        self._guest = guest
        self._limits = limits
        self._records = records
        self._memory = memory
        self._number: int = run["number"]
        self._function: str = run["function"]
        self._size: int = run["size"]
        self._count: int = run["count"]
        self._singly: bool = run["singly"]
        #: Results go behind the input: calls one by one still need it.
        self._out = SharedWriter(memory, self._size, self._make_room)

    def done(self) -> dict[str, Any]:
        """Run the task and leave its results in shared memory."""
        started = time.perf_counter()
        if not self._guest.has(self._function):
            message = f"the module exports no function '{self._function}'"
            raise sandbox.SandboxError(Failure(kind=FailureKind.BAD_MODULE, message=message))
        if self._function == "merge":
            fuel = self._merge()
        elif self._function == "execute" and not self._singly and self._guest.has("execute_many"):
            fuel = self._execute_many()
        else:
            fuel = self._call_each()
        seconds = time.perf_counter() - started
        prints = self._prints()[:_TEXT_MAX]
        return {"start": self._out.start, "size": self._out.size, "fuel": fuel, "seconds": seconds, "prints": prints}

    def _merge(self) -> int:
        self._guest.refuel(self._limits.fuel)
        self._memory.read_into(self._guest.reserve(self._size))
        result = self._guest.call("merge", self._limits.result)
        self._out.append(frames.header(1))
        self._out.append(frames.entry_header(len(result)))
        self._out.append(result)
        return self._guest.fuel_used

    def _execute_many(self) -> int:
        """Pass the whole frame in one call.

        All chunks together get the fuel of one: a task should last a fraction of a second, and one that needs more runs again
        singly, where each chunk has fuel of its own. So whether a chunk runs out doesn't depend on its company.
        """
        self._guest.refuel(self._limits.fuel)
        self._memory.read_into(self._guest.reserve(self._size))
        result = self._guest.call("execute_many", self._limits.memory)
        fuel = self._guest.fuel_used
        self._check_list(result, "execute_many", self._limits.result, "result", expected=self._count)
        self._out.append(result)
        return fuel

    def _call_each(self) -> int:
        """Call the function once per item, with fuel of its own each time."""
        self._out.append(frames.header(self._count))
        fuel, start = 0, frames.HEADER_BYTES
        frame = self._memory.mapped(self._size)
        for index, end in enumerate(frames.ends(frame)):
            item, start = frame[start + frames.ENTRY_OVERHEAD_BYTES : end], end
            try:
                self._call_one(item)
            except sandbox.SandboxError as error:
                raise sandbox.SandboxError(replace(error.failure, index=index)) from None
            fuel += self._guest.fuel_used
            if self._count > 1:
                self._records.send({"progress": index, "number": self._number})
        return fuel

    def _call_one(self, item: Buffer) -> None:
        self._guest.refuel(self._limits.fuel)
        self._guest.reserve(len(item))[:] = item
        is_split = self._function == "split"
        result = self._guest.call(self._function, self._limits.memory if is_split else self._limits.result)
        if is_split:
            self._check_list(result, "split", self._limits.chunk, "chunk")
        self._out.append(frames.entry_header(len(result)))
        self._out.append(result)

    def _check_list(self, frame: memoryview, function: str, size_max: int, what: str, *, expected: int | None = None) -> None:
        """Check a framed list that the guest returned.

        Raises:
            SandboxError: it is malformed, has not `expected` items, too many, or one over `size_max` (the limit `what`).
        """
        try:
            count = frames.count_of(frame)
            if expected is not None and count != expected:
                raise frames.FrameError(f"{count} results for {expected} chunks")
            if count > self._limits.items:
                raise _too_large(f"{function} returned {count:,} {what}s, the limit is {self._limits.items:,}", "items")
            start = frames.HEADER_BYTES
            for index, end in enumerate(frames.ends(frame)):
                size, start = end - start - frames.ENTRY_OVERHEAD_BYTES, end
                if size > size_max:
                    text = f"{what} {index} of {function} is {human_bytes(size)}, the limit is {human_bytes(size_max)}"
                    raise _too_large(text, what, index if expected is not None else None)
        except frames.FrameError as error:
            message = f"{function} returned a malformed list: {error}"
            raise sandbox.SandboxError(Failure(kind=FailureKind.BAD_RESULT, message=message)) from None

    def _make_room(self, size: int) -> None:
        self._records.send({"need": size, "number": self._number})
        record, _ = self._records.receive(seconds=self._limits.time + 1)
        assert record.get("capacity", 0) >= size, f"asked for {size} bytes, was given {record}"

    def _prints(self) -> str:
        """What was printed; a guest that fails at this is not worth failing the task for: its results are there."""
        try:
            self._guest.refuel(self._limits.fuel)
            return self._guest.take_prints()
        except sandbox.SandboxError as error:
            return f"[the captured prints can't be read: {error.failure.message}]"


def _too_large(message: str, limit: str, index: int | None = None) -> sandbox.SandboxError:
    return sandbox.SandboxError(Failure(kind=FailureKind.RESULT_TOO_LARGE, message=message, limit=limit, index=index))


def _has_ended(child: int) -> bool:
    return os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _end_of(status: int) -> str:
    if status < 0:
        return f"its process was killed by {signal.Signals(-status).name}"
    return f"its process ended with status {status}"


def _wire(failure: Failure) -> dict[str, Any]:
    text = failure.traceback
    if len(text) > 2 * _TEXT_MAX:
        text = f"{text[:_TEXT_MAX]}\n  ...\n{text[-_TEXT_MAX:]}"
    return {**asdict(failure), "message": failure.message[:_TEXT_MAX], "traceback": text}


def main(socket_descriptor: int, memory_descriptor: int, parent: int, modules: str) -> None:
    """Run a worker process until the node goes away.

    Args:
        socket_descriptor: its end of the records' socket.
        memory_descriptor: the shared memory.
        parent: process id of the node.
        modules: the folder of compiled modules, all it may read.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the node's to handle
    records = Records(socket.socket(fileno=socket_descriptor))
    hello = {"profile": sandbox.profile_id(), "problem": sandbox.version_problem()}  # before its files are out of reach
    hello |= asdict(jail.enter(parent, modules))
    gc.disable()
    records.send({"hello": hello})
    with contextlib.suppress(ChannelError):
        Worker(records, SharedMemory(memory_descriptor)).serve()

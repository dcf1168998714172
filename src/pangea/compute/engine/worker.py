"""A worker process: jailed, warmed with one job, forking the processes that run its tasks.

The process itself never runs a task. It maps the compiled module and, for a job with `init`, runs that once; tasks run in a fork
of this state: as fresh as a new instance, and cheaper than `init` again (about 2.5 ms whatever `init` costs). One child is forked
ahead and waits, jailed, so that a task needn't wait for its fork. A child that dies or is killed loses nothing else. The node
keeps the time and kills the whole process when it is over.

Every pack gets an instance that is fresh: the child's own for the first one; then a new one or, of a job with `init`, the same
one put back to what it was after `init`, which costs a fiftieth of a fork. Where that can't be done, because its memory has
grown (the Python guest's doesn't: it has all of it from the start), the task stops there, and what is left of it goes to another
child. So a child whose tasks have all ended well, in little time, waits for the next one of its job. A job's first few packs get
a fork each: that memory isn't kept before there are more.

Records from the node: {"load": …} with the compiled code's file, then any number of {"run": …}. Answers: {"hello": …} at
the start, {"loaded": true}, {"done": …}, {"failure": …}, {"need": bytes} (answered by the node's {"capacity": …}),
{"lost": reason}. Each answer carries the number of the record that it answers. How many packs are done is in shared memory.
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
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from typing import Any, NoReturn

from pangea.compute.engine import jail, sandbox, ulimits, wasmtime_version
from pangea.compute.engine.channel import ChannelError, Progress, Records, SharedMemory
from pangea.compute.engine.children import Child, TaskLine
from pangea.compute.engine.task_run import PRINTS_MAX, TaskRun
from pangea.compute.model.limits import Limits
from pangea.compute.model.outcome import Failure, FailureKind
from pangea.compute.model.units import human_bytes

#: Errors and prints are cut to this many characters each, so that a record fits its packet: three times as many at most, and
#: JSON makes six bytes at most of each (of a control character).
_TEXT_MAX = PRINTS_MAX
#: Packs of a job that get a fork each. Keeping the memory of its initialised guest, which gives one process many fresh instances,
#: takes as long as so many forks: only a job that has more packs is worth it.
_FORKED_PACKS_MAX = 6
#: CPU time of a child after which it takes no other task: beside that a fork costs nothing, and limits on it are per process.
_CHILD_SECONDS_MAX = 1.0


class Worker:
    """The state of a worker process: its ends of the channel, and the job it is warmed with."""

    def __init__(self, records: Records, memory: SharedMemory, progress: Progress) -> None:
        """Serve over `records` and `memory`, telling `progress`."""
        self._records = records
        self._memory = memory
        self._progress = progress
        self._compiled: sandbox.CompiledModule | None = None
        self._warm: sandbox.Sandbox | None = None
        self._limits = Limits()
        self._spare: Child | None = None
        self._is_fresh = True
        #: Where an initialised guest's memory is kept: a new file's pages take longer to get than to fill. -1: none yet.
        self._image_file = -1
        #: Of the job, so far.
        self._packs = 0

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

    def _answer(self, work: Callable[[], dict[str, Any]], number: int) -> bool:
        """Send what `work` returns, or the failure that it ended with, as the answer to record `number`; whether all is well."""
        try:
            answer = work()
        except sandbox.SandboxError as error:
            answer = {"failure": _wire(error.failure)}
        except MemoryError:
            message = f"the worker process ran out of memory beside the guest's {human_bytes(self._limits.memory)}"
            answer = {"failure": _wire(Failure(kind=FailureKind.HOST_MEMORY, message=message))}
        self._records.send({**answer, "number": number})
        return "failure" not in answer

    def _load(self, load: dict[str, Any], descriptors: list[int]) -> dict[str, Any]:
        if self._warm is not None and self._warm.image is not None:
            self._warm.image.close()
        self._warm = None
        self._packs = 0
        self._limits = Limits(**load["limits"])
        code_file, image_file = descriptors
        self._take_image_file(image_file)
        jail.limit_data(self._limits.memory)
        try:
            self._compiled = sandbox.CompiledModule.load(f"/proc/self/fd/{code_file}", is_own=load["is_own"])
        finally:
            os.close(code_file)
        if load["code_bytes"]:
            self._warm = self._initialised(load["code_bytes"])
            self._freeze_for(load["packs"])
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
        """Have the waiting child run this. Unless it waits again then, fork the next one while the node takes in the result."""
        child, self._spare = self._spare or self._fork(), None
        if not child.begin(run):
            child.end()
            child = self._fork()
            child.begin(run)
        if self._attend(child):
            self._spare = child
            return
        # Either the child has ended or the node is gone; in both cases it must not go on.
        status = child.end()
        if status != 0:
            self._records.send({"lost": _end_of(status), "number": run["number"]})
        self._packs += len(run["packs"])
        self._freeze_for(self._packs)
        self._spare = self._fork()

    def _freeze_for(self, packs: int) -> None:
        """If the job has more packs than forks are worth: have the processes forked from now on put their guest back."""
        if self._warm is not None and self._warm.image is None and packs > _FORKED_PACKS_MAX:
            self._warm.freeze(self._image_file)

    def _take_image_file(self, descriptor: int) -> None:
        """Use this file from now on, unless there is one that has room enough."""
        if self._image_file >= 0 and os.fstat(self._image_file).st_size >= self._limits.memory:
            os.close(descriptor)
            return
        if self._image_file >= 0:
            os.close(self._image_file)
        self._image_file = descriptor

    def _attend(self, child: Child) -> bool:
        """Do what the child asks for, until it waits for another task (true), or ends, or the node hangs up."""
        image = self._warm.image if self._warm is not None else None
        handle = os.pidfd_open(child.pid)
        try:
            waiting = select.poll()
            waiting.register(handle, select.POLLIN)
            waiting.register(self._records.socket, 0)  # only hang-up: the child talks on this socket
            waiting.register(child.asks, select.POLLIN)
            while (events := dict(waiting.poll())).keys() == {child.asks}:
                if not events[child.asks] & select.POLLIN:  # it is about to end: a process's pipes close before
                    waiting.unregister(child.asks)
                elif child.waits(image):
                    return True
            return False
        finally:
            os.close(handle)
            if image is not None:
                image.unmark()

    def _fork(self) -> Child:
        parent = os.getpid()
        orders, order = os.pipe()
        asks, ask = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(order)
            os.close(asks)
            self._be_child(TaskLine(orders, ask), parent)
        os.close(orders)
        os.close(ask)
        return Child(pid, order, asks)

    def _forget_spare(self) -> None:
        if self._spare is not None:
            self._spare.end()
            self._spare = None

    def _be_child(self, line: TaskLine, parent: int) -> NoReturn:
        """Be a child: jail itself, run the tasks that it is given, end."""
        status = 1
        try:
            os.close(self._image_file)  # no task may change the image of those after it
            jail.enter_task(parent, self._limits.memory)
            while (run := line.order()) is not None:
                jail.limit_cpu(time.process_time() + self._limits.time * len(run["packs"]))
                if not self._answer(partial(self._done, run, line), run["number"]) or not self._may_stay():
                    break
                line.wait()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            try:
                sys.stderr.flush()
            finally:
                os._exit(status)

    def _may_stay(self) -> bool:
        return time.process_time() < _CHILD_SECONDS_MAX and (self._warm is None or not self._warm.is_spent)

    def _done(self, run: dict[str, Any], line: TaskLine) -> dict[str, Any]:
        instance = partial(self._instance, line, run["function"])
        return {"done": TaskRun(instance, self._limits, self._records, self._memory, self._progress, run).done()}

    def _instance(self, line: TaskLine, function: str) -> sandbox.Sandbox | None:
        """A fresh instance for the next pack, which is of `function`; None if only another fork has one."""
        if self._warm is None:
            return sandbox.Sandbox(self._loaded(), self._limits)
        is_fresh, self._is_fresh = self._is_fresh, False
        if not (is_fresh or self._warm.reset(line.marked)):
            return None
        if self._warm.image is not None:
            self._warm.image.begin(function)
        return self._warm

    def _loaded(self) -> sandbox.CompiledModule:
        assert self._compiled is not None, "run before load"
        return self._compiled


def _end_of(status: int) -> str:
    if status < 0:
        allowed = ulimits.cpu_seconds()
        name = signal.Signals(-status).name
        is_shell = name in ("SIGXCPU", "SIGKILL") and allowed is not None
        return f"its process was killed by {name}{f'; each may use {allowed} s of CPU time here (ulimit -t)' if is_shell else ''}"
    return f"its process ended with status {status}"


def _wire(failure: Failure) -> dict[str, Any]:
    text = failure.traceback
    if len(text) > 2 * _TEXT_MAX:
        text = f"{text[:_TEXT_MAX]}\n  ...\n{text[-_TEXT_MAX:]}"
    return {**asdict(failure), "message": failure.message[:_TEXT_MAX], "traceback": text}


def main(socket_descriptor: int, memory_descriptor: int, progress_descriptor: int, parent: int, modules: str) -> None:
    """Run a worker process until the node goes away.

    Args:
        socket_descriptor: its end of the records' socket.
        memory_descriptor: the shared memory.
        progress_descriptor: the number of packs done.
        parent: process id of the node.
        modules: the folder of compiled modules, all it may read.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the node's to handle
    records = Records(socket.socket(fileno=socket_descriptor))
    hello = {"profile": sandbox.profile_id(), "problem": wasmtime_version.problem()}  # before its files are out of reach
    hello |= asdict(jail.enter(parent, modules))
    gc.disable()
    records.send({"hello": hello})
    gc.collect()
    gc.freeze()  # now, while nobody waits: with the first job it would take 5 ms
    with contextlib.suppress(ChannelError):
        Worker(records, SharedMemory(memory_descriptor), Progress(progress_descriptor)).serve()

"""The engine: worker processes, one per core, that take tasks from one queue.

Shaped like `concurrent.futures.Executor`: `submit` returns a future of the task's outcome. Every outcome is data; a future
fails only when the engine itself can't go on. A worker process that died is replaced before the next task.
"""

from __future__ import annotations

import contextlib
import os
import queue
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from pangea.compute.engine.cache import Entry, ModuleCache, open_folder
from pangea.compute.engine.process import WorkerProcess
from pangea.compute.engine.task import Task
from pangea.compute.model.errors import UnavailableError
from pangea.compute.model.limits import Limits
from pangea.compute.model.outcome import Failure, FailureKind, Outcome

_JOIN_SECONDS = 5.0


class TaskFuture(Future[Outcome]):
    """A task's outcome to come, and who works on it.

    Attributes:
        worker: number of the worker that has it or had it, from 1; 0 before.
        began, ended: when that worker took it and was done, on `time.monotonic`'s clock.
    """

    def __init__(self, task: Task, entry: Entry) -> None:
        """Wait for `task`, whose module's compiled code is `entry`."""
        super().__init__()
        self.task = task
        self.entry = entry
        self.process: WorkerProcess | None = None
        self.is_given_up = False
        self.worker = 0
        self.began = self.ended = 0.0


class Engine:
    """A pool of jailed worker processes on this machine."""

    def __init__(self, *, workers: int | None = None, cache_folder: Path | None = None) -> None:
        """Start `workers` processes (by default one per core that this process may use).

        Raises:
            UnavailableError: this machine can't run jobs; the message says why.
        """
        self.workers = workers or len(os.sched_getaffinity(0))
        self._folder = open_folder(cache_folder)
        self._orders: queue.SimpleQueue[TaskFuture | None] = queue.SimpleQueue()
        self._running: set[TaskFuture] = set()
        self._lock = threading.Lock()
        self._is_closed = False
        self._threads = [
            threading.Thread(target=self._work, args=(i,), name=f"pangea-worker-{i}", daemon=True)
            for i in range(1, self.workers + 1)
        ]
        self._hello: Future[dict[str, Any]] = Future()
        for thread in self._threads:
            thread.start()
        try:
            self.jail = self._hello.result()
            self._modules = ModuleCache(self._folder, self.jail["profile"])
        except BaseException:
            self.close()
            raise

    def prepare(self, module: str, limits: Limits, load: Callable[[], bytes], on_compile: Callable[[], None]) -> tuple[str, ...]:
        """Have the compiled code of `module` ready.

        Args:
            module: SHA-256 of the module, in hex.
            limits: what compiling may cost.
            load: gives the module's bytes when it has to be compiled.
            on_compile: called before a compilation, which may take seconds.

        Returns:
            The names of the module's ABI exports.

        Raises:
            RefusedError: the module isn't one, or costs too much to compile.
        """
        entry = self._modules.get(module, limits)
        if entry is None:
            wasm = load()
            on_compile()
            entry = self._modules.compile(module, wasm, limits)
        return entry.exports

    def submit(self, task: Task) -> TaskFuture:
        """Queue `task`, whose module was prepared.

        Raises:
            UnavailableError: the engine is closed.
        """
        if self._is_closed:
            raise UnavailableError("the engine is closed")
        entry = self._modules.get(task.guest.module, task.guest.limits)
        if entry is None:
            raise UnavailableError(f"module {task.guest.module} was not prepared")
        order = TaskFuture(task, entry)
        self._orders.put(order)
        return order

    def cancel(self, futures: Iterable[Future[Outcome]]) -> None:
        """Give up tasks: those waiting never start, those running are killed with their process."""
        for order in futures:
            assert isinstance(order, TaskFuture), "not a future of this engine"
            with self._lock:
                order.is_given_up = True
                if order.process is not None:
                    order.process.cancel()
            order.cancel()

    def pids(self) -> list[int]:
        """Process ids of the workers that now run a task."""
        with self._lock:
            return [order.process.pid for order in self._running if order.process is not None]

    def _work(self, number: int) -> None:
        """One worker's thread: it starts its process, and its end would end the process, too."""
        process = self._first_process()
        try:
            while (order := self._orders.get()) is not None:
                if order.set_running_or_notify_cancel():
                    order.worker, order.began = number, time.monotonic()
                    process = self._run(order, process)
                del order  # with its input, which would stay as long as there is nothing else to do
        finally:
            if process is not None:
                process.close()

    def _first_process(self) -> WorkerProcess | None:
        """Start early, so that the first task needn't wait; the engine hears of the first success or failure."""
        process, error = None, None
        try:
            process = WorkerProcess(self._folder)
        except Exception as failed:  # the engine's to raise; later tasks try again, and raise their own
            error = failed
        with self._lock:
            if not self._hello.done():
                self._hello.set_result(process.hello) if process else self._hello.set_exception(error)
        return process

    def _run(self, order: TaskFuture, process: WorkerProcess | None) -> WorkerProcess | None:
        try:
            if process is None or not process.is_alive:
                if process is not None:
                    process.close()  # closing twice does no harm, should the next line fail
                process = WorkerProcess(self._folder)
            with self._lock:
                order.process = process
                order.is_given_up |= self._is_closed
                self._running.add(order)
            outcome = _CANCELLED if order.is_given_up else process.run(order.task, order.entry.file)
            if isinstance(outcome, Failure) and outcome.is_machine_fault:
                process.kill()
            order.ended = time.monotonic()
        except Exception as error:
            order.set_exception(error)
        else:
            order.set_result(outcome)
        finally:
            with self._lock:
                order.process = None
                self._running.discard(order)
        return process

    def close(self) -> None:
        """End every worker process. Tasks not finished end as cancelled."""
        with self._lock:
            self._is_closed = True
            running = [order.process for order in self._running if order.process is not None]
        with contextlib.suppress(queue.Empty):
            while order := self._orders.get_nowait():
                order.cancel()
        for process in running:
            process.cancel()
        for _ in self._threads:
            self._orders.put(None)
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(_JOIN_SECONDS)
        if modules := getattr(self, "_modules", None):
            modules.close()


_CANCELLED = Failure(kind=FailureKind.CANCELLED, message="the task was cancelled")

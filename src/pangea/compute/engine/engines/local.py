"""This machine as an engine: worker processes, one per core, that take tasks from one queue.

A worker process that died is replaced before the next task.
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

from pangea.compute import runtime
from pangea.compute.engine import ulimits
from pangea.compute.engine.cache import Entry, ModuleCache, open_folder
from pangea.compute.engine.engine import CANCELLED, Engine, TaskFuture
from pangea.compute.engine.gpu_process import NO_FILE, GpuProcess
from pangea.compute.engine.memory_room import MemoryRoom
from pangea.compute.engine.process import WorkerProcess
from pangea.compute.engine.task import Task
from pangea.compute.model.errors import NoAdapterError, UnavailableError
from pangea.compute.model.limits import Limits
from pangea.compute.model.outcome import Failure, FailureKind, Outcome
from pangea.compute.model.units import human_bytes

_JOIN_SECONDS = 5.0
#: A process that isn't started at once is when a task has waited so long: a small job is over by then, and its start costs more.
_PATIENCE_SECONDS = 0.05
#: An adapter's process that has nothing to do for so long ends: it holds some 200 MB.
_IDLE_SECONDS = 60.0
#: Folder of what is made of modules that somebody else has brought, beside one's own.
_STRANGERS = "strangers"


class LocalFuture(TaskFuture):
    """A task on its way through the pool."""

    def __init__(self, task: Task, entry: Entry | None) -> None:
        """Wait for `task`, whose module's compiled code is `entry`; a shader has none."""
        super().__init__(task)
        self.entry = entry
        self.process: WorkerProcess | None = None
        self.is_given_up = False


class LocalEngine(Engine):
    """A pool of jailed worker processes on this machine."""

    takes_shaders = True

    def __init__(
        self,
        *,
        workers: int | None = None,
        at_once: int | None = None,
        cache_folder: Path | None = None,
        needs_space: bool = True,
        gpu: str = "auto",
        memory_max: int = 0,
    ) -> None:
        """Start `workers` processes (by default one per core that this process may use).

        Args:
            workers: how many.
            at_once: so many of them are started now, the others when tasks wait for them; by default all.
            cache_folder: where compiled modules are kept.
            needs_space: whether to refuse where address space is limited to less than a sandbox takes (`ulimit -v`); without,
                each task there fails as `no host memory`.
            gpu: which adapter shaders may use: "auto", "software", "hardware", "off" or a driver's .json file. It is opened at
                the first shader.
            memory_max: bytes that running tasks may have together, each what its job's limit is; others wait. 0: no cap.

        Raises:
            UnavailableError: this machine can't run jobs; the message says why.
        """
        self._workers = workers or len(os.sched_getaffinity(0))
        self._at_once = at_once or self._workers
        self._crowd, self._closing = threading.Event(), threading.Event()
        ulimits.check_files(self._workers)
        if needs_space:
            ulimits.check_space()
        self._folder = open_folder(cache_folder)
        self._gpu = gpu
        self._memory_max = memory_max
        self._room = MemoryRoom(memory_max)
        self._orders: queue.SimpleQueue[LocalFuture | None] = queue.SimpleQueue()
        self._shaders: queue.SimpleQueue[LocalFuture | None] = queue.SimpleQueue()
        self._running: set[LocalFuture] = set()
        self._lock = threading.Lock()
        self._is_closed = False
        self._threads = [
            threading.Thread(target=self._work, args=(i,), name=f"pangea-worker-{i}", daemon=True)
            for i in range(1, self._workers + 1)
        ]
        self._threads.append(threading.Thread(target=self._work_shaders, name="pangea-gpu", daemon=True))
        self._hello: Future[dict[str, Any]] = Future()
        for thread in self._threads:
            thread.start()
        try:
            self.jail: dict[str, Any] = self._hello.result()
            self._modules = ModuleCache(self._folder, self.jail["profile"])
            self._strangers = ModuleCache(open_folder(self._folder / _STRANGERS), self.jail["profile"])
        except BaseException:
            self.close()
            raise

    def prepare(
        self,
        module: str,
        limits: Limits,
        load: Callable[[], bytes],
        on_compile: Callable[[], None],
        *,
        is_strangers: bool = False,
    ) -> tuple[str, ...]:
        cache = self._strangers if is_strangers else self._modules
        entry = cache.get(module, limits)
        if entry is None:
            with cache.turn(module):
                entry = cache.get(module, limits)  # whoever had the turn before may have compiled it
                if entry is None:
                    wasm = load()
                    on_compile()
                    entry = cache.compile(module, wasm, limits, is_own=module == runtime.sha256())
        return entry.exports

    def submit(self, task: Task) -> TaskFuture:
        if self._is_closed:
            raise UnavailableError("the engine is closed")
        guest = task.guest
        if not self._room.may_hold(guest.limits.memory):
            return self._refused(task)
        if guest.gpu is not None:
            shader = LocalFuture(task, None)
            self._shaders.put(shader)
            return shader
        entry = (self._strangers if guest.is_strangers else self._modules).get(guest.module, guest.limits)
        if entry is None:
            raise UnavailableError(f"module {task.guest.module} was not prepared")
        order = LocalFuture(task, entry)
        self._orders.put(order)
        self._crowd.set()
        return order

    def _refused(self, task: Task) -> TaskFuture:
        limit, most = (human_bytes(size) for size in (task.guest.limits.memory, self._memory_max))
        message = f"the job may have {limit} (limits.memory), and sandboxes on this machine {most} together (memory_max)"
        order = LocalFuture(task, None)
        order.set_result(Failure(kind=FailureKind.HOST_MEMORY, message=message))
        return order

    def cancel(self, futures: Iterable[Future[Outcome]]) -> None:
        for order in futures:
            assert isinstance(order, LocalFuture), "not a future of this engine"
            with self._lock:
                order.is_given_up = True
                if order.process is not None:
                    order.process.cancel()
            order.cancel()
        self._room.look_again()

    @property
    def workers(self) -> int:
        return self._workers

    @property
    def place(self) -> str:
        return "this machine"

    @property
    def meter(self) -> str:
        return str(self.jail["profile"])

    def pids(self) -> list[int]:
        """Process ids of the workers that now run a task."""
        with self._lock:
            return [order.process.pid for order in self._running if order.process is not None]

    def _work(self, number: int) -> None:
        """One worker's thread: it starts its process, and its end would end the process, too."""
        if number > self._at_once:
            self._await_crowd()
        process = self._first_process() if not self._is_closed else None
        try:
            while (order := self._orders.get()) is not None:
                if self._orders.qsize():
                    self._crowd.set()
                if order.set_running_or_notify_cancel():
                    process = self._in_its_turn(order, number, process)
                del order  # with its input, which would stay as long as there is nothing else to do
        finally:
            if process is not None:
                process.close()

    def _await_crowd(self) -> None:
        """Until a task waits that none of the processes has taken in time, or the engine ends."""
        while not self._is_closed:
            self._crowd.wait()
            self._crowd.clear()
            if self._closing.wait(_PATIENCE_SECONDS) or self._orders.qsize():
                return

    def _work_shaders(self) -> None:
        """The thread of the process that has the adapter: each job gets a new one, and one with nothing to do ends."""
        process: WorkerProcess | None = None
        try:
            while True:
                try:
                    order = self._shaders.get(timeout=_IDLE_SECONDS if process is not None else None)
                except queue.Empty:
                    assert process is not None, "a wait without end"
                    process.close()
                    process = None
                    continue
                if order is None:
                    return
                if order.set_running_or_notify_cancel():
                    if isinstance(process, GpuProcess) and not process.serves(order.task.guest):
                        process.kill()
                    process = self._in_its_turn(order, self._workers + 1, process)
                del order
        finally:
            if process is not None:
                process.close()

    def _new_process(self, task: Task) -> WorkerProcess:
        if task.guest.gpu is None:
            return WorkerProcess(self._folder)
        return self._new_adapter()

    def _new_adapter(self) -> GpuProcess:
        process = GpuProcess(self._gpu)
        self.adapter: str = f"{process.hello['adapter']}, {process.hello['driver']}"
        self.adapter_bytes: int = process.hello["memory_bytes"]
        return process

    def find_adapter(self) -> None:
        self._new_adapter().close()

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

    def _in_its_turn(self, order: LocalFuture, number: int, process: WorkerProcess | None) -> WorkerProcess | None:
        """Run a task once there is memory for it; one that is given up meanwhile needs none."""
        with self._room.take(order.task.guest.limits.memory, lambda: not (order.is_given_up or self._is_closed)):
            order.worker, order.began = number, time.monotonic()
            return self._run(order, process)

    def _run(self, order: LocalFuture, process: WorkerProcess | None) -> WorkerProcess | None:
        try:
            if process is None or not process.is_alive:
                if process is not None:
                    process.close()
                    process = None
                process = self._new_process(order.task)
            with self._lock:
                order.process = process
                order.is_given_up |= self._is_closed
                self._running.add(order)
            code_file = order.entry.file if order.entry is not None else NO_FILE
            outcome = CANCELLED if order.is_given_up else process.run(order.task, code_file)
            if isinstance(outcome, Failure) and outcome.is_machine_fault:
                process.kill()
            order.ended = time.monotonic()
        except NoAdapterError as error:
            order.set_result(Failure(kind=FailureKind.NO_ADAPTER, message=error.message))
        except Exception as error:
            order.set_exception(error)
        else:
            order.set_result(outcome)
        finally:
            with self._lock:
                order.process = order.entry = None  # whoever keeps the future needs no open file
                self._running.discard(order)
        return process

    def close(self) -> None:
        with self._lock:
            self._is_closed = True
            running = [order.process for order in self._running if order.process is not None]
        self._closing.set()
        self._crowd.set()
        with contextlib.suppress(queue.Empty):
            while order := self._orders.get_nowait():
                _give_up(order)
        with contextlib.suppress(queue.Empty):
            while order := self._shaders.get_nowait():
                _give_up(order)
        for process in running:
            process.cancel()
        self._room.look_again()
        self._shaders.put(None)
        for _ in self._threads:
            self._orders.put(None)
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(_JOIN_SECONDS)
        for name in ("_modules", "_strangers"):
            if modules := getattr(self, name, None):
                modules.close()


def _give_up(order: LocalFuture) -> None:
    if order.cancel():
        order.set_running_or_notify_cancel()  # whoever waits for several is told by this alone

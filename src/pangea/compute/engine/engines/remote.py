"""What all engines on somebody's cluster share: tasks become requests to `hosted`, and whatever befalls them there an outcome.

The cluster is trusted with the job, as this machine would be; the jail in its workers is for what the job does to the cluster.
A worker that is lost, a task that their scheduler gives up and content that went with a worker are failures of the machine: who
runs the job tries again, and says so in its report. A cluster that is gone ends the job with an error.
"""

from __future__ import annotations

import errno
import itertools
import json
import mmap
import threading
import time
import uuid
from abc import abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from pangea.compute import runtime
from pangea.compute.engine.cache import RefusedError, check_size
from pangea.compute.engine.channel import SharedMemory
from pangea.compute.engine.engine import Engine, TaskFuture
from pangea.compute.engine.engines import hosted
from pangea.compute.engine.process import cut_short
from pangea.compute.engine.task import Task
from pangea.compute.model.errors import PangeaError, UnavailableError
from pangea.compute.model.frames import Buffer
from pangea.compute.model.limits import Limits
from pangea.compute.model.outcome import Failure, FailureKind, Finished, Outcome
from pangea.compute.model.units import KIB

#: How often the cluster is asked for its size, and whether it is there.
_WATCH_SECONDS = 1.0
#: How long a job waits, by default, while the cluster has no worker at all.
PATIENCE_SECONDS = 300.0
#: Compiling the Python guest takes some 10 s, on a busy machine minutes.
_PREPARE_SECONDS = 1800.0
_PREPARE_ATTEMPTS = 3
#: Content up to this size goes along with each task: to ask a store for it takes longer (0.9 ms on Ray).
_ALONG_BYTES_MAX = 16 * KIB
#: Modules and archives that the cluster's store keeps for jobs to come.
_KEPT_MAX = 64


@dataclass(slots=True)
class Call:
    """A request on its way.

    Attributes:
        answer: what `hosted.serve` answers, to come.
        handle: the cluster's own name for it.
        kept: what the cluster must keep meanwhile.
    """

    answer: Future[dict[str, Any]]
    handle: Any
    kept: Any = None


class _Order(TaskFuture):
    """A task on its way through the cluster."""

    def __init__(self, task: Task, attempt: str) -> None:
        super().__init__(task)
        self.attempt = attempt
        self.call: Call | None = None


class RemoteEngine(Engine):
    """An engine whose workers are those of a cluster that somebody has already; subclasses say how it is spoken to."""

    #: For messages: "Dask".
    kind = ""

    def __init__(self, *, patience: float = PATIENCE_SECONDS) -> None:
        """Begin to watch the cluster.

        Args:
            patience: seconds that tasks wait while the cluster has no worker at all.

        Raises:
            UnavailableError: it is gone.
        """
        self._patience = patience
        self._lock = threading.Lock()
        self._orders: set[_Order] = set()
        self._modules: OrderedDict[str, tuple[bytes, tuple[str, ...]]] = OrderedDict()
        self._contents: OrderedDict[str, Any] = OrderedDict()
        self._numbers: dict[str, int] = {}
        self._meter = ""
        self._gone: UnavailableError | None = None
        self._is_closed = threading.Event()
        self._count = self._size()
        self._seen = time.monotonic()  # a worker
        self._sender = ThreadPoolExecutor(1, thread_name_prefix="pangea-sender")
        self._watcher = threading.Thread(target=self._watch, name="pangea-watcher", daemon=True)
        self._watcher.start()

    @property
    def workers(self) -> int:
        return max(1, self._count)

    @property
    def meter(self) -> str:
        if not self._meter:  # any worker knows
            self.prepare(runtime.sha256(), Limits(), runtime.load, lambda: None)
        return self._meter

    @property
    def is_gone(self) -> bool:
        """Whether it can run nothing any more."""
        return self._is_closed.is_set() or self._gone is not None

    def prepare(
        self,
        module: str,
        limits: Limits,
        load: Callable[[], bytes],
        on_compile: Callable[[], None],
        *,
        is_strangers: bool = False,
    ) -> tuple[str, ...]:
        with self._lock:
            if module in self._modules:
                self._modules.move_to_end(module)
                return self._modules[module][1]
        on_compile()
        wasm = b"" if module == runtime.sha256() else load()  # workers have the guest: it comes with the package
        check_size(wasm, limits)
        request = self._request(module, limits, is_strangers=is_strangers)
        answer = self._prepared(request, wasm)
        exports = tuple(answer["exports"])
        with self._lock:
            self._modules[module] = wasm, exports
            _forget_oldest(self._modules)
        return exports

    def submit(self, task: Task) -> TaskFuture:
        self._check()
        guest = task.guest
        if guest.module not in self._modules:
            raise UnavailableError(f"module {guest.module} was not prepared")
        order = _Order(task, uuid.uuid4().hex)
        with self._lock:
            self._orders.add(order)
        self._sender.submit(self._send, order)
        return order

    def cancel(self, futures: Iterable[Future[Outcome]]) -> None:
        calls, attempts = [], []
        for order in futures:
            assert isinstance(order, _Order), "not a future of this engine"
            with self._lock:
                is_known = order in self._orders
                self._orders.discard(order)
            if is_known and order.cancel():
                order.set_running_or_notify_cancel()  # whoever waits for several is told by this alone
                if order.call is not None:
                    calls.append(order.call)
                    attempts.append(order.attempt)
        if calls and not self.is_gone:
            self._give_up(calls, attempts)

    def close(self) -> None:
        if self._is_closed.is_set():
            return
        self._is_closed.set()
        self.cancel([*self._orders])
        self._sender.shutdown(wait=True, cancel_futures=True)
        self._watcher.join()
        self._contents.clear()
        self._leave()

    # How the cluster is spoken to.

    @abstractmethod
    def _size(self) -> int:
        """How many tasks it runs at once, now; 0 while it has no worker.

        Raises:
            UnavailableError: it is gone.
        """

    @abstractmethod
    def _keep(self, content: bytes) -> Any:
        """Have the cluster's store hold `content`; what stands for it in `_start`."""

    @abstractmethod
    def _start(self, key: str, request: str, content: Any, frame: bytes) -> Call:
        """Have a worker call `hosted.serve`; `key` is a name that says what it is for, and no other has."""

    @abstractmethod
    def _give_up(self, calls: Sequence[Call], attempts: Sequence[str]) -> None:
        """Let go of calls: those waiting never start, those running are killed."""

    @abstractmethod
    def _leave(self) -> None:
        """Let go of the cluster."""

    # Tasks.

    def _check(self) -> None:
        if self._gone is not None:
            raise self._gone
        if self._is_closed.is_set():
            raise UnavailableError("the engine is closed")

    @staticmethod
    def _request(module: str, limits: Limits, *, is_strangers: bool) -> dict[str, Any]:
        return {"software": hosted.software(), "module": module, "limits": asdict(limits), "is_strangers": is_strangers}

    def _prepared(self, request: dict[str, Any], wasm: bytes) -> dict[str, Any]:
        """The answer of any worker.

        Raises:
            RefusedError: the module isn't one, or costs too much to compile.
            UnavailableError: no worker answers.
        """
        for attempt in itertools.count(1):
            self._check()
            call = self._start(f"pangea-prepare-{uuid.uuid4().hex}", json.dumps(request), self._kept(wasm), b"")
            try:
                answer = self._awaited(call)
            except UnavailableError:
                raise
            except Exception as error:
                if attempt == _PREPARE_ATTEMPTS:
                    raise UnavailableError(f"no worker of {self.place} could make the job's module ready: {error}") from error
                continue
            if "refused" in answer:
                raise RefusedError(_failure(answer["refused"]))
            self._admit(answer)
            return answer
        raise AssertionError("unreachable")

    def _awaited(self, call: Call) -> dict[str, Any]:
        deadline = time.monotonic() + _PREPARE_SECONDS
        while True:
            try:
                return call.answer.result(_WATCH_SECONDS)
            except TimeoutError:
                if call.answer.done():
                    raise
                self._check()
                if (error := self._impatience()) is not None:
                    raise error from None
                if time.monotonic() > deadline:
                    raise UnavailableError(f"{self.place} didn't make the job's module ready in {_PREPARE_SECONDS:g} s") from None

    def _send(self, order: _Order) -> None:
        try:
            if order.cancelled():
                return
            task = order.task
            request = self._request(task.guest.module, task.guest.limits, is_strangers=task.guest.is_strangers)
            packs = [(pack.count, pack.size_bytes) for pack in task.packs]
            request |= {"attempt": order.attempt, "function": task.function, "count": task.count, "packs": packs}
            content, frame = self._content(task), _copy(task.parts)
            order.began = time.monotonic()
            order.call = self._start(f"pangea-{task.function}-{order.attempt}", json.dumps(request), content, frame)
        except PangeaError as error:
            self._end(order, error)
            return
        except Exception as error:
            self._lost(order, error)
            return
        order.call.answer.add_done_callback(lambda answer: self._heard(order, answer))
        if order.cancelled():  # while it was sent
            self._give_up([order.call], [order.attempt])

    def _content(self, task: Task) -> Any:
        """The job's archive, or its module: what stands for it in the cluster's store, unless it is small."""
        guest = task.guest
        with self._lock:
            if guest.key in self._contents:
                self._contents.move_to_end(guest.key)
                return self._contents[guest.key]
            if not guest.code:
                self._modules.move_to_end(guest.module)
            content = guest.code or self._modules[guest.module][0]
        if (kept := self._kept(content)) is content:
            return content
        with self._lock:
            self._contents[guest.key] = kept
            _forget_oldest(self._contents)
        return kept

    def _kept(self, content: bytes) -> Any:
        if not self._count:  # no worker, and no store; that a task waits may be what the cluster starts workers for
            return content
        return content if len(content) <= _ALONG_BYTES_MAX else self._keep(content)

    def _heard(self, order: _Order, answer: Future[dict[str, Any]]) -> None:
        try:
            self._end(order, self._outcome(order, answer.result()))
        except UnavailableError as error:
            self._end(order, error)
        except BaseException as error:
            with suppress(RuntimeError):  # the engine is closed: so the order has ended
                self._sender.submit(self._lost, order, error)  # this thread is the cluster's

    def _lost(self, order: _Order, error: BaseException) -> None:
        """What befell a task is theirs: a lost worker, a lost store, a task given up; or all of the cluster is gone."""
        with self._lock:
            self._contents.pop(order.task.guest.key, None)  # it may have been lost, too
        if self._look():
            reason = f"{self.kind} gave the task up: {type(error).__name__}: {str(error).strip()[:300]}"
            self._end(order, Failure(kind=FailureKind.WORKER_LOST, message=reason))

    def _outcome(self, order: _Order, answer: dict[str, Any]) -> Outcome:
        self._admit(answer)
        with self._lock:
            order.worker = self._numbers.setdefault(answer["worker"], len(self._numbers) + 1)
        if "finished" in answer:
            order.ended = time.monotonic()
            order.began = max(order.began, order.ended - answer["seconds"])
            return Finished(**answer["finished"])
        return _failure(answer.get("refused") or answer["failure"])

    def _admit(self, answer: dict[str, Any]) -> None:
        """Believe a worker that runs what we run.

        Raises:
            UnavailableError: it doesn't, or can't run anything.
        """
        where = f"{answer['worker']}, a worker of {self.place},"
        if answer["software"] != hosted.software():
            raise UnavailableError(
                f"{where} has {answer['software']}; this side has {hosted.software()}", hint="install the same version on both"
            )
        if "unavailable" in answer:
            message, hint = answer["unavailable"]
            raise UnavailableError(f"{where} can't run jobs: {message}", hint=hint)
        with self._lock:
            self._meter = self._meter or answer["meter"]
        if answer["meter"] != self._meter:
            raise UnavailableError(
                f"{where} counts fuel by {answer['meter']}, others by {self._meter}",
                hint="install the same wasmtime on all workers",
            )

    def _end(self, order: _Order, end: Outcome | Exception) -> None:
        with self._lock:
            if order not in self._orders:
                return
            self._orders.discard(order)
        if not order.set_running_or_notify_cancel():
            return
        order.call = None
        if isinstance(end, Exception):
            order.set_exception(end)
        else:
            order.set_result(end)

    # The cluster.

    def _impatience(self) -> UnavailableError | None:
        if self._count or time.monotonic() - self._seen <= self._patience:
            return None
        message = f"{self.place} has had no worker for {self._patience:g} s"
        return UnavailableError(message, hint="add workers, or be more patient (patience=)")

    def _watch(self) -> None:
        while not self._is_closed.wait(_WATCH_SECONDS):
            if not self._look():
                return
            if (error := self._impatience()) is not None:
                self._end_all(error)

    def _look(self) -> bool:
        """Whether the cluster is still there; if not, nothing more comes of what it had."""
        try:
            self._count = self._size()
            if self._count:
                self._seen = time.monotonic()
        except UnavailableError as error:
            self._gone = self._gone or error
            self._end_all(error)
            return False
        return True

    def _end_all(self, error: UnavailableError) -> None:
        with self._lock:
            orders = [*self._orders]
        for order in orders:
            self._end(order, error)


def _forget_oldest(kept: OrderedDict[str, Any]) -> None:
    while len(kept) > _KEPT_MAX:
        kept.popitem(last=False)


def _failure(record: dict[str, Any]) -> Failure:
    return Failure(**{**record, "kind": FailureKind(record["kind"])})


def _copy(parts: Sequence[Buffer]) -> bytes:
    """The bytes of a task.

    Raises:
        InputError: they are of a file that was cut short; read through a mapping, that would end this process.
    """
    if not any(isinstance(part, memoryview) and isinstance(part.obj, mmap.mmap) for part in parts):
        return b"".join(parts)
    memory = SharedMemory.create()
    try:
        return memory.read(0, memory.write(parts))
    except OSError as error:
        if error.errno != errno.EFAULT:
            raise
        raise cut_short() from error
    finally:
        memory.close()

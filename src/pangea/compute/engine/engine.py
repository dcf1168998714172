"""The port to whatever runs tasks: have a module ready, run tasks, tell how many at once.

`engines` has the adapters: `local` is this machine's worker processes; `dask` and `ray` are clusters that somebody has already.
Every outcome is data; a future fails only when the engine itself can't go on.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from concurrent.futures import Future

from pangea.compute.engine.task import Task
from pangea.compute.model.errors import NoAdapterError
from pangea.compute.model.limits import Limits
from pangea.compute.model.outcome import Failure, FailureKind, Outcome

CANCELLED = Failure(kind=FailureKind.CANCELLED, message="the task was cancelled")


class TaskFuture(Future[Outcome]):
    """A task's outcome to come, and who works on it.

    Attributes:
        worker: number of the worker that has it or had it, from 1; 0 before.
        began, ended: when that worker took it and was done, on this process's `time.monotonic`.
    """

    def __init__(self, task: Task) -> None:
        """Wait for `task`."""
        super().__init__()
        self.task = task
        self.worker = 0
        self.began: float = 0.0
        self.ended: float = 0.0


class Engine(ABC):
    """Runs tasks. Shaped like `concurrent.futures.Executor`; all methods may be called from any thread.

    Attributes:
        takes_shaders: whether it may have adapters; without, a job whose execute is a shader is refused.
        adapter: what shaders ran on last, for people; empty: none has run.
        adapter_bytes: its memory; 0: its driver doesn't tell.
    """

    takes_shaders = False
    adapter = ""
    adapter_bytes = 0

    @property
    @abstractmethod
    def workers(self) -> int:
        """Tasks that run at once, 1 or more; an engine whose workers come and go says how many there are now."""

    @property
    @abstractmethod
    def place(self) -> str:
        """Where the workers are, for people: "this machine"."""

    def find_adapter(self) -> None:
        """See whether there is an adapter for shaders, and note in `adapter` which.

        Raises:
            NoAdapterError: there is none, or none may be used; says why.
        """
        raise NoAdapterError(f"{self.place} runs no shaders")

    @property
    @abstractmethod
    def meter(self) -> str:
        """What counts fuel there: figures compare within one only."""

    @abstractmethod
    def prepare(
        self,
        module: str,
        limits: Limits,
        load: Callable[[], bytes],
        on_compile: Callable[[], None],
        *,
        is_strangers: bool = False,
    ) -> tuple[str, ...]:
        """Have the compiled code of `module` ready. Threads that ask for one module at a time compile it once.

        Args:
            module: SHA-256 of the module, in hex.
            limits: what compiling may cost.
            load: gives the module's bytes when it has to be compiled.
            on_compile: called before a compilation, which may take seconds.
            is_strangers: whether somebody else brings it: what is made of it lies apart, and takes nothing's place.

        Returns:
            The names of the module's ABI exports.

        Raises:
            RefusedError: the module isn't one, or costs too much to compile.
            UnavailableError: the engine can't run jobs any more.
        """

    @abstractmethod
    def submit(self, task: Task) -> TaskFuture:
        """Queue `task`, whose module was prepared.

        Raises:
            UnavailableError: the engine is closed.
        """

    @abstractmethod
    def cancel(self, futures: Iterable[Future[Outcome]]) -> None:
        """Give up tasks: those waiting never start, those running are killed with their process."""

    @abstractmethod
    def close(self) -> None:
        """End what was started for it. Tasks not finished end as cancelled. Closing again does nothing."""

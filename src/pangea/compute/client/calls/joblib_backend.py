"""joblib in the sandbox: `parallel_config(backend="pangea")`.

    from joblib import Parallel, delayed, parallel_config
    from pangea.compute.client.calls.joblib_backend import register

    register()
    with parallel_config(backend="pangea"):
        Parallel()(delayed(pow)(number, 2) for number in range(10))

Functions and their arguments travel as those of `map` do: by value, not by pickle; what can't is an error that says why.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from itertools import groupby
from typing import Any

from joblib import register_parallel_backend
from joblib.parallel import AutoBatchingMixin, ParallelBackendBase, SequentialBackend

from pangea.compute.client.calls.bound import Call
from pangea.compute.client.calls.chains import after
from pangea.compute.client.calls.executor import PangeaExecutor
from pangea.compute.engine.engines.connecting import engine_of


def register() -> None:
    """Let joblib know the backend `pangea`; its keywords are those of `PangeaExecutor`."""
    register_parallel_backend("pangea", PangeaBackend)


class PangeaBackend(AutoBatchingMixin, ParallelBackendBase):
    """Batches of calls as jobs."""

    supports_retrieve_callback = True
    default_n_jobs = -1

    def __init__(self, nesting_level: int | None = None, inner_max_num_threads: int | None = None, **options: Any) -> None:
        """Take `options` for the executor."""
        super().__init__(nesting_level=nesting_level, inner_max_num_threads=inner_max_num_threads)
        self._options = options
        self._executor: PangeaExecutor | None = None

    def effective_n_jobs(self, n_jobs: int | None) -> int:
        """Batches under way: as many as asked for; for -1, and where nothing is said, as there are workers.

        Two at least: where it is one, joblib makes the calls itself, in this process.
        """
        if n_jobs == 0:
            raise ValueError("n_jobs == 0 in Parallel has no meaning")
        if n_jobs is None or n_jobs < 0:
            n_jobs = engine_of(self._options.get("engine"))[0].workers if self._options.get("node") is None else 0
        return max(2, n_jobs)

    def configure(self, n_jobs: int = 1, parallel: Any = None, **_of_pools: Any) -> int:
        """Begin a `Parallel` call."""
        self.parallel = parallel
        n_jobs = self.effective_n_jobs(n_jobs)
        self._executor = PangeaExecutor(max_jobs=n_jobs, **self._options)
        return n_jobs

    def submit(self, func: Any, callback: Callable[[Any], None] | None = None) -> Future[list[Any]]:
        """Begin a batch of calls: runs of the same function are one job."""
        assert self._executor is not None, "configure comes first"
        parts = [self._executor.batch(function, calls) for function, calls in _runs(func.items)]
        future = _joined(parts)
        if callback is not None:
            future.add_done_callback(callback)
        return future

    def retrieve_result_callback(self, out: Future[list[Any]]) -> list[Any]:
        """The results of a batch that has ended."""
        return out.result()

    def terminate(self) -> None:
        """End a `Parallel` call."""
        if self._executor is not None:
            self._executor.shutdown(wait=False, cancel_futures=True)
            self._executor = None
        self.reset_batch_stats()

    def abort_everything(self, ensure_ready: bool = True) -> None:
        """Begin nothing more."""
        self.terminate()
        if ensure_ready:
            self.configure(n_jobs=self.parallel.n_jobs, parallel=self.parallel)

    def get_nested_backend(self) -> tuple[Any, int | None]:
        """Calls of joblib inside a call are made one after the other."""
        return SequentialBackend(nesting_level=(self.nesting_level or 0) + 1), None


def _runs(items: list[tuple[Any, tuple[Any, ...], dict[str, Any]]]) -> list[tuple[Any, list[Call]]]:
    """Calls of one function that follow each other, with it."""
    groups = [list(group) for _, group in groupby(items, key=lambda item: id(item[0]))]
    return [(group[0][0], [(args, kwargs) for _, args, kwargs in group]) for group in groups]


def _joined(parts: list[Future[list[Any]]]) -> Future[list[Any]]:
    def begin() -> Future[list[Any]]:
        done: Future[list[Any]] = Future()
        done.set_result([value for part in parts for value in part.result()])
        return done

    return parts[0] if len(parts) == 1 else after(parts, begin)

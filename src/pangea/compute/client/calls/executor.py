"""`PangeaExecutor`: a `concurrent.futures.Executor` whose calls run in the sandbox, here or on a node.

    with PangeaExecutor() as executor:
        future = executor.submit(pow, 2, 10)                 # one job
        answers = list(executor.map(shout, texts))           # as few jobs as there are batches

Arguments and results are Python values, and what comes back is equal and of the same type, or refused by name.
"""

from __future__ import annotations

import functools
import itertools
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator, MutableSequence
from concurrent import futures
from concurrent.futures import CancelledError, Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar, Unpack

from pangea.compute.client.calls.batches import Batch, Calls, zipped
from pangea.compute.client.calls.bound import Call, bound_in, bound_in_all, without
from pangea.compute.client.calls.chains import after, futures_in, settled
from pangea.compute.client.calls.explaining import explain
from pangea.compute.client.submission.pages import watched
from pangea.compute.client.submission.place import Place
from pangea.compute.client.submission.submit import run_job
from pangea.compute.model.errors import InputError, JobCancelledError, JobFailedError, ManifestError, UnavailableError
from pangea.compute.model.keywords import JobKeywords
from pangea.compute.model.options import JobOptions, check_known

R = TypeVar("R")

#: What may have been meant by an unknown keyword, of `map` and its like, too.
_BESIDE = ("node", "engine", "max_jobs", "seed", "dashboard", "chunksize")


@dataclass(frozen=True, slots=True)
class _Part:
    """Results of a batch, up to the call that raised, and what that raised."""

    values: list[Any]
    error: JobFailedError | None = None

    def in_order(self) -> Iterator[Any]:
        yield from self.values
        if self.error is not None:
            raise self.error


def _taken(begun: Iterator[Future[_Part]], count: int | None, waiting: MutableSequence[Future[_Part]]) -> Exception | None:
    """Begin so many batches, None for all; what the items raised, which has its turn after the results of those before."""
    try:
        waiting.extend(itertools.islice(begun, count))
    except Exception as error:
        return error
    return None


class PangeaExecutor(Executor):
    """Calls of functions, each in a sandbox."""

    def __init__(
        self,
        node: Any = None,
        *,
        engine: Any = None,
        max_jobs: int = 32,
        seed: int = 0,
        dashboard: bool | str = False,
        **options: Unpack[JobKeywords],
    ) -> None:
        """Call functions on a node, on somebody's cluster, or on this machine.

        Args:
            node: its address, or a `Client` of it; by default PANGEA_NODE, else this machine.
            engine: a cluster, as `submit_job` takes it.
            max_jobs: jobs under way at once, from 1.
            seed: where random numbers come from, together with a call's place in `map`; equal seeds repeat a run.
            dashboard: serve a live page of the calls' jobs, as `submit_job`; `dashboard_url` is its address.
            **options: keywords of `submit_job` for each job.

        Raises:
            UnavailableError: what `dashboard` needs isn't installed.
            ManifestError: `max_jobs` is no positive integer, `seed` no integer, or an option unknown or out of range.
        """
        if "max_workers" in options:
            raise ManifestError("an executor here has no max_workers", hint="max_jobs says how many jobs are under way at once")
        check_known(options, _BESIDE)
        JobOptions.of(options)  # what is wrong with them is an error here, not in each call
        for name, number, least in (("max_jobs", max_jobs, 1), ("seed", seed, -(10**18))):
            if isinstance(number, bool) or not isinstance(number, int) or number < least:
                raise ManifestError(f"{name} is {number!r}; it must be an integer, {least:,} or more", field=name)
        #: Where the live page of its jobs is; "": there is none.
        self.dashboard_url: str
        self._place, self.dashboard_url = watched(Place(node, engine=engine), dashboard)
        self._seed = seed
        self._options = dict(options)
        self._max_jobs = max_jobs
        self._is_shut = False
        self._begin_anew()
        _executors.add(self)

    def _begin_anew(self) -> None:
        """Have no threads and no calls, as in a forked child, where those of its parent aren't."""
        self._threads = ThreadPoolExecutor(self._max_jobs, thread_name_prefix="pangea-executor")
        self._lock = threading.Lock()
        self._chained: set[Future[Any]] = set()
        self._under_way: weakref.WeakSet[Future[Any]] = weakref.WeakSet()
        if self._is_shut:
            self._threads.shutdown(wait=False)

    def after_fork(self) -> None:
        """In a forked child: begin anew, and say of what its parent has begun that nobody brings the result here."""
        lost = [*self._under_way, *self._chained]
        self._begin_anew()
        for future in lost:
            future._condition = threading.Condition()  # one of the parent's threads may have held it
            if not future.done():
                future.set_exception(UnavailableError("the process that made this call has forked: call again here"))

    def _start(self, work: Callable[[], R]) -> Future[R]:
        future = self._threads.submit(work)
        self._under_way.add(future)
        return future

    def submit(self, fn: Callable[..., R], /, *args: Any, **kwargs: Any) -> Future[R]:
        """Call `fn(*args, **kwargs)` as a job of its own.

        An argument may be a future, of this executor or another: the call begins when it is there. What it raised, this raises.

        Raises:
            InputError: an argument can't travel as a value.
            JobDefinitionError: the function can't travel; says why.
            RuntimeError: the executor is shut down.
        """
        if not (waited := futures_in(args, kwargs)):
            return self._one(fn, args, kwargs)
        Calls(fn, bound=bound_in(args, kwargs)).job()  # what can't travel is an error here
        with self._lock:
            self._check()
            chained: Future[R] = after(waited, lambda: self._one(fn, *settled(args, kwargs)))
            self._chained.add(chained)
        chained.add_done_callback(self._chained.discard)
        return chained

    def batch(self, fn: Callable[..., R], calls: Iterable[Call]) -> Future[list[R]]:
        """Make all of `calls`, pairs of arguments and keywords, in one job; their results, in order.

        Raises:
            InputError, JobDefinitionError, RuntimeError: as of `submit`.
        """
        listed = [*calls]
        bound = bound_in_all(listed)
        made = Calls(fn, seed=self._seed, bound=bound)
        batches = [*made.batches((without(*call, bound) for call in listed), batch_calls=max(1, len(listed)))]
        job = made.job()
        return self._start(lambda: [each for part in batches for each in self._run(made, job, part, threading.Event())])

    def _one(self, fn: Callable[..., R], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Future[R]:
        bound = bound_in(args, kwargs)
        calls = Calls(fn, seed=self._seed, bound=bound)
        batch = Batch(0, 1, calls.line(0, without(args, kwargs, bound)).rstrip())  # as a batch's split would give it
        job = calls.job(is_one=True)
        return self._start(lambda: self._run(calls, job, batch, threading.Event())[0])

    def _check(self) -> None:
        if self._is_shut:
            raise RuntimeError("cannot schedule new futures after shutdown")

    def map(
        self,
        fn: Callable[..., R],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int | None = None,
        buffersize: int | None = None,
    ) -> Iterator[R]:
        """Yield `fn(*items)` for the items of the iterables, in order. Many calls share a job.

        Args:
            fn: the function.
            *iterables: as for the built-in `map`; none gives no results, as with the executors of the standard library.
            timeout: seconds from this call for each result.
            chunksize: calls of one job; by default small batches first, then larger ones.
            buffersize: calls under way at the most, in whole batches; None takes all items at once.

        Raises:
            InputError: an argument can't travel as a value.
            JobDefinitionError: the function can't travel.
            TimeoutError: while iterating: a result wasn't there in time.
            JobFailedError: while iterating: a call raised; also of the built-in type that it raised, with the item as a note.
        """
        for name, number in (("chunksize", chunksize), ("buffersize", buffersize)):
            if number is not None and (isinstance(number, bool) or not isinstance(number, int) or number < 1):
                raise ManifestError(f"{name} is {number!r}; it must be a positive integer", field=name)
        calls = Calls(fn, seed=self._seed)
        most = chunksize if buffersize is None else min(chunksize or buffersize, buffersize)
        batches = calls.batches(zipped(iterables) if iterables else iter(()), batch_calls=most)
        ahead = None if buffersize is None or most is None else max(1, buffersize // most)
        deadline = None if timeout is None else time.monotonic() + timeout
        return self.results(calls, batches, ahead, deadline)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more; with `cancel_futures`, begin nothing that hasn't begun.

        Calls that wait for others still get their turn, unless they are cancelled.
        """
        with self._lock:
            self._is_shut, chained = True, [*self._chained]
        if cancel_futures:
            chained = [each for each in chained if not each.cancel()]
        if wait:
            futures.wait(chained)
        if wait or not chained:
            self._threads.shutdown(wait, cancel_futures=cancel_futures)
        else:
            after(chained, lambda: self._threads.shutdown(wait=False) or Future())  # type: ignore[func-returns-value]

    def results(
        self,
        calls: Calls,
        batches: Iterator[Batch],
        ahead: int | None,
        deadline: float | None,
        is_over: threading.Event | None = None,
    ) -> Iterator[Any]:
        """Begin at once what may be begun, as `concurrent.futures` does; the rest while results are taken, until `is_over`."""
        is_over = is_over or threading.Event()
        waiting: deque[Future[_Part]] = deque()
        begun = self._begun(calls, batches, is_over)

        def end() -> None:
            is_over.set()  # whoever stops early wants no more
            for future in waiting:
                future.cancel()

        def results(trouble: Exception | None) -> Iterator[Any]:
            try:
                while waiting:
                    left = None if deadline is None else deadline - time.monotonic()
                    yield from waiting[0].result(left).in_order()
                    waiting.popleft()
                    trouble = trouble or _taken(begun, 1, waiting)
                if trouble is not None:
                    raise trouble
            finally:
                end()

        trouble = _taken(begun, ahead, waiting)
        if trouble is not None and ahead is None:
            end()
            raise trouble
        return results(trouble)

    def unordered(
        self, calls: Calls, batches: Iterator[Batch], ahead: int, is_over: threading.Event | None = None
    ) -> Iterator[Any]:
        """Yield results as they come, `ahead` batches under way, until `is_over`."""
        is_over = is_over or threading.Event()
        waiting: list[Future[_Part]] = []
        begun = self._begun(calls, batches, is_over)
        try:
            trouble = _taken(begun, ahead, waiting)
            while waiting:
                done, left = futures.wait(waiting, return_when=futures.FIRST_COMPLETED)
                waiting = [*left]
                trouble = trouble or _taken(begun, len(done), waiting)
                for future in done:
                    yield from future.result().in_order()
            if trouble is not None:
                raise trouble
        finally:
            is_over.set()  # whoever stops early wants no more
            for future in waiting:
                future.cancel()

    def _begun(self, calls: Calls, batches: Iterator[Batch], is_over: threading.Event) -> Iterator[Future[_Part]]:
        for batch in batches:
            job = calls.job()  # knows the classes of this batch's values
            yield self._start(functools.partial(self._part, calls, job, batch, is_over))

    def _part(self, calls: Calls, job: Any, batch: Batch, is_over: threading.Event) -> _Part:
        """What a batch gave: if a call of it raised, the results of those before come first, as if each were made by itself."""
        try:
            return _Part(self._run(calls, job, batch, is_over))
        except JobFailedError as error:
            before = error.chunk_index or 0
            values = self._run(calls, job, batch.beginning(before), is_over) if before else []
            return _Part(values, error)

    def _run(self, calls: Calls, job: Any, batch: Batch, is_over: threading.Event) -> list[Any]:
        try:
            result = run_job(job, batch.data, self._place, None, is_over.is_set, dict(self._options))
        except JobCancelledError as error:
            raise CancelledError(str(error)) from error
        except JobFailedError as error:
            explain(error, calls, batch)
            raise error.with_traceback(None) from None  # where it was raised is in the sandbox, and its text says so
        values = calls.values(result)
        if len(values) != batch.count:
            raise InputError(f"{batch.count:,} calls of {calls.name} gave {len(values):,} results", hint="report this")
        return values


#: All there are, for forked children.
_executors: weakref.WeakSet[PangeaExecutor] = weakref.WeakSet()


def _begin_all_anew() -> None:
    for executor in list(_executors):
        executor.after_fork()


os.register_at_fork(after_in_child=_begin_all_anew)

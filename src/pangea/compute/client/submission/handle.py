"""A job on a node, in the user's hand: a future that outlives the process that made it."""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import threading
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from concurrent.futures._base import FINISHED
from contextlib import suppress
from typing import Any, Generic, TypeVar

from pangea.compute.client.results.notebook import show_live
from pangea.compute.client.results.result import Result
from pangea.compute.client.submission.node_link import NodeLink
from pangea.compute.client.submission.pages import page_of_job, widget_of
from pangea.compute.model.errors import InputError, JobFailedError, NotDoneError, PangeaError, UnavailableError, from_json
from pangea.compute.model.html import bundle
from pangea.compute.model.ids import JobId
from pangea.compute.model.kinds import ResultKind
from pangea.compute.model.progress import JobState
from pangea.compute.model.report import Report
from pangea.compute.model.status import JobOutcome, JobStatus
from pangea.compute.model.trace import Trace
from pangea.compute.network.peers.connection import Connection

T = TypeVar("T")


class JobHandle(concurrent.futures.Future[Result]):
    """A job on a node.

    It is a `concurrent.futures.Future`, so `wait` and `as_completed` take it; it can be awaited; iterating over it yields
    `JobStatus` as it changes, to the end; pickled, it becomes the node's address and the job's id, and attaches again where it
    is unpickled. Losing it, or the process, or an interrupted wait, leaves the job running.
    """

    def __init__(self, client: NodeLink, job_id: JobId, kind: ResultKind, *, follow: bool = True) -> None:
        """The job `job_id` of the node that `client` speaks to.

        Args:
            client: of the node.
            job_id: the job.
            kind: how its result is to be read.
            follow: whether its end, result included, is fetched from now on, or only once somebody waits for it.
        """
        self._is_followed = False
        self._installed: list[Any] = []
        super().__init__()
        self._client = client
        self._kind = kind
        #: Runs a chunk of the job in this process, where the job was submitted by it.
        self.local: Callable[[int], Any] | None = None
        #: The job's UUID.
        self.job_id = job_id
        self.set_running_or_notify_cancel()
        _handles.add(self)
        if follow:
            self._follow()

    def _follow(self) -> None:
        """See that the job is followed, once."""
        if not self._is_followed and self._state != FINISHED:
            self._is_followed = True
            self._client.start(self._settle())

    def _begin_anew(self) -> None:
        """In a forked child nobody follows the job, nobody waits for it, and nobody holds its lock."""
        self._is_followed = False
        self._condition, self._installed = threading.Condition(), []

    @property
    def _waiters(self) -> list[Any]:
        """Of `concurrent.futures`: how `wait` and `as_completed` say that they wait for this one."""
        if hasattr(self, "_client"):
            self._follow()
        return self._installed

    @_waiters.setter
    def _waiters(self, waiters: list[Any]) -> None:
        self._installed = waiters

    @property
    def client(self) -> NodeLink:
        """The node that it is of, as the client speaks to it that it came from."""
        return self._client

    @property
    def dashboard_url(self) -> str:
        """Where this job's live page is, if its client was made with `dashboard=`; else ""."""
        return page_of_job(self._client.dashboard_url, self.job_id)

    def widget(self) -> Any:
        """This job's live page for a notebook (anywidget): as a cell's last expression it is shown there.

        Raises:
            UnavailableError: what it needs isn't installed.
        """
        return widget_of(self._client, f"/jobs/{self.job_id}")

    def __repr__(self) -> str:
        """The job, and whether its end is known here."""
        return f"<JobHandle {self.job_id} on {self._client.address}{', ended' if super().done() else ''}>"

    def __reduce__(self) -> tuple[Any, ...]:
        """Address, id and the result's kind are all that travels."""
        return _attach, (str(self._client.address), self.job_id, self._kind)

    def status(self) -> JobStatus:
        """How the job stands now."""
        return self._client.run(self._client.remote.call(lambda node: node.status(self.job_id)))

    def result(self, timeout: float | None = None) -> Result:
        """Wait for the job and return its result, with `.report`.

        Raises:
            JobFailedError, LimitExceededError, JobCancelledError, …: what the job ended with, as on the embedded engine.
            NotDoneError: it goes on after `timeout` seconds (a `TimeoutError`).
            UnavailableError: the node is lost.
        """
        self._follow()
        try:
            return super().result(timeout)
        except concurrent.futures.TimeoutError as error:
            if isinstance(error, PangeaError):
                raise
            raise NotDoneError(f"job {self.job_id} goes on after {timeout:g} s", hint="wait longer") from None

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Wait for the job; the error that it ended with, or None."""
        self._follow()
        return super().exception(timeout)

    def done(self) -> bool:
        """Whether the job's end is known here."""
        self._follow()
        return super().done()

    def add_done_callback(self, fn: Callable[[concurrent.futures.Future[Result]], object]) -> None:
        """Have `fn` called with the handle once the job's end is known here, on the thread that speaks to the node."""
        self._follow()
        super().add_done_callback(fn)

    def cancelled(self) -> bool:
        """Whether the job was cancelled."""
        return self.done() and getattr(super().exception(), "code", "") == "CANCELLED"

    def cancel(self) -> bool:
        """Cancel the job; False if it had ended already."""
        return self._ask(lambda node: node.cancel(self.job_id))

    def explain(self) -> dict[str, Any]:
        """Why the job is where it is: figures that decided, and each unfinished task."""
        return self._ask(lambda node: node.explain(self.job_id))

    def tree(self) -> dict[str, Any]:
        """Who did what of the job, so far: workers, the branches that their answers came through, and what stands below them."""
        return self._ask(lambda node: node.tree(self.job_id))

    def trace(self) -> Trace:
        """What each task of the job did, so far; empty if the node doesn't say."""
        found = self.tree().get("trace")
        return Trace.from_json(found) if found else Trace()

    def logs(self, *, follow: bool = False) -> Iterator[str]:
        """Yield what the job's functions have printed so far, 64 KiB at most; with `follow`, all to the job's end.

        It comes a task (some packs of chunks) at a time, once its results are accepted. What a call that failed printed is in the
        error's traceback.

        Raises:
            UnavailableError: the node is lost, or is of a version that tells of prints only at the end.
        """
        return self._each(self._prints(follow=follow))

    def alogs(self, *, follow: bool = False) -> AsyncIterator[str]:
        """The same, without blocking the event loop."""
        return self._aeach(self._prints(follow=follow))

    def outcome(self, timeout: float | None = None) -> JobOutcome:
        """Wait for the job and say how it ended, well or not; of the result only what is small comes along.

        Raises:
            NotDoneError: it goes on after `timeout` seconds.
        """
        self._check_sent()
        return self._client.run(self._client.remote.outcome(self.job_id, timeout))

    def receipt(self) -> bytes:
        """The receipt of a job that was submitted with `receipt=True` and is complete: a file for `pangea verify`.

        Raises:
            NotDoneError: it has none, or the job hasn't ended.
        """
        self._check_sent()
        return self._client.run(self._client.remote.receipt(self.job_id))

    def run_local(self, index: int | None = None) -> Any:
        """Execute one chunk of the job in this process, without a sandbox: what its function raises is raised as it is.

        So a debugger reaches it (`%debug` in IPython). For jobs that this process has submitted.

        Args:
            index: of the chunk, from 0; by default of the one that failed, for which the job's end is waited for.

        Returns:
            What the chunk's execution returned, as of `JobDefinition.run_local`; for a call, what the function returned.

        Raises:
            InputError: no chunk of the job failed, or there is no such chunk.
            UnavailableError: the job was submitted by another process, or is no job in Python.
        """
        if self.local is None:
            hint = "job.run_local(data, index=…) does the same"
            raise UnavailableError(f"this process hasn't the functions and the input of job {self.job_id}", hint=hint)
        return self.local(self._failed_chunk() if index is None else index)

    def _failed_chunk(self) -> int:
        found = getattr(self.exception(), "chunk_index", None)
        if found is None:
            raise InputError(f"no chunk of job {self.job_id} failed", hint="name one: run_local(index)")
        return int(found)

    def rerun(self) -> JobHandle:
        """Run the job again, under a new id."""
        self._check_sent()
        return self._client.run(self.run_again())

    async def run_again(self) -> JobHandle:
        """The same, on the link thread."""
        again = await self._client.remote.call(lambda node: node.rerun(self.job_id))
        return JobHandle(self._client, JobId(again), self._kind)

    def on_status(self, listener: Callable[[JobStatus], None]) -> None:
        """Have `listener` called with the job's status now, at changes, and at its end, in a thread of its own.

        If the node is lost for good it isn't called any more: `result` says so.
        """
        self._client.start(self._tell(listener))

    def _repr_html_(self) -> str:
        """The job's status as it is now, in notebooks."""
        return self.status()._repr_html_()

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        """The same, and as text."""
        return bundle(repr(self), self._repr_html_())

    def _ipython_display_(self) -> None:
        """Show the job's progress in a notebook, live."""
        show_live(self.status(), self.on_status)

    def __iter__(self) -> Iterator[JobStatus]:
        """Yield the job's status now, at changes, and at its end."""
        return self._each(self._statuses())

    def __aiter__(self) -> AsyncIterator[JobStatus]:
        """Likewise, without blocking the event loop."""
        return self._aeach(self._statuses())

    def __await__(self) -> Generator[Any, None, Result]:
        """Wait for the result without blocking the event loop; cancelling the wait leaves the job running."""
        return asyncio.shield(asyncio.wrap_future(_Mirror(self))).__await__()

    def _ask(self, question: Callable[[Connection], Awaitable[T]]) -> T:
        self._check_sent()
        return self._client.run(self._client.remote.call(question))

    def _check_sent(self) -> None:
        """Raise if the node can't know the job yet."""

    def _each(self, told: AsyncIterator[T]) -> Iterator[T]:
        """What the link thread is told, one after the other."""
        steps = _Steps(told)
        try:
            while True:
                try:
                    yield self._client.run(steps.next())
                except StopAsyncIteration:
                    return
        finally:
            self._client.run(steps.close())

    async def _aeach(self, told: AsyncIterator[T]) -> AsyncIterator[T]:
        steps = _Steps(told)
        try:
            while True:
                try:
                    yield await asyncio.wrap_future(self._client.start(steps.next()))
                except StopAsyncIteration:
                    return
        finally:
            await asyncio.wrap_future(self._client.start(steps.close()))

    def _statuses(self) -> AsyncIterator[JobStatus]:
        return self._client.remote.watch(self.job_id)

    def _prints(self, *, follow: bool) -> AsyncIterator[str]:
        return self._client.remote.prints(self.job_id, follow=follow)

    async def _tell(self, listener: Callable[[JobStatus], None]) -> None:
        with suppress(PangeaError):
            async for status in self._statuses():
                await asyncio.to_thread(listener, status)

    async def _settle(self) -> None:
        try:
            result = await self._end()
        except asyncio.CancelledError:
            self.set_exception(UnavailableError(f"nobody follows job {self.job_id} any more: the client was closed"))
            raise
        except BaseException as error:
            self.set_exception(error)
        else:
            await self._succeed(result)

    async def _succeed(self, end: Any) -> None:
        self.set_result(end)

    async def _end(self) -> Result:
        return await result_of(await self._client.remote.outcome(self.job_id, None), self._client, self._kind)


#: All there are, for forked children.
_handles: weakref.WeakSet[JobHandle] = weakref.WeakSet()


def _begin_all_anew() -> None:
    for handle in list(_handles):
        handle._begin_anew()


os.register_at_fork(after_in_child=_begin_all_anew)


async def result_of(outcome: JobOutcome, client: NodeLink, kind: ResultKind) -> Result:
    """The result of a job that has ended.

    Raises:
        PangeaError: it has none; the error says why.
    """
    raise_if_failed(outcome)
    return Result(await client.remote.result(outcome), Report.from_json(outcome.report), kind)


def raise_if_failed(outcome: JobOutcome) -> None:
    """Raise what a job ended with, unless it is complete."""
    status = outcome.status
    if status.state is not JobState.COMPLETE:
        raise from_json(status.error) if status.error else JobFailedError(f"job {status.job_id} is {status.state}")


class _Mirror(concurrent.futures.Future[Result]):
    """Ends as a handle does; cancelling it cancels nothing."""

    def __init__(self, handle: JobHandle) -> None:
        super().__init__()
        self.set_running_or_notify_cancel()
        handle.add_done_callback(self._copy)

    def _copy(self, done: concurrent.futures.Future[Result]) -> None:
        error = concurrent.futures.Future.exception(done)
        if error is not None:
            self.set_exception(error)
        else:
            self.set_result(concurrent.futures.Future.result(done))


def _attach(address: str, job_id: str, kind: ResultKind) -> JobHandle:
    return JobHandle(NodeLink(address), JobId(job_id), kind, follow=False)


class _Steps(Generic[T]):
    """An iterator of the link thread's, taken step by step from another; a step that was given up is over before it is closed."""

    def __init__(self, told: AsyncIterator[T]) -> None:
        self._told = told
        self._turn = asyncio.Lock()

    async def next(self) -> T:
        async with self._turn:
            return await anext(self._told)

    async def close(self) -> None:
        closing = getattr(self._told, "aclose", None)
        if closing is not None:
            async with self._turn:
                await closing()

"""A job on a node, in the user's hand: a future that outlives the process that made it."""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from pangea.compute.client.kinds import ResultKind
from pangea.compute.client.notebook import show_live
from pangea.compute.client.result import Result
from pangea.compute.model.errors import JobFailedError, NotDoneError, PangeaError, UnavailableError, from_json
from pangea.compute.model.html import bundle
from pangea.compute.model.ids import JobId
from pangea.compute.model.report import Report
from pangea.compute.model.status import JobOutcome, JobState, JobStatus
from pangea.compute.model.trace import Trace

if TYPE_CHECKING:
    from pangea.compute.client.client import NodeClient


class JobHandle(concurrent.futures.Future[Result]):
    """A job on a node.

    It is a `concurrent.futures.Future`, so `wait` and `as_completed` take it; it can be awaited; iterating over it yields
    `JobStatus` as it changes, to the end; pickled, it becomes the node's address and the job's id, and attaches again where it
    is unpickled. Losing it, or the process, or an interrupted wait, leaves the job running.
    """

    def __init__(self, client: NodeClient, job_id: JobId, kind: ResultKind) -> None:
        """The job `job_id` of the node that `client` speaks to; `kind` says how its result is to be read."""
        super().__init__()
        self._client = client
        self._kind = kind
        #: The job's UUID.
        self.job_id = job_id
        self.set_running_or_notify_cancel()
        client.start(self._settle())

    @property
    def client(self) -> NodeClient:
        """The client that it came from."""
        return self._client

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
        try:
            return super().result(timeout)
        except concurrent.futures.TimeoutError as error:
            if isinstance(error, PangeaError):
                raise
            raise NotDoneError(f"job {self.job_id} goes on after {timeout:g} s", hint="wait longer") from None

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Wait for the job; the error that it ended with, or None."""
        return super().exception(timeout)

    def cancelled(self) -> bool:
        """Whether the job was cancelled."""
        return super().done() and getattr(super().exception(), "code", "") == "CANCELLED"

    def cancel(self) -> bool:
        """Cancel the job; False if it had ended already."""
        return self._client.run(self._client.remote.call(lambda node: node.cancel(self.job_id)))

    def explain(self) -> dict[str, Any]:
        """Why the job is where it is: figures that decided, and each unfinished task."""
        return self._client.run(self._client.remote.call(lambda node: node.explain(self.job_id)))

    def tree(self) -> dict[str, Any]:
        """Who did what of the job, so far: workers, the branches that their answers came through, and what stands below them."""
        return self._client.run(self._client.remote.call(lambda node: node.tree(self.job_id)))

    def trace(self) -> Trace:
        """What each task of the job did, so far; empty if the node doesn't say."""
        found = self.tree().get("trace")
        return Trace.from_json(found) if found else Trace()

    def outcome(self, timeout: float | None = None) -> JobOutcome:
        """Wait for the job and say how it ended, well or not; of the result only what is small comes along.

        Raises:
            NotDoneError: it goes on after `timeout` seconds.
        """
        return self._client.run(self._client.remote.outcome(self.job_id, timeout))

    def receipt(self) -> bytes:
        """The receipt of a job that was submitted with `receipt=True` and is complete: a file for `pangea verify`.

        Raises:
            NotDoneError: it has none, or the job hasn't ended.
        """
        return self._client.run(self._client.remote.receipt(self.job_id))

    def rerun(self) -> JobHandle:
        """Run the job again, under a new id."""
        job_id = self._client.run(self._client.remote.call(lambda node: node.rerun(self.job_id)))
        return self._client.attach(job_id, self._kind)

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
        show_live(self)

    def __iter__(self) -> Iterator[JobStatus]:
        """Yield the job's status now, at changes, and at its end."""
        statuses = self._client.remote.watch(self.job_id)
        try:
            while True:
                try:
                    yield self._client.run(_next(statuses))
                except StopAsyncIteration:
                    return
        finally:
            self._client.run(_close(statuses))

    async def __aiter__(self) -> AsyncIterator[JobStatus]:
        """Likewise, without blocking the event loop."""
        statuses = self._client.remote.watch(self.job_id)
        try:
            while True:
                try:
                    yield await asyncio.wrap_future(self._client.start(_next(statuses)))
                except StopAsyncIteration:
                    return
        finally:
            await asyncio.wrap_future(self._client.start(_close(statuses)))

    def __await__(self) -> Generator[Any, None, Result]:
        """Wait for the result without blocking the event loop; cancelling the wait leaves the job running."""
        return asyncio.shield(asyncio.wrap_future(_Mirror(self))).__await__()

    async def _tell(self, listener: Callable[[JobStatus], None]) -> None:
        with suppress(PangeaError):
            async for status in self._client.remote.watch(self.job_id):
                await asyncio.to_thread(listener, status)

    async def _settle(self) -> None:
        try:
            outcome = await self._client.remote.outcome(self.job_id, None)
            result = await result_of(outcome, self._client, self._kind)
        except asyncio.CancelledError:
            self.set_exception(UnavailableError(f"nobody follows job {self.job_id} any more: the client was closed"))
            raise
        except BaseException as error:
            self.set_exception(error)
        else:
            self.set_result(result)


async def result_of(outcome: JobOutcome, client: NodeClient, kind: ResultKind) -> Result:
    """The result of a job that has ended.

    Raises:
        PangeaError: it has none; the error says why.
    """
    status = outcome.status
    if status.state is not JobState.COMPLETE:
        raise from_json(status.error) if status.error else JobFailedError(f"job {status.job_id} is {status.state}")
    return Result(await client.remote.result(outcome), Report.from_json(outcome.report), kind)


class _Mirror(concurrent.futures.Future[Result]):
    """Ends as a handle does; cancelling it cancels nothing."""

    def __init__(self, handle: JobHandle) -> None:
        super().__init__()
        self.set_running_or_notify_cancel()
        concurrent.futures.Future.add_done_callback(handle, self._copy)

    def _copy(self, done: concurrent.futures.Future[Result]) -> None:
        error = concurrent.futures.Future.exception(done)
        if error is not None:
            self.set_exception(error)
        else:
            self.set_result(concurrent.futures.Future.result(done))


def _attach(address: str, job_id: str, kind: ResultKind) -> JobHandle:
    from pangea.compute.client.client import Client

    return Client(address).attach(job_id, kind)


async def _next(statuses: AsyncIterator[JobStatus]) -> JobStatus:
    return await anext(statuses)


async def _close(statuses: AsyncIterator[JobStatus]) -> None:
    closing = getattr(statuses, "aclose", None)
    if closing is not None:
        await closing()

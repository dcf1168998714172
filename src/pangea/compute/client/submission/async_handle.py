"""A job on a node for asyncio programs: nothing of it blocks the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Generator
from typing import Any, TypeVar

from pangea.compute.client.results.result import Result
from pangea.compute.client.submission.handle import JobHandle
from pangea.compute.client.submission.node_link import NodeLink
from pangea.compute.model.errors import NotDoneError, PangeaError
from pangea.compute.model.ids import JobId
from pangea.compute.model.kinds import ResultKind
from pangea.compute.model.status import JobOutcome, JobStatus
from pangea.compute.model.trace import Trace

T = TypeVar("T")


class AsyncJobHandle:
    """A job on a node, of an `AsyncClient`.

    It can be awaited, which gives the result; iterating over it (`async for`) yields `JobStatus` as it changes, to the end.
    Pickled, it becomes the node's address and the job's id, and attaches again where it is unpickled. Losing it, or a wait that
    is cancelled, leaves the job running.
    """

    def __init__(self, handle: JobHandle) -> None:
        """The same job as `handle`."""
        self._handle = handle

    @property
    def job_id(self) -> str:
        """The job's UUID."""
        return self._handle.job_id

    @property
    def dashboard_url(self) -> str:
        """Where this job's live page is, if its client was made with `dashboard=`; else ""."""
        return self._handle.dashboard_url

    def widget(self) -> Any:
        """This job's live page for a notebook, as of `JobHandle`."""
        return self._handle.widget()

    @property
    def blocking(self) -> JobHandle:
        """The same job for programs that block."""
        return self._handle

    def __repr__(self) -> str:
        """The job, and whether its end is known here."""
        return repr(self._handle).replace("JobHandle", type(self).__name__, 1)

    def __reduce__(self) -> tuple[Any, ...]:
        """Address, id and the result's kind are all that travels."""
        return _attach, self._handle.__reduce__()[1]

    def done(self) -> bool:
        """Whether the job's end is known here; asks nobody."""
        return self._handle.done()

    async def status(self) -> JobStatus:
        """How the job stands now."""
        return await self._ask(self._remote.call(lambda node: node.status(self._handle.job_id)))

    async def result(self, timeout: float | None = None) -> Result:
        """Wait for the job and return its result, with `.report`.

        Raises:
            JobFailedError, LimitExceededError, JobCancelledError, …: what the job ended with, as on the embedded engine.
            NotDoneError: it goes on after `timeout` seconds (a `TimeoutError`).
            UnavailableError: the node is lost.
        """
        try:
            async with asyncio.timeout(timeout):
                return await self._handle
        except TimeoutError as error:
            if isinstance(error, PangeaError):
                raise
            raise NotDoneError(f"job {self.job_id} goes on after {timeout:g} s", hint="wait longer") from None

    async def exception(self, timeout: float | None = None) -> PangeaError | None:
        """Wait for the job; the error that it ended with, or None.

        Raises:
            NotDoneError: it goes on after `timeout` seconds.
        """
        try:
            await self.result(timeout)
        except NotDoneError:
            if not self.done():
                raise
        except PangeaError as error:
            return error
        return None

    async def cancel(self) -> bool:
        """Cancel the job; False if it had ended already."""
        return await self._ask(self._remote.call(lambda node: node.cancel(self._handle.job_id)))

    async def explain(self) -> dict[str, Any]:
        """Why the job is where it is: figures that decided, and each unfinished task."""
        return await self._ask(self._remote.call(lambda node: node.explain(self._handle.job_id)))

    async def tree(self) -> dict[str, Any]:
        """Who did what of the job, so far: workers, the branches that their answers came through, and what stands below them."""
        return await self._ask(self._remote.call(lambda node: node.tree(self._handle.job_id)))

    async def trace(self) -> Trace:
        """What each task of the job did, so far; empty if the node doesn't say."""
        found = (await self.tree()).get("trace")
        return Trace.from_json(found) if found else Trace()

    def logs(self, *, follow: bool = False) -> AsyncIterator[str]:
        """Yield what the job's functions have printed, as `JobHandle.logs` does."""
        return self._handle.alogs(follow=follow)

    async def outcome(self, timeout: float | None = None) -> JobOutcome:
        """Wait for the job and say how it ended, well or not; of the result only what is small comes along.

        Raises:
            NotDoneError: it goes on after `timeout` seconds.
        """
        return await self._ask(self._remote.outcome(self._handle.job_id, timeout))

    async def receipt(self) -> bytes:
        """The receipt of a job that was submitted with `receipt=True` and is complete: a file for `pangea verify`.

        Raises:
            NotDoneError: it has none, or the job hasn't ended.
        """
        return await self._ask(self._remote.receipt(self._handle.job_id))

    async def run_local(self, index: int | None = None) -> Any:
        """Execute one chunk of the job in a thread of this process, without a sandbox; as `JobHandle.run_local`."""
        if index is None:
            await self.exception()
        return await asyncio.to_thread(self._handle.run_local, index)

    async def rerun(self) -> AsyncJobHandle:
        """Run the job again, under a new id."""
        return AsyncJobHandle(await self._ask(self._handle.run_again()))

    def on_status(self, listener: Callable[[JobStatus], None]) -> None:
        """Have `listener` called with the job's status now, at changes, and at its end, in a thread of its own."""
        self._handle.on_status(listener)

    def __aiter__(self) -> AsyncIterator[JobStatus]:
        """Yield the job's status now, at changes, and at its end."""
        return self._handle.__aiter__()

    def __await__(self) -> Generator[Any, None, Result]:
        """Wait for the result."""
        return self._handle.__await__()

    @property
    def _remote(self) -> Any:
        return self._handle.client.remote

    async def _ask(self, work: Coroutine[Any, Any, T]) -> T:
        return await asyncio.wrap_future(self._handle.client.start(work))


def _attach(address: str, job_id: str, kind: ResultKind) -> AsyncJobHandle:
    return AsyncJobHandle(JobHandle(NodeLink(address), JobId(job_id), kind, follow=False))

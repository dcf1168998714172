"""A call on a node, as the future of what it returns."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Generator, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Any, Generic, TypeVar, cast

from pangea.compute.client.calls.classes import Classes
from pangea.compute.client.calls.explaining import leave_out_own_frame
from pangea.compute.client.submission.async_handle import AsyncJobHandle
from pangea.compute.client.submission.handle import raise_if_failed
from pangea.compute.client.submission.later_handle import LaterHandle, Send, ended
from pangea.compute.client.submission.node_link import NodeLink
from pangea.compute.data import tagged
from pangea.compute.model.errors import JobFailedError, NotDoneError, PangeaError
from pangea.compute.model.ids import JobId
from pangea.compute.model.kinds import ResultKind
from pangea.compute.model.status import JobOutcome

R = TypeVar("R")

_UNREAD: Any = object()


class CallHandle(LaterHandle, Generic[R]):
    """A call on a node: a job of its own, and a `concurrent.futures.Future` of what the function returns.

    What it returned is fetched when it is first asked for. As an argument of another call it stays on the node. Pickled, it
    becomes the node's address and the job's id.
    """

    def __init__(
        self, client: NodeLink, job_id: JobId, classes: Classes, *, waited: Sequence[Future[Any]] = (), send: Send | None
    ) -> None:
        """The call that is job `job_id`; `classes` are those that its value may be of. The rest is as of `LaterHandle`."""
        self._classes = classes
        self._value: Any = _UNREAD
        self._reading = threading.Lock()
        super().__init__(client, job_id, ResultKind(), waited, send)

    @property
    def classes(self) -> tuple[type, ...]:
        """Classes of the caller's own that its value may be of, by number."""
        return self._classes.known

    def __repr__(self) -> str:
        return super().__repr__().replace("JobHandle", type(self).__name__, 1)

    def __reduce__(self) -> tuple[Any, ...]:
        return _attach, (str(self._client.address), self.job_id, self.classes)

    def result(self, timeout: float | None = None) -> R:  # type: ignore[override]  # of the function's type, not a job's bytes
        """Wait for the call and return what the function returned.

        Raises:
            JobFailedError: it raised; also of the built-in type that it raised. Or what else the job ended with.
            NotDoneError: it goes on after `timeout` seconds (a `TimeoutError`).
            UnavailableError: the node is lost.
        """
        self._follow()
        try:
            outcome = cast(JobOutcome, Future.result(self, timeout))
        except FutureTimeoutError as error:
            if isinstance(error, PangeaError):
                raise
            raise NotDoneError(f"job {self.job_id} goes on after {timeout:g} s", hint="wait longer") from None
        if self._value is _UNREAD:
            self._keep(self._client.run(self._client.remote.result(outcome)))
        return cast(R, self._value)

    def __await__(self) -> Generator[Any, None, R]:  # type: ignore[override]  # likewise
        """Wait for the value without blocking the event loop; cancelling the wait leaves the call running."""
        return self._awaited().__await__()

    def run_local(self, index: int | None = None) -> Any:
        """Make the call in this process, without a sandbox: what the function raises is raised as it is.

        Raises:
            UnavailableError: the call was made by another process.
        """
        return super().run_local(index or 0)

    def rerun(self) -> CallHandle[R]:
        """Make the call again, under a new id."""
        self._check_sent()
        return self._client.run(self.run_again())

    async def run_again(self) -> CallHandle[R]:
        """Make the call again, under a new id; on the link thread."""
        again = await self._client.remote.call(lambda node: node.rerun(self.job_id))
        return CallHandle(self._client, JobId(again), self._classes, send=None)

    async def _awaited(self) -> R:
        await ended(self)
        outcome = cast(JobOutcome, Future.result(self))
        if self._value is _UNREAD:
            self._keep(await asyncio.wrap_future(self._client.start(self._client.remote.result(outcome))))
        return cast(R, self._value)

    async def _succeed(self, end: Any) -> None:
        await asyncio.to_thread(self.set_result, end)  # callbacks may ask for the value, which the link's thread mustn't wait for

    async def _end(self) -> Any:
        outcome = await self._outcome(is_named=True)
        try:
            raise_if_failed(outcome)
        except JobFailedError as error:
            leave_out_own_frame(error)
            raise
        return outcome

    def _keep(self, result: bytes) -> None:
        value = tagged.loads(result, self.classes)
        with self._reading:
            if self._value is _UNREAD:
                self._value = value


class AsyncCallHandle(AsyncJobHandle, Generic[R]):
    """A call on a node, of an `AsyncClient`: awaited, it gives what the function returned."""

    def __init__(self, handle: CallHandle[R]) -> None:
        """The same call as `handle`."""
        super().__init__(handle)
        self._call = handle

    def __reduce__(self) -> tuple[Any, ...]:
        return _attach_async, self._call.__reduce__()[1]

    def __await__(self) -> Generator[Any, None, R]:  # type: ignore[override]  # of the function's type
        """Wait for what the function returned."""
        return self._call.__await__()

    async def result(self, timeout: float | None = None) -> R:  # type: ignore[override]  # likewise
        """Wait for the call and return what the function returned; errors are those of `CallHandle.result`."""
        return cast(R, await super().result(timeout))

    async def rerun(self) -> AsyncCallHandle[R]:
        """Make the call again, under a new id."""
        return AsyncCallHandle(await self._ask(self._call.run_again()))


def _attach(address: str, job_id: str, classes: tuple[type, ...]) -> CallHandle[Any]:
    known = Classes(None)
    known.learn(classes)
    return CallHandle(NodeLink(address), JobId(job_id), known, send=None)


def _attach_async(address: str, job_id: str, classes: tuple[type, ...]) -> AsyncCallHandle[Any]:
    return AsyncCallHandle(_attach(address, job_id, classes))

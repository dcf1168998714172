"""A job that is submitted once what it takes is there: the result of another job, which needn't come home for that."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import Future
from concurrent.futures._base import FINISHED
from contextlib import suppress
from typing import Any

from pangea.compute.client.results.result import Result
from pangea.compute.client.submission.handle import JobHandle, result_of
from pangea.compute.client.submission.node_link import NodeLink
from pangea.compute.model.errors import JobCancelledError, NotDoneError
from pangea.compute.model.ids import JobId
from pangea.compute.model.kinds import ResultKind
from pangea.compute.model.status import JobOutcome, JobStatus

Send = Callable[[JobId], Awaitable[None]]


class LaterHandle(JobHandle):
    """A job on a node whose input may still be on its way. Otherwise as `JobHandle`."""

    def __init__(
        self, client: NodeLink, job_id: JobId, kind: ResultKind, waited: Sequence[Future[Any]], send: Send | None
    ) -> None:
        """The job `job_id`, to be.

        Args:
            client: of the node.
            job_id: chosen here, so that sending it twice is sending it once.
            kind: how its result is to be read.
            waited: what has to end before.
            send: submits it under the id. On the link thread. None: it was sent before.
        """
        self._waited, self._send = [*waited], send
        self._sending: asyncio.Future[None] | None = None
        self._on_its_way = asyncio.Event()
        self._is_sent = send is None
        super().__init__(client, job_id, kind, follow=send is not None)

    def _begin_anew(self) -> None:
        self._sending, self._on_its_way = None, asyncio.Event()
        super()._begin_anew()

    def status(self) -> JobStatus:
        """How the job stands now: pending, while it waits for its input."""
        return super().status() if self._is_sent else JobStatus(job_id=self.job_id)

    def cancel(self) -> bool:
        """Cancel the job; False if it had ended already."""
        return self._client.run(self.give_up())

    async def give_up(self) -> bool:
        """The same, on the link thread."""
        if self._sending is None and not self._is_sent and not self.done():
            self.set_exception(JobCancelledError(f"job {self.job_id} was cancelled before its input was there"))
            return True
        if self._sending is not None:
            await asyncio.shield(self._sending)
        return await self._client.remote.call(lambda node: node.cancel(self.job_id)) if self._is_sent else False

    def _check_sent(self) -> None:
        if not self._is_sent:
            raise NotDoneError(f"job {self.job_id} isn't submitted yet: it waits for its input", hint="wait for its result first")

    async def _statuses(self) -> AsyncIterator[JobStatus]:
        if not self._is_sent:
            yield JobStatus(job_id=self.job_id)
            await self._is_known()
        if self._is_sent:
            async for status in self._client.remote.watch(self.job_id):
                yield status

    async def _prints(self, *, follow: bool) -> AsyncIterator[str]:
        if follow and not self._is_sent:
            await self._is_known()
        if self._is_sent:
            async for text in self._client.remote.prints(self.job_id, follow=follow):
                yield text

    async def _is_known(self) -> None:
        """Wait until the node knows the job, or it has ended without."""
        finished: asyncio.Future[Any] = asyncio.ensure_future(ended(self))
        sent = asyncio.ensure_future(self._on_its_way.wait())
        await asyncio.wait([finished, sent], return_when=asyncio.FIRST_COMPLETED)
        finished.cancel()
        sent.cancel()

    async def _end(self) -> Result:
        return await result_of(await self._outcome(), self._client, self._kind)

    async def _outcome(self, *, is_named: bool = False) -> JobOutcome:
        """Submit the job as soon as that may be, and wait for its end."""
        if self._send is not None and not self._is_sent:
            for each in self._waited:
                await ended(each)
                if (error := Future.exception(each)) is not None:
                    raise error
            if self._state == FINISHED:  # given up meanwhile
                raise JobCancelledError(f"job {self.job_id} was cancelled")
            self._sending = asyncio.ensure_future(self._send(self.job_id))
            await self._sending
            self._is_sent = True
            self._on_its_way.set()
        return await self._client.remote.outcome(self.job_id, None, is_named=is_named)

    def set_exception(self, exception: BaseException | None) -> None:
        """Of `concurrent.futures`. A job that was given up has ended already."""
        if self._state != FINISHED:
            super().set_exception(exception)


async def ended(future: Future[Any]) -> None:
    """Wait on this thread's event loop until a future has ended, well or not; asks it for nothing."""
    loop = asyncio.get_running_loop()
    waiting: asyncio.Future[None] = loop.create_future()

    def end() -> None:
        if not waiting.done():
            waiting.set_result(None)

    def tell(_: Future[Any]) -> None:
        with suppress(RuntimeError):  # nobody waits any more, and the loop is closed
            loop.call_soon_threadsafe(end)

    future.add_done_callback(tell)
    await waiting

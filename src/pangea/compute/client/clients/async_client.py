"""`AsyncClient`: a node's services, awaited."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Self, TypeVar, Unpack, cast

from pangea.compute.client.calls.batches import spread, zipped
from pangea.compute.client.calls.bound import Call
from pangea.compute.client.calls.call_handle import AsyncCallHandle
from pangea.compute.client.calls.remote_calls import begin_call
from pangea.compute.client.calls.streams import stream
from pangea.compute.client.definition.any_job import AnyJob
from pangea.compute.client.submission.async_handle import AsyncJobHandle
from pangea.compute.client.submission.later_handle import ended
from pangea.compute.client.submission.node_client import NodeClient
from pangea.compute.model.ids import PeerId
from pangea.compute.model.keywords import JobKeywords
from pangea.compute.model.manifest import JobManifest
from pangea.compute.model.status import Capacity, JobStatus, NodeInfo

H = TypeVar("H", bound=AsyncJobHandle)
R = TypeVar("R")
T = TypeVar("T")


class AsyncClient(NodeClient):
    """A node, for asyncio programs (on any event loop). An async context manager.

    async with AsyncClient() as client:
        handle = await client.submit_job(word_count, "big.txt")
        print(await handle)
    """

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        return await asyncio.wrap_future(self.start(work))

    async def close(self) -> None:
        """Hang up; jobs go on."""
        await asyncio.to_thread(self._close_page)
        await self._wait(self.remote.close())

    async def submit_job(self, job: AnyJob, input_data: Any = None, **options: Unpack[JobKeywords]) -> AsyncJobHandle:
        """Submit a job; it is on the node's disk when this returns. Arguments are those of `pangea.compute.submit_job`.

        The input may be a handle: the result of that job, which stays on the node; the job is submitted once that is there.
        """
        if isinstance(input_data, AsyncJobHandle):
            return AsyncJobHandle(await self._wait(self.send_job_after(input_data.blocking, job, dict(options))))
        return AsyncJobHandle(await self._wait(self.send_job(job, input_data, dict(options))))

    async def submit(self, fn: Callable[..., R], /, *args: Any, **kwargs: Any) -> AsyncCallHandle[R]:
        """Call `fn(*args, **kwargs)` on the node, as a job of its own; the handle is awaited for what it returns.

        An argument may be a handle of this client's: the call begins when that has ended, and its result stays on the node.

        Raises:
            InputError: an argument can't travel as a value.
            JobDefinitionError: the function can't travel; says why.
        """
        arguments, keywords = tuple(map(_blocking, args)), {name: _blocking(each) for name, each in kwargs.items()}
        return AsyncCallHandle(await asyncio.to_thread(lambda: begin_call(self, fn, arguments, keywords)))

    def map(
        self,
        fn: Callable[..., R],
        /,
        *iterables: Iterable[Any],
        seed: int = 0,
        chunksize: int | None = None,
        **options: Unpack[JobKeywords],
    ) -> AsyncIterator[R]:
        """Yield `fn(*items)` for the items of the iterables, in order; as `pangea.compute.map`, on this node.

        The iterables are iterated over in a thread of their own.
        """
        return _awaited(fn, zipped(iterables), seed, chunksize, {**options, "node": self})

    def starmap(
        self,
        fn: Callable[..., R],
        /,
        iterable: Iterable[Iterable[Any]],
        *,
        seed: int = 0,
        chunksize: int | None = None,
        **options: Unpack[JobKeywords],
    ) -> AsyncIterator[R]:
        """Yield `fn(*items)` for an iterable of arguments; else as `map`."""
        return _awaited(fn, spread(iterable), seed, chunksize, {**options, "node": self})

    def map_unordered(
        self,
        fn: Callable[..., R],
        /,
        *iterables: Iterable[Any],
        seed: int = 0,
        chunksize: int | None = None,
        **options: Unpack[JobKeywords],
    ) -> AsyncIterator[R]:
        """As `map`, with each batch's results as soon as they are there."""
        return _awaited(fn, zipped(iterables), seed, chunksize, {**options, "node": self}, is_ordered=False)

    @staticmethod
    async def as_completed(handles: Iterable[H], timeout: float | None = None) -> AsyncIterator[H]:
        """Yield handles, of calls and of jobs, as they end.

        Raises:
            TimeoutError: some go on after `timeout` seconds.
        """
        loop = asyncio.get_running_loop()
        waiting = {asyncio.ensure_future(ended(each.blocking)): each for each in handles}
        until = None if timeout is None else loop.time() + timeout
        try:
            while waiting:
                left = None if until is None else until - loop.time()
                done, _ = await asyncio.wait(waiting, timeout=left, return_when=asyncio.FIRST_COMPLETED)
                if not done:
                    raise TimeoutError(f"{len(waiting)} of the handles go on after {timeout:g} s")
                for each in done:
                    yield waiting.pop(each)
        finally:
            for each in waiting:
                each.cancel()

    async def submit_manifest(self, manifest: JobManifest, *, folder: Path | None = None) -> AsyncJobHandle:
        """Submit a manifest; paths in it are relative to `folder` (by default the working directory)."""
        return AsyncJobHandle(await self._wait(self.read_and_send(manifest, folder or Path())))

    def job(self, job_id: str) -> AsyncJobHandle:
        """A job that was submitted earlier, by this process or another; nothing is asked yet."""
        return AsyncJobHandle(self.attach(job_id))

    async def list_jobs(self, prefix: str = "", limit: int = 100) -> list[JobStatus]:
        """Your jobs whose id begins with `prefix`, latest first."""
        return await self._wait(self.remote.call(lambda node: node.list_jobs(prefix, limit)))

    async def capacity(self) -> Capacity:
        """What the node can do."""
        return await self._wait(self.remote.call(lambda node: node.capacity()))

    async def info(self) -> NodeInfo:
        """The node at this moment."""
        return await self._wait(self.remote.call(lambda node: node.info()))

    async def peers(self) -> dict[str, Any]:
        """Neighbours of a node on this machine, what stands behind them, what is thought of workers, who is banned."""
        return await self._wait(self.remote.call(lambda node: node.peers()))

    async def ban(self, peer: str, reason: str = "") -> None:
        """Have a node on this machine shut a peer out."""
        await self._wait(self.remote.call(lambda node: node.ban(PeerId(peer), reason)))

    async def unban(self, peer: str) -> bool:
        """Have a node on this machine lift a ban; False if there is none."""
        return await self._wait(self.remote.call(lambda node: node.unban(PeerId(peer))))

    async def pause(self, seconds: float = 0.0) -> None:
        """Have a node on this machine do nothing more for its parents, for so many seconds; 0: until `resume`."""
        await self._wait(self.remote.call(lambda node: node.pause(seconds)))

    async def resume(self) -> bool:
        """Have it work for them again; False if that wasn't paused."""
        return await self._wait(self.remote.call(lambda node: node.resume()))


def _blocking(argument: Any) -> Any:
    return argument.blocking if isinstance(argument, AsyncJobHandle) else argument


async def _awaited(fn: Callable[..., R], calls: Iterator[Call], *arguments: Any, is_ordered: bool = True) -> AsyncIterator[R]:
    """The results of `stream`, each awaited; it is begun, goes on and is closed in a thread of its own."""
    loop, end, is_over = asyncio.get_running_loop(), object(), threading.Event()
    thread = ThreadPoolExecutor(1, "pangea-map")
    begin = partial(stream, fn, calls, *arguments, is_ordered=is_ordered, is_over=is_over)
    try:
        results: Any = await loop.run_in_executor(thread, begin)
        try:
            while (result := await loop.run_in_executor(thread, next, results, end)) is not end:
                yield cast(R, result)
        finally:
            is_over.set()  # jobs under way are cancelled: nobody waits for them any more
            thread.submit(results.close)
    finally:
        thread.shutdown(wait=False)

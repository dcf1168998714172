"""The thread on which all links to nodes live: asyncio's own loop, whatever the user's program runs on.

One for a process, started at first use. So sync and async programs, notebooks and uvloop users share one way to a node.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

from pangea.compute.engine import forks

T = TypeVar("T")

_NEEDED = ("pangea.compute.network.peers.connection", "pangea.compute.network.rpc.rpc")
_START_SECONDS = 30.0
_STOP_SECONDS = 5.0
_lock = threading.Lock()
_thread: LinkThread | None = None


class LinkThread:
    """An event loop in a thread."""

    def __init__(self) -> None:
        """Start it."""
        self._started: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, name="pangea-link", daemon=True)
        self._thread.start()
        self._started.result(_START_SECONDS)

    def start(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Run `work` on the loop. An error comes without the loop's frames: what they hold may be freed on this thread only."""
        return asyncio.run_coroutine_threadsafe(_bare(work), self._loop)

    def is_current(self) -> bool:
        """Whether the caller is on this thread, and so mustn't wait for it."""
        return threading.current_thread() is self._thread

    def close(self) -> None:
        """Cancel what runs, and end the thread."""
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(_STOP_SECONDS)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        try:
            from pangea.compute.network.peers import connection
            from pangea.compute.network.rpc import rpc

            self._loop = asyncio.get_running_loop()
            self._over = asyncio.Event()
            async with rpc.event_loop():
                self._started.set_result(None)
                await self._over.wait()
                await connection.close_all()
                others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
                for task in others:
                    task.cancel()
                await asyncio.gather(*others, return_exceptions=True)
        except BaseException as error:
            if self._started.done():
                raise
            self._started.set_exception(error)


async def _bare(work: Coroutine[Any, Any, T]) -> T:
    try:
        return await work
    except BaseException as error:
        bare = error.with_traceback(None)
        bare.__cause__ = bare.__context__ = None
    del work
    try:
        raise bare
    finally:
        del bare


def thread() -> LinkThread:
    """This process's link thread.

    Raises:
        UnavailableError: what links need isn't installed.
    """
    global _thread
    forks.load(_NEEDED)
    with _lock:
        if _thread is None:
            _thread = LinkThread()
        return _thread


def close() -> None:
    """End the link thread; the next use starts another."""
    global _thread
    with _lock:
        ending, _thread = _thread, None
    if ending is not None:
        ending.close()


def _forget() -> None:
    """In a forked child the thread doesn't exist."""
    global _thread, _lock
    _thread = None
    _lock = threading.Lock()


atexit.register(close)
os.register_at_fork(after_in_child=_forget)

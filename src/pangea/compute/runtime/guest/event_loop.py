"""What asyncio takes for its module of Unix's event loops: one without sockets, processes and signals, whose time jumps.

Everything that a task can wait for is inside the job, so where all tasks wait for a time, the clock goes on to the first: a
job's `asyncio.sleep(3600)` takes none, and what is due earlier runs earlier, on every machine. A task that waits for what
nothing can bring is an error, not a job that hangs.
"""

from __future__ import annotations

import asyncio.base_events
import asyncio.events
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

from pangea.compute.runtime.guest.sealing import CLOCK, deny

__all__ = ("EventLoop", "SelectorEventLoop", "_DefaultEventLoopPolicy")

#: A real clock is a little late: so sleeps of 0.1 and 0.7 seconds end after one of 0.8, though their sum as floats is less.
_LATE_SECONDS = 1e-6
_OUTSIDE = (
    "create_connection create_server create_unix_connection create_unix_server create_datagram_endpoint start_tls sendfile"
    " connect_accepted_socket connect_read_pipe connect_write_pipe subprocess_exec subprocess_shell getaddrinfo getnameinfo"
    " sock_recv sock_recv_into sock_recvfrom sock_recvfrom_into sock_sendall sock_sendto sock_connect sock_accept sock_sendfile"
    " add_reader remove_reader add_writer remove_writer add_signal_handler remove_signal_handler"
).split()


class _Timer(asyncio.events.TimerHandle):
    """What is due at a time; of equal times, what was asked for first."""

    __slots__ = ("_number",)
    _count = itertools.count()

    def __init__(self, when: float, callback: Callable[..., object], args: Sequence[Any], loop: Any, context: Any = None) -> None:
        """Take what a `TimerHandle` takes."""
        super().__init__(when, callback, args, loop, context)
        self._number = next(self._count)

    def __lt__(self, other: Any) -> bool:
        return (self.when(), self._number) < (other.when(), other._number)


class _UnixSelectorEventLoop(asyncio.base_events.BaseEventLoop):
    """The event loop of a job, called as Unix's is."""

    _scheduled: list[_Timer]
    _default_executor: Any
    _executor_shutdown_called: bool

    def __init__(self, selector: object = None) -> None:
        """Take what Unix's takes; of a selector there is no use."""
        super().__init__()
        self._selector = self

    def time(self) -> float:
        """The job's time, which is `time.monotonic` as at home."""
        return CLOCK.now

    def select(self, timeout: float | None) -> list[object]:
        """Wait until the first timer is due: the loop asks only where nothing else is left to run, or with a timeout of 0.

        Raises:
            RuntimeError: nothing is due, ever.
        """
        due = self._scheduled[0].when() if self._scheduled else math.inf
        if timeout is None or (timeout > 0 and due == math.inf):
            raise RuntimeError("deadlock: every task of this loop waits, and a job has nothing outside that could wake one")
        if timeout > 0:
            CLOCK.now = max(CLOCK.now, due + _LATE_SECONDS)
        return []

    def _process_events(self, event_list: list[object]) -> None:
        """Nothing comes from outside."""

    def _write_to_self(self) -> None:
        """Nobody has to be woken: there is one thread."""

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """End the executor; its calls have ended."""
        self._executor_shutdown_called = True
        if self._default_executor is not None:
            self._default_executor.shutdown()


for _name in _OUTSIDE:
    setattr(_UnixSelectorEventLoop, _name, deny)


class _UnixDefaultEventLoopPolicy(asyncio.events._BaseDefaultEventLoopPolicy):  # type: ignore[name-defined, misc]
    """How asyncio comes to its loops."""

    _loop_factory = _UnixSelectorEventLoop


EventLoop = SelectorEventLoop = _UnixSelectorEventLoop
_DefaultEventLoopPolicy = _UnixDefaultEventLoopPolicy
asyncio.events.TimerHandle = _Timer  # type: ignore[misc]

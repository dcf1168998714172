"""Waiting for other processes, always with a deadline; and what work costs, whatever goes on beside it."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self, TypeVar

T = TypeVar("T")
#: How long the next look waits: ever longer, as whoever looks takes the processor from what is to happen.
_FIRST_LOOK_SECONDS, _LOOK_SECONDS_MAX = 0.002, 0.03
_LONGER = 1.3


def _pauses() -> Iterator[float]:
    seconds = _FIRST_LOOK_SECONDS
    while True:
        yield seconds
        seconds = min(seconds * _LONGER, _LOOK_SECONDS_MAX)


def until(look: Callable[[], T], *, seconds: float = 20.0, what: str = "it") -> T:
    """What `look` returns once that is true; an assertion fails when it isn't in time."""
    deadline = time.monotonic() + seconds
    never, pauses = threading.Event(), _pauses()
    while not (found := look()):
        assert time.monotonic() < deadline, f"{what} didn't happen within {seconds} s"
        never.wait(next(pauses))
    return found


async def comes_true(look: Callable[[], object], *, seconds: float = 20.0) -> None:
    """Wait on an event loop until `look` returns something true; an assertion fails when it doesn't in time."""
    deadline, never, pauses = time.monotonic() + seconds, asyncio.Event(), _pauses()
    while not look():
        assert time.monotonic() < deadline, f"it didn't happen within {seconds} s"
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(never.wait(), next(pauses))


@contextlib.contextmanager
def untimed() -> Iterator[None]:
    """Within the block a test's time limit (pytest-timeout's alarm) stands still."""
    left, _ = signal.setitimer(signal.ITIMER_REAL, 0.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, left)


class Cost:
    """What a `with` block takes of this thread's processor time, in seconds, without what earlier tests left to the collector.

    The machine may be busy with others, and the collector with another test's garbage: neither counts.
    """

    seconds = 0.0

    def __enter__(self) -> Self:
        self._was_enabled = gc.isenabled()
        gc.disable()
        self._began = time.thread_time()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = time.thread_time() - self._began
        if self._was_enabled:
            gc.enable()


def is_running(pid: int) -> bool:
    """Whether process `pid` exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def children_of(pid: int) -> list[int]:
    """Process ids of the children of `pid`, those of all its threads."""
    found: list[int] = []
    for file in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += map(int, file.read_text().split())
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def status_of(pid: int) -> dict[str, str]:
    """The fields of /proc/<pid>/status; empty when the process is gone."""
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return {}
    return {name: value.strip() for name, _, value in (line.partition(":") for line in text.splitlines())}


def peak_bytes(pid: int) -> int:
    """The most memory that `pid` has held (VmHWM); 0 when it is gone."""
    return int(status_of(pid).get("VmHWM", "0 kB").split()[0]) * 1024


def has_worked(pid: int) -> bool:
    """Whether `pid` has used the processor for a tick (10 ms): more than a fork that waits for its work."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11]) > 0
    except (FileNotFoundError, ProcessLookupError):
        return False


def workers_of(pid: int) -> set[int]:
    """The worker processes that `pid` has started, recognised by their session of their own."""
    return {child for child in children_of(pid) if is_running(child) and os.getsid(child) == child}

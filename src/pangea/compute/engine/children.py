"""The two ends of the line between a worker and the process that it has forked to run tasks.

Down go tasks, each a line of JSON, and answers; up go questions and news, a byte each.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections.abc import Iterator
from typing import Any

from pangea.compute.engine.image import MemoryImage

#: What a forked process asks its worker for, and what it tells: that it waits for another task.
_MARK, _UNMARK, _READY = b"m", b"u", b"r"


class TaskLine:
    """A forked process's end of its line to the worker: tasks come, and answers to what it asks."""

    def __init__(self, orders: int, ask: int) -> None:
        self._orders = os.fdopen(orders, "rb")
        self._ask = ask

    def order(self) -> dict[str, Any] | None:
        """Wait for the next task; None: there is none."""
        line = self._orders.readline()
        return dict(json.loads(line)) if line else None

    def wait(self) -> None:
        """Say that another task may come."""
        os.write(self._ask, _READY)

    @contextlib.contextmanager
    def marked(self) -> Iterator[None]:
        """Have the worker mark the memory's image, and unmark it at the end."""
        self._asked(_MARK)
        yield
        self._asked(_UNMARK)

    def _asked(self, what: bytes) -> None:
        os.write(self._ask, what)
        assert self._orders.read(1) == what, "the worker is gone"


class Child:
    """A forked process that waits for a task."""

    def __init__(self, pid: int, order: int, asks: int) -> None:
        self.pid = pid
        self.asks = asks
        self._order = order

    def begin(self, run: dict[str, Any]) -> bool:
        """Hand it its task; False if it is dead."""
        data = memoryview(json.dumps(run).encode() + b"\n")
        try:
            while data:
                data = data[os.write(self._order, data) :]
        except BrokenPipeError:
            return False
        return True

    def waits(self, image: MemoryImage | None) -> bool:
        """Hear what it has to say, and do it: mark the memory's image, or not; true if it waits for another task."""
        what = os.read(self.asks, 1)
        if what == _READY:
            return True
        if image is not None:
            image.mark() if what == _MARK else image.unmark()
        with contextlib.suppress(BrokenPipeError):  # if it is dead by now, that shows soon enough
            os.write(self._order, what)
        return False

    def end(self) -> int:
        """Kill it unless it has ended, and reap it; returns its exit status, negative for a signal."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL) if not _has_ended(self.pid) else None
        status = os.waitpid(self.pid, 0)[1]
        os.close(self._order)  # before any other fork, so no sibling holds it open
        os.close(self.asks)
        return os.waitstatus_to_exitcode(status)


def _has_ended(child: int) -> bool:
    return os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

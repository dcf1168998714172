"""The board between a node's event loop and discovery's thread: what each tells the other."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from typing import Any

from pangea.compute.network.discovery.book import Entry
from pangea.compute.network.discovery.records import Advertisement

#: Hears, on the event loop, of what goes wrong without anybody having asked.
OnTrouble = Callable[[BaseException], None]


class Board:
    """What both threads see: each thing on it is replaced, never changed."""

    def __init__(self, advertisement: Advertisement, on_change: Callable[[], None], on_trouble: OnTrouble) -> None:
        self._loop = asyncio.get_running_loop()
        self._on_change, self._on_trouble = on_change, on_trouble
        self.advertisement = advertisement
        self.entries: tuple[Entry, ...] = ()
        self.counts: Mapping[str, int] = {}
        self.dht_table_size: int = 0
        self.failure: BaseException | None = None
        self.is_closed: bool = False
        self.addresses: tuple[str, ...] = ()
        self.started_or_failed: asyncio.Event = asyncio.Event()
        self._call_there: Callable[[Callable[[], None]], None] | None = None
        self._wake_there: Callable[[], None] | None = None
        self._stop_there: Callable[[], None] | None = None

    # From discovery's thread.

    def started(
        self,
        addresses: tuple[str, ...],
        *,
        wake: Callable[[], None],
        call: Callable[[Callable[[], None]], None],
        stop: Callable[[], None],
    ) -> None:
        """The host listens; `call` runs something in its thread, `wake` has a round begin, `stop` ends it."""
        self.addresses = addresses
        self._wake_there, self._stop_there, self._call_there = wake, stop, call
        if self.is_closed:  # nobody waited so long
            stop()
        self._tell(self.started_or_failed.set)

    def publish(self, entries: tuple[Entry, ...], counts: Mapping[str, int], dht_table_size: int) -> None:
        """Show whom the host knows."""
        before, after = _gist(self.entries), _gist(entries)
        self.entries, self.counts, self.dht_table_size = entries, counts, dht_table_size
        if before != after:
            self._tell(self._on_change)

    def trouble(self, error: BaseException) -> None:
        """Report what goes wrong."""
        self._tell(self._on_trouble, error)

    def failed(self, error: BaseException) -> None:
        """The thread ends without having been told to."""
        self.failure = error
        self._tell(self.started_or_failed.set)
        self._tell(self._on_change)
        self._tell(self._on_trouble, error)

    def _tell(self, call: Callable[..., Any], *arguments: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is left to be told
            self._loop.call_soon_threadsafe(call, *arguments)

    # From any thread.

    def wake(self) -> None:
        """Have a round begin soon."""
        self._there(self._wake_there)

    def close(self) -> None:
        """Have the thread end."""
        self.is_closed = True
        self._there(self._stop_there)

    def _there(self, call: Callable[[], None] | None) -> None:
        if self._call_there is not None and call is not None:
            with contextlib.suppress(RuntimeError):  # trio.RunFinishedError: it has ended
                self._call_there(call)


def _gist(entries: tuple[Entry, ...]) -> dict[str, object]:
    return {entry.statement.peer: (entry.statement.advertisement, entry.nearness) for entry in entries}

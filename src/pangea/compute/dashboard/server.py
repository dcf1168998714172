"""Serves the pages on an address, until it is told to end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import count

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from pangea.compute.dashboard.app import application
from pangea.compute.dashboard.listening import Listening
from pangea.compute.dashboard.source import Source

_CONNECTIONS_MAX = 256
#: Of them, so many may have asked for nothing yet, or for nothing more.
_SILENT_MAX = 64
#: Who takes nothing of what it is sent for so long is cut off: buffers are full before that counts.
_STUCK_SECONDS = 20.0
#: Streams are cut off after that, when the page ends.
_STOP_SECONDS = 1
_HEAD_BYTES_MAX = 16 << 10


class _Connection(H11Protocol):
    """One that gives way while nothing is asked on it: uvicorn gives a request no time to come, and counts all that are open."""

    _made = count()
    serial = 0
    _stuck: asyncio.TimerHandle | None = None

    @property
    def is_silent(self) -> bool:
        """Whether no request is being answered on it."""
        return self.cycle is None or self.cycle.response_complete

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """One more: of too many that are silent, the oldest goes; who asks does so when it comes."""
        super().connection_made(transport)
        self.serial = next(self._made)
        silent = [each for each in self.connections if isinstance(each, _Connection) and each.is_silent]
        if len(silent) > _SILENT_MAX:
            oldest = min(silent, key=lambda each: each.serial)
            self.connections.discard(oldest)  # at once: more may come before the loop says that it is gone
            oldest.transport.abort()

    def pause_writing(self) -> None:
        """It takes nothing any more: it has its time to go on, or its place is others'."""
        super().pause_writing()
        self._stuck = self._stuck or self.loop.call_later(_STUCK_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """It goes on."""
        super().resume_writing()
        self._unstick()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone."""
        super().connection_lost(exc)
        self._unstick()

    def _unstick(self) -> None:
        if self._stuck is not None:
            self._stuck.cancel()
            self._stuck = None


def server_of(source: Source, on: Listening, *, log_level: str = "warning") -> uvicorn.Server:
    """What serves the pages of `source` on sockets that it is run with."""
    config = uvicorn.Config(
        application(source, token=on.token),
        log_level=log_level,
        access_log=False,
        server_header=False,
        lifespan="off",
        http=_Connection,
        ws="none",
        limit_concurrency=_CONNECTIONS_MAX,
        timeout_graceful_shutdown=_STOP_SECONDS,
        h11_max_incomplete_event_size=_HEAD_BYTES_MAX,
    )
    return uvicorn.Server(config)


def serve(source: Source, on: Listening, *, ready: Callable[[], None] = lambda: None) -> None:
    """Serve the pages of `source` until SIGINT or SIGTERM; `ready` is called before the first request is answered."""
    server = server_of(source, on)
    with on.socket:
        ready()
        server.run(sockets=[on.socket])

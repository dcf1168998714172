"""Serves the pages on an address, until it is told to end."""

from __future__ import annotations

from collections.abc import Callable

import uvicorn

from pangea.compute.dashboard.app import application
from pangea.compute.dashboard.listening import Listening
from pangea.compute.dashboard.source import Source

_CONNECTIONS_MAX = 256
#: Streams are cut off after that, when the page ends.
_STOP_SECONDS = 1
_HEAD_BYTES_MAX = 16 << 10


def server_of(source: Source, on: Listening, *, log_level: str = "warning") -> uvicorn.Server:
    """What serves the pages of `source` on sockets that it is run with."""
    config = uvicorn.Config(
        application(source, token=on.token),
        log_level=log_level,
        access_log=False,
        server_header=False,
        lifespan="off",
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

"""The door to Cap'n Proto: the schema, and streams on which it is spoken. Nothing else imports its library.

It runs on asyncio's own loop only: uvloop crashes it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from pangea.compute.model.errors import UnavailableError
from pangea.compute.network.rpc.limits import NESTING_MAX

try:
    import capnp
except ImportError as error:
    raise UnavailableError("nodes need Cap'n Proto", hint="pip install 'pangea-compute[node]'") from error

capnp.remove_import_hook()
#: The wire contract: `SCHEMA.ComputeService` and its structs.
SCHEMA: Any = capnp.load(str(Path(__file__).with_name("compute.capnp")))
#: What a call raises when the link is gone, or the other end refuses.
CallError = capnp.KjException
#: What `answer_of` says of a link that is down.
LOST = "is lost"
_WORD_BYTES = 8


@asynccontextmanager
async def event_loop() -> AsyncIterator[None]:
    """What has to be around all use of Cap'n Proto on this thread's event loop."""
    async with capnp.kj_loop():
        yield


def stream_protocol(on_connected: Callable[[Any], Any]) -> Any:
    """An asyncio protocol; `on_connected` (async) gets the stream once it is connected."""
    return capnp.AsyncIoStream._connect(on_connected)


async def serve_stream(stream: Any, bootstrap: Any, *, message_bytes_max: int) -> None:
    """Offer `bootstrap` to whoever is at the stream's other end, until it is gone."""
    server = capnp.TwoPartyServer(
        stream, bootstrap=bootstrap, traversal_limit_in_words=message_bytes_max // _WORD_BYTES, nesting_limit=NESTING_MAX
    )
    await server.on_disconnect()


class ClientStream:
    """One end of a connected stream, and the service at the other."""

    def __init__(self, stream: Any, *, message_bytes_max: int) -> None:
        """Speak on `stream`."""
        self._stream = stream
        self._client = capnp.TwoPartyClient(
            stream, traversal_limit_in_words=message_bytes_max // _WORD_BYTES, nesting_limit=NESTING_MAX
        )
        #: The far end's service.
        self.service: Any = self._client.bootstrap().cast_as(SCHEMA.ComputeService)

    async def gone(self) -> None:
        """Wait until the link is down; for as long as it lives."""
        await self._client.on_disconnect()

    def close(self) -> None:
        """Hang up."""
        self._stream.close()


async def connect_unix(path: str, *, message_bytes_max: int) -> ClientStream:
    """Connect to a unix socket."""
    return ClientStream(await capnp.AsyncIoStream.create_unix_connection(path), message_bytes_max=message_bytes_max)


async def connect_tcp(host: str, port: int, *, context: Any, message_bytes_max: int) -> ClientStream:
    """Connect over TLS; the context checks who is there."""
    stream = await capnp.AsyncIoStream.create_connection(host, port, ssl=context, server_hostname="")
    return ClientStream(stream, message_bytes_max=message_bytes_max)


def is_disconnect(error: Exception) -> bool:
    """Whether a call failed because the link is gone."""
    return isinstance(error, CallError) and getattr(error, "type", "") == "DISCONNECTED"


async def answer_of(promise: Awaitable[Any], seconds: float) -> tuple[Any, str]:
    """What a call gives, or what went wrong, in words.

    Errors are raised where nothing of the library is in reach: it may be freed on this thread only, and whoever gets an error
    may keep it, with its frames, elsewhere.
    """
    # In a task of its own: with asyncio.timeout, a cancelled wait for a promise ends the process with a segmentation fault. And
    # asyncio.wait_for may lose a cancellation that comes as the wait ends.
    work = asyncio.ensure_future(_awaited(promise))
    del promise
    try:
        await asyncio.wait({work}, timeout=seconds)
    finally:
        if not work.done():
            work.cancel()
            await asyncio.wait({work})
    return (None, f"didn't answer in {seconds:g} s") if work.cancelled() else work.result()


async def _awaited(promise: Awaitable[Any]) -> tuple[Any, str]:
    """The answer, or what went wrong: the library's own error stays here."""
    try:
        return await promise, ""
    except CallError as error:
        return None, LOST if is_disconnect(error) else f"refused the call: {str(error).partition(chr(10))[0]}"

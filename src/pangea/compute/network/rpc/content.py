"""Large content from this machine, over a unix socket of its own: plain bytes, which cost neither end a look at them.

The client says how many bytes come, the node that it takes them; they follow; the node answers with their SHA-256, once they are
on disk. Each answer is a line of JSON. The node names the content, since it has to hash what it keeps anyway: the client needn't.
"""

from __future__ import annotations

import asyncio
import errno
import json
import socket
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from pangea.compute.model.answers import unreadable
from pangea.compute.model.errors import InputError, PangeaError, QuotaError, UnavailableError
from pangea.compute.network.rpc import codec
from pangea.compute.network.rpc.limits import WireLimits
from pangea.compute.network.rpc.service import Caller, ContentService
from pangea.compute.network.rpc.unix import bound, caller_at, short_name

_BACKLOG = 32
_LINE_BYTES_MAX = 256 << 10
_SIZE_MAX = 1 << 62
#: When the machine has no descriptors left.
_PAUSE_SECONDS = 1.0
_CLOSE_SECONDS = 2.0
_NAME_CHARACTERS = 64

Sessions = Callable[[Caller], ContentService]
OnTrouble = Callable[[BaseException], None]


@asynccontextmanager
async def serve_content(path: Path, sessions: Sessions, limits: WireLimits, on_trouble: OnTrouble) -> AsyncIterator[None]:
    """Take content on a unix socket that only this user can open.

    Raises:
        UnavailableError: the socket can't be made.
    """
    with bound(path) as listener:
        listener.listen(_BACKLOG)
        listener.setblocking(False)
        server = _Server(sessions, limits, on_trouble)
        listener.on_full = server.full
        accepting = asyncio.create_task(server.accept_for_ever(listener))
        try:
            yield
        finally:
            accepting.cancel()
            await asyncio.gather(accepting, return_exceptions=True)
            await server.close()


class _Server:
    """The streams that come in."""

    def __init__(self, sessions: Sessions, limits: WireLimits, on_trouble: OnTrouble) -> None:
        self._sessions = sessions
        self._limits = limits
        self._on_trouble = on_trouble
        self._streams: dict[asyncio.Task[None], socket.socket] = {}

    async def accept_for_ever(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, _ = await loop.sock_accept(listener)
            except OSError as error:
                self._on_trouble(error)
                await asyncio.sleep(_PAUSE_SECONDS)
                continue
            stream = asyncio.create_task(self._serve(connection, is_welcome=len(self._streams) < self._limits.streams_max))
            self._streams[stream] = connection
            stream.add_done_callback(self._streams.pop)

    def full(self) -> None:
        """Somebody was turned away for want of descriptors."""
        self._on_trouble(OSError(errno.EMFILE, "a stream was turned away: this process has no descriptors left"))

    async def close(self) -> None:
        """Hang up on everybody."""
        for connection in self._streams.values():
            with suppress(OSError):  # gone by itself
                connection.shutdown(socket.SHUT_RDWR)
        if self._streams:
            await asyncio.wait(self._streams, timeout=_CLOSE_SECONDS)

    async def _serve(self, connection: socket.socket, *, is_welcome: bool) -> None:
        with connection:
            try:
                if not is_welcome:
                    raise QuotaError(f"{self._limits.streams_max} streams of content come in already", hint="try again soon")
                answer = {"sha256": await self._receive(connection)}
            except PangeaError as error:
                answer = {"failure": codec.failure_to_text(error)}
            except OSError:
                return  # the client is gone, or too slow
            except Exception as error:
                self._on_trouble(error)
                answer = {"failure": codec.failure_to_text(UnavailableError("the node failed", hint="its log says more"))}
            connection.setblocking(False)
            with suppress(OSError):
                await asyncio.wait_for(_say(connection, answer), self._limits.message_seconds)

    async def _receive(self, connection: socket.socket) -> str:
        size = await asyncio.wait_for(_announced(connection), self._limits.handshake_seconds)
        is_told = False

        def fill(buffer: memoryview) -> None:
            nonlocal is_told
            if not is_told:
                connection.settimeout(self._limits.message_seconds)
                connection.sendall(_line({"go": True}))
                is_told = True
            _fill(connection, buffer)

        return await self._sessions(caller_at(connection)).receive(size, fill)


async def _announced(connection: socket.socket) -> int:
    connection.setblocking(False)
    line = b""
    while not line.endswith(b"\n") and len(line) < 100:
        block = await asyncio.get_running_loop().sock_recv(connection, 100)
        if not block:
            raise ConnectionError("it hung up")
        line += block
    try:
        size = json.loads(line)["size"]
    except (ValueError, RecursionError, KeyError, TypeError):
        size = None
    if not isinstance(size, int) or not 0 < size < _SIZE_MAX:
        raise InputError("a stream of content begins with its size", hint='send {"size": bytes} and a line feed first')
    return size


def _fill(connection: socket.socket, buffer: memoryview) -> None:
    at = 0
    while at < len(buffer):
        count = connection.recv_into(buffer[at:])
        if not count:
            raise ConnectionError("it hung up")
        at += count


async def _say(connection: socket.socket, answer: dict[str, Any]) -> None:
    await asyncio.get_running_loop().sock_sendall(connection, _line(answer))


def _line(record: dict[str, Any]) -> bytes:
    return json.dumps(record).encode() + b"\n"


# The client's end.


class ContentLink:
    """One stream to a node. Blocks: for a thread."""

    def __init__(self, path: Path, timeout: float) -> None:
        """A stream to the socket `path`; each step of it has `timeout` seconds."""
        self._path = path
        self._connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._connection.settimeout(timeout)

    def close(self) -> None:
        """Hang up. From any thread."""
        with suppress(OSError):  # never connected
            self._connection.shutdown(socket.SHUT_RDWR)

    def send(self, size: int, blocks: Iterable[memoryview]) -> str:
        """Send `size` bytes; their SHA-256, as the node says.

        Raises:
            FileNotFoundError: the node has no such socket: it is of an earlier version.
            QuotaError: the node has no room.
            UnavailableError: the node is gone, or makes no sense.
        """
        with self._connection:
            try:
                with short_name(self._path) as name:
                    self._connection.connect(name)
                with suppress(BrokenPipeError, ConnectionResetError):  # then its answer says why
                    self._connection.sendall(_line({"size": size}))
                self._answer()
                with suppress(BrokenPipeError, ConnectionResetError):
                    for block in blocks:
                        self._connection.sendall(block)
                name = str(self._answer().get("sha256", ""))
            except FileNotFoundError:
                raise
            except OSError as error:
                reason = (error.strerror or str(error) or "it doesn't answer").lower()
                raise UnavailableError(f"the node at {self._path} was lost: {reason}", retry=True) from error
        if len(name) != _NAME_CHARACTERS:
            raise unreadable("content without a hash")
        return name

    def _answer(self) -> dict[str, Any]:
        line = b""
        while not line.endswith(b"\n"):
            block = self._connection.recv(1 << 16)
            if not block or len(line) > _LINE_BYTES_MAX:
                raise ConnectionError("it hung up")
            line += block
        answer = codec.loads(line.decode(errors="replace"))
        if not isinstance(answer, dict):
            raise unreadable("an answer that is no object")
        codec.raise_failure(str(answer.get("failure", "")))
        return answer

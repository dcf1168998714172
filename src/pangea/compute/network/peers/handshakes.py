"""Connections whose TLS handshake isn't done: nobody knows yet whose they are, so few may wait at once.

When there are too many, one goes of the address that has most of them, the one that has waited longest: an honest handshake takes
milliseconds, a stalled one all its time.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from pangea.compute.network.rpc.listening import Listener

#: When the machine has nothing left to accept with, it is tried again after so long.
_RETRY_SECONDS = 1.0


class HandshakeListener(Listener):
    """A listening socket that knows which of its connections wait for their handshake."""

    #: Connections that may wait at once.
    waiting_max: int
    _waiting: dict[int, tuple[socket.socket, str]]

    @classmethod
    def listen_at(cls, host: str, port: int, *, waiting_max: int, backlog: int) -> HandshakeListener:
        """Listen on `host` ("": everywhere).

        Raises:
            OSError, OverflowError: the address can't be had.
        """
        is_everywhere = not host and socket.has_dualstack_ipv6()
        family = socket.AF_INET6 if ":" in host or is_everywhere else socket.AF_INET
        plain = socket.create_server((host, port), family=family, backlog=backlog, dualstack_ipv6=is_everywhere)
        door = cls(fileno=plain.detach())
        door.waiting_max, door._waiting = waiting_max, {}
        return door

    def accept(self) -> tuple[socket.socket, Any]:
        """The next connection; room is made for it."""
        connection, address = super().accept()
        self._waiting.pop(connection.fileno(), None)  # of an earlier one that had the same number
        self._waiting = {number: each for number, each in self._waiting.items() if each[0].fileno() == number}
        while len(self._waiting) >= self.waiting_max:
            crowds = Counter(host for _, host in self._waiting.values())
            most = max(crowds.values())
            victim = next(number for number, (_, host) in self._waiting.items() if crowds[host] == most)
            with suppress(OSError):  # gone by itself
                self._waiting.pop(victim)[0].shutdown(socket.SHUT_RDWR)
        self._waiting[connection.fileno()] = connection, str(address[0])
        return connection, address

    def enter(self, number: int) -> None:
        """The handshake of the connection with this descriptor is done."""
        self._waiting.pop(number, None)


class Door:
    """Lets connections in over TLS.

    asyncio's own server isn't used: a handshake that fails leaves its connection there, 300 kB, in a cycle of tracebacks, until
    somebody looks for garbage, and any stranger can have as many fail as it likes. Here the error is dropped with what it holds.
    Source: CPython's issue 109534.
    """

    def __init__(
        self, listener: HandshakeListener, protocol: Callable[[], asyncio.BaseProtocol], context: ssl.SSLContext, seconds: float
    ) -> None:
        """Be open from now on.

        Args:
            listener: where connections come from.
            protocol: makes what a connection speaks to once its handshake is done.
            context: of TLS.
            seconds: that a handshake may take.
        """
        self._listener = listener
        self._protocol = protocol
        self._context = context
        self._seconds = seconds
        self._shaking: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        self._retry: asyncio.TimerHandle | None = None
        listener.setblocking(False)
        self._open()

    @property
    def sockets(self) -> tuple[socket.socket, ...]:
        """Where it listens."""
        return (self._listener,)

    def _open(self) -> None:
        self._loop.add_reader(self._listener.fileno(), self._let_in)

    def _let_in(self) -> None:
        """Take in one of those who wait; others have their turns in between."""
        try:
            connection, _ = self._listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        except OSError:  # no memory or buffers: it would be as ready, and fail as often, in each round of the loop
            self._loop.remove_reader(self._listener.fileno())
            self._retry = self._loop.call_later(_RETRY_SECONDS, self._open)
            raise
        task = self._loop.create_task(self._shake(connection))
        self._shaking.add(task)
        task.add_done_callback(self._shaking.discard)

    async def _shake(self, connection: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(
                self._protocol, connection, ssl=self._context, ssl_handshake_timeout=self._seconds
            )
        except OSError as error:  # of TLS, too: whoever is there said something else, the wrong thing, or nothing
            error.__traceback__ = None

    def close(self) -> None:
        """Let nobody in any more."""
        if self._retry is not None:
            self._retry.cancel()
        self._loop.remove_reader(self._listener.fileno())
        self._listener.close()
        for task in self._shaking:
            task.cancel()

"""Connections whose TLS handshake isn't done: nobody knows yet whose they are, so few may wait at once.

When there are too many, whoever has waited longest goes: an honest handshake takes milliseconds, a stalled one all its time.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import Any


class Doorway(socket.socket):
    """A listening socket that knows which of its connections wait for their handshake."""

    #: Connections that may wait at once.
    waiting_max: int
    _waiting: dict[int, socket.socket]

    @classmethod
    def listen_at(cls, host: str, port: int, *, waiting_max: int, backlog: int) -> Doorway:
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
        self._waiting = {number: each for number, each in self._waiting.items() if each.fileno() == number}
        while len(self._waiting) >= self.waiting_max:
            with suppress(OSError):  # gone by itself
                self._waiting.pop(next(iter(self._waiting))).shutdown(socket.SHUT_RDWR)
        self._waiting[connection.fileno()] = connection
        return connection, address

    def enter(self, number: int) -> None:
        """The handshake of the connection with this descriptor is done."""
        self._waiting.pop(number, None)

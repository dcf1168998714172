"""Connections whose TLS handshake isn't done: nobody knows yet whose they are, so few may wait at once.

When there are too many, one goes of the address that has most of them, the one that has waited longest: an honest handshake takes
milliseconds, a stalled one all its time.
"""

from __future__ import annotations

import socket
from collections import Counter
from contextlib import suppress
from typing import Any

from pangea.compute.network.rpc.listening import Listener


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

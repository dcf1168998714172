"""Ports of this machine that nobody else is given."""

from __future__ import annotations

import socket
from typing import Self


class Port:
    """A port of 127.0.0.1 that is given to nobody else until it is closed. Whoever knows its number can listen at it.

    One that is free is another process's a moment later: a connection of a test beside this one takes it. A socket that is bound
    keeps it from that, and as it doesn't listen, a server that sets SO_REUSEADDR binds it all the same: once, and again.

    Source: socket(7), and ip(7) on ip_local_port_range.
    """

    def __init__(self) -> None:
        self._kept = socket.socket()
        self._kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._kept.bind(("127.0.0.1", 0))
        self.number = int(self._kept.getsockname()[1])

    def close(self) -> None:
        """Give it back."""
        self._kept.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

"""A listening socket that survives a process without descriptors: who comes then is turned away at once, and said so once."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

_FULL = (errno.EMFILE, errno.ENFILE)


class Listener(socket.socket):
    """Accepts; with no descriptor left, lets go of one that it has kept for this, to accept and hang up.

    Else whoever waits would keep the loop busy for nothing: it tries again at once, as often as its backlog is long.
    """

    #: Told of each that was turned away.
    on_full: Callable[[], None]
    _spare = -1

    def __init__(self, *given: Any, **named: Any) -> None:
        """As a socket is made; one descriptor more is kept."""
        super().__init__(*given, **named)
        self.on_full = _nobody
        self._spare = _any_descriptor()

    def accept(self) -> tuple[socket.socket, Any]:
        """The next connection.

        Raises:
            BlockingIOError: there is none now, or it was turned away.
        """
        try:
            return super().accept()
        except OSError as error:
            if error.errno not in _FULL:
                raise
        self._turn_away()
        raise BlockingIOError("a connection was turned away: there are no descriptors left")

    def _turn_away(self) -> None:
        if self._spare >= 0:
            os.close(self._spare)
            self._spare = -1
            with suppress(OSError):
                connection, _ = super().accept()
                connection.close()
        with suppress(OSError):
            self._spare = _any_descriptor()
        self.on_full()

    def close(self) -> None:
        """Close it, and what was kept."""
        if self._spare >= 0:
            os.close(self._spare)
            self._spare = -1
        super().close()


def _nobody() -> None:
    """Nobody is to be told."""


def _any_descriptor() -> int:
    return os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)

"""Where pages are served, and whether viewers need a token there."""

from __future__ import annotations

import ipaddress
import secrets
import socket
from dataclasses import dataclass

from pangea.compute.model.errors import ConfigError

_BACKLOG = 64


@dataclass(frozen=True, slots=True)
class Listening:
    """A socket that pages will be served on.

    Attributes:
        socket: it.
        host, port: where.
        token: what viewers must know; "": they are on this machine.
    """

    socket: socket.socket
    host: str
    port: int
    token: str

    @property
    def url(self) -> str:
        """What to open; it has the token in it."""
        host = "127.0.0.1" if self.host in ("0.0.0.0", "") else "[::1]" if self.host == "::" else self.host  # noqa: S104
        host = f"[{host}]" if ":" in host and not host.startswith("[") else host
        return f"http://{host}:{self.port}/" + (f"?token={self.token}" if self.token else "")


def listen(address: str, *, token: str = "", needs_token: bool = False) -> Listening:
    """Listen on `host:port`; port 0 takes any.

    Off loopback, or if one is asked for, viewers need a token: the given one, else one that is made up.

    Raises:
        ConfigError: the address is none, or can't be had.
    """
    host, colon, port = address.rpartition(":")
    host = host.strip("[]")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65_535:
        raise ConfigError(f"{address[:80]!r} is no address to listen on", hint="give host:port, such as 127.0.0.1:8808")
    host = host or "127.0.0.1"
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        taken = socket.create_server((host, int(port)), family=family, backlog=_BACKLOG)
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise ConfigError(
            f"{address} can't be listened on: {why}", hint="choose another; port 0 takes any that is free"
        ) from error
    is_open = needs_token or bool(token) or not _is_loopback(taken)
    return Listening(taken, host, taken.getsockname()[1], (token or secrets.token_urlsafe(24)) if is_open else "")


def _is_loopback(taken: socket.socket) -> bool:
    return ipaddress.ip_address(taken.getsockname()[0].partition("%")[0]).is_loopback

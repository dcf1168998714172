"""Unix sockets: made for this user alone, reached whatever the length of their path, and who is at their other end."""

from __future__ import annotations

import os
import socket
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pangea.compute.model.errors import UnavailableError
from pangea.compute.network.rpc.listening import Listener
from pangea.compute.network.rpc.service import Caller

_UCRED = struct.Struct("3i")


@contextmanager
def short_name(path: Path) -> Iterator[str]:
    """A name of `path` that fits into a socket's address: through its folder's descriptor, while this is open.

    Raises:
        OSError: there is no such folder.
    """
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


@contextmanager
def bound(path: Path) -> Iterator[Listener]:
    """A socket at `path` that only this user can open; the name is gone at the end.

    Raises:
        UnavailableError: it can't be made.
    """
    listener = Listener(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with short_name(path) as name:
            with suppress(FileNotFoundError):
                if stat.S_ISSOCK(path.lstat().st_mode):
                    path.unlink()  # of a node that was killed: the data directory is locked, so no other can be listening
            try:
                listener.bind(name)
                path.chmod(0o600)
            except OSError as error:
                raise UnavailableError(f"the socket {path} can't be made: {(error.strerror or str(error)).lower()}") from error
            try:
                yield listener
            finally:
                path.unlink(missing_ok=True)
    finally:
        listener.close()


def caller_at(connection: socket.socket) -> Caller:
    """Who is at the other end, as the kernel says."""
    _, uid, _ = _UCRED.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    return Caller(f"uid:{uid}", is_local=True)

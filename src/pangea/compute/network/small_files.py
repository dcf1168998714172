"""Small files that somebody names, such as keys and settings: never waited for, never larger in memory than they may be."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from pangea.compute.model.units import human_bytes

_KINDS = {stat.S_IFIFO: "named pipe", stat.S_IFSOCK: "socket", stat.S_IFCHR: "device", stat.S_IFBLK: "device"}


def read_small(path: Path, most: int, *, is_stream_fine: bool = False) -> bytes:
    """All of a file, of `most` bytes at most.

    Args:
        path: which.
        most: bytes.
        is_stream_fine: whether it may be a pipe or a device as well, which is then waited for.

    Raises:
        OSError: it can't be read, is no file, or has more than that.
    """
    with open(path, "rb", opener=None if is_stream_fine else _without_waiting) as file:
        found = os.fstat(file.fileno())
        if not (is_stream_fine or stat.S_ISREG(found.st_mode)):
            kind = _KINDS.get(stat.S_IFMT(found.st_mode), "special file")
            raise OSError(errno.EINVAL, f"it is a {kind}, not a file", str(path))
        if found.st_size <= most:
            pieces, left = [], most + 1
            while left and (piece := file.read(min(left, 1 << 20))):
                pieces.append(piece)
                left -= len(piece)
            if left:
                return b"".join(pieces)
    raise OSError(errno.EFBIG, f"it has more than {human_bytes(most)}", str(path))


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)

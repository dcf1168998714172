"""Write a file whole or not at all, and leave nothing behind even when killed half way."""

from __future__ import annotations

import ctypes
import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

_SYNC_FILE_RANGE_WRITE = 2
_libc = ctypes.CDLL(None)


@contextmanager
def new_file(path: Path, mode: int) -> Iterator[IO[bytes]]:
    """Give a file to write; it becomes `path`, replacing what is there, when the body ends without an exception.

    Until then it has no name (`O_TMPFILE`), so that even SIGKILL leaves nothing; on file systems without such files it has a
    temporary one.

    Raises:
        OSError: it can't be made or written; `path` is as it was.
    """
    try:
        descriptor = unnamed_file(path.parent, mode)
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT) or not path.parent.is_dir():
            raise
        with _named_file(path, mode) as file:
            yield file
        return
    with os.fdopen(descriptor, "wb") as file:
        yield file
        file.flush()
        os.fchmod(descriptor, mode)
        os.fsync(descriptor)
        link_file(descriptor, path)


def unnamed_file(folder: Path, mode: int) -> int:
    """Open a file in `folder` that has no name yet, and vanishes unless `link_file` gives it one; its descriptor."""
    return os.open(folder, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, mode)


def link_file(descriptor: int, path: Path) -> None:
    """Name an open file; an existing file is replaced, by way of a second name."""
    # With a folder's descriptor, unused since the source is absolute, Python calls linkat() and so follows the link.
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    source = f"/proc/self/fd/{descriptor}"
    try:
        os.link(source, path, src_dir_fd=folder, follow_symlinks=True)
    except FileExistsError:
        temporary = path.with_name(f".{path.name[:100]}-{os.getpid()}-{descriptor}")
        temporary.unlink(missing_ok=True)
        os.link(source, temporary, src_dir_fd=folder, follow_symlinks=True)
        temporary.replace(path)
    finally:
        os.close(folder)


def begin_write_back(descriptor: int, start: int, size: int) -> None:
    """Have the kernel begin to write a range to disk, without a wait; advice: `fsync` says whether it is there.

    Source: sync_file_range(2).
    """
    _libc.sync_file_range(descriptor, ctypes.c_int64(start), ctypes.c_int64(size), _SYNC_FILE_RANGE_WRITE)


@contextmanager
def _named_file(path: Path, mode: int) -> Iterator[IO[bytes]]:
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name[:100]}-", delete=False) as file:
        try:
            yield file.file
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
            Path(file.name).replace(path)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise

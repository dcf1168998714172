"""Write a file whole or not at all, and leave nothing behind even when killed half way.

What a user names as an output needn't be a file: `write_file` looks through links, and replaces nothing but regular files.
"""

from __future__ import annotations

import ctypes
import errno
import io
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

_SYNC_FILE_RANGE_WRITE = 2
_libc = ctypes.CDLL(None)
#: Where the kernel shows a process's open files, links resolved: /dev/stdout and /dev/fd/3 are here.
_OPEN_FILES = re.compile(r"/proc/(\d+)(/task/\d+)?/fd")
#: As many links as the kernel follows.
_LINKS_MAX = 40


#: What a file is to hold: bytes, or what writes them to a file, from its beginning to its end.
Content = bytes | Callable[[IO[bytes]], None]


def write_file(path: Path, data: Content) -> None:
    """Write `data` where a user said.

    A regular file appears, or is replaced, whole or not at all, with the permissions that it had. Links stay links: what they
    lead to is written. A device, a pipe and an open file (/dev/stdout, /dev/fd/3) are written into, never replaced; so is a file
    in a folder that takes no new ones, or one that is mounted.

    Raises:
        OSError: it can't be written; an older file that would have been replaced is as it was.
    """
    place = real_place(path)
    if isinstance(place, int):
        _write_into(os.dup(place), data)
    elif place.exists() and (not place.is_file() or not os.access(place.parent, os.W_OK)):
        _write_into(os.open(place, os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC), data)
    else:
        try:
            with new_file(place, _mode_for(place)) as file:
                if isinstance(data, bytes):
                    file.write(data)
                else:
                    data(file)
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise
            _write_into(os.open(place, os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC), data)  # something is mounted there


def real_place(path: Path) -> Path | int:
    """What `path` leads to once links are followed: a path that is no link, or the number of an open file of this process.

    Raises:
        OSError: the links lead nowhere (ELOOP).
    """
    place = path
    for _ in range(_LINKS_MAX):
        folder = Path(os.path.realpath(place.parent))
        found = _OPEN_FILES.fullmatch(str(folder))
        if found and int(found[1]) == os.getpid() and place.name.isdecimal():
            return int(place.name)
        if not place.is_symlink():
            return place
        place = folder / place.readlink()
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))


def _write_into(descriptor: int, data: Content) -> None:
    """Write into a pipe, a device, an open file: what makes its content is only asked when that is whole."""
    content: bytes | memoryview = data if isinstance(data, bytes) else b""
    if not isinstance(data, bytes):
        data(whole := io.BytesIO())
        content = whole.getbuffer()
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)


def _mode_for(path: Path) -> int:
    if path.exists():
        return path.stat().st_mode & 0o777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


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


def sync_folder(folder: Path) -> None:
    """Have the names in a folder on the disk itself."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


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
        try:
            temporary.replace(path)
        except BaseException:
            temporary.unlink()
            raise
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

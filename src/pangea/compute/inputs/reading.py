"""The bytes of one input while it is being cut: memory, a mapped file of our own, or a file of somebody else's.

A file that another program truncates while it is mapped ends this process with SIGBUS, which nobody can catch in Python; and what
is mapped changes with the file, so that a call made again would see other bytes. So only files that are ours alone are mapped
(copies without a name, a node's content by its hash). All others are read, piece by piece, into memory of our own.
"""

from __future__ import annotations

import mmap
import os
from contextlib import suppress
from typing import Protocol, overload

from pangea.compute.model.errors import InputError
from pangea.compute.model.units import GIB, MIB

#: How much of a mapped file may lie behind the cut before its pages are given back.
BEHIND_BYTES_MAX = 8 * MIB
#: How far behind the cut tasks may still be copying.
IN_FLIGHT_BYTES_MAX = GIB
#: How far behind the cut a file that is read once may leave the page cache: all that tasks still have to copy is younger.
CACHED_BYTES_MAX = 96 * MIB
#: How much of such a file the kernel is told to read ahead of the cut.
_NEXT_BYTES = 32 * MIB

Segment = memoryview | bytes


class View(Protocol):
    """Bytes of which slices can be had, as of a memoryview."""

    def __len__(self) -> int:
        """How many there are."""

    def __getitem__(self, part: slice, /) -> memoryview:
        """Some of them, as they are now."""


class FileView:
    """An open file as a view: each slice is read when it is asked for."""

    def __init__(self, descriptor: int, name: str, start: int, size: int) -> None:
        """Look at `size` bytes of the file `descriptor` from `start` on; `name` is for messages. The descriptor isn't owned."""
        self._descriptor, self._name, self._start, self._size = descriptor, name, start, size

    def __len__(self) -> int:
        """Bytes, by what the file had when the job began."""
        return self._size

    @overload
    def __getitem__(self, part: slice) -> memoryview: ...
    @overload
    def __getitem__(self, part: int) -> int: ...
    def __getitem__(self, part: slice | int) -> memoryview | int:
        """Some of the bytes.

        Raises:
            InputError: the file was cut short, or can't be read.
        """
        if isinstance(part, int):
            return self[part : part + 1][0]
        start, stop, _ = part.indices(self._size)
        return memoryview(self._read(start, max(0, stop - start)))

    def _read(self, start: int, size: int) -> bytes:
        parts: list[bytes] = []
        while size > 0:
            try:
                part = os.pread(self._descriptor, size, self._start + start)
            except OSError as error:
                reason = (error.strerror or str(error)).lower()
                raise InputError(f"{self._name} can't be read: {reason}", name=self._name) from error
            if not part:
                raise self._cut_short()
            parts.append(part)
            start, size = start + len(part), size - len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _cut_short(self) -> InputError:
        now = max(0, os.fstat(self._descriptor).st_size - self._start)
        return InputError(
            f"{self._name} was cut short while it was read: it had {self._size:,} bytes when the job began, and has {now:,} now",
            hint="give the job a file that nobody writes to",
            name=self._name,
        )


class Opened:
    """One input that is open to be cut.

    Attributes:
        view: all its bytes. Slices of it stay good after the input is closed.
    """

    def __init__(self, view: View) -> None:
        """Look at `view`."""
        self.view = view

    def drop_before(self, offset: int) -> None:
        """Hear that the bytes before `offset` are cut."""

    def close(self) -> None:
        """Let go of it."""


class OpenFile(Opened):
    """A file that may be somebody else's."""

    def __init__(self, descriptor: int, name: str, start: int, size: int) -> None:
        """Look at `size` bytes of the file `descriptor`, of which a duplicate is kept, from `start` on."""
        self._descriptor = os.dup(descriptor)
        os.posix_fadvise(self._descriptor, start, size, os.POSIX_FADV_SEQUENTIAL)
        super().__init__(FileView(self._descriptor, name, start, size))

    def close(self) -> None:
        """Close it, once."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class Mapped(Opened):
    """A file that is ours alone, mapped."""

    def __init__(self, mapping: mmap.mmap, start: int = 0, *, read_once: int = -1) -> None:
        """Look at `mapping` from byte `start` on; `read_once` is its open file, if nobody else is about to read it."""
        self._mapping = mapping
        self._start = start
        self._dropped = self._forgotten = 0
        self._file = os.dup(read_once) if read_once >= 0 else -1
        if self._file >= 0:
            self._pass_by(0)
        with memoryview(mapping) as whole:
            self._all = whole[start:].toreadonly()
        super().__init__(self._all)

    def drop_before(self, offset: int) -> None:
        """Give back the memory of the bytes before `offset`; whoever looks at them again reads them from the file anew.

        Tasks do look again, when they copy what was cut long ago: so the same bytes are given back several times.
        """
        end = (self._start + offset) // mmap.PAGESIZE * mmap.PAGESIZE
        if end - self._dropped >= BEHIND_BYTES_MAX:
            first = max(0, end - IN_FLIGHT_BYTES_MAX)
            self._mapping.madvise(mmap.MADV_DONTNEED, first, end - first)
            self._dropped = end
            if self._file >= 0:
                self._pass_by(end)

    def _pass_by(self, end: int) -> None:
        """Have the kernel read what comes next, and let go of what tasks have copied (and so isn't mapped any more)."""
        os.posix_fadvise(self._file, end, _NEXT_BYTES, os.POSIX_FADV_WILLNEED)
        if end - CACHED_BYTES_MAX > self._forgotten:
            os.posix_fadvise(self._file, self._forgotten, end - CACHED_BYTES_MAX - self._forgotten, os.POSIX_FADV_DONTNEED)
            self._forgotten = end - CACHED_BYTES_MAX

    def close(self) -> None:
        """Unmap the file, or leave that to the last slice of `view` somebody still holds."""
        self._all.release()
        with suppress(BufferError):
            self._mapping.close()
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

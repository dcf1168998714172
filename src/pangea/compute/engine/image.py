"""The memory of an initialised guest, kept so that an instance can be put back to it quickly.

The guest's memory becomes a private mapping of a file that holds its image: a page that is written becomes the process's own, and
only those have to be put back. A page's first write is a page fault. So as long as calls cause none, they have written only pages
that are known to be written, and those that the host has filled: these are copied back, which takes some ten microseconds.

After a fault, the written pages are looked for. The kernel doesn't tell an ordinary process which they are, and comparing misses
those that were written and have their old content again (a reference count), whose next write wouldn't be noticed. So the image's
owner, the worker, changes a byte of each page in the file for a moment: what is still the file's shows it, what was written
doesn't. What is found is passed on to the processes forked later, as a hint. Where too much is written to be copied each time,
all of the memory is dropped, which brings the image's back. Whatever the hints say, the memory is the image's afterwards.

Each function writes pages of its own: a split of 10,000 chunks seven times as many as their execution, which would all be copied
for each pack. So hints are a function's, and before another one's pack, what that isn't known to write is given back if it is
much: if it is written, it faults.

Behind the image lies memory that the guest hadn't taken yet, which is zero. What it has taken since is filled with zeros again,
whose pages stay, so that the next call doesn't fault; what is behind that, where only a guest gone wild has written, is dropped.

Sources: mmap(2) on private mappings, madvise(2) on MADV_DONTNEED and MADV_DONTFORK, getrusage(2).
"""

from __future__ import annotations

import ctypes
import mmap
import os
import re
import resource
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager

_MAP_FIXED = 0x10
_PAGE_BYTES = mmap.PAGESIZE
#: Other pages between pages to be copied are copied along, if they are so few: a call costs as much.
_GAP_PAGES_MAX = 2
#: More pages than this (16 MiB) aren't copied each time.
_COPIED_PAGES_MAX = 4096
#: More pages than this (1 MiB) aren't copied for a function that isn't known to write any of them. To look for those that it does
#: write after all takes as long as to copy so many fifty times.
_STRANGE_PAGES_MAX = 256
#: More than this behind the image isn't filled with zeros, but dropped.
_CLEARED_BYTES_MAX = 64 << 20
_FLIPPED = bytes(255 - value for value in range(256))
_RUNS = re.compile(rb"\x01+(?:\0{1,%d}\x01+)*" % _GAP_PAGES_MAX)

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long)
_libc.munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
_libc.madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)

#: Has the image's owner call `MemoryImage.mark`, and `unmark` afterwards; each is done when it returns.
Marked = Callable[[], AbstractContextManager[None]]


def page_faults() -> int:
    """Page faults of this process so far."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_minflt + usage.ru_majflt


class MemoryImage:
    """What `size` bytes of memory from address `base` on were when this was made; behind them, up to `whole`, it was zero.

    Whoever has the memory used says what happens to it, in `calls_faulted` and `filled`.
    """

    def __init__(self, base: int, size: int, whole: int, descriptor: int, functions: Iterable[str]) -> None:
        """Move the memory into the open file `descriptor`, which has `size` bytes at least, and may be closed then.

        Args:
            base: the memory's address.
            size: bytes of the image.
            whole: bytes of the memory.
            descriptor: the file.
            functions: names of those whose packs will use the memory.

        Raises:
            OSError: it can't be mapped.
        """
        self.size, self.whole = size, whole
        self._base = base
        both = mmap.PROT_READ | mmap.PROT_WRITE
        self._file = self._map(None, both, mmap.MAP_SHARED, descriptor)
        ctypes.memmove(self._file, base, size)
        self._map(base, both, mmap.MAP_PRIVATE | _MAP_FIXED, descriptor)
        self._image = self._map(None, mmap.PROT_READ, mmap.MAP_PRIVATE, descriptor)
        if _libc.madvise(self._file, size, mmap.MADV_DONTFORK):  # no task may change the image of those after it
            raise OSError(ctypes.get_errno(), "a guest's memory can't be kept from tasks: " + os.strerror(ctypes.get_errno()))
        self._firsts = bytes(self._first_bytes(self._image))
        self._own, self._kept = self._view(base), self._view(self._image)
        self._is_marked = False
        #: Shared with forked processes: for each page 1 if calls of the function have been seen to write it, else 0.
        self._hints = {each: mmap.mmap(-1, -(-size // _PAGE_BYTES)) for each in functions}
        self._function = ""
        self._known = b""
        #: Where to copy, and what. Between views that takes a quarter of what `ctypes.memmove` does.
        self._copies: list[tuple[memoryview, memoryview]] = []
        #: From here on nothing is there but zeros that aren't anybody's pages.
        self._cleared = whole
        self._faults = 0
        self._filled: list[tuple[int, int]] = []
        self._is_dropped = False

    def _map(self, where: int | None, protection: int, flags: int, descriptor: int) -> int:
        at = _libc.mmap(where, self.size, protection, flags, descriptor, 0)
        if at is None or at == ctypes.c_void_p(-1).value:
            raise OSError(ctypes.get_errno(), "a guest's memory can't be mapped: " + os.strerror(ctypes.get_errno()))
        return int(at)

    def close(self) -> None:
        """Give the image's own mappings back. In the owner only, once nothing resets to it any more."""
        for at in (self._file, self._image):
            _libc.munmap(at, self.size)
        for hints in self._hints.values():
            hints.close()

    def mark(self) -> None:
        """Change a byte of each page of the file. In the owner only."""
        self._is_marked = True
        self._first_bytes(self._file)[:] = memoryview(self._firsts.translate(_FLIPPED))

    def unmark(self) -> None:
        """Change those bytes back, if they are changed."""
        if self._is_marked:
            self._first_bytes(self._file)[:] = memoryview(self._firsts)
            self._is_marked = False

    def calls_faulted(self, count: int) -> None:
        """A call into the guest has caused so many page faults."""
        self._faults += count

    def filled(self, start: int, size: int) -> None:
        """The host has written, or will, `size` bytes of the memory from byte `start` on."""
        self._filled.append((start // _PAGE_BYTES, -(-(start + size) // _PAGE_BYTES)))

    def restore(self, taken: int, marked: Marked) -> None:
        """Make the memory what it was; so many bytes of it are taken now."""
        self._clear(min(max(taken, self.size), self.size + _CLEARED_BYTES_MAX))
        if not self._known:
            self._copy_from_now_on(self._first_hints())
        if self._is_dropped or not (self._faults == 0 or self._look(marked)) or not self._add_filled():
            self._drop()
        self._copy()
        self._faults = 0
        self._filled.clear()

    def begin(self, function: str) -> None:
        """Say whose packs use the memory from now on, which is what it was."""
        if function == self._function:
            return
        self._function, own = function, self._known
        if self._is_dropped or own.count(1) > _STRANGE_PAGES_MAX:
            wanted = self._hinted(function)
            if self._is_dropped or _without(own, wanted).count(1) > _STRANGE_PAGES_MAX:
                self._begin_anew(own, wanted)

    def _begin_anew(self, own: bytes, wanted: bytes) -> None:
        """Have no pages of one's own, of those that are, but the wanted ones."""
        strange = self._all() if self._is_dropped else _without(_filled_up(own), _filled_up(wanted))
        self._is_dropped = False
        if self._give_back(strange) and self._copy_from_now_on(wanted):
            self._copy()  # which makes them one's own: the calls cause no faults
        else:
            self._drop()

    def _clear(self, kept: int) -> None:
        """Make what lies behind the image zero: up to byte `kept` by filling it, behind that by dropping what was written."""
        if kept > self.size:
            ctypes.memset(self._base + self.size, 0, kept - self.size)
        is_as_left = self._faults == 0 and kept >= self._cleared and all(end * _PAGE_BYTES <= kept for _, end in self._filled)
        self._cleared = kept
        if is_as_left or kept == self.whole:
            return
        if _libc.madvise(self._base + kept, self.whole - kept, mmap.MADV_DONTNEED):
            ctypes.memset(self._base + kept, 0, self.whole - kept)

    def _copy(self) -> None:
        for to, source in self._copies:
            to[:] = source

    def _drop(self) -> None:
        self._is_dropped, self._copies = True, []
        if not self._give_back(self._all()):
            ctypes.memmove(self._base, self._image, self.size)

    def _all(self) -> bytes:
        return b"\x01" * len(self._firsts)

    def _give_back(self, pages: bytes) -> bool:
        """Have none of these pages as one's own; False if the kernel refuses."""
        runs = self._runs(pages)
        return not any(_libc.madvise(self._base + start, end - start, mmap.MADV_DONTNEED) for start, end in runs)

    def _look(self, marked: Marked) -> bool:
        """Find out which pages are this process's own, to copy them from now on; False if they are too many."""
        firsts = self._first_bytes(self._base)
        before = bytes(firsts)
        with marked():
            during = bytes(firsts)
        written = _equal(before, during)
        self._hints[self._function][:] = _either(self._hinted(self._function), _without(written, self._known))
        return self._copy_from_now_on(_either(self._known, written))

    def _first_hints(self) -> bytes:
        """Those of all functions, if they are so few that they do for all; else the function's."""
        every = bytes(len(self._firsts))
        for each in self._hints:
            every = _either(every, self._hinted(each))
        return every if every.count(1) <= _STRANGE_PAGES_MAX else self._hinted(self._function)

    def _hinted(self, function: str) -> bytes:
        """A function's hints, as ones and noughts whatever others have made of them."""
        return self._hints[function][:].translate(b"\0" + 255 * b"\x01")

    def _add_filled(self) -> bool:
        new = [(first, end) for first, end in self._filled if self._known.find(b"\0", first, end) >= 0]
        if not new:
            return True
        known = bytearray(self._known)
        for first, end in new:
            known[first:end] = b"\x01" * (min(end, len(self._known)) - first)  # what lies behind the image is cleared
        return self._copy_from_now_on(bytes(known))

    def _copy_from_now_on(self, known: bytes) -> bool:
        """Copy these pages each time; False if they are too many."""
        self._known = known
        self._copies = [(self._own[start:end], self._kept[start:end]) for start, end in self._runs(known)]
        return known.count(1) <= _COPIED_PAGES_MAX

    def _runs(self, pages: bytes) -> list[tuple[int, int]]:
        """Where pages with a one begin and end, in bytes; a few others between them count along."""
        return [(each.start() * _PAGE_BYTES, min(each.end() * _PAGE_BYTES, self.size)) for each in _RUNS.finditer(pages)]

    def _first_bytes(self, at: int) -> memoryview:
        """The first byte of each page."""
        return self._view(at)[::_PAGE_BYTES]

    def _view(self, at: int) -> memoryview:
        """As many bytes as the image has."""
        return memoryview((ctypes.c_ubyte * self.size).from_address(at)).cast("B")


def _equal(one: bytes, other: bytes) -> bytes:
    """For each byte 1 if it is the same in both, else 0."""
    differences = int.from_bytes(one, "little") ^ int.from_bytes(other, "little")
    return differences.to_bytes(len(one), "little").translate(b"\x01" + bytes(255))


def _either(one: bytes, other: bytes) -> bytes:
    """Ones where one of them has a one."""
    return (int.from_bytes(one, "little") | int.from_bytes(other, "little")).to_bytes(len(one), "little")


def _filled_up(pages: bytes) -> bytes:
    """The pages that are copied, if these are to be: those between them that are copied along, too."""
    return _RUNS.sub(lambda each: b"\x01" * len(each[0]), pages)


def _without(one: bytes, other: bytes) -> bytes:
    """Ones where the first has a one and the other has none."""
    return (int.from_bytes(one, "little") & ~int.from_bytes(other, "little")).to_bytes(len(one), "little")

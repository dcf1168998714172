"""The files that the interpreter sees while the guest is built: a few WASI functions over a dictionary, nothing of this machine.

There is one folder, the root, opened beforehand as descriptor 3. Times are 0, files are numbered in the order of their names,
so the memory of the guest afterwards is the same wherever it is built. What the guest writes to standard error is passed on:
while it is built, that is where it says what went wrong. Source: WASI preview 1, witx/wasi_snapshot_preview1.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass

BAD_DESCRIPTOR, IS_FOLDER, NOT_FOUND, NO_FOLDER, NOT_SUPPORTED, READ_ONLY = 8, 31, 44, 54, 58, 69
_CHARACTERS, _FOLDER, _FILE = 2, 3, 4
_ROOT = 3
_RIGHTS = (1 << 30) - 1
_OPEN_FOLDER_ONLY, _OPEN_CREATES = 2, 1 | 8
_STANDARD_OUT, _STANDARD_ERROR = 1, 2


@dataclass
class _Open:
    path: str
    position: int = 0


class Memory:
    """What the functions below need of the guest's memory."""

    def read(self, start: int, size: int) -> bytes:
        """Read `size` bytes at `start`."""
        raise NotImplementedError

    def write(self, start: int, data: bytes) -> None:
        """Write `data` at `start`."""
        raise NotImplementedError


class Files:
    """The functions of WASI, each from numbers to an errno; `memory` is set before the first call."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        """Show `files`: path below the root to content."""
        self.memory: Memory = Memory()
        self._files = dict(sorted(files.items()))
        self._folders: dict[str, list[str]] = {"": []}
        for path in self._files:
            self._add_folders(path)
        self._numbers = {path: number for number, path in enumerate([*self._folders, *self._files], 1)}
        self._open = {_ROOT: _Open("")}

    def _add_folders(self, path: str) -> None:
        while path:
            parent, _, leaf = path.rpartition("/")
            names = self._folders.setdefault(parent, [])
            if leaf in names:
                return
            names.append(leaf)
            path = parent

    def functions(self) -> dict[str, Callable[..., int]]:
        """Each function by its name in WASI."""
        return {name: getattr(self, name) for name in vars(Files) if name.partition("_")[0] in ("fd", "path")}

    def _words(self, start: int, *values: int) -> int:
        self.memory.write(start, struct.pack(f"<{len(values)}I", *values))
        return 0

    def fd_prestat_get(self, descriptor: int, out: int) -> int:
        """Tell of a folder opened beforehand: kind 0, and the length of its name, "/"."""
        return self._words(out, 0, 1) if descriptor == _ROOT else BAD_DESCRIPTOR

    def fd_prestat_dir_name(self, descriptor: int, name: int, size: int) -> int:
        """Name the folder opened beforehand."""
        self.memory.write(name, b"/"[:size])
        return 0 if descriptor == _ROOT else BAD_DESCRIPTOR

    def fd_fdstat_get(self, descriptor: int, out: int) -> int:
        """Tell what is open."""
        if descriptor >= _ROOT and descriptor not in self._open:
            return BAD_DESCRIPTOR
        kind = _CHARACTERS if descriptor < _ROOT else self._kind(self._open[descriptor].path)
        self.memory.write(out, struct.pack("<BxHxxxxQQ", kind, 0, _RIGHTS, _RIGHTS))
        return 0

    def _kind(self, path: str) -> int:
        return _FOLDER if path in self._folders else _FILE

    def _status(self, path: str) -> bytes:
        size = 0 if path in self._folders else len(self._files[path])
        return struct.pack("<QQB7xQQQQQ", 1, self._numbers[path], self._kind(path), 1, size, 0, 0, 0)

    def fd_filestat_get(self, descriptor: int, out: int) -> int:
        """Tell size and kind of what is open."""
        if descriptor < _ROOT:
            self.memory.write(out, struct.pack("<QQB7xQQQQQ", 1, 0, _CHARACTERS, 1, 0, 0, 0, 0))
            return 0
        if descriptor not in self._open:
            return BAD_DESCRIPTOR
        self.memory.write(out, self._status(self._open[descriptor].path))
        return 0

    def _resolve(self, descriptor: int, start: int, size: int) -> str:
        parts: list[str] = []
        for part in [*self._open[descriptor].path.split("/"), *self.memory.read(start, size).decode().split("/")]:
            if part == "..":
                del parts[-1:]
            elif part not in ("", "."):
                parts.append(part)
        return "/".join(parts)

    def path_filestat_get(self, descriptor: int, _follow: int, path: int, size: int, out: int) -> int:
        """Tell size and kind of what has a path."""
        found = self._resolve(descriptor, path, size)
        if found not in self._numbers:
            return NOT_FOUND
        self.memory.write(out, self._status(found))
        return 0

    def path_open(
        self, descriptor: int, _follow: int, path: int, size: int, how: int, _rights: int, _more: int, _flags: int, out: int
    ) -> int:
        """Open a file or folder to read."""
        found = self._resolve(descriptor, path, size)
        if how & _OPEN_CREATES:
            return READ_ONLY
        if found not in self._numbers:
            return NOT_FOUND
        if how & _OPEN_FOLDER_ONLY and found not in self._folders:
            return NO_FOLDER
        number = max(self._open) + 1
        self._open[number] = _Open(found)
        return self._words(out, number)

    def path_readlink(self, *_arguments: int) -> int:
        """There are no links."""
        return NOT_FOUND

    def fd_close(self, descriptor: int) -> int:
        """Close what is open."""
        return 0 if self._open.pop(descriptor, None) else BAD_DESCRIPTOR

    def fd_read(self, descriptor: int, parts: int, count: int, out: int) -> int:
        """Read where the last read ended."""
        if descriptor not in self._open:
            return BAD_DESCRIPTOR if descriptor else self._words(out, 0)
        file = self._open[descriptor]
        if file.path in self._folders:
            return IS_FOLDER
        before = file.position
        for start, size in struct.iter_unpack("<II", self.memory.read(parts, 8 * count)):
            piece = self._files[file.path][file.position : file.position + size]
            self.memory.write(start, piece)
            file.position += len(piece)
        return self._words(out, file.position - before)

    def fd_seek(self, descriptor: int, offset: int, whence: int, out: int) -> int:
        """Move to another place of a file."""
        if descriptor not in self._open:
            return BAD_DESCRIPTOR
        file = self._open[descriptor]
        base = (0, file.position, len(self._files.get(file.path, b"")))[whence]
        file.position = base + offset
        self.memory.write(out, struct.pack("<Q", file.position))
        return 0

    def fd_tell(self, descriptor: int, out: int) -> int:
        """Tell the place in a file."""
        return self.fd_seek(descriptor, 0, 1, out)

    def fd_readdir(self, descriptor: int, buffer: int, size: int, cookie: int, out: int) -> int:
        """List a folder, from entry `cookie` on."""
        folder = self._open[descriptor].path
        data = bytearray()
        for at, leaf in enumerate([".", "..", *self._folders[folder]][cookie:], cookie + 1):
            name = leaf.encode()
            path = folder if leaf[0] == "." and not leaf.strip(".") else f"{folder}/{leaf}".lstrip("/")
            data += struct.pack("<QQIB3x", at, self._numbers[path], len(name), self._kind(path)) + name
        self.memory.write(buffer, bytes(data[:size]))
        return self._words(out, min(len(data), size))

    def fd_write(self, descriptor: int, parts: int, count: int, out: int) -> int:
        """Pass on what goes to standard output and error."""
        if descriptor not in (_STANDARD_OUT, _STANDARD_ERROR):
            return BAD_DESCRIPTOR
        pieces = [self.memory.read(start, size) for start, size in struct.iter_unpack("<II", self.memory.read(parts, 8 * count))]
        sys.stderr.write(b"".join(pieces).decode("utf-8", "replace"))
        return self._words(out, sum(map(len, pieces)))

"""Blobs: content in files named by its SHA-256, written whole or not at all.

A file appears under its name when it is complete (`O_TMPFILE`, then a link): even SIGKILL leaves nothing behind.
"""

from __future__ import annotations

import errno
import os
import shutil
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from hashlib import sha256
from pathlib import Path

from pangea.compute.engine.files import link_file, unnamed_file
from pangea.compute.model.errors import InputError, QuotaError, UnavailableError
from pangea.compute.model.frames import Buffer
from pangea.compute.model.units import MIB, human_bytes

_FOLDER_MODE, _FILE_MODE = 0o700, 0o600


class BlobStore:
    """A folder of blobs. Safe to use from several threads."""

    def __init__(self, folder: Path, *, on_write: Callable[[str], None] | None = None) -> None:
        """Keep blobs in `folder`, made if need be. `on_write` is told before and after a blob gets its name.

        Raises:
            UnavailableError: the folder can't be made or read.
        """
        self._folder = folder
        self._pass = on_write or _ignore
        self._pins: Counter[str] = Counter()
        self._lock = threading.Lock()
        try:
            folder.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
            self._sizes = {path.name: path.stat().st_size for path in folder.glob("??/*") if is_name(path.name)}
        except OSError as error:
            raise UnavailableError(f"the blobs in {folder} can't be used: {error.strerror}") from error
        #: Bytes of all blobs together.
        self.total_bytes = sum(self._sizes.values())

    def writer(self, size: int, sha256: str) -> BlobWriter:
        """Begin to write content of `size` bytes with this hash.

        Raises:
            InputError: that is no hash.
            QuotaError: there is no room for it.
        """
        if not is_name(sha256) or size < 0:
            raise InputError(f"{sha256[:80]!r} of {size:,} bytes is no content: its SHA-256 has 64 small hexadecimal digits")
        free = shutil.disk_usage(self._folder).free
        if size > free:
            raise QuotaError(
                f"{human_bytes(size)} don't fit on the node's disk, which has {human_bytes(free)} free", hint="make room there"
            )
        return BlobWriter(self, size, sha256)

    def put(self, parts: Iterable[Buffer], *, durable: bool) -> str:
        """Write a blob; its name. With `durable` it outlives a power cut.

        Raises:
            QuotaError: the disk is full.
        """
        with BlobWriter(self) as writer:
            for part in parts:
                writer.write(part)
            return writer.finish(durable=durable)

    def has(self, name: str) -> bool:
        """Whether there is such a blob, on disk."""
        return name in self._sizes and self.path(name).exists()

    def size(self, name: str) -> int:
        """Its bytes."""
        return self._sizes[name]

    def path(self, name: str) -> Path:
        """Where it is."""
        if not is_name(name):
            raise InputError(f"{name[:80]!r} is no name of a blob")
        return self._folder / name[:2] / name

    def read(self, name: str, offset: int, count: int) -> bytes:
        """Bytes `offset` to `offset + count` of a blob; fewer at its end.

        Raises:
            InputError: it can't be read.
        """
        try:
            descriptor = os.open(self.path(name), os.O_RDONLY | os.O_CLOEXEC)
            try:
                return os.pread(descriptor, count, offset)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise InputError(f"the node's blob {name} can't be read") from error

    def check(self, name: str) -> bool:
        """Whether a blob is there and its content is what its name says."""
        digest = sha256()
        try:
            with open(self.path(name), "rb", buffering=0) as file:
                while block := file.read(MIB):
                    digest.update(block)
        except OSError:
            return False
        return digest.hexdigest() == name

    def pin(self, name: str) -> None:
        """Keep a blob, whatever is collected, until it is unpinned as often."""
        with self._lock:
            self._pins[name] += 1

    def unpin(self, name: str) -> None:
        """Take back one `pin`."""
        with self._lock:
            self._pins[name] -= 1
            if self._pins[name] <= 0:
                del self._pins[name]

    def collect(self, needed: set[str], *, older_than: float, now: float) -> int:
        """Delete blobs that are neither needed nor pinned nor younger than `older_than` seconds; the bytes freed.

        `now` is in seconds since 1970, as the files' own times are.
        """
        freed = 0
        for name in [name for name in list(self._sizes) if name not in needed]:
            with self._lock:
                if name in self._pins:
                    continue
                path = self.path(name)
                try:
                    if now - path.stat().st_mtime < older_than:
                        continue
                    path.unlink()
                except FileNotFoundError:
                    pass  # somebody has tidied up: it is gone all the same
                freed += self._forget(name)
        return freed

    def _keep(self, descriptor: int, name: str, size: int, *, durable: bool) -> None:
        path = self.path(name)
        path.parent.mkdir(mode=_FOLDER_MODE, exist_ok=True)
        if durable:
            os.fsync(descriptor)
        self._pass("blob before link")
        with self._lock:
            if name in self._sizes and path.exists():
                os.utime(path)  # young again: whoever has just written it is about to need it
            else:
                link_file(descriptor, path)
                self._forget(name)
                self._sizes[name] = size
                self.total_bytes += size
        if durable:
            _sync_folder(path.parent)
        self._pass("blob after link")

    def _forget(self, name: str) -> int:
        size = self._sizes.pop(name, 0)
        self.total_bytes -= size
        return size


class BlobWriter:
    """A blob on its way to disk. A context manager: what isn't finished leaves nothing."""

    def __init__(self, store: BlobStore, size: int | None = None, name: str = "") -> None:
        """Write to `store`; `size` and `name`, if known, are checked."""
        self._store = store
        self._announced = size
        self._name = name
        self._digest = sha256()
        self._size = 0
        self._descriptor = -1
        try:
            self._descriptor = unnamed_file(store._folder, _FILE_MODE)
        except OSError as error:
            raise _trouble(error, 0) from error

    def write(self, block: Buffer) -> None:
        """Append bytes.

        Raises:
            InputError: that would be more than was announced.
            QuotaError: the disk is full.
        """
        if self._announced is not None and self._size + len(block) > self._announced:
            raise InputError(f"{self._size + len(block):,} bytes came; {self._announced:,} were announced")
        self._digest.update(block)
        view = memoryview(block)
        try:
            while view:
                view = view[os.write(self._descriptor, view) :]
        except OSError as error:
            raise _trouble(error, self._size) from error
        self._size += len(block)

    def finish(self, *, durable: bool = True) -> str:
        """Give the blob its name, and say it.

        Raises:
            InputError: the content isn't what was announced.
            QuotaError: the disk is full.
        """
        name = self._digest.hexdigest()
        if self._announced is not None and (self._size, name) != (self._announced, self._name):
            raise InputError(
                f"{self._size:,} bytes with SHA-256 {name} came; announced were {self._announced:,} with {self._name}",
                hint="send it again; the file may have changed meanwhile",
            )
        try:
            self._store._keep(self._descriptor, name, self._size, durable=durable)
        except OSError as error:
            raise _trouble(error, self._size) from error
        self.abort()
        return name

    def abort(self) -> None:
        """Let go of what was written; does nothing after `finish`."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> BlobWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.abort()


def is_name(text: str) -> bool:
    """Whether `text` could be a blob's name."""
    return len(text) == 64 and all(digit in "0123456789abcdef" for digit in text)


def _trouble(error: OSError, size: int) -> QuotaError:
    why = "is full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else f"fails: {(error.strerror or str(error)).lower()}"
    return QuotaError(f"the node's disk {why}, after {human_bytes(size)} of a blob", hint="make room on the node's disk")


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _ignore(_point: str) -> None:
    pass

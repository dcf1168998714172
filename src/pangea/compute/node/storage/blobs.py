"""Blobs: content in files named by its SHA-256, written whole or not at all.

A file appears under its name when it is complete (`O_TMPFILE`, then a link): even SIGKILL leaves nothing behind. On file systems
that have no such files it has a temporary name until then, and is cleared away at the next start.
"""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
import re
import shutil
import stat
import tempfile
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

from pangea.compute.engine.files import begin_write_back, link_file, sync_folder, unnamed_file
from pangea.compute.inputs.reading import CACHED_BYTES_MAX
from pangea.compute.model.errors import InputError, QuotaError, UnavailableError
from pangea.compute.model.frames import Buffer
from pangea.compute.model.units import MIB, human_bytes

_FOLDER_MODE, _FILE_MODE = 0o700, 0o600
#: Files that a crash left: written but not named yet, or on their way to replace one.
_LEFT_BEHIND = re.compile(r"\.(new-.*|[0-9a-f]{64}-\d+-\d+)")
_READ_BYTES_MAX = 1 << 30
#: What comes in a stream is in so many buffers of this size at once.
_STREAM_BYTES, _STREAM_BUFFERS = MIB, 4
#: The disk begins to write when so much has come: else all of it would wait for the end.
_WRITE_BACK_BYTES = 16 * MIB


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
        self._known_whole: set[str] = set()
        "written or looked at by this process"
        self._opened = time.monotonic()
        self._born: dict[str, float] = {}
        try:
            folder.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
            for path in [*folder.glob(".*"), *folder.glob("??/.*")]:
                if _LEFT_BEHIND.fullmatch(path.name):
                    path.unlink()
            found = ((path.name, path.stat()) for path in folder.glob("??/*") if is_name(path.name))
            # What is no plain file, and may never end when it is read, is as good as not there.
            self._sizes = {name: about.st_size for name, about in found if stat.S_ISREG(about.st_mode)}
        except OSError as error:
            raise UnavailableError(
                f"the blobs in {folder} can't be used: {(error.strerror or str(error)).lower()}",
                hint="let the node write to this folder, or give another --data-dir",
            ) from error
        #: Bytes of all blobs together.
        self.total_bytes: int = sum(self._sizes.values())

    def writer(self, size: int, sha256: str | None) -> BlobWriter:
        """Begin to write content of `size` bytes with this hash, if it is known.

        Raises:
            InputError: that is no hash.
            QuotaError: there is no room for it.
        """
        if not (sha256 is None or is_name(sha256)) or size < 0:
            named = (sha256 or "")[:80]
            raise InputError(f"{named!r} of {size:,} bytes is no content: its SHA-256 has 64 small hexadecimal digits")
        free = shutil.disk_usage(self._folder).free
        if size > free:
            raise QuotaError(
                f"{human_bytes(size)} don't fit on the node's disk, which has {human_bytes(free)} free", hint="make room there"
            )
        return BlobWriter(self, size, sha256)

    def take(self, size: int, fill: Callable[[memoryview], None]) -> str:
        """Write a blob whose hash nobody knows yet, durably; its name.

        Hashing, writing and whatever `fill` does overlap: the hash alone takes a second for 2 GB.

        Args:
            size: its bytes.
            fill: fills a buffer with the next of them; its errors end this.

        Raises:
            QuotaError: there is no room for it.
        """
        buffers = [memoryview(mmap.mmap(-1, _STREAM_BYTES)) for _ in range(_STREAM_BUFFERS)]
        with self.writer(size, None) as writer, ThreadPoolExecutor(1, "pangea-hash") as hashing:
            hashed: deque[Future[None]] = deque()
            writer.pass_cache_by()
            while (left := size - writer.size) > 0:
                block = buffers[writer.size // _STREAM_BYTES % _STREAM_BUFFERS][:left]
                if len(hashed) == _STREAM_BUFFERS:
                    hashed.popleft().result()  # of this very buffer
                fill(block)
                hashed.append(hashing.submit(writer.hash, block))
                writer.append(block)
            while hashed:
                hashed.popleft().result()
            return writer.finish()

    def put(self, parts: Iterable[Buffer], *, durable: bool, is_pinned: bool = False) -> str:
        """Write a blob; its name. With `durable` it outlives a power cut; pinned, it is the caller's to unpin.

        Raises:
            QuotaError: the disk is full.
        """
        with BlobWriter(self) as writer:
            for part in parts:
                writer.write(part)
            return writer.finish(durable=durable, is_pinned=is_pinned)

    def has(self, name: str) -> bool:
        """Whether there is such a blob, on disk."""
        return name in self._sizes and self.path(name).exists()

    def size(self, name: str) -> int:
        """Its bytes.

        Raises:
            InputError: there is no such blob.
        """
        try:
            return self._sizes[name]
        except KeyError:
            raise InputError(f"the node has no content {name[:64]!r}", hint="send it") from None

    def bytes_of(self, name: str) -> int:
        """Its bytes; none if there is no such blob."""
        return self._sizes.get(name, 0)

    def names(self) -> list[str]:
        """All there are."""
        with self._lock:
            return list(self._sizes)

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
                return _read(descriptor, offset, count)
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

    def verify(self, name: str) -> None:
        """Make sure that a blob is whole. A damaged one is deleted, so that it can be sent, or made, again.

        Raises:
            InputError: it is damaged, or gone.
        """
        if self.check(name):
            return
        damaged = self.has(name)
        self.delete(name)
        what = "is damaged on the node's disk" if damaged else "isn't on the node's disk any more"
        raise InputError(f"content {name[:64]} {what}", hint="submit the job again, with its content")

    def believe(self, name: str) -> None:
        """Make sure, once, that a blob is whole: what lay on the disk while the node was down is looked at before it is used.

        Raises:
            InputError: it is damaged, or gone.
        """
        if name not in self._known_whole:
            self.verify(name)
            with self._lock:
                self._known_whole.add(name)

    def delete(self, name: str) -> int:
        """Delete a blob, pinned or not; the bytes freed. Who has it open can go on reading.

        Raises:
            QuotaError: the disk doesn't let it go.
        """
        with self._lock:
            try:
                self.path(name).unlink(missing_ok=True)
            except OSError as error:
                raise _trouble(error, 0) from error
            return self._forget(name)

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

        `now` is `time.monotonic`'s: a machine's clock may be set at any time. What was there before is as old as this store.
        """
        freed = 0
        for name in [name for name in self.names() if name not in needed]:
            with self._lock:
                if name in self._pins:
                    continue
                path = self.path(name)
                try:
                    if now - self._born.get(name, self._opened) < older_than:
                        continue
                    path.unlink()
                except FileNotFoundError:
                    pass  # somebody has tidied up: it is gone all the same
                except OSError:
                    continue  # a disk that can't be written to: perhaps next time
                freed += self._forget(name)
        return freed

    def _keep(self, writer: BlobWriter, name: str, *, durable: bool, is_pinned: bool) -> None:
        """Name what was written. It replaces what was there: that may have been damaged, or not be on the disk itself yet."""
        path = self.path(name)
        path.parent.mkdir(mode=_FOLDER_MODE, exist_ok=True)
        if durable:
            os.fsync(writer.descriptor)
        self._pass("blob before link")
        with self._lock:
            writer.name_file(path)
            self._forget(name)
            self._sizes[name] = writer.size
            self._known_whole.add(name)
            self._born[name] = time.monotonic()
            if is_pinned:
                self._pins[name] += 1
            self.total_bytes += writer.size
        if durable:
            sync_folder(path.parent)
            sync_folder(self._folder)
        self._pass("blob after link")

    def _forget(self, name: str) -> int:
        self._known_whole.discard(name)
        self._born.pop(name, None)
        size = self._sizes.pop(name, 0)
        self.total_bytes -= size
        return size


class BlobWriter:
    """A blob on its way to disk. A context manager: what isn't finished leaves nothing."""

    def __init__(self, store: BlobStore, size: int | None = None, name: str | None = None) -> None:
        """Write to `store`; `size` and `name`, if known, are checked."""
        self._store = store
        self._announced = size
        self._name = name
        self._digest = sha256()
        self._temporary: Path | None = None
        self._begun = 0
        self._is_direct = False
        self.size: int = 0
        self.descriptor: int = -1
        try:
            self._open(store._folder)
        except OSError as error:
            raise _trouble(error, 0, size) from error

    def _open(self, folder: Path) -> None:
        try:
            self.descriptor = unnamed_file(folder, _FILE_MODE)
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EISDIR):
                raise
            self.descriptor, temporary = tempfile.mkstemp(dir=folder, prefix=".new-")
            self._temporary = Path(temporary)

    def write(self, block: Buffer) -> None:
        """Append bytes.

        Raises:
            InputError: that would be more than was announced.
            QuotaError: the disk is full.
        """
        if self._announced is not None and self.size + len(block) > self._announced:
            raise InputError(f"{self.size + len(block):,} bytes came; {self._announced:,} were announced")
        self.hash(block)
        self.append(block)

    def hash(self, block: Buffer) -> None:
        """Take the next bytes into the hash: half of `write`, for who does both halves at once."""
        self._digest.update(block)

    def append(self, block: Buffer) -> None:
        """Write the next bytes: the other half.

        Raises:
            QuotaError: the disk is full.
        """
        view, done = memoryview(block), 0
        try:
            while done < len(view):
                done += self._write(view[done:], self.size + done)
        except OSError as error:
            raise _trouble(error, self.size, self._announced) from error
        self.size += len(block)
        if self.size - self._begun >= _WRITE_BACK_BYTES:
            begin_write_back(self.descriptor, self._begun, self.size - self._begun)
            self._begun = self.size

    def _write(self, view: memoryview, at: int) -> int:
        try:
            return os.pwrite(self.descriptor, view, at)
        except OSError as error:
            if error.errno != errno.EINVAL or not self._is_direct:
                raise
        self._set_direct(is_direct=False)  # the end of the file, mostly: it isn't in whole blocks
        return os.pwrite(self.descriptor, view, at)

    def pass_cache_by(self) -> None:
        """Write past the page cache if what was announced is too large for it, and the file system knows how."""
        self._set_direct(is_direct=(self._announced or 0) > CACHED_BYTES_MAX)

    def _set_direct(self, *, is_direct: bool) -> None:
        flags = fcntl.fcntl(self.descriptor, fcntl.F_GETFL) & ~os.O_DIRECT
        self._is_direct = is_direct
        try:
            fcntl.fcntl(self.descriptor, fcntl.F_SETFL, flags | (os.O_DIRECT if is_direct else 0))
        except OSError:
            self._is_direct = False

    def finish(self, *, durable: bool = True, is_pinned: bool = False) -> str:
        """Give the blob its name, and say it.

        Raises:
            InputError: the content isn't what was announced.
            QuotaError: the disk is full.
        """
        name = self._digest.hexdigest()
        try:
            if self._announced is not None and (self.size, name) != (self._announced, self._name or name):
                raise InputError(
                    f"{self.size:,} bytes with SHA-256 {name} came; announced were {self._announced:,} with {self._name}",
                    hint="send it again; the file may have changed meanwhile",
                )
            self._store._keep(self, name, durable=durable, is_pinned=is_pinned)
        except OSError as error:
            raise _trouble(error, self.size, self._announced) from error
        finally:
            self.abort()
        return name

    def name_file(self, path: Path) -> None:
        """Give what was written its name, in place of what has it now."""
        if self._temporary is None:
            link_file(self.descriptor, path)
        else:
            self._temporary.replace(path)
            self._temporary = None

    def abort(self) -> None:
        """Let go of what was written; does nothing after `finish`."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1
        if self._temporary is not None:
            self._temporary.unlink(missing_ok=True)
            self._temporary = None

    def __enter__(self) -> BlobWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.abort()


def is_name(text: str) -> bool:
    """Whether `text` could be a blob's name."""
    return len(text) == 64 and all(digit in "0123456789abcdef" for digit in text)


def _trouble(error: OSError, size: int, announced: int | None = None) -> QuotaError:
    why = "is full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else f"fails: {(error.strerror or str(error)).lower()}"
    of = f"of the {human_bytes(announced)} " if announced is not None else ""
    return QuotaError(f"the node's disk {why}, after {human_bytes(size)} {of}of a blob", hint="make room on the node's disk")


def _read(descriptor: int, offset: int, count: int) -> bytes:
    """All that was asked for: one `pread` gives 2 GiB at most."""
    blocks = []
    while count > 0 and (block := os.pread(descriptor, min(count, _READ_BYTES_MAX), offset)):
        blocks.append(block)
        offset += len(block)
        count -= len(block)
    return b"".join(blocks)


def _ignore(_point: str) -> None:
    pass

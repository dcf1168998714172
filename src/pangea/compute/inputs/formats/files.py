"""Files as input: what their names and first bytes say about them, and how they are opened and unpacked."""

from __future__ import annotations

import bz2
import glob
import gzip
import io
import lzma
import os
import stat
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import IO, Any

from pangea.compute.inputs.inputs import blocks_of, is_plain_file, spool
from pangea.compute.inputs.reading import Segment
from pangea.compute.model.errors import InputError
from pangea.compute.model.libraries import need

#: Endings that mean what another one means.
_SAME = {
    ".tsv": ".csv",
    ".ndjson": ".jsonl",
    ".pq": ".parquet",
    ".feather": ".arrow",
    ".ipc": ".arrow",
    ".arrows": ".arrow",
}
#: What the first bytes say where the name says nothing.
_MAGIC = {b"PAR1": ".parquet", b"ARROW1": ".arrow", b"\xff\xff\xff\xff": ".arrow", b"\x93NUMPY": ".npy", b"PK\x03\x04": ".npz"}
_MAGIC_BYTES = max(map(len, _MAGIC))
#: What stands at the beginning of spreadsheets, which are zip files, too.
_SHEET_MARKS, _SHEET_BYTES = (b"[Content_Types].xml", b"opendocument.spreadsheet", b"xl/"), 512
_PACKINGS = (".gz", ".bz2", ".xz", ".zst")
#: What unpacking raises when the bytes are damaged.
_ERRORS = (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError)

_WHOLE = "give the whole file"

Guard = Callable[[], AbstractContextManager[None]]


@dataclass(frozen=True, slots=True)
class File:
    """A file that can be opened as often as needed.

    Attributes:
        name: as the user knows it.
        size: bytes, as it lies there.
        opener: opens it, as it lies there.
        path: where it is, if it is a plain file of this machine.
        ending: of its name, in small letters, without that of `packing`; "" if there is none.
        packing: ".gz", ".bz2", ".xz", ".zst" or "".
    """

    name: str
    size: int
    opener: Callable[[], io.BufferedReader]
    path: Path | None = None
    ending: str = ""
    packing: str = ""

    @classmethod
    def of(cls, name: str, size: int, opener: Callable[[], io.BufferedReader], path: Path | None = None) -> File:
        """A file with what its name says."""
        endings = [ending.lower() for ending in PurePosixPath(name).suffixes]
        packing = endings.pop() if endings and endings[-1] in _PACKINGS else ""
        return cls(name, size, opener, path, endings[-1] if endings else "", packing)

    @property
    def kind(self) -> str:
        """Its ending, or another one that means the same: ".csv" for ".tsv"."""
        return _SAME.get(self.ending, self.ending)

    def open(self) -> io.BufferedReader:
        """Open it, and unpack what is read.

        Raises:
            InputError: it can't be opened; later, when what is read turns out to be damaged.
        """
        file = self.open_packed()
        if not self.packing:
            return file
        return io.BufferedReader(Guarded(_unpacking(file, self), self.name, lambda: reading(self.name, _WHOLE), also=file))

    def open_packed(self) -> io.BufferedReader:
        """Open it as it lies there.

        Raises:
            InputError: it can't be opened, or has changed its size.
        """
        with reading(self.name):
            file = self.opener()
            if self.path is not None and (size := os.fstat(file.fileno()).st_size) != self.size:
                file.close()
                raise InputError(
                    f"{self.name} had {self.size:,} bytes when the job began, and has {size:,} now",
                    hint="give the job a file that nobody writes to",
                    name=self.name,
                )
        return file

    def sniffed(self) -> File:
        """The same; if its ending says nothing, with one that its first bytes suggest."""
        with self.open() as file:
            head = file.read(_SHEET_BYTES)
        if head.startswith(b"PK\x03\x04") and any(mark in head for mark in _SHEET_MARKS):
            return replace(self, ending=".xlsx")
        return replace(self, ending=next((ending for magic, ending in _MAGIC.items() if head.startswith(magic)), self.ending))


class Guarded(io.RawIOBase):
    """A reader whose trouble is told in other words."""

    def __init__(self, file: IO[bytes], name: str, guard: Guard, *, also: IO[bytes] | None = None) -> None:
        """Read `file`, each time within a `guard()`; when it is closed, so is `also`."""
        super().__init__()
        self._file = file
        self._also = also
        self._guard = guard
        self.name = name

    def readable(self) -> bool:
        """Whether it can be read: yes."""
        return True

    def seekable(self) -> bool:
        """Whether there is a way back."""
        return self._file.seekable()

    def readinto(self, buffer: Any) -> int:
        """Read at most as many bytes as fit."""
        with self._guard():
            block = self._file.read(len(buffer))
        buffer[: len(block)] = block
        return len(block)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go elsewhere."""
        with self._guard():
            return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Where it stands."""
        return self._file.tell()

    def close(self) -> None:
        """Close the file itself."""
        if not self.closed:
            self._file.close()
            if self._also is not None:
                self._also.close()
        super().close()


@contextmanager
def reading(name: str, hint: str = "") -> Iterator[None]:
    """Have what goes wrong with a file within told as an `InputError` about `name`."""
    try:
        yield
    except InputError:
        raise
    except _ERRORS as error:
        reason = getattr(error, "strerror", None) or str(error) or "it ends too early"
        raise InputError(f"{name} can't be read: {one_line(reason)}", hint=hint, name=name) from error


def one_line(text: object, most: int = 300) -> str:
    """A library's complaint, short enough for a message."""
    line = " ".join(str(text).split()).encode("utf-8", "backslashreplace").decode()  # halves of surrogates can't be printed
    return line if len(line) <= most else f"{line[:most]}…"


def is_pattern(name: str) -> bool:
    """Whether it stands for several files: it has *, ? or [, and there is no file of that very name."""
    return glob.has_magic(name) and not os.path.lexists(name)


def matching(pattern: str) -> list[Path]:
    """The files that a pattern stands for, sorted by their names; `**` goes into folders.

    Raises:
        InputError: there are none.
    """
    names = sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207  # patterns as the shell has them
    found = [path for path in map(Path, names) if not path.is_dir()]
    if not found:
        raise InputError(f"no file matches {pattern!r}", hint=f"relative patterns begin in {Path.cwd()}", name=pattern)
    return found


def local(path: Path) -> File | None:
    """A plain file of this machine that isn't empty; None if it is anything else, such as a pipe, or isn't there."""
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    if not stat.S_ISREG(found.st_mode) or not found.st_size:
        return None
    return File.of(os.fsdecode(path), found.st_size, lambda: open(path, "rb"), path.absolute())


def from_object(file: IO[bytes], name: str, resources: ExitStack) -> File:
    """What is left of an open file; copied, unless it lies on this disk and stands at its beginning.

    Raises:
        InputError: it can't be read.
    """
    if is_plain_file(file) and isinstance(file.name, str) and not file.tell():
        with suppress(OSError):
            path = Path(file.name)
            if os.path.samestat(path.stat(), os.fstat(file.fileno())) and (found := local(path)) is not None:
                return found
    copied = copy_of(blocks_of(file, name), name, resources)
    return copied if is_plain_file(file) else replace(copied, packing="")  # what reads like a file unpacks by itself


def copy_of(blocks: Iterable[Segment], name: str, resources: ExitStack) -> File:
    """A temporary file of what comes in pieces, under a name that says what is in it."""
    copy = resources.enter_context(spool(blocks, name))
    return File.of(name, os.fstat(copy.fileno()).st_size, lambda: open(f"/proc/self/fd/{copy.fileno()}", "rb"))


def from_buffer(data: bytes | bytearray | memoryview, name: str) -> File:
    """Bytes in memory, as a file."""
    return File(name, memoryview(data).nbytes, lambda: io.BufferedReader(io.BytesIO(data)))


def _unpacking(file: IO[bytes], of: File) -> IO[bytes]:
    match of.packing:
        case ".gz":
            return gzip.GzipFile(fileobj=file)  # type: ignore[return-value]  # reads like one
        case ".bz2":
            return bz2.BZ2File(file)
        case ".xz":
            return lzma.LZMAFile(file)
        case _:
            stream: IO[bytes] = need("pyarrow", "reading .zst").CompressedInputStream(file, "zstd")
            return stream

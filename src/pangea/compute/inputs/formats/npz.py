"""Arrays in .npz files: each an input of its own, unpacked while it is cut. Nothing is ever extracted to a path."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from pangea.compute.inputs.cutting_npy import HEADER_BYTES_MAX, Npy, parse_npy, runs_of_rows
from pangea.compute.inputs.formats.arrays import array_input, begins_in_columns
from pangea.compute.inputs.formats.files import File, one_line
from pangea.compute.inputs.inputs import Input
from pangea.compute.inputs.reading import Segment
from pangea.compute.model.errors import InputError
from pangea.compute.model.libraries import need
from pangea.compute.model.options import SplitStrategy
from pangea.compute.model.units import GIB, MIB, human_bytes

#: Files may unpack to this, or to so many times their size: zeros pack a thousandfold, and so do traps.
UNPACKED_BYTES_MAX = GIB
UNPACKED_TIMES_MAX = 200
#: A zip file of nothing: the end of a directory (PKWARE's APPNOTE.TXT, section 4.3.16).
_NO_FILES = b"PK\x05\x06" + bytes(18)
_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    OSError,
    LookupError,
    MemoryError,
    RuntimeError,  # encrypted; packed in a way nobody knows
    SyntaxError,
    TypeError,
    ValueError,
)


class PackedArray:
    """One array of a .npz file, as the .npy file that it is there."""

    strategy = SplitStrategy.NPY_ROWS

    def __init__(self, file: File, member: zipfile.ZipInfo, name: str) -> None:
        """Look at the header of `member`.

        Raises:
            InputError: it is damaged, or no array of rows.
        """
        self._file = file
        self._member = member
        self._name = name
        self.size = member.file_size
        with self._opened() as array:
            self._npy = _header_of(array, self.size)

    def blocks(self) -> Iterator[Segment]:
        """The .npy file, in pieces."""
        with self._opened() as array:
            while block := array.read(MIB):
                yield block

    def segments(self, largest: int) -> Iterator[Segment]:
        """Runs of rows, each a .npy file."""
        if self.size <= largest or self.size == self._npy.start:
            yield b"".join(self.blocks())
            return
        with self._opened() as array:
            array.read(self._npy.start)
            for segment, _ in runs_of_rows(self._name, self._npy, largest, lambda start, stop: _exactly(array, stop - start)):
                yield segment

    @contextmanager
    def _opened(self) -> Iterator[IO[bytes]]:
        with _reading(self._name), _member_of(self._file, self._member) as array:
            yield array


@contextmanager
def _member_of(file: File, member: zipfile.ZipInfo) -> Iterator[IO[bytes]]:
    """Read a member of which the directory has told already.

    Opening the archive anew would read its whole directory: of 2,000 arrays, each of them three times, 30 seconds.
    """
    with file.open() as raw, zipfile.ZipFile(io.BytesIO(_NO_FILES)) as archive:
        archive.fp = raw
        with archive.open(member) as array:
            yield array


def arrays_in(file: File) -> Iterator[Input]:
    """Each array of a .npz file, in the order in which they were saved.

    Raises:
        InputError: no such file, no arrays in it, names that lead elsewhere, or more bytes than anybody can mean.
    """
    with _reading(file.name), file.open() as raw, zipfile.ZipFile(raw) as archive:
        members = archive.infolist()
    _check(file, members)
    for member in members:
        name = f"{file.name}[{member.filename.removesuffix('.npy')}]"
        if (turned := _array_in_columns(file, member, name)) is not None:
            yield turned
            continue
        source = PackedArray(file, member, name)
        yield Input(name=name, size=source.size, made=source)


def _array_in_columns(file: File, member: zipfile.ZipInfo, name: str) -> Input | None:
    """An array that is there in Fortran order, turned into rows in memory; None if it has rows as it lies."""
    with _reading(name), _member_of(file, member) as array:
        head = array.read(HEADER_BYTES_MAX)
        if not begins_in_columns(head):
            return None
        np = need("numpy", "an array in Fortran order as input")
        data = io.BytesIO(head + array.read())
        found = np.load(data, allow_pickle=False)
        if rest := len(data.read()):
            raise ValueError(f"it goes on for {rest:,} bytes behind its array")
    return array_input(found, name)


def count(path: Path) -> int:
    """How many arrays a .npz file has.

    Raises:
        InputError: it is none.
    """
    with _reading(str(path)), zipfile.ZipFile(path) as archive:
        return len(archive.infolist())


def _check(file: File, members: list[zipfile.ZipInfo]) -> None:
    if not members:
        raise InputError(f"{file.name} has no arrays", hint="save some with numpy.savez", name=file.name)
    names = Counter(member.filename for member in members)
    for name, times in names.items():
        parts = name.replace("\\", "/").split("/")
        if ".." in parts or not parts[0] or ":" in parts[0]:
            raise InputError(
                f"{file.name} has an array named {name!r}, which leads out of the folder of whoever unpacks it",
                hint="ask where the file is from; numpy.savez gives names of one word",
                name=file.name,
            )
        if not name.endswith(".npy") or times > 1:
            reason = "is no array" if not name.endswith(".npy") else "is there twice"
            raise InputError(f"{name!r} in {file.name} {reason}", hint="save it again with numpy.savez", name=file.name)
    unpacked, most = sum(member.file_size for member in members), max(UNPACKED_BYTES_MAX, UNPACKED_TIMES_MAX * file.size)
    if unpacked > most:
        raise InputError(
            f"{file.name} has {human_bytes(file.size)} and would unpack to {human_bytes(unpacked)}; {human_bytes(most)} are"
            " allowed for",
            hint="if you trust it, unpack it and give the .npy files",
            name=file.name,
        )


def _header_of(array: IO[bytes], size: int) -> Npy:
    npy = parse_npy(memoryview(array.read(HEADER_BYTES_MAX)))
    if npy.size != size:
        raise ValueError(f"it has {size:,} bytes, and by its header it should have {npy.size:,}")
    return npy


def _exactly(array: IO[bytes], count: int) -> bytes:
    data = array.read(count)
    if len(data) != count:
        raise EOFError("it ends too early")
    return data


@contextmanager
def _reading(name: str) -> Iterator[None]:
    try:
        yield
    except InputError:
        raise
    except _ERRORS as error:
        reason = one_line(error) or type(error).__name__
        raise InputError(
            f"{name} can't be read: {reason}",
            hint="save arrays of numbers, text or dates, in C order, with numpy.savez",
            name=name,
        ) from error

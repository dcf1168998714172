"""Cut an array into runs of whole rows, each a .npy file of its own, with its type and its shape.

Source: NEP 1, and numpy.lib.format for versions 2.0 (longer headers) and 3.0 (UTF-8).
"""

from __future__ import annotations

import ast
import math
import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from pangea.compute.inputs.reading import Opened, Segment, View
from pangea.compute.model.errors import InputError
from pangea.compute.model.units import KIB

NPY_MAGIC = b"\x93NUMPY"
HEADER_BYTES_MAX = 64 * KIB

#: Bytes of the array's data, from the first offset to the second.
ReadRows = Callable[[int, int], Segment]


@dataclass(frozen=True, slots=True)
class Npy:
    """What the header of a .npy file says.

    Attributes:
        version: of the format, two bytes.
        descr: the type of an item, as NEP 1 writes it.
        shape: the sides; the first counts the rows.
        start: where the data begins.
        row_bytes: bytes of a row.
    """

    version: bytes
    descr: object
    shape: tuple[int, ...]
    start: int
    row_bytes: int

    @classmethod
    def of(cls, descr: object, shape: tuple[int, ...]) -> Npy:
        """The header that an array of this type and shape is written with.

        Raises:
            ValueError: the type has no fixed size, or takes too long to describe.
        """
        text = repr(descr)
        if len(text.encode()) > HEADER_BYTES_MAX // 2:
            raise ValueError("its type has too many fields")
        npy = cls(b"\1\0" if text.isascii() else b"\3\0", descr, shape, 0, _item_bytes(descr) * math.prod(shape[1:]))
        return replace(npy, start=len(npy.header(shape[0])))

    @property
    def size(self) -> int:
        """Bytes of the whole file."""
        return self.start + self.shape[0] * self.row_bytes

    def header(self, rows: int) -> bytes:
        """The header of a file with `rows` of the rows, padded to a multiple of 64 bytes."""
        text = repr({"descr": self.descr, "fortran_order": False, "shape": (rows, *self.shape[1:])})
        length = "<H" if self.version[0] == 1 else "<I"
        body = text.encode("utf-8" if self.version[0] == 3 else "latin-1")
        fixed = len(NPY_MAGIC) + len(self.version) + struct.calcsize(length)
        body += b" " * (-(fixed + len(body) + 1) % 64) + b"\n"
        return NPY_MAGIC + self.version + struct.pack(length, len(body)) + body


def npy_segments(name: str, opened: Opened, largest: int) -> Iterator[Segment]:
    """Cut the .npy file that `opened` shows.

    Args:
        name: of the input, for messages.
        opened: its bytes.
        largest: bytes of a segment, at most.

    Raises:
        InputError: it is no array of rows, or a row is too large.
    """
    start = 0
    while start < len(opened.view) or not start:  # results of several chunks stand one behind the other
        npy = read_npy(name, opened.view, start)
        yield from _segments_of(name, npy, opened, start, largest)
        start += npy.size


def _segments_of(name: str, npy: Npy, opened: Opened, start: int, largest: int) -> Iterator[Segment]:
    if npy.size <= largest or npy.start == npy.size:
        yield opened.view[start : start + npy.size]
        return
    data = start + npy.start

    def read(first: int, end: int) -> Segment:
        return opened.view[data + first : data + end]

    for segment, end in runs_of_rows(name, npy, largest, read):
        yield segment
        opened.drop_before(data + end)


def runs_of_rows(name: str, npy: Npy, largest: int, read: ReadRows) -> Iterator[tuple[Segment, int]]:
    """Yield .npy files of as many rows as `largest` bytes hold, each with where its rows end in the data.

    Raises:
        InputError: a row is too large.
    """
    step = (largest - len(npy.header(npy.shape[0]))) // npy.row_bytes * npy.row_bytes
    if step <= 0:
        raise InputError(
            f"a row of {name} has {npy.row_bytes:,} bytes, more than a chunk of max_chunk_size {largest:,} can hold",
            hint=f"raise max_chunk_size, at least by {npy.row_bytes:,} bytes",
            name=name,
        )
    size = npy.shape[0] * npy.row_bytes
    for start in range(0, size, step):
        rows = read(start, min(start + step, size))
        yield b"".join((npy.header(len(rows) // npy.row_bytes), rows)), start + step


def read_npy(name: str, view: View, start: int = 0) -> Npy:
    """Read the header of the .npy file at byte `start`, which has to be whole; only another one may follow.

    Raises:
        InputError: it is no C-ordered array of rows, or has more or fewer bytes than it says.
    """
    try:
        npy = parse_npy(view[start : start + HEADER_BYTES_MAX])
    except (ValueError, TypeError, LookupError, SyntaxError, MemoryError, RecursionError, struct.error) as exc:
        raise InputError(
            f"{name} can't be cut into rows of a .npy file: {exc}",
            hint="save a C-ordered array of numbers with numpy.save, or use another split_strategy",
            name=name,
        ) from exc
    size = len(view) - start
    if size != npy.size and view[start + npy.size : start + npy.size + len(NPY_MAGIC)] != NPY_MAGIC:
        raise InputError(
            f"{name} has {size:,} bytes; by its .npy header it should have {npy.size:,}",
            hint="give the whole file",
            name=name,
        )
    return npy


def parse_npy(view: memoryview) -> Npy:
    """Read the header that `view` begins with; the errors are those of whatever is wrong."""
    version = bytes(view[6:8])
    if bytes(view[:6]) != NPY_MAGIC or version[:1] not in (b"\1", b"\2", b"\3"):
        raise ValueError("it has no .npy header of version 1 to 3")
    length = struct.Struct("<H" if version[0] == 1 else "<I")
    text_start = 8 + length.size
    start = text_start + int(length.unpack(view[8:text_start])[0])
    if start > min(len(view), HEADER_BYTES_MAX):
        raise ValueError("its header is cut off or too long")
    fields = ast.literal_eval(bytes(view[text_start:start]).decode("utf-8" if version[0] == 3 else "latin-1").strip())
    descr, shape = fields["descr"], fields["shape"]
    if not isinstance(shape, tuple) or not shape or not all(isinstance(side, int) and side >= 0 for side in shape):
        raise ValueError(f"its shape is {shape!r}, which has no rows")
    if fields["fortran_order"] and len(shape) > 1:
        raise ValueError("it is in Fortran order (numpy.ascontiguousarray changes that)")
    return Npy(version, descr, shape, start, _item_bytes(descr) * math.prod(shape[1:]))


def _item_bytes(descr: object) -> int:
    if isinstance(descr, list):
        return sum(_item_bytes(column[1]) * math.prod(column[2] if len(column) > 2 else ()) for column in descr)
    found = re.fullmatch(r"[<>|=]?([a-zA-Z])(\d+)(\[\w+\])?", str(descr))
    if re.fullmatch(r"[<>|=]?O\d*", str(descr)):
        raise ValueError(f"its type is {descr!r}: pickled objects are never read, and have no fixed size")
    if not found:
        raise ValueError(f"its type {descr!r} has no fixed size")
    return int(found[2]) * (4 if found[1] == "U" else 1)

"""Arrays as input: a .npy file that is never written as a whole, but encoded row by row while it is cut."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from pangea.compute.data.making import EXACT_FLOAT
from pangea.compute.inputs.cutting_npy import HEADER_BYTES_MAX, NPY_MAGIC, Npy, ReadRows, runs_of_rows
from pangea.compute.inputs.formats.files import File, reading
from pangea.compute.inputs.inputs import Input, blocks_of, spool
from pangea.compute.inputs.reading import Segment
from pangea.compute.model.errors import InputError
from pangea.compute.model.libraries import need
from pangea.compute.model.limits import shown
from pangea.compute.model.options import SplitStrategy
from pangea.compute.model.units import MIB

if TYPE_CHECKING:
    import numpy as np

    AnyArray = np.ndarray[Any, np.dtype[Any]]

#: How much of an array that isn't contiguous is copied at a time.
_BLOCK_BYTES = 4 * MIB
_FORTRAN = re.compile(rb"'fortran_order'\s*:\s*True")


class ArraySource:
    """An array, encoded as .npy while it is cut. Its memory is used as it is, if that is contiguous; else rows are copied."""

    strategy = SplitStrategy.NPY_ROWS

    def __init__(self, array: AnyArray, name: str) -> None:
        """Encode `array`, which must not change meanwhile.

        Raises:
            InputError: an array of objects, or without rows.
        """
        self._name = name
        self._npy = _header_of(array, name)
        self._view = _memory_of(array)
        # As items without fields: what lies between fields is copied, too, rather than left to chance.
        self._array = array if array.dtype.names is None else array.view(f"V{array.dtype.itemsize}")

    @property
    def size(self) -> int:
        """Bytes of the .npy file."""
        return self._npy.size

    def blocks(self) -> Iterator[Segment]:
        """The .npy file, in pieces."""
        yield self._npy.header(len(self._array))
        data = self.size - self._npy.start
        step = max(_BLOCK_BYTES // max(self._npy.row_bytes, 1), 1) * self._npy.row_bytes
        for start in range(0, data, step or 1):
            yield self._read(start, min(start + step, data))

    def segments(self, largest: int) -> Iterator[Segment]:
        """Runs of rows, each a .npy file."""
        if self.size <= largest or self.size == self._npy.start:
            yield b"".join(self.blocks())
            return
        read = self._read if self._view is not None else self._reader(largest)
        for segment, _ in runs_of_rows(self._name, self._npy, largest, read):
            yield segment

    def _reader(self, largest: int) -> ReadRows:
        """What copies rows into the same memory each time: memory that is fresh costs more than copying."""
        np = need("numpy", "an array as input")
        memory = np.empty(largest, "u1")

        def read(start: int, stop: int) -> memoryview:
            rows = self._rows(start, stop)
            block = memory[: stop - start]
            block.view(rows.dtype).reshape(rows.shape)[...] = rows
            return memoryview(block)

        return read

    def _read(self, start: int, stop: int) -> memoryview:
        """Bytes of whole rows."""
        if self._view is not None:
            return self._view[start:stop]
        block = _memory_of(self._rows(start, stop).copy(order="C"))
        assert block is not None, "a copy lies together"
        return block

    def _rows(self, start: int, stop: int) -> AnyArray:
        return self._array[start // self._npy.row_bytes : stop // self._npy.row_bytes]


def array_input(value: Any, name: str, *, is_for_python: bool = True) -> Input:
    """An input that is an array, or anything NumPy makes one of without guessing.

    Raises:
        InputError: no array of numbers, text or dates with at least one side.
    """
    np = need("numpy", "an array as input")
    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        raise InputError(f"{name} is an array with masked items", hint="say what stands for them: x.filled(0)", name=name)
    try:
        array = np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:
        kind = f"{type(value).__module__}.{type(value).__qualname__}"
        raise InputError(
            f"{name} is a {kind}, of which NumPy makes no array: {error}", hint="pass an ndarray", name=name
        ) from error
    if not isinstance(value, np.ndarray):
        check_whole_numbers_kept(value, array, name)
    source = ArraySource(array, name)
    if is_for_python:
        _check_known(array, name)
    return Input(name=name, size=source.size, made=source)


def check_whole_numbers_kept(value: Any, array: AnyArray, name: str) -> None:
    """See that no whole number has lost digits as a float: NumPy makes such of those beside fractions or nulls, without a word.

    Args:
        value: what the array was made of: a column of whole numbers, or lists.
        array: what NumPy made of it.
        name: of the input, for messages.

    Raises:
        InputError: one has; names it.
    """
    if array.dtype.kind != "f" or not (abs(array) >= EXACT_FLOAT).any():
        return
    kind = str(getattr(value, "dtype", getattr(value, "type", ""))).lower()
    is_column = kind.startswith(("int", "uint"))
    lost = next((item for item in _items(value, is_column=is_column) if isinstance(item, int) and int(float(item)) != item), None)
    if lost is not None:
        raise InputError(
            f"{name} has the whole number {shown(lost)} beside fractions or nulls, and as a float it would lose digits",
            hint="fill or leave out what is missing, or pass x.astype(float), which rounds",
            name=name,
        )


def _items(value: Any, *, is_column: bool) -> Iterator[Any]:
    """Python's numbers of a column of whole numbers, or of lists in lists."""
    if is_column:
        yield from value.to_pylist() if hasattr(value, "to_pylist") else value.to_list()
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _items(item, is_column=False) if isinstance(item, list | tuple) else (item,)


def array_in_columns(file: File) -> Input | None:
    """The array in a .npy file in Fortran order, such as that of a frame's `to_numpy()`; None if the file has rows as it lies.

    Raises:
        InputError: the file is damaged.
    """
    if not lies_in_columns(file):
        return None
    np = need("numpy", "an array in Fortran order as input")
    with reading(file.name, "give the whole file"):
        if file.path is not None and not file.packing:
            with file.open() as raw, spool(blocks_of(raw, file.name), file.name) as copy:  # nobody else can cut it short
                array = np.load(f"/proc/self/fd/{copy.fileno()}", mmap_mode="r", allow_pickle=False)
            rest = file.size - array.offset - array.nbytes
        else:
            with file.open() as raw:
                data = io.BytesIO(raw.read())
            array = np.load(data, allow_pickle=False)
            rest = len(data.read())
    if rest:
        raise InputError(f"{file.name} goes on for {rest:,} bytes behind its array", hint="give one array a file", name=file.name)
    return array_input(array, file.name)


def lies_in_columns(file: File) -> bool:
    """Whether it is a .npy file in Fortran order."""
    with file.open() as raw:
        return begins_in_columns(raw.read(HEADER_BYTES_MAX))


def begins_in_columns(head: bytes) -> bool:
    """Whether these are the first bytes of a .npy file in Fortran order."""
    return head.startswith(NPY_MAGIC) and _FORTRAN.search(head.partition(b"\n")[0]) is not None


def _check_known(array: AnyArray, name: str) -> None:
    """See that Python code in the sandbox can read the array.

    Raises:
        InputError: its type, or that of a field, is a number of more digits than it has there.
    """
    kinds = [array.dtype[column] for column in array.dtype.names or ()] or [array.dtype]
    for kind in (kind.base for kind in kinds):
        if kind.kind in "fc" and kind.itemsize > (8 if kind.kind == "f" else 16):
            to = "float64" if kind.kind == "f" else "complex128"
            raise InputError(
                f"{name} has dtype {kind}, whose last digits nothing in the sandbox can hold",
                hint=f"pass x.astype({to!r})",
                name=name,
            )


def _header_of(array: AnyArray, name: str) -> Npy:
    if array.dtype.hasobject or array.dtype.char == "T":
        raise _no_numbers(array, name)
    if array.ndim == 0:
        raise InputError(
            f"{name} is an array without sides (0-d, {array.dtype}), which has no rows", hint="pass x.reshape(1)", name=name
        )
    np = need("numpy", "an array as input")
    try:
        return Npy.of(np.lib.format.dtype_to_descr(array.dtype), array.shape)
    except (ValueError, TypeError) as error:
        raise InputError(
            f"{name} is an array of {array.dtype}, which .npy can't say: {error}", hint="pass x.astype(...)", name=name
        ) from error


def _no_numbers(array: AnyArray, name: str) -> InputError:
    if array.dtype.char == "T":
        return InputError(f"{name} is an array of StringDType", hint="pass x.astype('U'), whose items have one size", name=name)
    columns = [column for column in array.dtype.names or () if array.dtype[column].hasobject]
    where = f"column {columns[0]!r} of {name}" if columns else name
    example = next((type(item).__name__ for item in array.flat if not columns), "")
    return InputError(
        f"{where} has dtype object{f' (the first item is a {example})' if example else ''}: only pickle can store that, and"
        " pickle never travels",
        hint="pass x.astype(float), x.astype('U') or the like, or a table with one type for each column",
        name=name,
    )


def _memory_of(array: AnyArray) -> memoryview | None:
    """The array's own memory as bytes; None if its rows don't follow each other there."""
    if not array.nbytes:
        return memoryview(b"")
    if not array.flags.c_contiguous:
        return None
    plain = array.view(type=need("numpy", "an array as input").ndarray)
    return memoryview(plain.reshape(-1).view("u1")).toreadonly()

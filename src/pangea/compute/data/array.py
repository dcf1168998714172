"""`Array`: numbers, text and records with a type and a shape, over the bytes of a .npy file, without NumPy.

It holds the bytes that it was read from and looks at them through strides, so that reading, slicing, taking a column or a
field copies nothing. `data` and `tolist()` are where the speed is: both do a whole array at once.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from math import prod
from typing import Any

from pangea.compute.data import items, making, npy
from pangea.compute.data.arithmetic import Arithmetic, ndarray_attribute, numpy
from pangea.compute.data.comparing import BYTES, COMPLEX, NUMBER, RECORD, TEXT, Side
from pangea.compute.data.dtypes import DType, parse_dtype
from pangea.compute.data.errors import DataError, shown
from pangea.compute.data.indexing import looked_at
from pangea.compute.data.masks import Compared
from pangea.compute.data.measures import INSTANT, SPAN, nanoseconds_in
from pangea.compute.data.selecting import is_several, positions
from pangea.compute.data.strides import Shape, c_strides, fortran_strides, gather, is_contiguous, span_of

#: What items compare as, by NumPy's letter.
_FAMILIES = {
    **dict.fromkeys("biuf", NUMBER), "c": COMPLEX, "U": TEXT, "S": BYTES, "V": BYTES, "M": INSTANT, "m": SPAN,
}  # fmt: skip
#: How many items iteration turns into Python values at a time.
_BLOCK = 8192


class Array(Arithmetic, Compared):
    """Items of one type in a rectangle of any number of axes. Not to be changed.

        Array.of([[1, 2], [3, 4]]).tolist()
        array = Array.from_npy(chunk)
        sum(array.data)
        [sum(row) for row in array.rows()]

    Whatever else NumPy's arrays have (`sum`, `astype`, `T`, arithmetic) it has, too, and gives NumPy's arrays and numbers.
    Indexing is NumPy's: `a[0]`, `a[-1]`, `a[2:5]`, `a[1, 2]`, `a[:, 0]`, `a[..., 1]`, `a[mask]`, `a[[0, 3]]`, and `a["name"]` for
    a field. Comparisons are, too: `a == 0` is a mask; `a.equals(b)` compares as a whole.

    Attributes:
        shape: the sides.
    """

    __slots__ = ("_direct", "_flat", "_offset", "_strides", "_type", "_view", "shape")

    def __init__(self, view: memoryview, dtype: DType, shape: Shape, *, strides: Shape | None = None, offset: int = 0) -> None:
        """Look at `view` (flat bytes); use `Array.of` or `Array.from_npy` to make an array.

        Args:
            view: the bytes; the caller has checked that every item lies within.
            dtype: of the items.
            shape: the sides.
            strides: for each side, in bytes; None for C order.
            offset: of the first item, in bytes.
        """
        self._view, self._type, self.shape, self._offset = view, dtype, shape, offset
        self._strides = c_strides(shape, dtype.itemsize) if strides is None else strides
        self._flat: memoryview | None = None
        self._direct: memoryview | None = None

    @classmethod
    def of(cls, values: Any, dtype: Any = None, shape: Sequence[int] | int | None = None) -> Array:
        """Make an array of Python values.

        Args:
            values: a number, lists in lists, `array.array`, a buffer (bytes are uint8), or an Array. Lists of equal lengths are
                axes.
            dtype: the type, as NumPy writes it (`"<f4"`, `"float32"`) or a Python type; None to take the smallest that
                holds all of the values exactly: bool, int64, uint64, float64, complex128, text, bytes, dates and times.
            shape: the sides, if they aren't those of the lists; one may be -1.

        Raises:
            DataError: the lists are ragged, a value doesn't fit the type, or the shape doesn't fit the values.
        """
        wanted = None if dtype is None else parse_dtype(dtype)
        if isinstance(values, Array):
            made = making.converted(values._type, values.shape, values.tobytes(), wanted)
        else:
            made = making.made(values, wanted)
        array = cls(made.data, made.dtype, made.shape)
        return array if shape is None else array.reshape(shape)

    @classmethod
    def from_npy(cls, buffer: Any) -> Array:
        """Read a whole .npy file, without copying.

        Args:
            buffer: bytes, bytearray or memoryview; the array keeps it.

        Raises:
            DataError: it is no .npy file, is damaged or cut off, has more bytes than it says, or holds Python objects.
        """
        view = making.bytes_view(buffer)
        array, end = cls._read(view, 0)
        if end != len(view):
            raise DataError(f"{len(view) - end:,} bytes follow the end of the .npy file; Array.many reads several")
        return array

    @classmethod
    def many(cls, buffer: Any) -> list[Array]:
        """Read .npy files that follow one another, without copying.

        Raises:
            DataError: one of them is no .npy file, is damaged or cut off.
        """
        view, arrays, at = making.bytes_view(buffer), [], 0
        while at < len(view):
            array, at = cls._read(view, at)
            arrays.append(array)
        return arrays

    @classmethod
    def concat(cls, arrays: Iterable[Array]) -> Array:
        """Put arrays of one type one after the other, along the first axis.

        Raises:
            DataError: there are none, or they differ in type or in the sides of a row.
        """
        parts = list(arrays)
        if not parts:
            raise DataError("no arrays to put together: the type would be unknown")
        first = parts[0]
        if not first.shape:
            raise DataError("an array without axes has no rows to put together")
        for part in parts:
            if part._type != first._type or part.shape[1:] != first.shape[1:] or not part.shape:
                raise DataError(
                    f"arrays to put together differ: {first.dtype} of shape {first.shape} and {part.dtype} of shape {part.shape}"
                )
        rows = sum(part.shape[0] for part in parts)
        return cls(memoryview(b"".join([part.tobytes() for part in parts])), first._type, (rows, *first.shape[1:]))

    @classmethod
    def _read(cls, view: memoryview, at: int) -> tuple[Array, int]:
        header = npy.read_header(view, at)
        strides = fortran_strides(header.shape, header.dtype.itemsize) if header.is_fortran else None
        return cls(view, header.dtype, header.shape, strides=strides, offset=header.start), header.stop

    @property
    def dtype(self) -> Any:
        """The type of an item as NumPy writes it: text like `<f8`, or a list of (name, type) for records."""
        return self._type.descr

    @property
    def ndim(self) -> int:
        """How many axes there are."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """How many items there are."""
        return prod(self.shape)

    @property
    def nbytes(self) -> int:
        """How many bytes the items take."""
        return self.size * self._type.itemsize

    @property
    def data(self) -> memoryview:
        """All items as one flat memoryview of numbers, in C order.

        A view of the array's own bytes where they lie in order, as this machine writes numbers; else a copy, made once.
        Complex numbers are pairs of floats, dates and times whole numbers; text, bytes and records are their bytes.
        float16 is a copy as float32 before Python 3.12.
        """
        if self._flat is None:
            self._flat = items.native_view(self._type, self.tobytes())
        return self._flat

    def tobytes(self) -> memoryview:
        """The items' bytes in C order: a view where they lie so, else a copy."""
        size = self._type.itemsize
        if is_contiguous(self.shape, self._strides, size):
            return self._view[self._offset : self._offset + self.size * size]
        return memoryview(gather(self._view, self._offset, self.shape, self._strides, size))

    def tolist(self) -> Any:
        """Plain Python values, in lists for each axis; a single value when there are no axes."""
        if not self.size:
            return items.nested([], self.shape)
        if self._type.is_plain:
            return self.tobytes().cast(self._type.format, self.shape).tolist()
        return items.nested(items.decode(self._type, self.tobytes(), self.size), self.shape)

    def item(self) -> Any:
        """The only item, as a plain Python value.

        Raises:
            DataError: there are several, or none.
        """
        if self.size != 1:
            raise DataError(f"an array of {self.size:,} items is no single value")
        return items.decode(self._type, self.tobytes(), 1)[0]

    def rows(self) -> Iterator[Any]:
        """Go through the first axis in plain Python values: items of one axis, else lists (in lists)."""
        if not self.shape:
            raise DataError("an array without axes has no rows")
        row_items = prod(self.shape[1:])
        step = max(1, _BLOCK // max(1, row_items))
        return chain.from_iterable(self[at : at + step].tolist() for at in range(0, self.shape[0], step))

    def reshape(self, *shape: Any) -> Array:
        """The same items in C order in other sides, of which one may be -1. Copies only what doesn't lie in order.

        Raises:
            DataError: the sides don't hold as many items.
        """
        sides = making.sides_for(shape[0] if len(shape) == 1 else shape, self.size, self._type)
        return Array(self.tobytes(), self._type, sides)

    def to_npy(self) -> bytes:
        """The array as a .npy file in C order, byte for byte as `numpy.save` writes it."""
        return b"".join((npy.header_bytes(self._type, self.shape), self.tobytes()))

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("an array without axes has no length")
        return self.shape[0]

    def __iter__(self) -> Iterator[Any]:
        if not self.shape:
            raise TypeError("an array without axes can't be iterated")
        if len(self.shape) == 1:
            return iter(self._numbers()) if self._type.is_plain else self.rows()
        return self._parts()

    def __getitem__(self, key: Any) -> Any:
        if type(key) is int and self._type.is_plain and len(self.shape) == 1:
            if self._direct is None:
                self._direct = self._numbers()
            return self._direct[key]
        if isinstance(key, str):
            return self._field(key)
        if is_several(key):
            return self._chosen(key)
        if type(key) is tuple and len(key) == len(self.shape):
            at = self._offset
            for index, side, stride in zip(key, self.shape, self._strides, strict=True):
                if type(index) is not int or not -side <= index < side:
                    break
                at += (index + side if index < 0 else index) * stride
            else:
                return self._value(at)
        return self._looked_at(key if isinstance(key, tuple) else (key,))

    def equals(self, other: object) -> bool:
        """Whether the other is an array of the same type and shape with the same bytes: NaN equals itself."""
        return (
            isinstance(other, Array)
            and self._type == other._type
            and self.shape == other.shape
            and self.tobytes() == other.tobytes()
        )

    def __repr__(self) -> str:
        text = shown(self.tolist(), 200) if self.size <= 1000 else "..."
        return f"Array({text}, dtype={self.dtype!r}, shape={self.shape})"

    def __getattr__(self, name: str) -> Any:
        return ndarray_attribute(self, name)

    def __matmul__(self, other: Any) -> Any:
        return self._reckoned(operator.matmul, self, other)

    def __rmatmul__(self, other: Any) -> Any:
        return self._reckoned(operator.matmul, other, self)

    def _reckoned(self, function: Any, *operands: Any) -> Any:
        if any(hasattr(operand, "vectors") for operand in operands):
            return NotImplemented  # a column knows its nulls
        library = numpy("arithmetic")
        return function(*(library.asarray(operand) if isinstance(operand, Array) else operand for operand in operands))

    @property
    def __array_interface__(self) -> dict[str, Any]:
        """What `numpy.asarray` reads: no copy where the items lie in C order."""
        typestr = self.dtype if self._type.fields is None else f"|V{self._type.itemsize}"
        found: dict[str, Any] = {"version": 3, "shape": self.shape, "typestr": typestr, "data": self.tobytes()}
        if self._type.fields is not None:
            found["descr"] = self.dtype
        return found

    def _parts(self) -> Iterator[Array]:
        shape, strides = self.shape[1:], self._strides[1:]
        for index in range(self.shape[0]):
            yield Array(self._view, self._type, shape, strides=strides, offset=self._offset + index * self._strides[0])

    def _numbers(self) -> memoryview:
        """The numbers of one axis: a view with a step where they lie apart."""
        size, stride, offset = self._type.itemsize, self._strides[0], self._offset
        if stride % size or offset % size or not self.shape[0]:
            return self.data
        numbers: memoryview = self._view[: len(self._view) // size * size].cast(self._type.format)
        return numbers[span_of(offset // size, stride // size, self.shape[0])]

    def _value(self, at: int) -> Any:
        if self._type.struct is None or self._type.kind in "Mm":
            return items.decode(self._type, self._view[at : at + self._type.itemsize], 1)[0]
        return self._type.struct.unpack_from(self._view, at)[0]

    def _chosen(self, key: Any) -> Array:
        """What a mask or a list chooses: of the first axis; of all items, if the mask has the array's own sides."""
        if not self.shape:
            raise IndexError("an array without axes has nothing to choose from")
        if isinstance(key, Array) and key.ndim > 1 and key._type.kind == "b":
            if key.shape != self.shape:
                raise IndexError(f"a mask of shape {key.shape} for an array of shape {self.shape}")
            return self.reshape(-1)._chosen(key.reshape(-1))
        places = positions(key, self.shape[0], "rows" if len(self.shape) > 1 else "items")
        size = prod(self.shape[1:]) * self._type.itemsize
        held = self.tobytes()
        parts = b"".join([held[place * size : (place + 1) * size] for place in places])
        return Array(memoryview(parts), self._type, (len(places), *self.shape[1:]))

    def _side(self) -> Side:
        family, what = _FAMILIES[self._type.kind], f"the array of type {self.dtype}"
        if self._type.fields is not None:
            return Side(self.reshape(-1).tolist() if self.size else [], RECORD, what)
        if family in (INSTANT, SPAN):
            kept = nanoseconds_in(self)
            return Side(kept, family, what)
        flat = self.reshape(-1).tolist()
        return Side(flat, family, what)

    def _mask(self, marks: list[bool]) -> Array:
        return Array(memoryview(bytes(marks)), parse_dtype("|b1"), self.shape)

    def _looked_at(self, keys: tuple[Any, ...]) -> Any:
        offset, shape, strides = looked_at(keys, self.shape, self._strides)
        if not shape:
            return self._value(self._offset + offset)
        return Array(self._view, self._type, shape, strides=strides, offset=self._offset + offset)

    def _field(self, name: str) -> Array:
        for known, dtype, shape, offset in self._type.fields or ():
            if known == name:
                strides = (*self._strides, *c_strides(shape, dtype.itemsize))
                return Array(self._view, dtype, (*self.shape, *shape), strides=strides, offset=self._offset + offset)
        names = ", ".join(field[0] for field in self._type.fields or () if field[0])
        raise KeyError(f"the array has no field {name!r}; {'its fields are ' + names if names else 'it is no array of records'}")

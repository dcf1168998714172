"""Arrays are NumPy's: read from a .npy file without copying, written as `numpy.save` writes them, and made of values exactly.

NumPy is in every sandbox, and outside where it is installed; it is imported when an array is wanted, not before.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from pangea.compute.data import making, npy
from pangea.compute.data.dtypes import DType, parse_dtype
from pangea.compute.data.errors import DataError
from pangea.compute.data.from_numpy import unmasked
from pangea.compute.data.numpy_here import numpy

if TYPE_CHECKING:
    from numpy import ndarray

    NDArray = ndarray[Any, Any]


def from_npy(buffer: Any) -> NDArray:
    """Read a whole .npy file, without copying.

    Args:
        buffer: bytes, bytearray or memoryview; the array looks at it, and can be written to if the buffer can.

    Raises:
        DataError: it is no .npy file, is damaged or cut off, has more bytes than it says, or holds Python objects.
    """
    view = making.bytes_view(buffer)
    header = npy.read_header(view)
    if header.stop != len(view):
        raise DataError(f"{len(view) - header.stop:,} bytes follow the end of the .npy file; many_npy reads several")
    return of_header(view, header)


def many_npy(buffer: Any) -> list[NDArray]:
    """Read .npy files that follow one another, without copying.

    Raises:
        DataError: one of them is no .npy file, is damaged or cut off.
    """
    view = making.bytes_view(buffer)
    return [of_header(view, header) for header in _headers(view)]


def _headers(view: memoryview) -> Iterator[npy.Header]:
    at = 0
    while at < len(view):
        header = npy.read_header(view, at)
        yield header
        at = header.stop


def of_header(view: memoryview, header: npy.Header) -> NDArray:
    """The array in `view` that `header` describes: it looks at the same bytes.

    Raises:
        DataError: NumPy has no such type.
    """
    library = numpy("an array")
    dtype = numpy_type(header.dtype)
    order: Any = "F" if header.is_fortran else "C"
    if dtype.itemsize != header.dtype.itemsize:  # text without letters, which NumPy gives room for one
        return library.zeros(header.shape, dtype, order)  # type: ignore[no-any-return]
    return library.ndarray(header.shape, dtype, view, header.start, order=order)  # type: ignore[no-any-return]


def numpy_type(dtype: DType) -> Any:
    """NumPy's own type.

    Raises:
        DataError: it has none such.
    """
    try:
        return numpy("an array").lib.format.descr_to_dtype(dtype.descr)
    except (TypeError, ValueError) as exc:
        raise DataError(f"NumPy has no items of type {dtype.descr!r:.200}: {exc}") from exc


def npy_of(array: Any) -> bytes:
    """A .npy file in C order, byte for byte as `numpy.save` writes it.

    Args:
        array: NumPy's array or scalar.

    Raises:
        DataError: it holds Python objects or types of the machine's own, which no file has, or has masked items.
    """
    held = unmasked(numpy("an array").asanyarray(array))
    return npy.header_bytes(type_of(held), held.shape) + held.tobytes()  # type: ignore[no-any-return]


def type_of(array: Any) -> DType:
    """The type of an array's items, as a file says it.

    Raises:
        DataError: no file has such.
    """
    if array.dtype.char == "T":
        raise DataError("it holds NumPy's StringDType, whose texts lie elsewhere; cast it: a.astype('U')")
    return parse_dtype(numpy("an array").lib.format.dtype_to_descr(array.dtype))


def array_of(values: Any, dtype: Any = None) -> NDArray:
    """An array with exactly these values, where `numpy.array` may round them, cut them off, or make objects.

    Args:
        values: a number, lists in lists, `array.array`, a buffer (bytes are uint8), or NumPy's arrays and scalars. Lists of
            equal lengths are axes.
        dtype: the type, as NumPy writes it (`"<f4"`, `"float32"`), or a Python type; None to take the smallest that holds
            all of the values exactly: bool, int64, uint64, float64, complex128, text, bytes, dates and times.

    Raises:
        DataError: the lists are ragged, or a value has no exact form in the type.
    """
    made = making.made(values, None if dtype is None else parse_dtype(dtype))
    return numpy("an array").ndarray(made.shape, numpy_type(made.dtype), made.data)  # type: ignore[no-any-return]

"""What an array is made of: lists in lists, buffers of numbers; and which type holds them all."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from itertools import chain
from math import prod
from typing import Any, NamedTuple

from pangea.compute.data import items
from pangea.compute.data.dtypes import NATIVE, DType, parse_dtype
from pangea.compute.data.errors import DataError, shown
from pangea.compute.data.from_numpy import plain_values, stacked, unmasked
from pangea.compute.data.npy import NDIM_MAX, Shape, check_shape
from pangea.compute.data.numpy_here import numpy

#: `array` and `memoryview` formats by NumPy's letter; the size decides between those of one letter.
_LETTERS = {"?": "b"} | dict.fromkeys("bhilqn", "i") | dict.fromkeys("BHILQN", "u") | dict.fromkeys("efd", "f") | {"c": "S"}
INT64_MIN, INT64_MAX, UINT64_MAX = -(1 << 63), (1 << 63) - 1, (1 << 64) - 1
#: Whole numbers up to here are exact as floats.
EXACT_FLOAT = 1 << 53


class Made(NamedTuple):
    """What an array consists of."""

    dtype: DType
    shape: Shape
    data: memoryview


def bytes_view(buffer: Any) -> memoryview:
    """A flat view of the bytes of `buffer`.

    Raises:
        DataError: it is no buffer, or doesn't lie in one piece.
    """
    try:
        view = memoryview(buffer)
        return view if view.format == "B" and view.ndim == 1 and view.contiguous else view.cast("B")
    except TypeError as exc:
        raise DataError(f"bytes are needed, not {type(buffer).__name__}: {exc}") from exc


def made(values: Any, dtype: DType | None) -> Made:
    """Type, shape and bytes of an array of `values`; of type `dtype`, or of one that holds them all exactly.

    Raises:
        DataError: lists are ragged, or a value doesn't fit.
    """
    if hasattr(values, "__array_interface__"):
        return converted(*_of_interface(unmasked(values)), dtype)
    is_item = isinstance(values, bytes) and dtype is not None and dtype.kind in "SV"
    view = None if is_item else buffer_of(values)
    return _of_lists(values, dtype) if view is None else converted(*_of_buffer(view), dtype)


def converted(known: DType, shape: Shape, data: memoryview, dtype: DType | None) -> Made:
    """An array that is there already, or its values in type `dtype`.

    Raises:
        DataError: a value has no exact form in it.
    """
    if dtype is None or dtype == known:
        return Made(known, shape, data)
    library = numpy("another type of items")
    values = library.ndarray(prod(shape), library.lib.format.descr_to_dtype(known.descr), data)
    if known.kind == dtype.kind and known.kind in "Mm":
        return Made(dtype, shape, memoryview(_in_unit(library, values, dtype).tobytes()))
    return Made(dtype, shape, memoryview(items.encode(dtype, values.tolist())))


def _in_unit(library: Any, values: Any, dtype: DType) -> Any:
    """Times in another unit.

    Raises:
        DataError: one doesn't fit there.
    """
    cast = values.astype(dtype.descr)
    wrong = (cast.astype(values.dtype) != values) & ~library.isnat(values)
    if wrong.any():
        first = int(wrong.argmax())
        raise DataError(f"item {first:,} is {values[first]}, which has no exact form in type {dtype.descr}")
    return cast


def buffer_of(values: Any) -> memoryview | None:
    """A view of `values` if they are a buffer of numbers: `array.array`, a memoryview, bytes; None for lists and the like."""
    if isinstance(values, str | list | tuple | range):
        return None
    try:
        return memoryview(values)
    except TypeError:
        return None


def _of_buffer(view: memoryview) -> Made:
    letter = _LETTERS.get(view.format.lstrip("@=<>"))
    if letter is None:
        raise DataError(f"a buffer of format {view.format!r} is no array of numbers")
    order = view.format[0] if view.format[0] in "<>" else NATIVE
    return Made(parse_dtype(f"{order}{letter}{view.itemsize}"), tuple(view.shape or ()), memoryview(view.tobytes()))


def _of_interface(values: Any) -> Made:
    """NumPy's arrays and scalars, where there is NumPy."""
    interface = values.__array_interface__
    is_record = interface["typestr"][1] == "V" and values.dtype.names
    dtype = parse_dtype(interface["descr"] if is_record else interface["typestr"])
    return Made(dtype, tuple(interface["shape"]), memoryview(values.tobytes()))


def _of_lists(values: Any, dtype: DType | None) -> Made:
    is_record = dtype is not None and dtype.fields is not None
    shape, flat = _flattened(values, (list, range) if is_record else (list, tuple, range))
    if any(hasattr(kind, "__array_interface__") for kind in set(map(type, flat))):
        together = stacked(flat)
        if together is not None:
            return converted(*_of_interface(together.reshape(*shape, *together.shape[1:])), dtype)
        flat = plain_values(flat)
    found = dtype if dtype is not None else parse_dtype(_type_of(flat))
    return Made(found, check_shape(shape, found), memoryview(items.encode(found, flat)))


def _flattened(values: Any, branches: tuple[Any, ...]) -> tuple[Shape, list[Any]]:
    if not isinstance(values, branches):
        if hasattr(values, "__iter__") and not isinstance(values, str | bytes | tuple | dict):
            return _flattened(list(values), branches)
        return (), [values]
    shape, level = [len(values)], list(values)
    while any(issubclass(kind, branches) for kind in set(map(type, level))):
        if len(shape) == NDIM_MAX:
            raise DataError(f"lists are nested more than {NDIM_MAX} deep")
        length = next(len(part) for part in level if isinstance(part, branches))
        for index, part in enumerate(level):
            if not isinstance(part, branches) or len(part) != length:
                raise DataError(
                    f"ragged lists: number {index:,} at depth {len(shape)} is {shown(part)}, among lists of length {length:,}"
                )
        shape.append(length)
        level = list(chain.from_iterable(level))
    return tuple(shape), level


def _type_of(flat: Sequence[Any]) -> str:
    kinds = set(map(type, flat))
    if not kinds:
        return "<f8"
    if kinds == {bool}:
        return "|b1"
    if kinds == {int}:
        return _whole_type(flat)
    if kinds <= {int, float}:
        _check_exact(flat)
        return "<f8"
    if kinds <= {int, float, complex}:
        return "<c16"
    if kinds == {str}:
        return f"<U{max(map(len, flat)) or 1}"
    if kinds == {bytes}:
        return f"|S{max(map(len, flat)) or 1}"
    for kind, descr in ((datetime, "<M8[us]"), (date, "<M8[D]"), (timedelta, "<m8[us]")):
        if kinds == {kind}:
            return descr
    names = ", ".join(sorted(kind.__name__ for kind in kinds))
    raise DataError(f"no item type holds {names} together; give all values one type, or say dtype=")


def _whole_type(flat: Sequence[int]) -> str:
    low, high = min(flat), max(flat)
    if low >= INT64_MIN and high <= INT64_MAX:
        return "<i8"
    if low >= 0 and high <= UINT64_MAX:
        return "<u8"
    raise DataError(f"whole numbers from {low} to {high} don't fit into 64 bits; say dtype='float64' if they need not be exact")


def _check_exact(flat: Sequence[Any]) -> None:
    for value in flat:
        if type(value) is int and abs(value) > EXACT_FLOAT:
            raise DataError(f"{value} among floats would lose digits; say dtype='float64' if it needn't be exact")

"""What an array is made of: lists in lists, buffers of numbers; and which type holds them all."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from math import prod
from typing import Any

from pangea.compute.data import items
from pangea.compute.data.dtypes import NATIVE, DType, parse_dtype
from pangea.compute.data.errors import DataError, shown
from pangea.compute.data.npy import NDIM_MAX, check_shape
from pangea.compute.data.strides import Shape

#: `array` and `memoryview` formats by NumPy's letter; the size decides between those of one letter.
_LETTERS = {"?": "b"} | dict.fromkeys("bhilqn", "i") | dict.fromkeys("BHILQN", "u") | dict.fromkeys("efd", "f") | {"c": "S"}
_INT64, _UINT64 = range(-(1 << 63), 1 << 63), range(1 << 64)
#: Whole numbers up to here are exact as floats.
_EXACT_FLOAT = 1 << 53

Made = tuple[DType, Shape, memoryview]


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
    if hasattr(values, "tobytes") and not isinstance(values, memoryview) and hasattr(values, "_type"):
        return _converted(values._type, values.shape, values.tobytes(), dtype)
    if isinstance(values, bytes | bytearray) and dtype is None:
        return parse_dtype("|u1"), (len(values),), memoryview(values)
    if not isinstance(values, str | bytes | bytearray | list | tuple | range):
        try:
            view = memoryview(values)
        except TypeError:
            pass
        else:
            return _converted(*_of_buffer(view), dtype)
    return _of_lists(values, dtype)


def sides_for(shape: Any, size: int, itemsize: int) -> Shape:
    """The sides that `shape` stands for, for an array of `size` items.

    Raises:
        DataError: they don't hold as many.
    """
    sides = (shape,) if isinstance(shape, int) else tuple(shape)
    if sides.count(-1) == 1:
        rest = prod(side for side in sides if side != -1)
        if rest and not size % rest:
            sides = tuple(size // rest if side == -1 else side for side in sides)
    sides = check_shape(sides, itemsize)
    if prod(sides) != size:
        raise DataError(f"{size:,} items don't fit into shape {sides}")
    return sides


def _of_buffer(view: memoryview) -> Made:
    code = view.format[-1:]
    letter = _LETTERS.get(code)
    if letter is None or len(view.format.lstrip("@=<>")) != 1:
        raise DataError(f"a buffer of format {view.format!r} is no array of numbers")
    order = NATIVE if view.format[0] not in "<>" else view.format[0]
    data = memoryview(view.tobytes()) if not view.c_contiguous else view.cast("B") if view.nbytes else memoryview(b"")
    return parse_dtype(f"{order}{letter}{view.itemsize}"), tuple(view.shape or ()), data


def _converted(known: DType, shape: Shape, data: memoryview, dtype: DType | None) -> Made:
    if dtype is None or dtype == known:
        return known, shape, data
    return dtype, shape, memoryview(items.encode(dtype, items.decode(known, data, prod(shape))))


def _of_lists(values: Any, dtype: DType | None) -> Made:
    is_record = dtype is not None and dtype.fields is not None
    branches = (list, range) if is_record else (list, tuple, range)
    shape, flat = _flattened(values, branches)
    check_shape(shape, dtype.itemsize if dtype is not None else 0)
    found = dtype if dtype is not None else parse_dtype(_type_of(flat))
    return found, shape, memoryview(items.encode(found, flat))


def _flattened(values: Any, branches: Any) -> tuple[Shape, list[Any]]:
    if not isinstance(values, branches):
        if hasattr(values, "__iter__") and not isinstance(values, str | bytes | bytearray | tuple | dict):
            return _flattened(list(values), branches)
        return (), [values]
    shape, level = [len(values)], list(values)
    while level and any(isinstance(part, branches) for part in level):
        if len(shape) == NDIM_MAX:
            raise DataError(f"lists are nested more than {NDIM_MAX} deep")
        length = next(len(part) for part in level if isinstance(part, branches))
        for index, part in enumerate(level):
            if not isinstance(part, branches) or len(part) != length:
                raise DataError(f"ragged lists: among those of {length}, number {index:,} at depth {len(shape)} is {shown(part)}")
        shape.append(length)
        level = [item for part in level for item in part]
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
        return f"<U{max(1, *map(len, flat))}"
    if kinds == {bytes}:
        return f"|S{max(1, *map(len, flat))}"
    for kind, descr in ((datetime, "<M8[us]"), (date, "<M8[D]"), (timedelta, "<m8[us]")):
        if kinds == {kind}:
            return descr
    names = ", ".join(sorted(kind.__name__ for kind in kinds))
    raise DataError(f"no item type holds {names} together; give all values one type, or say dtype=")


def _whole_type(flat: Sequence[int]) -> str:
    low, high = min(flat), max(flat)
    if low in _INT64 and high in _INT64:
        return "<i8"
    if low in _UINT64 and high in _UINT64:
        return "<u8"
    raise DataError(f"whole numbers from {low} to {high} don't fit into 64 bits; say dtype='float64' if they need not be exact")


def _check_exact(flat: Sequence[Any]) -> None:
    for value in flat:
        if type(value) is int and abs(value) > _EXACT_FLOAT:
            raise DataError(f"{value} among floats would lose digits; say dtype='float64' if it needn't be exact")

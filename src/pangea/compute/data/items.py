"""Python values as the bytes of an array's items, exactly: what NumPy would round, cut off or wrap is refused, by its place."""

from __future__ import annotations

import struct
from array import array as flat_array
from collections.abc import Iterable, Sequence
from math import prod
from typing import Any

from pangea.compute.data.dtypes import DType
from pangea.compute.data.errors import DataError, shown


def encode(dtype: DType, values: Sequence[Any]) -> bytes:
    """The bytes of items of `dtype` with these values.

    Raises:
        DataError: a value has no exact form in this type; says which one.
    """
    try:
        return _encode(dtype, values)
    except (TypeError, ValueError, OverflowError, struct.error, AttributeError) as exc:
        for index, value in enumerate(values):
            try:
                _encode(dtype, [value])
            except (TypeError, ValueError, OverflowError, struct.error, AttributeError) as cause:
                raise DataError(
                    f"item {index:,} is {shown(value)}, which has no exact form in type {dtype.descr}: {cause}"
                ) from exc
        raise DataError(f"the values have no exact form in type {dtype.descr}: {exc}") from exc


def _encode(dtype: DType, values: Sequence[Any]) -> bytes:
    if dtype.fields is not None:
        return _encode_fields(dtype, values)
    if dtype.kind == "c":
        numbers: list[float] = []
        for value in values:
            number = complex(value) if not isinstance(value, str) else _refuse(value)
            numbers += (number.real, number.imag)
        return _numbers("f" if dtype.itemsize == 8 else "d", numbers, dtype.is_swapped)
    if dtype.from_python is not None:
        return _numbers("q", [dtype.from_python(value) for value in values], dtype.is_swapped)
    if dtype.format == "e":
        return struct.pack(f"{dtype.descr[0]}{len(values)}e", *values)
    if dtype.format == "?":
        return bytes([_flag(value) for value in values])
    if dtype.format:
        return _numbers(dtype.format, values, dtype.is_swapped)
    return b"".join([_text_item(dtype, value) for value in values])


def _numbers(code: str, values: Iterable[Any], is_swapped: bool) -> bytes:
    items = flat_array(code, values)
    if is_swapped:
        items.byteswap()
    return items.tobytes()


def _flag(value: Any) -> int:
    if value is True or value is False or value in (0, 1):
        return int(value)
    raise TypeError("not true or false")


def _refuse(value: Any) -> complex:
    raise TypeError(f"{shown(value)} is no number")


def _text_item(dtype: DType, value: Any) -> bytes:
    if dtype.kind == "U":
        if not isinstance(value, str):
            raise TypeError("not text")
        raw = value.encode("utf-32-le" if dtype.descr[0] == "<" else "utf-32-be", "surrogatepass")
    else:
        if not isinstance(value, bytes | bytearray | memoryview):
            raise TypeError("not bytes")
        raw = bytes(value)
    if len(raw) > dtype.itemsize or (dtype.kind == "V" and len(raw) != dtype.itemsize):
        raise ValueError("its length")
    return raw.ljust(dtype.itemsize, b"\0")


def _encode_fields(dtype: DType, values: Sequence[Any]) -> bytes:
    named = [field for field in dtype.fields or () if field[0]]
    for value in values:
        if not isinstance(value, tuple) or len(value) != len(named):
            raise TypeError(f"a tuple of {len(named)} values is needed")
    out = bytearray(len(values) * dtype.itemsize)
    for place, (_name, inner, shape, offset) in enumerate(named):
        size = inner.itemsize * prod(shape)
        column: list[Any] = []
        for value in values:
            column += flattened(value[place], shape)
        raw = _encode(inner, column)
        for index in range(len(values)):
            at = index * dtype.itemsize + offset
            out[at : at + size] = raw[index * size : (index + 1) * size]
    return bytes(out)


def flattened(value: Any, shape: Sequence[int]) -> list[Any]:
    """The items of lists in lists that have to be of `shape`.

    Raises:
        ValueError: they aren't.
    """
    if not shape:
        return [value]
    if not isinstance(value, list | tuple) or len(value) != shape[0]:
        raise ValueError(f"{shown(value)} is no list of {shape[0]}")
    if len(shape) == 1:
        return list(value)
    return [item for part in value for item in flattened(part, shape[1:])]

"""Items of an array from bytes to plain Python values, and back: as many at once as there are, in C where that is possible."""

from __future__ import annotations

import struct
from array import array as flat_array
from collections.abc import Iterable, Sequence
from math import prod
from typing import Any

from pangea.compute.data import moments
from pangea.compute.data.dtypes import HAS_HALF_VIEWS, DType
from pangea.compute.data.errors import DataError, shown
from pangea.compute.data.strides import c_strides, gather


def native_view(dtype: DType, data: memoryview) -> memoryview:
    """The items as numbers of this machine: a view of `data` where its bytes are such, else of a copy.

    Complex numbers are pairs of floats; text, bytes and structured items are left as bytes.
    """
    if dtype.kind == "c":
        half: Any = "f" if dtype.itemsize == 8 else "d"
        return _swapped(half, data) if dtype.is_swapped else data.cast(half)
    if not dtype.format:
        return data
    if dtype.format == "e" and (dtype.is_swapped or not HAS_HALF_VIEWS):
        return memoryview(flat_array("f", _halves(dtype, data)))
    return _swapped(dtype.format, data) if dtype.is_swapped else data.cast(dtype.format)


def decode(dtype: DType, data: memoryview, count: int) -> list[Any]:
    """`count` items that lie one after the other in `data`, as plain Python values.

    Raises:
        DataError: the bytes are no text, or a date has no place in Python's calendar.
    """
    if dtype.fields is not None:
        return _decode_fields(dtype, data, count)
    if dtype.kind == "c":
        parts = iter(native_view(dtype, data).tolist())
        return [complex(real, imaginary) for real, imaginary in zip(parts, parts, strict=True)]
    if dtype.format:
        if dtype.format == "e":
            return list(_halves(dtype, data))
        numbers: list[Any] = native_view(dtype, data).tolist()
        return numbers if dtype.kind not in "Mm" else _moments(dtype, numbers)
    return _decode_text(dtype, data, count)


def encode(dtype: DType, values: Sequence[Any]) -> bytes:
    """The bytes of items of `dtype` with these values: the reverse of `decode`.

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


def nested(items: list[Any], shape: Sequence[int]) -> Any:
    """Items in C order as lists in lists; a single item when there are no axes."""
    if not shape:
        return items[0]
    if not prod(shape):
        return _empty(shape)
    for side in reversed(shape[1:]):
        items = [items[at : at + side] for at in range(0, len(items), side)]
    return items


def _empty(shape: Sequence[int]) -> list[Any]:
    return [_empty(shape[1:]) for _ in range(shape[0])] if shape else []


def _moments(dtype: DType, numbers: list[Any]) -> list[Any]:
    if moments.NAT in numbers:
        numbers = [None if number == moments.NAT else number for number in numbers]
    return numbers if dtype.to_python is None else moments.converted(numbers, dtype.to_python)


def _swapped(code: str, data: memoryview) -> memoryview:
    items = flat_array(code, bytes(data))
    items.byteswap()
    return memoryview(items)


def _halves(dtype: DType, data: memoryview) -> tuple[float, ...]:
    return struct.unpack(f"{dtype.descr[0]}{len(data) // 2}e", data)


def _decode_fields(dtype: DType, data: memoryview, count: int) -> list[Any]:
    columns = []
    for name, inner, shape, offset in dtype.fields or ():
        if not name:
            continue
        strides = (dtype.itemsize, *c_strides(shape, inner.itemsize))
        flat = memoryview(gather(data, offset, (count, *shape), strides, inner.itemsize))
        items = decode(inner, flat, count * prod(shape))
        columns.append(nested(items, (count, *shape)) if shape else items)
    return list(zip(*columns, strict=True)) if columns else [()] * count


def _decode_text(dtype: DType, data: memoryview, count: int) -> list[Any]:
    size = dtype.itemsize
    if dtype.kind != "U":
        raw = bytes(data)
        items = [raw[at : at + size] for at in range(0, count * size, size)] if size else [b""] * count
        return [item.rstrip(b"\0") for item in items] if dtype.kind == "S" else items
    encoding = "utf-32-le" if dtype.descr[0] == "<" else "utf-32-be"
    try:
        text = str(data, encoding, "surrogatepass")
    except UnicodeDecodeError as exc:
        raise DataError(f"item {exc.start // size:,} of type {dtype.descr} is no Unicode text") from exc
    letters = size // 4
    return [text[at : at + letters].rstrip("\0") for at in range(0, count * letters, letters)] if size else [""] * count


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

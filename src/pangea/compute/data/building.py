"""What a table's columns are made of: lists of Python values, buffers of numbers; and which type holds them."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from pangea.compute.data.array import Array
from pangea.compute.data.column import Column
from pangea.compute.data.columntypes import INFERRED, ColumnType, column_type
from pangea.compute.data.errors import DataError, shown
from pangea.compute.data.making import EXACT_FLOAT, INT64_MAX, INT64_MIN, buffer_of
from pangea.compute.data.vector import Vector, of_raw

#: Column types by NumPy's letter and size, of arrays that become columns without a copy.
_OF_ARRAYS = {
    "i1": "int8", "i2": "int16", "i4": "int32", "i8": "int64", "u1": "uint8", "u2": "uint16", "u4": "uint32", "u8": "uint64",
    "f2": "float16", "f4": "float32", "f8": "float64",
}  # fmt: skip
_REFUSED = (TypeError, ValueError, OverflowError, AttributeError, struct.error)


def types_by_name(names: Sequence[str], types: Mapping[str, Any] | Sequence[Any] | None) -> dict[str, ColumnType]:
    """The types that are given, by column.

    Raises:
        DataError: there is no such type, no such column, or not one for each.
    """
    if types is None:
        return {}
    if not isinstance(types, Mapping):
        if isinstance(types, str) or len(types) != len(names):
            raise DataError(f"types are by column, or one for each of {len(names)} columns, not {shown(types)}")
        types = dict(zip(names, types, strict=True))
    for name in types:
        if name not in names:
            raise DataError(f"there is a type for a column {name!r}, but no such column")
    return {name: column_type(kind, name) for name, kind in types.items() if kind is not None}


def column_of(name: Any, values: Any, kind: ColumnType | None) -> Column:
    """A column of `values`, of type `kind` or of one that holds them.

    Raises:
        DataError: a value doesn't fit; the message names the column and the row.
    """
    if not isinstance(name, str) or not _is_unicode(name):
        raise DataError(f"a column's name is Unicode text, not {shown(name)}")
    if isinstance(values, Column) and (kind is None or values.type == kind.name):
        return values.named(name)
    direct = _without_copy(values)
    if direct is not None and (kind is None or direct.type.name == kind.name):
        return Column(name, direct.type, [direct])
    if isinstance(values, str | bytes | Mapping) or not hasattr(values, "__iter__"):
        raise DataError(f"column {name!r} needs a list of values, not {shown(values)}")
    held = values if isinstance(values, list) else list(values)
    kind = kind if kind is not None else column_type(_inferred(name, held), name)
    return Column(name, kind, [_vector(name, kind, held)])


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= letter <= "\udfff" for letter in text)


def _without_copy(values: Any) -> Vector | None:
    if not isinstance(values, Array):
        view = None if isinstance(values, Column | bytes) else buffer_of(values)
        if view is None or view.ndim != 1:
            return None
        values = Array.of(view)
    descr = values.dtype
    kind = _OF_ARRAYS.get(descr[1:]) if isinstance(descr, str) and descr[0] in "<|" and values.ndim == 1 else None
    return None if kind is None else Vector(column_type(kind, ""), len(values), values.tobytes())


def _vector(name: str, kind: ColumnType, values: list[Any]) -> Vector:
    try:
        return of_raw(kind, _stored(kind, values))
    except _REFUSED as exc:
        for row, value in enumerate(values):
            try:
                of_raw(kind, _stored(kind, [value]))
            except _REFUSED as cause:
                raise DataError(f"column {name!r}, row {row:,}: {shown(value)} is no {kind.name} ({cause})") from exc
        raise DataError(f"column {name!r} doesn't fit into type {kind.name}: {exc}") from exc


def _stored(kind: ColumnType, values: list[Any]) -> list[Any]:
    convert = kind.from_python
    if convert is None:
        return values
    return [None if value is None else convert(value) for value in values]


def _inferred(name: str, values: list[Any]) -> str:
    kinds = {_plain(kind) for kind in set(map(type, values)) - {type(None)}}
    if not kinds:
        return "null"
    if kinds == {int, float}:
        _check_exact(name, values)
        return "float64"
    if len(kinds) > 1 or not kinds <= set(INFERRED):
        found = ", ".join(sorted(kind.__name__ for kind in kinds))
        raise DataError(f"column {name!r} has values of type {found}; give them one type that has a place here, or say types=")
    (kind,) = kinds
    if kind is int:
        _check_whole(name, values)
    if kind is datetime:
        return _instant_type(name, values)
    return INFERRED[kind]


def _plain(kind: type) -> type:
    """What an enumeration's or a library's number or text is in plain Python."""
    return kind if kind in INFERRED else next((base for base in kind.__mro__ if base in (int, float, str, bytes)), kind)


def _check_exact(name: str, values: Sequence[Any]) -> None:
    for row, value in enumerate(values):
        if type(value) is int and abs(value) > EXACT_FLOAT:
            raise DataError(f"column {name!r}, row {row:,}: {value} among floats would lose digits; say types= if it may")


def _check_whole(name: str, values: Sequence[Any]) -> None:
    numbers = [value for value in values if value is not None]
    if min(numbers) < INT64_MIN or max(numbers) > INT64_MAX:
        row = next(row for row, value in enumerate(values) if value is not None and not INT64_MIN <= value <= INT64_MAX)
        raise DataError(f"column {name!r}, row {row:,}: {values[row]} doesn't fit into int64; say uint64 or float64 in types=")


def _instant_type(name: str, values: Sequence[Any]) -> str:
    zoned = {value.tzinfo is not None for value in values if value is not None}
    if len(zoned) > 1:
        raise DataError(f"column {name!r} mixes times with and without a time zone; give all one, or none")
    return "timestamp[us, tz=UTC]" if zoned == {True} else "timestamp[us]"

"""What a table's columns are made of: lists of Python values, buffers of numbers; and which type holds them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from itertools import chain
from typing import Any

from pangea.compute.data import zones
from pangea.compute.data.column import Column
from pangea.compute.data.columntypes import DIGITS, FIXED, INFERRED, ColumnType, column_type, decimal_type, list_type, struct_type
from pangea.compute.data.errors import DataError, shown
from pangea.compute.data.from_numpy import NUMBERS, array_vector, is_numpy, scalars_vector
from pangea.compute.data.making import EXACT_FLOAT, INT64_MAX, INT64_MIN, buffer_of, made
from pangea.compute.data.numpy_here import numpy
from pangea.compute.data.vector import Vector, of_values


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
    direct = _without_copy(name, values)
    if direct is not None and (kind is None or _is_of(direct, kind)):
        held = direct if kind is None else direct.retyped(kind) if kind.layout == FIXED else direct
        return Column(name, held.type, [held])
    if direct is not None:
        values = _plain_values(name, direct, kind)
    if isinstance(values, str | bytes | Mapping) or not hasattr(values, "__iter__"):
        raise DataError(f"column {name!r} needs a list of values, not {shown(values)}")
    return _of_list(name, values if isinstance(values, list) else list(values), kind)


def _of_list(name: str, values: list[Any], kind: ColumnType | None) -> Column:
    values = [value.tolist() if getattr(value, "ndim", 0) else value for value in values] if _has_arrays(values) else values
    if any(hasattr(each, "__array_interface__") for each in set(map(type, values))):
        scalars = _of_numpy(scalars_vector, name, values)
        if isinstance(scalars, Vector) and (kind is None or _is_of(scalars, kind)):
            held = scalars if kind is None or kind.layout != FIXED else scalars.retyped(kind)
            return Column(name, held.type, [held])
        values = _plain_values(name, scalars, kind) if isinstance(scalars, Vector) else list(scalars)
    kind = kind if kind is not None else column_type(_inferred(name, values), name)
    return Column(name, kind, [of_values(name, kind, values)])


def _of_numpy(make: Callable[[str, Any], Any], name: str, values: Any) -> Any:
    try:
        return make(name, values)
    except DataError as exc:
        raise DataError(f"column {name!r}: {exc}") from exc


def _is_of(vector: Vector, kind: ColumnType) -> bool:
    """Whether the values are of a type as they are stored: `datetime64`, which has no zone, is UTC where there is one."""
    head, _, zone = kind.name.partition(", tz=")
    return vector.type.name == (f"{head}]" if zone else kind.name)


def _plain_values(name: str, vector: Vector, kind: ColumnType | None) -> list[Any]:
    """The values, to be stored in another type.

    Raises:
        DataError: they are times, whose stored numbers would be taken for those of another unit.
    """
    if vector.type.name.partition("[")[0] in ("timestamp", "duration", "date32"):
        raise DataError(f"column {name!r} is of type {kind}, and its values are {vector.type}: cast them with astype() first")
    return vector.raw()


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= letter <= "\udfff" for letter in text)


def _without_copy(name: str, values: Any) -> Vector | None:
    """The values of arrays and buffers; None of what has to be looked at value by value."""
    if is_numpy(values):
        found: Vector | None = _of_numpy(array_vector, name, values)
        return found
    view = None if isinstance(values, Column | bytes) else buffer_of(values)
    if view is None or view.ndim != 1:
        return None
    held = made(view, None)
    kind = NUMBERS.get(held.dtype.descr[1:])
    return None if kind is None or held.dtype.is_swapped else Vector(column_type(kind, ""), len(view), held.data)


def _has_arrays(values: list[Any]) -> bool:
    return any(issubclass(each, numpy("an array").ndarray) for each in set(map(type, values)) if hasattr(each, "ndim"))


def _inferred(name: str, values: Sequence[Any]) -> str | ColumnType:
    kinds = {_plain(kind) for kind in set(map(type, values)) - {type(None)}}
    if not kinds:
        return "null"
    if kinds == {int, float}:
        _check_exact(name, values)
        return "float64"
    if (kinds <= {list, tuple, dict, Decimal} and len(kinds - {tuple}) < 2) or kinds == {tuple}:
        return _inferred_inside(name, kinds, [value for value in values if value is not None])
    if len(kinds) > 1 or not kinds <= set(INFERRED):
        found = ", ".join(sorted(kind.__name__ for kind in kinds))
        raise DataError(f"column {name!r} has values of type {found}; give them one type that has a place here, or say types=")
    (kind,) = kinds
    if kind is int:
        _check_whole(name, values)
    if kind is datetime:
        return _instant_type(name, values)
    return INFERRED[kind]


def _inferred_inside(name: str, kinds: set[type], values: list[Any]) -> ColumnType:
    """The type of decimals, of lists or of dicts."""
    if kinds == {Decimal}:
        behind = max((-int(value.as_tuple().exponent) for value in values if value.is_finite()), default=0)
        return decimal_type(128, DIGITS[128], min(max(behind, 0), DIGITS[128]))
    if dict not in kinds:
        return list_type(column_type(_inferred(name, list(chain.from_iterable(values))), name))
    fields = dict.fromkeys(chain.from_iterable(values))
    try:
        return struct_type(
            [(field, column_type(_inferred(name, [value.get(field) for value in values]), name)) for field in fields]
        )
    except (ValueError, TypeError, AttributeError) as exc:
        raise DataError(f"column {name!r} has dicts and others, or dicts without names: {exc}") from exc


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
    return f"timestamp[us, tz={zones.name_in(values)}]" if zoned == {True} else "timestamp[us]"

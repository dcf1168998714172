"""Arrow's schema message to columns and back.

Source: Arrow's Schema.fbs and Message.fbs, format version 1.5 (metadata version V5).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import NamedTuple

from pangea.compute.data import zones
from pangea.compute.data.column import Column, Metadata
from pangea.compute.data.columntypes import (
    DECIMAL,
    DEPTH_MAX,
    LIST,
    UNITS,
    ColumnType,
    column_type,
    decimal_type,
    list_type,
    struct_type,
)
from pangea.compute.data.errors import DataError, shown
from pangea.compute.data.flatbuffer import FieldValue, FlatTable, Placed, string, table, tables

#: How many bytes keys and values may have besides the columns themselves.
METADATA_BYTES_MAX = 1 << 24

I16, I32, U8, BOOL = struct.Struct("<h"), struct.Struct("<i"), struct.Struct("<B"), struct.Struct("<?")

# The members of the union `Type` that have a place here, and the names of those that don't.
_NULL, _INT, _FLOAT, _BINARY, _UTF8, _BOOL, _DATE, _TIME, _TIMESTAMP, _DURATION = 1, 2, 3, 4, 5, 6, 8, 9, 10, 18
_LARGE_BINARY, _LARGE_UTF8 = 19, 20
_DECIMAL, _LIST, _STRUCT = 7, 12, 13
_UNKNOWN = {
    11: "interval", 14: "union", 15: "fixed_size_binary", 16: "fixed_size_list",
    17: "map", 21: "large_list", 22: "run_end_encoded", 23: "binary_view", 24: "string_view", 25: "list_view",
    26: "large_list_view",
}  # fmt: skip
_REMEDIES = {
    15: "binary", 23: "binary", 24: "string", 11: "duration",
}  # fmt: skip
_PLAIN = {
    _NULL: "null", _BINARY: "binary", _UTF8: "string", _BOOL: "bool", _LARGE_BINARY: "large_binary", _LARGE_UTF8: "large_string",
}  # fmt: skip
_FLOATS = ("float16", "float32", "float64")


class ArrowField(NamedTuple):
    """A column as the schema describes it."""

    name: str
    type: ColumnType
    is_nullable: bool
    metadata: Metadata


class ArrowSchema(NamedTuple):
    """What a schema message says."""

    fields: tuple[ArrowField, ...]
    metadata: Metadata


def read_schema(message: FlatTable) -> ArrowSchema:
    """Read the table `Schema`.

    Raises:
        DataError: a column has a type or an encoding that has no place here, or two have one name.
    """
    if message.number(0, I16) != 0:
        raise DataError("the Arrow stream is big-endian; write it little-endian")
    fields = tuple(_read_field(field) for field in message.tables(1))
    names: set[str] = set()
    for field in fields:
        if field.name in names:
            raise DataError(f"two columns have the name {field.name!r}; rename one")
        names.add(field.name)
    return ArrowSchema(fields, _read_metadata(message, 2))


def schema_table(columns: Sequence[Column], metadata: Metadata) -> Placed:
    """The table `Schema` for these columns."""
    fields: dict[int, FieldValue] = {1: tables([_field_table(column) for column in columns])}
    if metadata:
        fields[2] = _metadata_tables(metadata)
    return table(fields)


def _read_field(field: FlatTable) -> ArrowField:
    name = _text(field.text(0), "a column's name")
    if field.has(4):
        raise DataError(f"column {name!r} is dictionary-encoded (categorical); decode it first: cast it to string")
    known, metadata = _read_kind(field, name, 0), _read_metadata(field, 6)
    if known.zone and (rules := dict(metadata).get(zones.KEY)) is not None:
        zones.learn(known.zone, rules)
    return ArrowField(name, known, bool(field.number(1, BOOL)), metadata)


def _read_kind(field: FlatTable, name: str, depth: int) -> ColumnType:
    """The type of a column, or of the items or a field in it."""
    kind, inner, children = field.number(2, U8), field.table(3), field.tables(5)
    if kind in _UNKNOWN:
        remedy = f"; cast it to {_REMEDIES[kind]}" if kind in _REMEDIES else "; flatten it into plain columns, or leave it out"
        raise DataError(f"column {name!r} has type {_UNKNOWN[kind]}, which has no place in a table here{remedy}")
    if inner is None or (kind not in (_LIST, _STRUCT) and children) or (kind == _LIST and len(children) != 1):
        raise DataError(f"corrupt Arrow metadata: column {name!r} has no type, or columns inside")
    try:
        if kind == _DECIMAL:
            return decimal_type(inner.number(2, I32, 128), inner.number(0, I32), inner.number(1, I32))
        if kind not in (_LIST, _STRUCT):
            return column_type(_type_name(kind, inner, name), name)
        if depth == DEPTH_MAX:
            raise DataError(f"column {name!r} is nested more than {DEPTH_MAX} deep")
        if any(child.has(4) for child in children):
            raise DataError(f"column {name!r} has categories inside; decode them first")
        fields = [(_text(child.text(0), "a field's name"), _read_kind(child, name, depth + 1)) for child in children]
        return list_type(fields[0][1]) if kind == _LIST else struct_type(fields)
    except ValueError as exc:
        raise DataError(f"column {name!r}: {exc}") from exc


def _type_name(kind: int, inner: FlatTable, column: str) -> str:
    if kind in _PLAIN:
        return _PLAIN[kind]
    if kind == _INT:
        return f"{'' if inner.number(1, BOOL) else 'u'}int{inner.number(0, I32)}"
    if kind == _FLOAT:
        return _of(_FLOATS, inner.number(0, I16), column)
    if kind == _DATE:
        return _of(("date32", "date64"), inner.number(0, I16, 1), column)
    if kind == _TIME:
        return f"time{inner.number(1, I32, 32)}[{_of(UNITS, inner.number(0, I16, 1), column)}]"
    if kind == _DURATION:
        return f"duration[{_of(UNITS, inner.number(0, I16, 1), column)}]"
    if kind == _TIMESTAMP:
        unit, zone = _of(UNITS, inner.number(0, I16), column), _text(inner.text(1), "a time zone")
        return f"timestamp[{unit}, tz={zone}]" if zone else f"timestamp[{unit}]"
    raise DataError(f"corrupt Arrow metadata: column {column!r} has type number {kind}")


def _text(raw: bytes | None, what: str) -> str:
    try:
        return (raw or b"").decode()
    except UnicodeDecodeError as exc:
        raise DataError(f"corrupt Arrow metadata: {what} is not UTF-8") from exc


def _of(names: Sequence[str], number: int, column: str) -> str:
    if not 0 <= number < len(names):
        raise DataError(f"corrupt Arrow metadata: column {column!r} has a unit or precision {shown(number)}")
    return names[number]


def _field_table(column: Column) -> Placed:
    return _described(column.name, column.kind, is_nullable=column.is_nullable, metadata=_field_metadata(column))


def _described(name: str, known: ColumnType, *, is_nullable: bool = True, metadata: Metadata = ()) -> Placed:
    kind, inner = _type_table(known)
    fields: dict[int, FieldValue] = {
        0: string(name.encode()),
        1: ("?", is_nullable),
        2: ("B", kind),
        3: table(inner),
        5: tables([_described(child, child_kind) for child, child_kind in known.children]),
    }
    if metadata:
        fields[6] = _metadata_tables(metadata)
    return table(fields)


def _field_metadata(column: Column) -> Metadata:
    """What a schema said of the column, and nothing else; the rules of its zone, where the column was made here."""
    if column.metadata is not None:
        return column.metadata
    rules = zones.rules_of(column.kind.zone)
    return () if rules is None else ((zones.KEY, rules),)


def _type_table(known: ColumnType) -> tuple[int, dict[int, FieldValue]]:
    name = known.name
    if known.layout == DECIMAL:
        return _DECIMAL, {0: ("i", known.digits[0]), 1: ("i", known.digits[1]), 2: ("i", 8 * known.width)}
    if known.children:
        return (_LIST if known.layout == LIST else _STRUCT), {}
    for number, plain in _PLAIN.items():
        if plain == name:
            return number, {}
    if name in _FLOATS:
        return _FLOAT, {0: ("h", _FLOATS.index(name))}
    if name.startswith(("int", "uint")):
        return _INT, {0: ("i", int(name.partition("int")[2])), 1: ("?", name[0] == "i")}
    if name.startswith("date"):
        return _DATE, {0: ("h", ("date32", "date64").index(name))}
    head, _, inside = name.partition("[")
    unit, _, zone = inside.removesuffix("]").partition(", tz=")
    number = UNITS.index(unit)
    if head == "duration":
        return _DURATION, {0: ("h", number)}
    if head == "timestamp":
        return _TIMESTAMP, {0: ("h", number)} | ({1: string(zone.encode())} if zone else {})
    return _TIME, {0: ("h", number), 1: ("i", int(head.removeprefix("time")))}


def _read_metadata(owner: FlatTable, slot: int) -> Metadata:
    found, size = [], 0
    for pair in owner.tables(slot):
        key, value = pair.text(0) or b"", pair.text(1) or b""
        size += len(key) + len(value)
        if size > METADATA_BYTES_MAX:
            raise DataError(f"Arrow metadata has more than {METADATA_BYTES_MAX:,} bytes")
        found.append((key, value))
    return tuple(found)


def _metadata_tables(metadata: Metadata) -> Placed:
    return tables([table({0: string(key), 1: string(value)}) for key, value in metadata])

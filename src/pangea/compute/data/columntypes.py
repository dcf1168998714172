"""The types that a column has, by Arrow's names, and how their values lie in memory and become Python values.

Lists, structs and decimals are as they are in Arrow: `list<item: int64>`, `struct<a: int64, "b: c": string>` (a name that isn't
plain stands in quotes), `decimal128(10, 2)`. What is stored of a list or a struct is a tuple, of a decimal a `decimal.Decimal`.

Nanoseconds (`timestamp[ns]`, `time64[ns]`, `duration[ns]`) stay whole numbers, as Python's times have microseconds. A
timestamp with a time zone becomes a datetime in UTC here; a column puts it by the zone's own clock (`zones`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from itertools import accumulate, chain, pairwise
from typing import Any

from pangea.compute.data import moments
from pangea.compute.data.errors import DataError, shown
from pangea.compute.data.zones import localized

FIXED, BITS, BYTES, NOTHING, DECIMAL, LIST, STRUCT = "fixed", "bits", "bytes", "nothing", "decimal", "list", "struct"
NESTED = (LIST, STRUCT)
#: How deep lists and structs may lie in each other.
DEPTH_MAX = 16
#: Digits of decimals, by their bits.
DIGITS = {128: 38, 256: 76}

_NUMBERS = {
    "int8": "b", "int16": "h", "int32": "i", "int64": "q", "uint8": "B", "uint16": "H", "uint32": "I", "uint64": "Q",
    "float16": "e", "float32": "f", "float64": "d",
}  # fmt: skip
_VARIABLE = {"string": "i", "large_string": "q", "binary": "i", "large_binary": "q"}
#: Other names: Python's, and those of libraries.
_ALIASES = {
    "int": "int64", "float": "float64", "str": "string", "bytes": "binary", "date": "date32", "time": "time64[us]",
    "datetime": "timestamp[us]", "timedelta": "duration[us]", "NoneType": "null",
    "utf8": "string", "large_utf8": "large_string", "double": "float64", "halffloat": "float16", "bool_": "bool",
    "date32[day]": "date32", "date64[ms]": "date64",
}  # fmt: skip
WIDTHS = {"b": 1, "h": 2, "i": 4, "q": 8, "B": 1, "H": 2, "I": 4, "Q": 8, "e": 2, "f": 4, "d": 8}
UNITS = ("s", "ms", "us", "ns")
_TIMED = {(head, unit) for head in ("timestamp", "duration") for unit in UNITS} | {
    ("time32", "s"), ("time32", "ms"), ("time64", "us"), ("time64", "ns"),
}  # fmt: skip


class ColumnType:
    """A column's type.

    Attributes:
        name: as pyarrow writes it.
        layout: FIXED (numbers one after the other), BITS, BYTES (offsets and bytes), NOTHING (all null), DECIMAL, LIST (offsets
            and a child), STRUCT (children).
        format: of `memoryview.cast` and `array`: of the numbers, or of the offsets.
        width: bytes of a number, a decimal or an offset; 0 where there is none.
        is_text: whether the bytes are UTF-8.
        to_python: turns what is stored into dates, times, lists and dicts; else None.
        from_python: turns one of those into what is stored; else None.
        zone: of a timestamp; "" if there is none.
        children: of a list one, "item"; of a struct its fields: names and types.
        digits: of a decimal: how many it has, and how many of them are behind the point.
    """

    __slots__ = ("children", "digits", "format", "from_python", "is_text", "layout", "name", "to_python", "width", "zone")
    layout: str
    name: str

    def __init__(self, name: str, layout: str, code: str = "") -> None:
        self.name, self.layout = name, layout
        self.format: Any = code
        self.width: int = WIDTHS.get(code, 0)
        self.is_text: bool = name in ("string", "large_string")
        self.zone: str = name.partition(", tz=")[2].removesuffix("]") if name.startswith("timestamp") else ""
        self.to_python: Callable[[Sequence[Any]], list[Any]] | None = None
        self.from_python: Callable[[Any], Any] | None = None
        self.children: tuple[tuple[str, ColumnType], ...] = ()
        self.digits: tuple[int, int] = (0, 0)

    @property
    def has_bytes(self) -> bool:
        """Whether each value takes some; of nothing but nulls none does."""
        if self.layout == STRUCT:
            return any(kind.has_bytes for _, kind in self.children)
        return self.layout != NOTHING

    def __repr__(self) -> str:
        return self.name


_known: dict[str, ColumnType] = {}


def column_type(name: Any, column: str) -> ColumnType:
    """The type called `name`, which pyarrow or Python calls it.

    Args:
        name: such as `int64`, `timestamp[us, tz=UTC]`, or `int`.
        column: for messages.

    Raises:
        DataError: there is no such type here.
    """
    if isinstance(name, ColumnType):
        return name
    name = name.__name__ if isinstance(name, type) else name
    found = _known.get(name) if isinstance(name, str) else None
    if found is None:
        found = _made(_ALIASES.get(name, name), column) or _parsed(name) if isinstance(name, str) else None
        if found is None:
            raise DataError(
                f"column {column!r} can't have type {shown(name)}: there is no such type here (docs/data.md lists them)"
            )
        if len(_known) < 256:
            _known[name] = found
    return found


def _made(name: str, column: str) -> ColumnType | None:
    if name in _NUMBERS:
        return ColumnType(name, FIXED, _NUMBERS[name])
    if name in _VARIABLE:
        return ColumnType(name, BYTES, _VARIABLE[name])
    if name == "bool":
        return ColumnType(name, BITS)
    if name == "null":
        return ColumnType(name, NOTHING)
    if name == "date32":
        return _converted(name, "i", moments.days_of(1), moments.days_since)
    if name == "date64":
        days = moments.days_of(1, per=moments.DAY_MS)
        return _converted(name, "q", days, lambda value: moments.days_since(value) * moments.DAY_MS)
    head, bracket, inside = name.partition("[")
    unit, comma, zone = inside.removesuffix("]").partition(", tz=")
    if not bracket or not inside.endswith("]") or unit not in UNITS or (comma and not zone):
        return None
    return _timed(name, head, unit, bool(comma))


def _timed(name: str, head: str, unit: str, has_zone: bool) -> ColumnType | None:
    if (head, unit) not in _TIMED or (has_zone and head != "timestamp"):
        return None
    code = "i" if head == "time32" else "q"
    if unit == "ns":
        return ColumnType(name, FIXED, code)
    scale = moments.MICROSECONDS[unit]
    if head == "timestamp":
        write = moments.microseconds_since_utc if has_zone else moments.microseconds_since
        read = moments.instants_of(scale, is_utc=has_zone)
    elif head == "duration":
        read, write = moments.spans_of(scale), moments.microseconds_of
    else:
        read, write = moments.clocks_of(scale), moments.microseconds_of_day
    return _converted(name, code, read, lambda value: moments.whole(write(value), scale, value))


def _converted(name: str, code: str, to_python: moments.ToPython, from_python: moments.FromPython) -> ColumnType:
    made = ColumnType(name, FIXED, code)
    made.to_python = to_python
    made.from_python = lambda value: value if type(value) is int else from_python(value)
    return made


def decimal_type(bits: int, digits: int, behind: int) -> ColumnType:
    """Decimals of so many digits, some of them behind the point.

    Raises:
        ValueError: there is no room for them.
    """
    if not 1 <= digits <= DIGITS.get(bits, 0) or abs(behind) > DIGITS[bits]:
        raise ValueError(f"there are no decimals of {digits} digits, {behind} behind the point, in {bits} bits")
    made = ColumnType(f"decimal{bits}({digits}, {behind})", DECIMAL)
    made.width, made.digits, made.from_python = bits // 8, (digits, behind), _decimal_of
    return made


def _decimal_of(value: Any) -> Decimal:
    if isinstance(value, Decimal) and value.is_finite():
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return Decimal(value)
    raise TypeError("neither a finite Decimal nor a whole number")


def list_type(item: ColumnType) -> ColumnType:
    """Lists of values of one type."""
    made = ColumnType(f"list<item: {item.name}>", LIST, "i")
    made.children = (("item", item),)

    def to_python(values: Sequence[Any]) -> list[Any]:
        found = _read(item, list(chain.from_iterable(values)))
        return [found[start:stop] for start, stop in pairwise(accumulate(map(len, values), initial=0))]

    def from_python(value: Any) -> tuple[Any, ...]:
        held = value.tolist() if hasattr(value, "tolist") else value
        if not isinstance(held, list | tuple):
            raise TypeError("no list")
        return tuple(_store(item, each) for each in held)

    made.to_python, made.from_python = to_python, from_python
    return made


def struct_type(fields: Sequence[tuple[str, ColumnType]]) -> ColumnType:
    """Dicts with the same names.

    Raises:
        ValueError: there is none, or a name is there twice.
    """
    names = [name for name, _ in fields]
    if not names or len(set(names)) < len(names):
        raise ValueError(f"a struct has fields, each with a name of its own, not {shown(names)}")
    made = ColumnType(f"struct<{', '.join(f'{_quoted(name)}: {kind.name}' for name, kind in fields)}>", STRUCT)
    made.children = tuple(fields)

    def to_python(values: Sequence[Any]) -> list[Any]:
        columns = (
            [_read(kind, list(each)) for (_, kind), each in zip(fields, zip(*values, strict=True), strict=True)] if values else []
        )
        return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]

    def from_python(value: Any) -> tuple[Any, ...]:
        if isinstance(value, Mapping):
            if unknown := [name for name in value if name not in names]:
                raise ValueError(f"there is no field {shown(unknown[0])}; it has {', '.join(names)}")
            value = tuple(value.get(name) for name in names)
        if not isinstance(value, tuple) or len(value) != len(names):
            raise TypeError("no dict")
        return tuple(_store(kind, each) for (_, kind), each in zip(fields, value, strict=True))

    made.to_python, made.from_python = to_python, from_python
    return made


def _read(kind: ColumnType, stored: list[Any]) -> list[Any]:
    """Python values of what is stored in a list or a struct."""
    if kind.to_python is None:
        return stored
    found = moments.converted(stored, kind.to_python)
    return localized(found, kind.zone) if kind.zone else found


def _store(kind: ColumnType, value: Any) -> Any:
    return value if value is None or kind.from_python is None else kind.from_python(value)


def _quoted(name: str) -> str:
    return name if _NAME.fullmatch(name) else json.dumps(name)


_NAME = re.compile(r"[\w.\-]+(?: [\w.\-]+)*")
_DECIMALS = re.compile(r"decimal(\d{3})\((\d+), (-?\d+)\)")
_SIMPLE = re.compile(r"\w+(?:\[[^\]]*\])?")


def _parsed(text: str) -> ColumnType | None:
    """The type of lists, structs or decimals that is called so; None if there is none."""
    try:
        kind, rest = _parsed_type(text, 0)
    except (ValueError, DataError):
        return None
    return None if rest else kind


def _parsed_type(text: str, depth: int) -> tuple[ColumnType, str]:
    """The type at the beginning of a text, and what follows it."""
    if found := _DECIMALS.match(text):
        return decimal_type(*map(int, found.groups())), text[found.end() :]
    if text.startswith("list<"):
        _, kind, rest = _parsed_field(text[5:], depth)
        return list_type(kind), _without(rest, ">")
    if text.startswith("struct<"):
        fields, rest = [], f", {text[7:]}"
        while not rest.startswith(">"):
            name, kind, rest = _parsed_field(_without(rest, ", "), depth)
            fields.append((name, kind))
        return struct_type(fields), rest[1:]
    found = _SIMPLE.match(text)
    if found is None or not depth:  # by itself it would be known
        raise ValueError(text)
    return column_type(found[0], ""), text[found.end() :]


def _parsed_field(text: str, depth: int) -> tuple[str, ColumnType, str]:
    if depth == DEPTH_MAX:
        raise ValueError(f"nested more than {DEPTH_MAX} deep")
    if text.startswith('"'):
        name, at = json.JSONDecoder().raw_decode(text)
    elif found := _NAME.match(text):
        name, at = found[0], found.end()
    else:
        raise ValueError(text)
    kind, rest = _parsed_type(_without(text[at:], ": "), depth + 1)
    return name, kind, rest


def _without(text: str, beginning: str) -> str:
    if not text.startswith(beginning):
        raise ValueError(text)
    return text[len(beginning) :]


#: What `Table.of` takes values of a Python type for.
INFERRED: dict[type, str] = {
    bool: "bool", int: "int64", float: "float64", str: "string", bytes: "binary", date: "date32", datetime: "timestamp[us]",
    time: "time64[us]", timedelta: "duration[us]",
}  # fmt: skip

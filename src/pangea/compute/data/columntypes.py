"""The types that a column has, by Arrow's names, and how their values lie in memory and become Python values.

Nanoseconds (`timestamp[ns]`, `time64[ns]`, `duration[ns]`) stay whole numbers, as Python's times have microseconds. A
timestamp with a time zone becomes a datetime in UTC here; a column puts it by the zone's own clock (`zones`).
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Any

from pangea.compute.data import moments
from pangea.compute.data.errors import DataError, shown

FIXED, BITS, BYTES, NOTHING = "fixed", "bits", "bytes", "nothing"

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
        layout: FIXED (numbers one after the other), BITS, BYTES (offsets and bytes), or NOTHING (all null).
        format: of `memoryview.cast` and `array`: of the numbers, or of the offsets.
        width: bytes of a number or an offset; 0 where there is none.
        is_text: whether the bytes are UTF-8.
        to_python: turns whole numbers into dates or times; else None.
        from_python: turns one of those into a whole number; else None.
        zone: of a timestamp; "" if there is none.
    """

    __slots__ = ("format", "from_python", "is_text", "layout", "name", "to_python", "width", "zone")
    layout: str
    name: str

    def __init__(self, name: str, layout: str, code: str = "") -> None:
        self.name, self.layout = name, layout
        self.format: Any = code
        self.width: int = WIDTHS.get(code, 0)
        self.is_text: bool = name in ("string", "large_string")
        self.zone: str = name.partition(", tz=")[2].removesuffix("]")
        self.to_python: moments.ToPython | None = None
        self.from_python: moments.FromPython | None = None

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
        found = _made(_ALIASES.get(name, name), column) if isinstance(name, str) else None
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


#: What `Table.of` takes values of a Python type for.
INFERRED: dict[type, str] = {
    bool: "bool", int: "int64", float: "float64", str: "string", bytes: "binary", date: "date32", datetime: "timestamp[us]",
    time: "time64[us]", timedelta: "duration[us]",
}  # fmt: skip

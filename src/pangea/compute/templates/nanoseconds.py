"""Instants, times and spans of nanoseconds in the rows that a function gets, for which Python has no types.

They are whole numbers, as in any table, but know of which type: what a function returns as it came is still an instant. What it
reckons with them is a plain number.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from pangea.compute.data import Table
from pangea.compute.data.zones import zone_of

# All of it runs in the sandbox.

_SECOND = 1_000_000_000


class Nanoseconds(int):
    """A whole number of nanoseconds.

    Attributes:
        column_type: the type of the column that it came from.
    """

    column_type: str

    @classmethod
    def of(cls, value: int, column_type: str) -> Nanoseconds:
        """Make a number know its type."""
        made = cls(value)
        made.column_type = column_type
        return made


def nanoseconds_in(table: Table) -> dict[str, str]:
    """The types of the columns of nanoseconds, by name."""
    return {name: kind for name, kind in zip(table.names, table.types, strict=True) if kind.partition("[")[2].startswith("ns")}


def has_times(table: Table) -> bool:
    """Whether a column is of dates, times or instants, for which JSON has no words."""
    return any(kind.startswith(("timestamp", "date", "time")) for kind in table.types)


def dicts_of(table: Table, kinds: dict[str, str]) -> Iterator[dict[str, Any]]:
    """The rows as dicts, in which numbers of nanoseconds, of those columns, know what they are."""
    return map(functools.partial(_marked, kinds=kinds), table.dicts()) if kinds else table.dicts()


def _marked(row: dict[str, Any], kinds: dict[str, str]) -> dict[str, Any]:
    return row | {name: Nanoseconds.of(row[name], kind) for name, kind in kinds.items() if row[name] is not None}


def table_of(rows: list[Any], types: dict[str, str] | None) -> Table:
    """A table of rows, in which columns of nothing but nanoseconds of one type are of it, unless a type is given."""
    table = Table.of_rows(rows, types)
    kept = {name: kind for name in table.names if name not in (types or {}) and (kind := _kind_in(rows, name)) is not None}
    if not kept:
        return table
    columns = {name: [row.get(name) for row in rows] if name in kept else column for name, column in table.columns.items()}
    return Table.of(columns, kept)


def _kind_in(rows: list[Any], name: str) -> str | None:
    found = {getattr(value, "column_type", None) for row in rows if (value := row.get(name)) is not None}
    return found.pop() if len(found) == 1 else None


def written(value: Any) -> Any:
    """A value for JSON, in which dates, times and instants, those of nanoseconds among them, are text in ISO 8601."""
    if isinstance(value, dict):
        return {key: written(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [written(each) for each in value]
    if isinstance(value, Nanoseconds) and value.column_type.startswith("timestamp"):
        return _in_iso(value, value.column_type)
    return value.isoformat() if isinstance(value, date | time) else value


def _in_iso(value: int, column_type: str) -> str:
    seconds, rest = divmod(value, _SECOND)
    zone = column_type.partition("tz=")[2].removesuffix("]")
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    moment = moment.astimezone(zone_of(zone)) if zone else moment.replace(tzinfo=None)
    offset = moment.isoformat()[len("2000-01-01T00:00:00") :]
    fraction = f".{rest:09}"[: 7 if rest % 1000 == 0 else 10] if rest else ""
    return moment.replace(tzinfo=None).isoformat() + fraction + offset

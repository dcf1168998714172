"""The index of pandas' frames: row numbers are none of a table's columns, everything else is.

An index has a column of its own if it has a name, or says something: days, words. Whole numbers without a name are the rows'
numbers, or what is left of them when rows were dropped. A frame's file keeps its index as a column, and says so in the schema's
metadata.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from pangea.compute.model.libraries import need
from pangea.compute.model.warn import warn_caller

_UNNAMED = re.compile(r"__index_level_\d+__")
#: What pandas calls the column of an index without a name.
_NAME = "index"


def is_pandas(value: object, *names: str) -> bool:
    """Whether it is one of pandas' types, or of a type that inherits from it."""
    return any(base.__module__.partition(".")[0] == "pandas" and base.__name__ in names for base in type(value).__mro__)


def without_row_numbers(value: Any) -> Any:
    """A frame or series of pandas whose index is the rows' numbers: what else it said is in columns; anything else as it is."""
    if not is_pandas(value, "DataFrame", "Series"):
        return value
    index = value.index
    is_numbers = index.nlevels == 1 and index.name is None and index.dtype.kind in "iu"
    if is_pandas(value, "Series"):
        if is_numbers:
            return value.reset_index(drop=True)
        value = value.to_frame(value.name if value.name is not None else "value")
    return value.reset_index(drop=is_numbers)


def warn_of_levels(value: Any, name: str) -> None:
    """Say that columns of several levels become text, of which nobody would guess the spelling."""
    if is_pandas(value, "DataFrame") and value.columns.nlevels > 1 and len(value.columns):
        warn_caller(
            f"{name} has columns of {value.columns.nlevels} levels, which become text: {str(value.columns[0])!r}"
            "; name them first: frame.columns = ['_'.join(map(str, each)) for each in frame.columns]",
            UserWarning,
        )


def index_columns(schema: Any) -> dict[str, str | None]:
    """What becomes of the columns in which a file or a table of pyarrow keeps the index of a pandas frame.

    Args:
        schema: a pyarrow.Schema.

    Returns:
        By column: its new name, or None if it is row numbers and goes.
    """
    try:
        said = json.loads((schema.metadata or {}).get(b"pandas", b"{}"))
        names = [name for name in said.get("index_columns", ()) if isinstance(name, str) and name in schema.names]
    except (ValueError, AttributeError, TypeError):
        return {}
    found: dict[str, str | None] = {}
    unnamed = [name for name in names if _UNNAMED.fullmatch(name)]
    for name in unnamed:
        if len(names) == 1 and str(schema.field(name).type).startswith(("int", "uint")):
            found[name] = None
        elif len(unnamed) == 1 and _NAME not in schema.names:
            found[name] = _NAME
    return found


class Numbers(NamedTuple):
    """Row numbers with a name, which pandas writes down as a range in the schema's metadata instead of a column.

    Attributes:
        name: of the index.
        values: the numbers.
    """

    name: str
    values: range

    def added_to_schema(self, schema: Any) -> Any:
        """The schema with a column of them, last, where pandas puts an index that has one."""
        pa = need("pyarrow", "a table as input")
        return schema.append(pa.field(self.name, pa.int64(), nullable=False))

    def added(self, batches: Iterable[Any]) -> Iterator[Any]:
        """The batches of all rows, in order, likewise."""
        pa, at = need("pyarrow", "a table as input"), 0
        for batch in batches:
            mine = self.values[at : at + batch.num_rows]
            at += batch.num_rows
            columns = [*batch.columns, pa.array(mine, pa.int64())]
            yield pa.RecordBatch.from_arrays(columns, schema=self.added_to_schema(batch.schema))


def named_numbers(schema: Any, rows: int) -> Numbers | None:
    """The row numbers with a name of a frame that pandas has written; None if there are none, or rows have gone since.

    Args:
        schema: a pyarrow.Schema.
        rows: how many rows there are.
    """
    try:
        said = json.loads((schema.metadata or {}).get(b"pandas", b"{}"))
        (index,) = said.get("index_columns", ())
        if index["kind"] != "range" or not isinstance(index["name"], str) or index["name"] in schema.names:
            return None
        values = range(index["start"], index["stop"], index["step"])
    except (ValueError, AttributeError, TypeError, KeyError):
        return None
    return Numbers(index["name"], values) if len(values) == rows else None


def renamed_schema(schema: Any, changes: dict[str, str | None]) -> Any:
    """The schema without the columns that go, and with the new names, in the order that the columns have."""
    if not changes:
        return schema
    pa = need("pyarrow", "a table as input")
    kept = [field for field in schema if changes.get(field.name, "") is not None]
    return pa.schema([field.with_name(changes.get(field.name) or field.name) for field in kept])


def renamed(rows: Any, changes: dict[str, str | None]) -> Any:
    """A pyarrow.Table or RecordBatch likewise."""
    if not changes:
        return rows
    kept = [name for name in rows.schema.names if changes.get(name, "") is not None]
    return rows.select(kept).rename_columns([changes.get(name) or name for name in kept])

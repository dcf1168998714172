"""Categories (dictionaries, in Arrow's words) of a table's columns: what travels is what they stand for, and a list of them.

The list is in the field's metadata (`pangea.compute.data.categories`), so in each chunk, and all of a table is looked at for it
first. Ordered ones travel with their list or not at all, since text has another order. Of others, those that are pandas' have
one; to Arrow and to polars they are only a shorter way to write text.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from pangea.compute.data.categories import KEY, Categories, parsed
from pangea.compute.inputs.formats.files import one_line
from pangea.compute.inputs.formats.tables import Table
from pangea.compute.model.errors import InputError
from pangea.compute.model.libraries import need
from pangea.compute.model.units import KIB
from pangea.compute.model.warn import warn_caller

#: A list of more takes room in each chunk that rows should have.
_BYTES_MAX = 64 * KIB
_HINT = "pass their places, x.cat.codes, to keep the order; or their names, x.astype(str), to have that of text"
#: By column: what its field says of categories.
Listed = Mapping[str, bytes]
#: Columns' names, each with a pyarrow.Array of some rows of it.
Parts = Iterable[tuple[str, Any]]


def listed_columns(schema: Any, changes: Mapping[str, str | None]) -> list[str]:
    """The columns whose categories are to travel, by the names that they have in the input.

    Args:
        schema: of the input, a pyarrow.Schema, with what pandas says in it.
        changes: as of `index_columns`.
    """
    types = need("pyarrow", "a table as input").types
    theirs = _of_pandas(schema)
    return [
        field.name
        for field in schema
        if types.is_dictionary(field.type)
        and (field.type.ordered or field.name in theirs or KEY in (field.metadata or {}))
        and changes.get(field.name, "") is not None
    ]


def _of_pandas(schema: Any) -> set[str]:
    """The columns that are pandas' categories, by the remarks in a schema."""
    try:
        said = json.loads((schema.metadata or {}).get(b"pandas", b"{}"))
        return {each["field_name"] for each in said.get("columns", ()) if each.get("pandas_type") == "categorical"}
    except (ValueError, AttributeError, TypeError, KeyError):
        return set()


def of_batches(batches: Iterable[Any], columns: list[str]) -> Parts:
    """The columns of pyarrow.RecordBatches, batch by batch."""
    return ((column, batch.column(column)) for batch in batches for column in columns if column in batch.schema.names)


def listed_in(parts: Callable[[list[str]], Parts], schema: Any, changes: Mapping[str, str | None], name: str) -> Listed:
    """What the fields of a table's columns say of their categories, by the names that the columns get.

    Args:
        parts: all there is of these columns; it isn't called if there are none.
        schema: of the input.
        changes: as of `index_columns`.
        name: of the input, for messages.

    Raises:
        InputError: ordered ones change their order from batch to batch, are of a type without room for them, or too many.
    """
    columns = [column for column in listed_columns(schema, changes) if not _is_extension(schema.field(column).type.value_type)]
    found: dict[str, Any] = {}
    for column, part in parts(columns) if columns else ():
        here = _distinct(getattr(part, "dictionary", part))
        before = found.get(column)
        found[column] = here if before is None else _together(before, here, schema.field(column), name)
    listed = {}
    for column in columns:
        is_ordered = schema.field(column).type.ordered
        values = found.get(column, _nothing(schema.field(column).type.value_type))
        if (described := _described(values, column, name, is_ordered=is_ordered)) is not None:
            listed[changes.get(column) or column] = described
    return listed


def _is_extension(kind: Any) -> bool:
    return hasattr(kind, "storage_type")


def _nothing(kind: Any) -> Any:
    return need("pyarrow", "a table as input").array([], kind)


def _distinct(dictionary: Any) -> Any:
    pa = need("pyarrow", "a table as input")
    if pa.types.is_string_view(dictionary.type):
        dictionary = dictionary.cast(pa.string())
    return dictionary.unique().drop_null()


def _together(one: Any, other: Any, field: Any, name: str) -> Any:
    """The categories of two batches, in their order."""
    longer, shorter = (one, other) if len(one) >= len(other) else (other, one)
    if longer.slice(0, len(shorter)).equals(shorter):
        return longer
    if field.type.ordered:
        raise InputError(
            f"column {field.name!r} of {name} has ordered categories whose order changes from batch to batch",
            hint="give all the same categories, x.cat.set_categories(..., ordered=True); or text, x.astype(str)",
            name=name,
            column=field.name,
        )
    pa, pc = need("pyarrow", "a table as input"), need("pyarrow.compute", "a table as input")
    return pa.concat_arrays([one, other.filter(pc.invert(pc.is_in(other, value_set=one)))])


def _described(values: Any, column: str, name: str, *, is_ordered: bool) -> bytes | None:
    """What a field says of them; None of unordered ones that can't be listed, which become what they stand for."""
    try:
        stored = _stored(values)
        described = Categories(tuple(stored), is_ordered).described()
        reason = f"{len(stored):,} ordered categories of {len(described):,} bytes, where {_BYTES_MAX:,} travel with each chunk"
    except ValueError as error:
        described, reason = None, f"ordered categories of type {values.type} ({one_line(error)})"
    if described is not None and len(described) <= _BYTES_MAX:
        return described
    if is_ordered:
        raise InputError(f"column {column!r} of {name} has {reason}", hint=_HINT, name=name, column=column)
    _warn(column, values.to_pylist(), name)
    return None


def _stored(values: Any) -> list[Any]:
    """The values of a pyarrow.Array as a column stores them.

    Raises:
        ValueError: they are of a type that has no place among categories.
    """
    pa, kind = need("pyarrow", "a table as input"), values.type
    if pa.types.is_temporal(kind) and not pa.types.is_interval(kind):
        values = values.cast(pa.int32() if kind.bit_width == 32 else pa.int64())
    elif not (
        pa.types.is_primitive(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_null(kind)
    ):
        raise ValueError("there is no list of such")
    stored: list[Any] = values.to_pylist()
    return stored


def _warn(column: str, values: list[Any], name: str) -> None:
    """Say it where pandas would sort and group by another order than that of the values."""
    try:
        is_rising = sorted(values) == values
    except TypeError:
        is_rising = False
    if not is_rising:
        listed = one_line(", ".join(map(str, values[:5])), 80)
        warn_caller(
            f"column {column!r} of {name} becomes its categories' values, which aren't in these values' order ({listed})"
            ": a job sorts and groups by values, pandas by that order",
            UserWarning,
        )


def refuse_once(schema: Any, name: str) -> None:
    """Refuse ordered categories of what can be read only once: they aren't known before the last row.

    Raises:
        InputError: names the column.
    """
    types = need("pyarrow", "a table as input").types
    for field in schema:
        if types.is_dictionary(field.type) and field.type.ordered:
            raise InputError(
                f"column {field.name!r} of {name} has ordered categories, and {name} can be read only once, when it is too late"
                " to look for them",
                hint="pass a table, reader.read_all()",
                name=name,
                column=field.name,
            )


def one_of_several(table: Table, first: Table | None) -> Table:
    """A table beside others: what its unordered categories stand for, as those of several tables may differ.

    Args:
        table: of which `first` is the first, or None.
        first: the first table, if this isn't it.

    Raises:
        InputError: ordered ones aren't those of the first table; names the column.
    """
    kept = {field.name: _ordered(field) for field in table.schema}
    pa = need("pyarrow", "a table as input")
    fields = []
    for field in table.schema:
        metadata = field.metadata or {}
        if KEY in metadata and not kept[field.name]:
            _warn(field.name, list(parsed(metadata[KEY]).values), table.name)
            metadata = {key: value for key, value in metadata.items() if key != KEY}
        fields.append(field.with_metadata(metadata or None))
    for column in _differing(kept, first):
        assert first is not None
        raise InputError(
            f"column {column!r} of {table.name} has other ordered categories than in {first.name}, or only one of them has some",
            hint="give all the same ones, x.cat.set_categories(..., ordered=True); or text, x.astype(str)",
            name=table.name,
            column=column,
        )
    return replace(table, schema=pa.schema(fields))


def _ordered(field: Any) -> bytes:
    """The list of a field's ordered categories; nothing if it has none."""
    described: bytes = (field.metadata or {}).get(KEY, b"")
    return described if described and parsed(described).is_ordered else b""


def _differing(kept: Mapping[str, bytes], first: Table | None) -> Iterator[str]:
    for field in () if first is None else first.schema:
        if kept.get(field.name, b"") != _ordered(field):
            yield field.name

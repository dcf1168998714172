"""Join the results of a job's chunks, each of which found the types of its values for itself.

A chunk in which a column has no value says nothing of its type; one that made no rows, or no items, says nothing at all; and a
chunk may have whole numbers only, where others have fractions. Nothing is joined that would lose a digit.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from pangea.compute.data.categories import KEY, Categories, parsed
from pangea.compute.data.errors import DataError
from pangea.compute.data.making import EXACT_FLOAT
from pangea.compute.data.table import ROWLESS
from pangea.compute.model.errors import ResultError
from pangea.compute.model.libraries import need

#: What our own metadata's keys begin with.
_OWN = b"pangea."


def joined_tables(tables: Sequence[Any]) -> Any:
    """One pyarrow.Table of several, without copying columns whose types agree.

    Raises:
        ResultError: their columns differ; names the table and the columns.
    """
    arrow = need("pyarrow", "reading a result as a table")
    kept = [(index, table) for index, table in enumerate(tables) if ROWLESS not in (table.schema.metadata or {})]
    kept = kept or [(0, tables[0])]
    first = kept[0][1]
    for index, table in kept:
        if table.schema.names != first.schema.names:
            raise _differing(index, table, kept[0][0], first)
    kinds = [_common(arrow, column, kept) for column in range(first.num_columns)]
    fields = [field.with_type(kind).remove_metadata() for field, kind in zip(first.schema, kinds, strict=True)]
    kept_metadata = {key: value for key, value in (first.schema.metadata or {}).items() if not key.startswith(_OWN)}
    schema = arrow.schema(fields, metadata=kept_metadata or None)
    whole = arrow.concat_tables([_as(arrow, table, schema) for _, table in kept])
    for index, known in enumerate(_common_categories(arrow, column, kept) for column in range(first.num_columns)):
        if known is not None:
            whole = _with_categories(arrow, whole, index, known)
    return whole


def _common_categories(arrow: Any, column: int, tables: list[tuple[int, Any]]) -> Categories | None:
    """The categories that a column has in all tables; None if one has others, or none: then values are plain, as in pandas."""
    fields = [table.schema.field(column) for _, table in tables]
    if any(arrow.types.is_dictionary(field.type) for field in fields):
        return None  # they are categories already
    listed = {(field.metadata or {}).get(KEY) for field in fields if len(fields) == 1 or not arrow.types.is_null(field.type)}
    if len(listed) != 1 or None in listed:
        return None
    (described,) = listed
    try:
        return parsed(described)
    except DataError as error:
        raise ResultError(f"column {fields[0].name!r}: {error}") from error


def _with_categories(arrow: Any, table: Any, index: int, known: Categories) -> Any:
    """The table with a column of values as one of categories.

    Raises:
        ResultError: a value is none of them.
    """
    field, compute = table.schema.field(index), need("pyarrow.compute", "reading a result as a table")
    stored, is_temporal = list(known.values), arrow.types.is_temporal(field.type)
    try:
        stored_as = field.type if not is_temporal else arrow.int32() if field.type.bit_width == 32 else arrow.int64()
        values = arrow.array(stored, stored_as).cast(field.type)
    except (arrow.ArrowException, TypeError) as error:
        raise ResultError(f"column {field.name!r} of type {field.type} has categories of another type") from error
    places = compute.index_in(table.column(index), value_set=values)
    if places.null_count != table.column(index).null_count:
        raise ResultError(
            f"column {field.name!r} has values that are none of its {len(stored):,} categories",
            hint="take column.plain() in execute, or with_categories(...) with all of them",
            column=field.name,
        )
    parts = places.chunks or [arrow.array([], arrow.int32())]  # without one nobody would know the categories
    chunks = [arrow.DictionaryArray.from_arrays(part, values, ordered=known.is_ordered) for part in parts]
    kind = arrow.dictionary(arrow.int32(), field.type, known.is_ordered)
    remark = None if known.is_ordered else {KEY: known.described()}  # which to Arrow have no order to keep
    return table.set_column(index, arrow.field(field.name, kind, field.nullable, remark), arrow.chunked_array(chunks, kind))


def _common(arrow: Any, column: int, tables: list[tuple[int, Any]]) -> Any:
    """The type of a column in all tables."""
    kinds = {str(kind): kind for _, table in tables if not arrow.types.is_null(kind := table.schema.field(column).type)}
    if len(kinds) < 2:
        return next(iter(kinds.values()), arrow.null())
    if set(kinds) == {"int64", "double"}:
        for index, table in tables:
            _check_exact(table.column(column), table.schema.names[column], index)
        return arrow.float64()
    if set(kinds) == {"string", "large_string"}:
        return arrow.large_string()
    together = functools.reduce(lambda one, other: None if one is None else _together(arrow, one, other), kinds.values())
    if together is not None:
        return together
    wanted = tables[0][1].schema.field(column).type
    index, table = next((index, table) for index, table in tables if table.schema.field(column).type != wanted)
    raise _differing(index, table, tables[0][0], tables[0][1])


def _together(arrow: Any, one: Any, other: Any) -> Any:
    """A type that holds what two of lists, structs and decimals do, where one has found less of it than the other; else None."""
    types = arrow.types
    if one == other or types.is_null(other):
        return one
    if types.is_null(one):
        return other
    if types.is_list(one) and types.is_list(other):
        inner = _together(arrow, one.value_type, other.value_type)
        return inner and arrow.list_(inner)
    if types.is_decimal128(one) and types.is_decimal128(other):
        return arrow.decimal128(max(one.precision, other.precision), max(one.scale, other.scale))
    if not (types.is_struct(one) and types.is_struct(other)) or [each.name for each in one] != [each.name for each in other]:
        return None
    fields = [(mine.name, _together(arrow, mine.type, theirs.type)) for mine, theirs in zip(one, other, strict=True)]
    return None if any(kind is None for _, kind in fields) else arrow.struct(fields)


def _check_exact(column: Any, name: str, index: int) -> None:
    if str(column.type) != "int64" or not len(column):
        return
    ends = need("pyarrow.compute", "reading a result as a table").min_max(column).as_py()
    if ends["min"] is not None and (ends["min"] < -EXACT_FLOAT or ends["max"] > EXACT_FLOAT):
        raise ResultError(
            f"column {name!r} has fractions in some chunks, and in chunk {index:,} whole numbers that no float holds",
            hint="give the column's type: types={...} in map_rows, Table.of(…, types=…) in execute",
            part=index,
            column=name,
        )


def _as(arrow: Any, table: Any, schema: Any) -> Any:
    try:
        columns = [
            column if column.type == field.type else column.cast(field.type)
            for column, field in zip(table.columns, schema, strict=True)
        ]
    except arrow.ArrowInvalid as error:
        raise ResultError(
            f"the results of the chunks don't fit into one table: {error}",
            hint="give the types in execute (Table.of(…, types=…))",
        ) from error
    return arrow.Table.from_arrays(columns, schema=schema)


def _differing(index: int, table: Any, first_index: int, first: Any) -> ResultError:
    return ResultError(
        f"the results of the chunks are tables with different columns: number {index:,} has {_columns(table)}; number"
        f" {first_index:,} has {_columns(first)}",
        hint="give the types in execute (Table.of(…, types=…)), or join the tables in a merge",
        part=index,
    )


def _columns(table: Any) -> str:
    return ", ".join(f"{field.name}: {field.type}" for field in table.schema)


def joined_dtype(numpy: Any, dtypes: Sequence[Any]) -> Any:
    """A type that holds items of all these types exactly: text of the longest size; None if there is none at hand.

    Whole numbers and fractions together are for the caller to look at.
    """
    distinct = list(dict.fromkeys(dtypes))
    if len(distinct) == 1:
        return distinct[0]
    kinds = {dtype.kind for dtype in distinct}
    if kinds in ({"U"}, {"S"}) or {dtype.str for dtype in distinct} == {"<i8", "<f8"}:
        return numpy.result_type(*distinct)
    return None


def check_exact_items(part: Any, index: int) -> None:
    """Refuse whole numbers that no float holds, where other chunks have fractions.

    Raises:
        ResultError: names the chunk.
    """
    if part.dtype.kind == "i" and part.size and (int(part.min()) < -EXACT_FLOAT or int(part.max()) > EXACT_FLOAT):
        raise ResultError(
            f"the results have fractions in some chunks, and in chunk {index:,} whole numbers that no float holds",
            hint="give the items' type: dtype=... in map_rows, numpy.array(…, dtype=…) in execute",
            part=index,
        )

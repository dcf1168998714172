"""`Table` against pyarrow: what either writes the other reads, and both say the same of it."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import Any

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from pangea.compute.data import Table
from tests.property.drawn_data import as_python, stream, tables

#: Where pyarrow prints other names than it gives to the functions that make types.
ARROW_NAMES = {
    "halffloat": "float16",
    "float": "float32",
    "double": "float64",
    "date32[day]": "date32",
    "date64[ms]": "date64",
}
BATCHES = st.integers(1, 8)


def values_of(table: Any) -> str:
    """The columns of a pyarrow table as ours has them, exactly: NaN and the sign of zero show."""
    return repr({name: as_python(table[name]) for name in table.column_names})


def lists_of(table: Table) -> str:
    return repr({name: column.tolist() for name, column in table.columns.items()})


def loaded(data: bytes) -> Any:
    """What pyarrow reads, checked in every detail."""
    table = pa.ipc.open_stream(data).read_all()
    table.validate(full=True)
    return table


@given(tables(), BATCHES, st.booleans())
def test_what_pyarrow_writes_is_read_with_its_schema_and_its_values(table: Any, batch_rows: int, has_empty: bool) -> None:
    read = Table.from_arrow(stream(table, batch_rows, has_empty_batch=has_empty))
    assert read.names == table.column_names
    assert read.types == [ARROW_NAMES.get(str(kind), str(kind).replace("[day]", "")) for kind in table.schema.types]
    assert lists_of(read) == values_of(table)
    assert len(read) == table.num_rows
    assert [column.null_count for column in read.columns.values()] == [column.null_count for column in table.columns]


@given(tables(), BATCHES, st.booleans())
def test_pyarrow_reads_back_the_same_table_in_the_same_batches(table: Any, batch_rows: int, has_empty: bool) -> None:
    data = stream(table, batch_rows, has_empty_batch=has_empty)
    written = Table.from_arrow(data).to_arrow()
    again, before = loaded(written), loaded(data)
    assert again.schema.equals(table.schema, check_metadata=True)
    assert values_of(again) == values_of(table)
    assert [batch.num_rows for batch in again.to_batches()] == [batch.num_rows for batch in before.to_batches()]
    assert Table.from_arrow(written).to_arrow() == written


@given(tables(), BATCHES, st.data())
def test_rows_are_sliced_and_taken_as_in_pyarrow(table: Any, batch_rows: int, data: st.DataObject) -> None:
    read, size = Table.from_arrow(stream(table, batch_rows)), table.num_rows
    start = data.draw(st.integers(0, size))
    stop = data.draw(st.integers(start, size))
    part, expected = read[start:stop], table.slice(start, stop - start)
    assert len(part) == stop - start
    assert lists_of(part) == values_of(expected)
    assert values_of(loaded(part.to_arrow())) == values_of(expected)
    if size:
        positions = data.draw(st.lists(st.integers(0, size - 1), max_size=5))
        taken, expected = read.take(positions), table.take(pa.array(positions, pa.int64()))
        assert lists_of(taken) == values_of(expected)
        assert values_of(loaded(taken.to_arrow())) == values_of(expected)
        assert [repr(read[row]) for row in positions] == [repr(row) for row in taken.rows()]


@given(tables(), BATCHES, st.data())
def test_a_column_is_indexed_and_iterated_like_its_list(table: Any, batch_rows: int, data: st.DataObject) -> None:
    read = Table.from_arrow(stream(table, batch_rows))
    for name, column in read.columns.items():
        values = as_python(table[name])
        assert repr(list(column)) == repr(values)
        key = data.draw(st.slices(len(values)))
        assert repr(column[key].tolist()) == repr(values[key])
        if values:
            index = data.draw(st.integers(-len(values), len(values) - 1))
            assert repr(column[index]) == repr(values[index])


@given(tables(), BATCHES)
def test_rows_and_dicts_are_the_columns_side_by_side(table: Any, batch_rows: int) -> None:
    read = Table.from_arrow(stream(table, batch_rows))
    columns = [as_python(column) for column in table.columns]
    rows = list(zip(*columns, strict=True)) if columns else [()] * table.num_rows
    assert repr(list(read.rows())) == repr(rows)
    assert repr(list(read.dicts())) == repr([dict(zip(table.column_names, row, strict=True)) for row in rows])


@given(tables(), BATCHES)
def test_the_values_of_a_column_are_pyarrow_s_numbers(table: Any, batch_rows: int) -> None:
    for name, column in Table.from_arrow(stream(table, batch_rows)).columns.items():
        kind = table.schema.field(name).type
        if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind):
            numbers = [None if value is None else number for number, value in zip(column.values.tolist(), column, strict=True)]
            assert repr(numbers) == repr(table[name].to_pylist())


@given(tables(), BATCHES)
def test_a_table_is_made_again_of_its_lists_and_its_types(table: Any, batch_rows: int) -> None:
    read = Table.from_arrow(stream(table, batch_rows))
    made = Table.of({name: column.tolist() for name, column in read.columns.items()}, types=read.schema)
    assert made.schema == read.schema
    assert lists_of(made) == lists_of(read)
    if table.num_columns:
        assert values_of(loaded(made.to_arrow())) == values_of(table)
        by_rows = Table.of_rows(read.dicts(), types=read.schema)
        assert (by_rows.schema, lists_of(by_rows)) == (read.schema, lists_of(read))


SIMPLE = {
    "bool": st.booleans(),
    "int64": st.integers(-(2**63), 2**63 - 1),
    "double": st.floats(),
    "string": st.text(st.characters(codec="utf-8")),
    "binary": st.binary(),
    "date32[day]": st.dates(),
    "timestamp[us]": st.datetimes().map(lambda moment: moment.replace(fold=0)),
    "time64[us]": st.datetimes().map(lambda moment: moment.replace(fold=0).time()),
    "duration[us]": st.timedeltas(timedelta(-(10**8)), timedelta(10**8)),
}


@given(st.sampled_from(sorted(SIMPLE)), st.data())
def test_without_types_it_takes_pyarrow_s(kind: str, data: st.DataObject) -> None:
    values = [data.draw(SIMPLE[kind]), *data.draw(st.lists(SIMPLE[kind] | st.none(), max_size=5))]
    again = loaded(Table.of({"column": values}).to_arrow())
    assert str(again["column"].type) == kind
    assert repr(again["column"].to_pylist()) == repr(values)


@given(tables(), tables(), BATCHES)
def test_streams_one_after_the_other_are_tables_one_after_the_other(first: Any, second: Any, batch_rows: int) -> None:
    found = Table.many(stream(first, batch_rows) + stream(second))
    assert [lists_of(table) for table in found] == [values_of(first), values_of(second)]


@given(tables(), BATCHES, st.data())
def test_tables_one_under_the_other_are_the_whole(table: Any, batch_rows: int, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, table.num_rows), max_size=3)))
    edges = [0, *cuts, table.num_rows]
    parts = [table.slice(low, high - low) for low, high in pairwise(edges)]
    joined = Table.concat([Table.from_arrow(stream(part, batch_rows)) for part in parts])
    assert lists_of(joined) == values_of(table)
    assert values_of(loaded(joined.to_arrow())) == values_of(table)
    whole = Table.of(joined.columns)  # of columns
    assert lists_of(whole) == values_of(table)

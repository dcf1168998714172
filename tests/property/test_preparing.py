"""Prepared inputs against the originals: segments, read again by NumPy and pyarrow, are what was given, whatever it was."""

from __future__ import annotations

import datetime
import io
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.examples import share_of
from tests.prepared import arrays_in, refusal, segments, table_in

#: What the header of a .npy file of such an array has at most.
HEADER_BYTES = 640
SOME = settings(max_examples=share_of(60), deadline=None, suppress_health_check=[HealthCheck.too_slow])

SCALARS = st.one_of(
    hnp.boolean_dtypes(),
    hnp.integer_dtypes(endianness="?"),
    hnp.unsigned_integer_dtypes(endianness="?"),
    hnp.floating_dtypes(endianness="?"),
    hnp.complex_number_dtypes(endianness="?"),
    hnp.datetime64_dtypes(endianness="?"),
    hnp.timedelta64_dtypes(endianness="?"),
    hnp.byte_string_dtypes(max_len=5),
    hnp.unicode_string_dtypes(endianness="?", max_len=5),
)
DTYPES = st.one_of(SCALARS, hnp.array_dtypes(SCALARS, min_size=1, max_size=3))
INDEXES = st.sampled_from([..., np.s_[::2], np.s_[::-1], np.s_[1:], np.s_[..., ::2], np.s_[:, ::-1]])


@st.composite
def arrays(draw: st.DrawFn) -> Any:
    """An array of any type, shape and order, whole or a view that skips."""
    shape = draw(hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=9))
    array: Any = draw(hnp.arrays(draw(DTYPES), shape))
    if draw(st.booleans()):
        array = np.asfortranarray(array)
    index = draw(INDEXES)
    if array.ndim > 1 or index in (..., np.s_[::2], np.s_[::-1], np.s_[1:]):
        array = array[index]
    return array.T if draw(st.booleans()) else array


def whole_bytes(array: Any) -> bytes:
    return np.ascontiguousarray(array).tobytes()


@SOME
@given(arrays(), st.integers(HEADER_BYTES, 2000))
def test_arrays(array: Any, most: int) -> None:
    row_bytes = array.itemsize * int(np.prod(array.shape[1:]))
    if len(array) and row_bytes + HEADER_BYTES > most:
        return
    found = segments(array, "array", most=most)
    parts = arrays_in(found)
    assert all(part.dtype == array.dtype and part.shape[1:] == array.shape[1:] for part in parts)
    assert sum(len(part) for part in parts) == len(array)
    assert b"".join(map(whole_bytes, parts)) == whole_bytes(array)
    assert all(len(segment) <= most for segment in found) or not array.nbytes
    assert segments(array, "array", most=most, spool=True) == found
    whole = segments(array, "array", split_strategy="custom")[0]
    assert segments(whole, "array", most=most) == found


TEXT = st.text(max_size=12)
WHEN = st.datetimes(datetime.datetime.fromisoformat("1700-01-01"), datetime.datetime.fromisoformat("2200-01-01"))
#: Types of columns, each with values for it.
COLUMNS: dict[Any, st.SearchStrategy[Any]] = {
    pa.bool_(): st.booleans(),
    pa.int8(): st.integers(-128, 127),
    pa.uint64(): st.integers(0, (1 << 64) - 1),
    pa.int64(): st.integers(-(1 << 63), (1 << 63) - 1),
    pa.float32(): st.floats(width=32),
    pa.float64(): st.floats(),
    pa.string(): TEXT,
    pa.large_string(): TEXT,
    pa.binary(): st.binary(max_size=12),
    pa.large_binary(): st.binary(max_size=12),
    pa.date32(): st.dates(),
    pa.timestamp("us"): WHEN,
    pa.timestamp("ns", "Europe/Berlin"): st.integers(-(1 << 62), 1 << 62),
    pa.time64("us"): st.times(),
    pa.duration("ms"): st.integers(-(1 << 40), 1 << 40),
    pa.null(): st.none(),
}


@st.composite
def tables(draw: st.DrawFn) -> Any:
    """A table of any columns with nulls, in chunks that begin anywhere in larger buffers."""
    rows = draw(st.integers(0, 40))
    kinds = draw(st.lists(st.sampled_from(list(COLUMNS)), min_size=1, max_size=5))
    names = draw(st.lists(TEXT, min_size=len(kinds), max_size=len(kinds), unique=True))
    nulls = st.none() if draw(st.booleans()) else st.nothing()
    columns = [draw(st.lists(nulls | COLUMNS[kind], min_size=rows, max_size=rows)) for kind in kinds]
    arrays = [pa.array(column, kind) for column, kind in zip(columns, kinds, strict=True)]
    table = pa.Table.from_arrays(arrays, names)
    if draw(st.booleans()):
        table = table.slice(draw(st.integers(0, rows)))
    if draw(st.booleans()) and len(table):
        table = pa.Table.from_batches(table.to_batches(max_chunksize=draw(st.integers(1, 20))))
    return table


def same(found: Any, given: Any) -> bool:
    """Equal bit for bit: NaN is NaN, and null isn't."""
    return bool(found.schema.equals(given.schema)) and all(
        one.combine_chunks().equals(other.combine_chunks())
        or (pa.types.is_floating(one.type) and str(one.to_pylist()) == str(other.to_pylist()))
        for one, other in zip(found.columns, given.columns, strict=True)
    )


@SOME
@given(tables(), st.integers(1500, 5000))
def test_tables(table: Any, room: int) -> None:
    most = room + len(segments(table.slice(0, 0), "table", most=1 << 20)[0])  # a zone's rules are 2.3 kB of the schema
    found = segments(table, "table", most=most)
    assert same(table_in(found), table)
    assert all(len(segment) <= most for segment in found)
    assert segments(table, "table", most=most, spool=True) == found
    assert segments(table.to_reader(), "table", most=most) == found


@SOME
@given(tables())
def test_categories_and_other_frames(table: Any) -> None:
    coded = table
    for index, field in enumerate(table.schema):
        if not pa.types.is_null(field.type):
            coded = coded.set_column(index, field.name, table.column(index).dictionary_encode())
    assert same(table_in(segments(coded, "table", most=1 << 20)), table)
    if not any("\0" in name for name in table.column_names):  # which polars can't pass on
        assert table_in(segments(pl.from_arrow(table), "table", most=1 << 20)).num_rows == len(table)


@SOME
@given(tables(), st.integers(1, 30))
def test_parquet_files(table: Any, rows: int) -> None:
    sink = io.BytesIO()
    pq.write_table(table, sink, row_group_size=rows)
    expected = pq.read_table(io.BytesIO(sink.getvalue()))
    assert same(table_in(segments(sink.getvalue(), "table", most=1 << 14)), expected.replace_schema_metadata(None))


@SOME
@given(st.lists(st.fixed_dictionaries({"a": st.integers(-5, 5), "b": st.floats(), "c": TEXT, "d": WHEN}), min_size=1))
def test_pandas_frames(rows: list[dict[str, Any]]) -> None:
    frame = pd.DataFrame(rows)
    found = table_in(segments(frame, "table")).to_pandas()
    pd.testing.assert_frame_equal(found, frame, check_dtype=False)


@SOME
@given(st.recursive(st.lists(st.integers(-9, 9), min_size=2, max_size=2), lambda x: st.lists(x, min_size=1, max_size=3)))
def test_lists_of_numbers_are_what_numpy_makes_of_them_or_ragged(given_lists: Any) -> None:
    try:
        expected = np.array(given_lists)
    except ValueError:
        assert "first of its level" in str(refusal(given_lists, "array"))
        return
    assert np.array_equal(np.concatenate(arrays_in(segments(given_lists, "array", most=1 << 20))), expected)

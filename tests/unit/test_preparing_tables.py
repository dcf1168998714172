"""Tables as input: frames, Arrow tables, plain values; their batches, and what is refused."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from pangea.compute.data import Table
from pangea.compute.inputs.cutting import cut
from pangea.compute.inputs.preprocessor import prepare_input
from pangea.compute.model.options import JobOptions
from tests.prepared import refusal, segments, table_in

COLUMNS = {
    "number": [*range(199), None],
    "word": [None if number % 7 == 0 else f"word {number}" for number in range(200)],
    "when": [datetime.datetime.fromisoformat(f"2024-01-{1 + number % 28:02}") for number in range(200)],
    "is": [number % 3 == 0 for number in range(200)],
}
TABLE = pa.table(COLUMNS)
LARGE = TABLE.schema.set(1, pa.field("word", pa.large_string()))


def whole(value: object, **options: Any) -> Any:
    return table_in(segments(value, "table", **options))


@pytest.mark.parametrize(
    "value",
    [
        TABLE,
        TABLE.to_batches()[0],
        TABLE.to_reader(max_chunksize=7),
        TABLE.slice(3, 190),
        pa.concat_tables([TABLE.slice(0, 50), TABLE.slice(50)]),
        pl.from_arrow(TABLE),
        pd.DataFrame(COLUMNS).astype({"number": "Int64"}),
        COLUMNS,
        [dict(zip(COLUMNS, row, strict=True)) for row in zip(*COLUMNS.values(), strict=True)],
        Table.of(COLUMNS),
    ],
    ids=lambda value: f"{type(value).__module__}.{type(value).__name__}",
)
def test_tables_come_back_as_they_were(value: Any) -> None:
    expected = TABLE.slice(3, 190) if isinstance(value, pa.Table) and len(value) == 190 else TABLE
    found = whole(value)
    assert found.to_pylist() == expected.to_pylist()
    assert found.schema.metadata is None
    if not isinstance(value, pa.RecordBatchReader):
        assert segments(value, "table", spool=True) == segments(value, "table")


def test_batches_fill_segments_and_no_more() -> None:
    for most in (1500, 4096):
        found = segments(TABLE, "table", most=most)
        assert all(len(segment) <= most for segment in found)
        assert len(found) <= 2 + sum(map(len, found)) // (most - 1_000)
        assert all(len([*pa.ipc.open_stream(segment)]) == 1 for segment in found)


def test_small_batches_are_joined_and_large_ones_sliced() -> None:
    one = segments(TABLE, "table")
    for rows in (1, 7, 64):
        assert len(segments(pa.Table.from_batches(TABLE.to_batches(max_chunksize=rows)), "table")) <= len(one) + 1


@pytest.mark.parametrize("rows", [1, 10])
def test_rows_that_grow_are_packed_by_what_they_measure(rows: int) -> None:
    words = pa.table({"w": ["x"] * 2000 + ["y" * 3000] * 10 + ["z"] * 500})
    found = segments(pa.Table.from_batches(words.to_batches(max_chunksize=rows)), "table")
    assert table_in(found).equals(words.combine_chunks())
    assert all(len(segment) <= 4096 for segment in found)


def test_few_rows_are_read_ahead_however_large_they_turn_out() -> None:
    """Words that were small so far would have thousands of batches read, each of a megabyte."""
    read = 0

    def batches() -> Iterator[Any]:
        nonlocal read
        for number in range(1_000):
            read += 1
            yield pa.record_batch({"w": ["x" if number < 10 else "y" * 3_000] * 10})

    reader = pa.RecordBatchReader.from_batches(pa.schema({"w": pa.string()}), batches())
    options = JobOptions.of({"split_strategy": "arrow_batches", "min_chunk_size": 1, "max_chunk_size": 4096})
    with prepare_input(reader, "table", options) as inputs:
        found = cut(inputs, options, custom_max=1)
        next(found)
        next(found)
    assert read < 20


def test_a_row_that_is_too_large_is_named() -> None:
    assert "row 501 of the input takes 5," in str(refusal(pa.table({"w": ["x"] * 500 + ["y" * 5_000, "z"]}), "table"))
    large = pa.table({"w": ["y" * 5_000]})
    least = 4096 + int(refusal(large, "table").hint.rpartition(" by ")[2].split()[0].replace(",", ""))
    assert table_in(segments(large, "table", most=least)).equals(large)
    assert refusal(large, "table", most=least - 1)


def test_what_stands_for_something_becomes_it() -> None:
    words = ["b", None, "b", "aa"]
    table = pa.table(
        {
            "category": pa.array(words).dictionary_encode(),
            "view": pa.array(words).cast(pa.string_view()),
            "category of views": pa.DictionaryArray.from_arrays(
                pa.array([1, None, 1, 0], pa.uint32()), pa.array(["aa", "b"], pa.string_view())
            ),
            "bytes": pa.array([b"ab", None, b"cd", b"ef"], pa.binary(2)),
            "run": pc.run_end_encode(pa.array([1, 1, None, 2])),
            "nested": pc.run_end_encode(pa.array(words)).cast(pa.run_end_encoded(pa.int32(), pa.string())),
            "views": pa.array([b"", None, b"x", b"y"], pa.binary_view()),
        }
    )
    found = whole(table)
    assert found.to_pylist() == table.to_pylist()
    kinds = [pa.string(), pa.string(), pa.string(), pa.binary(), pa.int64(), pa.string(), pa.binary()]
    assert found.schema.types == kinds
    assert whole(pd.DataFrame({"c": pd.Categorical(["x", None])})).column("c").to_pylist() == ["x", None]
    assert whole(pl.DataFrame({"c": pl.Series(["x", None], dtype=pl.Categorical)})).column("c").to_pylist() == ["x", None]


def test_categories_of_views_inside_of_lists_are_refused_by_name() -> None:
    views = pa.DictionaryArray.from_arrays(pa.array([1, 0], pa.uint32()), pa.array(["a", "b"], pa.string_view()))
    error = refusal(pa.table({"w": pa.ListArray.from_arrays(pa.array([0, 1, 2], pa.int32()), views)}), "table")
    assert str(error).startswith("column 'w' is of type list<item: dictionary<values=string_view")
    assert "cast it" in error.hint


def test_categories_may_differ_between_batches() -> None:
    parts = [pa.record_batch({"c": pa.array(words).dictionary_encode()}) for words in (["a", "b"], ["c", "a", None], ["b"])]
    assert whole(pa.Table.from_batches(parts)).column("c").to_pylist() == ["a", "b", "c", "a", None, "b"]


@pytest.mark.parametrize(
    "kind", ["int8", "uint64", "float16", "float32", "bool", "date32", "date64", "large_string", "large_binary", "null"]
)
def test_plain_types_stay(kind: str) -> None:
    table = pa.table({"x": pa.nulls(3, getattr(pa, kind.replace("bool", "bool_"))())})
    assert whole(table).equals(table)


def test_times_and_zones_stay() -> None:
    for kind in (pa.timestamp("ns", "Europe/Berlin"), pa.timestamp("s"), pa.time32("ms"), pa.time64("ns"), pa.duration("us")):
        table = pa.table({"x": pa.array([1, None]).cast(pa.int64()).cast(kind) if "32" not in str(kind) else pa.nulls(2, kind)})
        assert whole(table).equals(table)


def test_a_table_without_rows_is_one_segment_with_its_columns() -> None:
    for value in (TABLE.slice(0, 0), pd.DataFrame({"a": pd.Series([], dtype="int64")}), pl.DataFrame({"a": []})):
        (segment,) = segments(value, "table")
        assert len(pa.ipc.open_stream(segment).read_all()) == 0
        assert pa.ipc.open_stream(segment).schema.names


def test_a_named_index_becomes_a_column_and_no_other() -> None:
    frame = pd.DataFrame({"a": [1, 2, 3]})
    assert whole(frame.iloc[[2, 0, 1]]).to_pydict() == {"a": [3, 1, 2]}
    frame.index = pd.Index([7, 8, 9], name="key")
    assert whole(frame).column_names == ["key", "a"]
    assert whole(frame).to_pylist() == [{"key": 7, "a": 1}, {"key": 8, "a": 2}, {"key": 9, "a": 3}]


def test_series_are_tables_of_one_column() -> None:
    for value in (pd.Series([1, 2], name="n"), pl.Series("n", [1, 2])):
        assert whole(value).to_pylist() == [{"n": 1}, {"n": 2}]
    for value in (pd.Series([1]), pa.array([1]), pa.chunked_array([[1]])):
        assert whole(value).to_pylist() == [{"value": 1}]


def test_whatever_speaks_the_arrow_protocol_is_a_table() -> None:
    class Foreign:
        def __arrow_c_stream__(self, requested_schema: object = None) -> Any:
            return TABLE.__arrow_c_stream__(requested_schema)

    assert whole(Foreign()).equals(TABLE)


def test_rows_may_come_from_a_generator_and_lack_columns() -> None:
    assert whole({"a": number} for number in range(5)).column("a").to_pylist() == [0, 1, 2, 3, 4]
    assert whole([{"a": 1}, {"b": "x", "a": None}]).to_pylist() == [{"a": 1, "b": None}, {"a": None, "b": "x"}]


def test_rows_of_a_generator_are_read_while_they_are_cut() -> None:
    read = 0

    def rows() -> Iterator[dict[str, int]]:
        nonlocal read
        for number in range(300_000):
            read += 1
            yield {"a": number}

    options = JobOptions.of({"split_strategy": "arrow_batches"})
    with prepare_input(rows(), "table", options) as inputs:
        found = cut(inputs, options, custom_max=1)
        first = next(found)
        assert read < 300_000
        assert table_in([bytes(segment) for segment in (first, *found)]).column("a").to_pylist() == [*range(300_000)]


def test_columns_of_several_kinds() -> None:
    kinds = {"l": [1, 2], "r": range(2), "n": np.array([1.5, 2.5]), "p": pd.Series(["a", "b"]), "a": pa.array([True, None])}
    found = whole(kinds)
    assert found.column_names == [*kinds]
    assert [found.column(name).to_pylist() for name in kinds] == [[1, 2], [0, 1], [1.5, 2.5], ["a", "b"], [True, None]]


def test_several_tables_are_an_input_each() -> None:
    found = segments([TABLE, pl.from_arrow(TABLE.slice(0, 1)), TABLE.cast(LARGE)], "table")
    assert table_in(found).equals(pa.concat_tables([TABLE, TABLE.slice(0, 1), TABLE]))


def test_streams_in_memory_and_results_of_several_chunks() -> None:
    streams = b"".join(segments(TABLE, "table"))
    assert whole(streams, most=1 << 20).equals(TABLE)
    assert len(segments(streams, "table", most=1500)) > len(segments(TABLE, "table"))
    other = segments(pa.table({"x": [1]}), "table")[0]
    error = refusal(streams + other, "table")
    assert "has no column 'x'" in str(error) or "'number'" in str(error)


def test_a_column_of_nothing_takes_the_type_it_has_elsewhere() -> None:
    found = segments([pa.table({"a": [1, 2]}), pa.table({"a": pa.nulls(1)})], "table")
    assert table_in(found).column("a").to_pylist() == [1, 2, None]
    assert "column 'a' of input 2 of 2 is int64, but in input 1 of 2 it is null" in str(
        refusal([pa.table({"a": pa.nulls(1)}), pa.table({"a": [1]})], "table")
    )


def test_a_job_that_takes_bytes_is_given_the_stream() -> None:
    assert table_in(segments(TABLE, "bytes")).equals(TABLE)
    assert len(segments(TABLE, "bytes", split_strategy="arrow_batches")) > 1


@pytest.mark.parametrize("strategy", ["custom", "fixed_size", "adaptive"])
def test_by_other_strategies_a_table_is_its_stream(strategy: str) -> None:
    content = segments(TABLE, "table", split_strategy="custom")[0]
    assert table_in([content]).equals(TABLE)
    assert segments(TABLE, "table", split_strategy=strategy) == segments(content, "bytes", split_strategy=strategy)


def test_the_size_is_known_once_all_is_read() -> None:
    options = JobOptions.of({"split_strategy": "arrow_batches", "min_chunk_size": 1, "max_chunk_size": 1 << 20})
    with prepare_input(TABLE, "table", options) as inputs:
        (segment,) = cut(inputs, options, custom_max=1)
        assert inputs.total_bytes == len(segment)


def test_what_can_be_read_once_is() -> None:
    reader = TABLE.to_reader()
    options = JobOptions.of({"split_strategy": "arrow_batches"})
    with prepare_input(reader, "table", options) as inputs:
        assert len([*cut(inputs, options, custom_max=1)]) == 1
        with pytest.raises(Exception, match="can be read only once"):
            list(cut(inputs, options, custom_max=1))


DUPLICATES = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])


@pytest.mark.parametrize(
    ("value", "complaint", "remedy"),
    [
        (pa.table({"v": pa.array([[1]], pa.list_view(pa.int64()))}), "column 'v' of the input is list_view<item: int64>", "list"),
        (pa.table({"l": pa.nulls(1, pa.list_(pa.uuid()))}), "column 'l' .* extension", "leave the column out"),
        (
            pa.table({"t": pa.nulls(1, pa.list_(pa.timestamp("s", "Europe/Berlin")))}),
            "by the clock of Europe/Berlin in it",
            "UTC",
        ),
        ({"a": [[1], ["x"]]}, "column 'a' in row 2 .* there is text in it, where before it was a number", "one type"),
        (
            {"a": [[datetime.date(2024, 1, 1)], [datetime.datetime.min]]},  # noqa: DTZ901
            "row 2 .* there is a time without a zone in it",
            "one type",
        ),
        ({"a": [{"x": 1}, {"x": "y"}]}, "column 'a' in row 2 .* there is text in it", "one type"),
        ({"a": [[1], 1]}, "column 'a' in row 2 of the input is 1: it is a number, where the column has a list", "one type"),
        (
            pa.table({"i": pa.nulls(1, pa.month_day_nano_interval())}),
            "column 'i' .* month_day_nano",
            "duration",
        ),
        (pa.table({"u": pa.array([b"x" * 16], pa.uuid())}), "column 'u' .* extension", "leave the column out"),
        (DUPLICATES, "two columns 'a'", "rename"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "'a' 2 times", "one name"),
        (pd.DataFrame({"mixed": [1, "x"]}), "column mixed", "one type"),
        (pd.DataFrame({"p": pd.period_range("2020", periods=1)}), "column 'p' .* extension", "cast"),
        (pd.DataFrame({"z": [1 + 2j]}), "column z", "Arrow knows"),
        (pd.DataFrame(index=[1, 2]), "without columns", "at least one"),
        (pa.table({}), "without columns", "at least one"),
        (pl.DataFrame(), "without columns", "at least one"),
        (pl.DataFrame({"\0": [1]}), "can't become an Arrow table", "one name"),
        (pl.LazyFrame({"a": [1]}), "LazyFrame, which has no rows yet", "collect"),
        (np.zeros((2, 2)), "numpy.ndarray; the job takes table", "DataFrame"),
        ({"a": [1, 2], "b": [1]}, "column 'b' of the input has 1 rows, and column 'a' has 2", "None"),
        ({"a": [1], "b": 2}, "the job takes table", "dicts of columns"),
        ({"a": [1, "x"]}, "column 'a' in row 2 of the input is 'x'", "one type"),
        ([{"a": 1}, {"a": "x"}], "column 'a' in row 2 of the input is 'x'", "one type"),
        ([{"a": 1}, 7], "row 2 of the input is 7", "frame"),
        ([{"a": 1}, {2: 3}], "row 2 of the input is {2: 3}", "frame"),
        (iter([]), "the input has no rows", "names them"),
        (7, "is a int: 7; the job takes table", "frames"),
        ([], "the list of inputs is empty", "None"),
    ],
)
def test_what_is_no_table(value: Any, complaint: str, remedy: str) -> None:
    error = refusal(value, "table")
    with pytest.raises(type(error), match=complaint):
        raise error
    assert remedy in error.hint


def test_a_generator_that_changes_its_mind_is_told_where() -> None:
    def rows(last: dict[str, Any]) -> Iterator[dict[str, Any]]:
        yield from ({"a": number} for number in range(70_000))
        yield last

    assert "row 70,001 of the input has a column 'b', which none" in str(refusal(rows({"a": 1, "b": 2}), "table"))
    assert "column 'a' in row 70,001 of the input is 'x'" in str(refusal(rows({"a": "x"}), "table"))


@pytest.mark.parametrize(
    ("second", "complaint"),
    [
        ({"a": [1.5], "b": ["x"]}, "column 'a' of input 2 of 2 is double, but in input 1 of 2 it is int64"),
        ({"a": [1]}, "input 2 of 2 has no column 'b', which input 1 of 2 has .string."),
        ({"a": [1], "b": ["x"], "c": [1]}, "input 1 of 2 has no column 'c', which input 2 of 2 has .int64."),
        ({"b": ["x"], "a": [1]}, "column 'b' of input 2 of 2 stands elsewhere"),
    ],
)
def test_tables_of_one_job_have_the_same_columns(second: dict[str, Any], complaint: str) -> None:
    error = refusal([pa.table({"a": [1], "b": ["x"]}), pa.table(second)], "table")
    with pytest.raises(type(error), match=complaint):
        raise error
    assert "select and cast" in error.hint


def test_python_objects_in_polars_are_refused_rather_than_sent_as_addresses() -> None:
    frame = pl.DataFrame({"n": [1], "o": [object()]}, schema={"n": pl.Int64, "o": pl.Object})
    assert "column 'o' of the input has dtype Object" in str(refusal(frame, "table"))

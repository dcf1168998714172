"""Input means what pandas, NumPy and pyarrow take it for; what could be taken for two things is refused by name."""

import base64
import codecs
import datetime as dt
import io
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pangea.compute.client.results.result import Value
from pangea.compute.data import Table
from pangea.compute.inputs.formats.json_tables import BLOCK_BYTES
from pangea.compute.inputs.preprocessor import prepare_input
from pangea.compute.model.errors import InputError, ResultError
from pangea.compute.model.kinds import ResultKind
from pangea.compute.model.options import JobOptions
from tests.examples import first
from tests.prepared import arrays_in, refusal, segments, table_in


def rows(value: Any) -> list[dict[str, Any]]:
    return list(table_in(segments(value, "table")).to_pylist())


def text_file(folder: Path, name: str, text: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


class Survey(pd.DataFrame):  # type: ignore[misc]  # pandas has no types here
    """A frame as geopandas and others have."""

    @property
    def _constructor(self) -> type[pd.DataFrame]:
        return Survey


FRAME = pd.DataFrame({"km": [7.0, 2.0, 9.0]})
DAYS = pd.date_range("2024-05-01", periods=3, unit="us")


@pytest.mark.parametrize(
    ("value", "names"),
    [
        (FRAME.drop(index=1), ["km"]),
        (Survey(FRAME).drop(index=1), ["km"]),
        (FRAME["km"].drop(index=1), ["km"]),
        (FRAME.set_axis([5, 6, 7]), ["km"]),
        (FRAME.set_axis(pd.Index([5, 6, 7], name="row")), ["row", "km"]),
        (FRAME.rename_axis("row"), ["row", "km"]),
        (FRAME.iloc[::-2].rename_axis("row"), ["row", "km"]),
        (FRAME.set_axis(DAYS), ["index", "km"]),
        (FRAME["km"].set_axis(DAYS), ["index", "km"]),
        (FRAME.set_axis(["a", "b", "c"]), ["index", "km"]),
        (FRAME.set_axis(pd.MultiIndex.from_product([[1], ["a", "b", "c"]])), ["level_0", "level_1", "km"]),
    ],
)
def test_row_numbers_are_no_column_and_every_other_index_is(value: Any, names: list[str], tmp_path: Path) -> None:
    assert list(rows(value)[0]) == names
    frame = value.to_frame() if isinstance(value, pd.Series) else value
    frame.to_parquet(tmp_path / "f.parquet")
    frame.to_feather(tmp_path / "f.feather") if frame.index.equals(pd.RangeIndex(len(frame))) else None
    if "level_0" not in names:  # pandas' own names for these are in the file
        assert sorted(rows(tmp_path / "f.parquet")[0]) == sorted(names)
        assert sorted(rows(pa.Table.from_pandas(frame))[0]) == sorted(names)
        assert rows(tmp_path / "f.parquet") == rows(pa.Table.from_pandas(frame))


def test_columns_of_several_levels_become_text_with_a_warning() -> None:
    frame = FRAME.set_axis(pd.MultiIndex.from_tuples([("km", "mean")]), axis=1)
    with pytest.warns(UserWarning, match=r"columns of 2 levels, which become text: \"\('km', 'mean'\)\"; name them first"):
        assert list(rows(frame)[0]) == ["('km', 'mean')"]


def test_the_days_of_an_index_come_along() -> None:
    assert [row["index"] for row in rows(FRAME.set_axis(DAYS))] == [day.to_pydatetime() for day in DAYS]


def test_a_dict_of_series_is_aligned_as_pandas_does() -> None:
    series = {"a": pd.Series([1, 2, 3]), "b": pd.Series([9.0, 8.0], index=[2, 0])}
    wanted = pd.DataFrame(series).astype(object).where(pd.DataFrame(series).notna(), None).to_dict("records")
    assert rows(series) == wanted == [{"a": 1, "b": 8.0}, {"a": 2, "b": None}, {"a": 3, "b": 9.0}]


CSV = 'word,n,x,empty\nOslo,1,1.5,\n,2,,\nNA,,nan,\n"",4,2.5,\nNone,5,,\n'


def test_a_csv_file_s_empty_cells_are_null_as_pandas_reads_them(tmp_path: Path) -> None:
    frame = pd.read_csv(io.StringIO(CSV))
    found = rows(text_file(tmp_path, "t.csv", CSV))
    for name in frame.columns:
        assert [row[name] is None for row in found] == frame[name].isna().tolist(), name
    assert [row["word"] for row in found] == ["Oslo", None, None, None, None]
    assert [row["n"] for row in found] == [1, 2, None, 4, 5]


def test_times_with_offsets_keep_their_instants(tmp_path: Path) -> None:
    times = ["2024-07-01T12:00:00+02:00", "2024-07-01T10:00:00Z", "2023-12-31T23:15:00-05:30"]
    path = text_file(tmp_path, "t.jsonl", "".join(f'{{"at": "{time}"}}\n' for time in times))
    found = [row["at"] for row in rows(path)]
    assert found == [dt.datetime.fromisoformat(time) for time in times]
    assert all(time.tzinfo is not None for time in found)


@pytest.mark.parametrize(
    ("times", "kind", "wanted"),
    [
        (["2024-07-01T12:00:00", "2024-07-01 12:00:00.25", "2024-07-02"], "timestamp[us]", "2024-07-01T12:00:00.250000"),
        (["2024-07-01T12:00:00+02:00", "2024-07-01T10:00:00.25Z"], "timestamp[us, tz=UTC]", "2024-07-01T10:00:00.250000+00:00"),
        (["2024-07-01T12:00:00", "2024-07-01T12:00:00.123456789"], "timestamp[ns]", None),
        (["2024-07-01T12:00:00.5Z", "2024-07-01T12:00:00.5"], "string", None),
        (["2024-07-01T12:00:00.5", "soon"], "string", None),
        (["2024-02-30T12:00:00.5"], "string", None),
        (["1500-01-01T00:00:00.1234567"], "string", None),
        (["1.5"], "string", None),
    ],
)
def test_times_with_fractions_of_seconds_are_times(times: list[str], kind: str, wanted: str | None, tmp_path: Path) -> None:
    lines = "".join(f'{{"at": "{time}"}}\n' for time in times)
    found = table_in(segments(text_file(tmp_path, "t.jsonl", lines + '{"at": null}\n'), "table"))
    assert str(found.schema.field("at").type) == kind
    assert wanted is None or found["at"][1].as_py().isoformat() == wanted


def test_times_of_which_only_some_have_a_zone_stay_text(tmp_path: Path) -> None:
    times = ["2024-07-01T12:00:00Z", "2024-07-01T12:00:00"]
    path = text_file(tmp_path, "t.jsonl", "".join(f'{{"at": "{time}"}}\n' for time in times))
    assert [row["at"] for row in rows(path)] == times


@pytest.mark.parametrize(
    ("first", "later"), first(1, [("2024-07-01T12:00:00", "2024-07-01T12:00:00Z"), ("2024-07-01T12:00:00Z", "2024-07-01")])
)
def test_a_zone_that_shows_or_goes_later_is_an_error_that_names_the_line(first: str, later: str, tmp_path: Path) -> None:
    beside = "x" * (4 << 10)
    many = BLOCK_BYTES // len(beside) + 1  # more than what the types are found in
    path = text_file(tmp_path, "t.jsonl", "".join(f'{{"at": "{at}", "x": "{beside}"}}\n' for at in [first] * many + [later]))
    error = refusal(path, "table", most=1 << 20)
    assert f"line {many + 1:,} of" in str(error)
    assert "column 'at', which is timestamp[s" in str(error)


def test_rows_whose_cells_are_lists_are_not_taken_for_tables() -> None:
    error = refusal([{"tags": ["red", "old", "big"]}, {"tags": ["blue", "new"]}], "table")
    assert "rows whose cells are lists, or several tables?" in str(error)
    assert "pass pandas.DataFrame(rows)" in error.hint
    assert rows([{"n": 1, "tags": ["a"]}]) == [{"n": 1, "tags": ["a"]}]
    assert rows([{"n": np.float64(1.5)}, {"n": np.float64(2.5)}]) == [{"n": 1.5}, {"n": 2.5}]


DATE, TIME, ZONED = dt.date(2024, 1, 1), dt.datetime(2024, 1, 1, 5), dt.datetime(2024, 1, 1, 5, tzinfo=dt.UTC)  # noqa: DTZ001


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        ([DATE, TIME], [dt.datetime(2024, 1, 1), TIME]),  # noqa: DTZ001
        ([TIME, None, DATE], [TIME, None, dt.datetime(2024, 1, 1)]),  # noqa: DTZ001
        ([pd.NaT, TIME], [None, TIME]),
        ([pd.NA, 4], [None, 4]),
        ([1, 2.5, np.float64(3)], [1.0, 2.5, 3.0]),
        (
            [pd.Timestamp("2024-01-01 00:00:00.000000001"), TIME],
            [pd.Timestamp("2024-01-01 00:00:00.000000001"), pd.Timestamp(TIME)],
        ),
    ],
)
def test_values_of_one_column_keep_what_they_say(values: list[Any], wanted: list[Any]) -> None:
    assert [row["v"] for row in rows([{"v": value} for value in values])] == wanted
    assert [row["v"] for row in rows({"v": values})] == wanted


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([TIME, ZONED], "row 2 of the input is .*: it is a time with a zone, where the column has a time without a zone"),
        ([DATE, ZONED], "a time with a zone, where the column has a date"),
        (["a", b"b"], "it is bytes, where the column has text"),
        ([1.5, True], "it is true or false, where the column has a number"),
        ([dt.timedelta(1), 1], "it is a number, where the column has a span of time"),
        ([dt.time(1, tzinfo=dt.UTC)], "a time of day in a zone"),
    ],
)
def test_values_that_have_no_type_in_common_are_refused(values: list[Any], said: str) -> None:
    for value in ([{"v": value} for value in values], {"v": values}):
        with pytest.raises(InputError, match=said):
            raise refusal(value, "table")


def test_a_later_row_is_held_to_the_type_of_the_first_ones() -> None:
    def days() -> Any:
        yield from ({"day": DATE} for _ in range(65_537))
        yield {"day": TIME}

    with pytest.raises(
        InputError, match=r"column 'day' in row 65,538 of the input .*it is a time without a zone, where the column has a date"
    ):
        raise refusal(days(), "table", most=1 << 20)


def test_a_spreadsheet_is_refused_with_what_reads_it(tmp_path: Path) -> None:
    sheet = b"PK\x03\x04" + bytes(26) + b"[Content_Types].xml"
    for name in ("t.xlsx", "t.ods", "t.dat"):
        error = refusal(text_file(tmp_path, name, sheet), "table")
        assert "is a spreadsheet" in str(error)
        assert "pandas.read_excel(" in error.hint
    for kind in ("array", "text", "json", "jsonl"):
        assert "pandas.read_excel(" in refusal(text_file(tmp_path, "t.xlsx", sheet), kind).hint


def test_periods_are_refused_whether_or_not_pandas_has_named_their_type(tmp_path: Path) -> None:
    path = tmp_path / "p.parquet"
    pd.DataFrame({"month": pd.period_range("2024-01", periods=2, freq="M")}).to_parquet(path)
    plain = pq.read_table(path)
    bare = pa.table([plain.column(0).cast(pa.int64()) if False else pa.array([1, 2])], schema=pa.schema(
        [pa.field("month", pa.int64(), metadata={b"ARROW:extension:name": b"pandas.period"})]
    ))  # fmt: skip
    for value in (path, bare):
        assert "column 'month' of" in str(refusal(value, "table"))
        assert "extension type pandas.period" in str(refusal(value, "table"))


def test_arrays_in_fortran_order_in_an_npz_file_become_rows(tmp_path: Path) -> None:
    array = np.asfortranarray(np.arange(600.0).reshape(30, 20))
    np.savez(tmp_path / "a.npz", turned=array, plain=np.arange(3.0))
    np.savez_compressed(tmp_path / "b.npz", turned=array)
    (first, *_), *_ = [arrays_in(segments(tmp_path / "a.npz", "array", most=1 << 20))]
    assert first.tolist() == array.tolist()
    found = arrays_in(segments(tmp_path / "b.npz", "array", most=2_000))
    assert len(found) > 1
    assert np.concatenate(found).tolist() == array.tolist()


#: With spaces that aren't ASCII's, joined letters, a direction; and so long that the first 64 KiB end inside of a character.
WIDE_TEXTS = ["a line of text, Ωž\n" * 50, "a\u00a0b\u3000c, \u200d\u200f\u2028\n" * 50, "😀" + "a😀😀😀\n" * 8_000]


@pytest.mark.parametrize("strategy", ["row_based", "record_based"])
@pytest.mark.parametrize("text", WIDE_TEXTS)
@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"])
def test_text_whose_newlines_are_no_single_bytes_is_not_cut_at_bytes(encoding: str, text: str, strategy: str) -> None:
    with pytest.raises(
        InputError, match=rf"the input is text in UTF-(16|32)(LE|BE), whose newlines aren't .*: {strategy} would"
    ) as refused:
        segments(text.encode(encoding), "bytes", split_strategy=strategy)
    assert "iconv -f UTF-" in refused.value.hint


@pytest.mark.parametrize(
    "data", ["a\n日本\n".encode() * 9, b"\xff\n" * 9, b"a\0b\nc\n" * 9, codecs.BOM_UTF8 + b"a\n" * 9, b"\0\n" * 9 + b"\0"]
)
def test_text_and_bytes_with_plain_newlines_are_cut_by_rows(data: bytes) -> None:
    assert b"".join(segments(data, "bytes", split_strategy="row_based")) == data


def test_the_result_of_another_job_is_joined_first() -> None:
    parts = [pa.table({"n": pa.nulls(2)}), pa.table({"n": [1, 2]}), pa.table({"n": [0.5]})]
    data = b"".join(b"".join(segments(part, "table")) for part in parts)
    value = Value(data, ResultKind("table", True))
    assert rows(value) == [{"n": None}, {"n": None}, {"n": 1.0}, {"n": 2.0}, {"n": 0.5}]


def test_keys_that_json_cant_tell_apart_are_refused_and_half_surrogates_kept() -> None:
    error = refusal({1: "a", "1": "b"}, "json")
    assert "the keys 1 and '1' of a dict are both '1' in JSON" in str(error)
    assert segments({"a": "\ud800"}, "json") == [b'{"a": "\\ud800"}']


def test_columns_with_a_zone_bring_its_rules() -> None:
    times = pd.Series(pd.to_datetime(["2024-07-01 12:00"], utc=True)).dt.tz_convert("Europe/Berlin")
    options = JobOptions.of({"split_strategy": "arrow_batches"})
    with prepare_input(pd.DataFrame({"at": times}), "table", options) as inputs:
        assert [item.name for item in inputs] == ["the input"]
    field = table_in(segments(pd.DataFrame({"at": times}), "table")).schema.field("at")
    said = (field.metadata or {}).get(b"pangea.zone", b"")
    assert base64.b64decode(said, validate=True).startswith(b"TZif")


LARGE = 2**53 + 1


@pytest.mark.parametrize(
    "value",
    [
        [LARGE, 0.5],
        [[1, 0.5], [LARGE, 2]],
        [-1, 2**63 + 1],
        pd.Series([LARGE, None], dtype="Int64"),
        pl.Series([LARGE, None]),
        pa.array([LARGE, None]),
    ],
    ids=["fractions", "nested", "two signs", "pandas", "polars", "pyarrow"],
)
def test_whole_numbers_that_would_lose_digits_in_an_array_are_refused(value: Any) -> None:
    said = refusal(value, "array")
    assert "has the whole number 9" in str(said)
    assert "as a float it would lose digits" in str(said)


def test_whole_numbers_beside_fractions_or_nulls_are_floats_where_none_loses_a_digit() -> None:
    for value in ([2**60, 0.5], pd.Series([2**60, None], dtype="Int64"), pl.Series([2**60, 3, None])):
        (array,) = arrays_in(segments(value, "array"))
        assert array.dtype == np.float64
        assert array[0] == 2**60


def test_whole_numbers_beyond_int64_are_uint64() -> None:
    assert rows({"n": [2**64 - 1, None]}) == [{"n": 2**64 - 1}, {"n": None}]
    assert rows([{"n": 2**63}, {"n": 0}]) == [{"n": 2**63}, {"n": 0}]
    with pytest.raises(InputError, match="row 2"):
        rows({"n": [-1, 2**63]})


def test_lists_and_objects_of_json_lines_stay_such_and_their_times_text(tmp_path: Path) -> None:
    text = '{"l":[1,2],"o":{"at":"2024-07-01T12:00:00+02:00","n":[null]}}\n{"l":[],"o":null}\n'
    found = table_in(segments(text_file(tmp_path, "a.jsonl", text), "table"))
    assert found.to_pylist() == [{"l": [1, 2], "o": {"at": "2024-07-01T12:00:00+02:00", "n": [None]}}, {"l": [], "o": None}]
    said = refusal(text_file(tmp_path, "b.jsonl", '{"l":[18446744073709551615]}\n'), "table")
    assert "column 'l' of" in str(said)
    assert "for which int64 has no room" in str(said)


def test_lists_of_any_kind_are_lists_and_maps_lists_of_pairs() -> None:
    kinds = [pa.large_list(pa.int64()), pa.list_(pa.int64(), 1), pa.list_(pa.field("element", pa.int64(), nullable=False))]
    for kind in kinds:
        found = table_in(segments(pa.table({"l": pa.array([[1], [2]], kind)}), "table"))
        assert (str(found.schema.field("l").type), found["l"].to_pylist()) == ("list<item: int64>", [[1], [2]])
    mapped = pa.table({"m": pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int64()))})
    assert rows(mapped) == [{"m": [{"key": "k", "value": 1}]}]


def test_lists_in_a_frame_of_a_result_keep_their_whole_numbers() -> None:
    large = 2**53 + 1
    given = pa.table({"l": [[large, None], None], "s": [None, {"n": large}]})
    frame = Value(segments(given, "table")[0], ResultKind("table", False)).as_frame()
    assert frame["l"].tolist() == [[large, None], None]
    assert frame["s"].tolist() == [None, {"n": large}]


def test_results_of_chunks_that_have_found_less_of_a_type_are_joined() -> None:
    pairs: list[tuple[Any, Any, str]] = [
        ([[]], [[1]], "list<item: int64>"),
        ([{"x": [None]}], [{"x": ["a"]}], "struct<x: list<item: string>>"),
        ([Decimal("1.5")], [Decimal("1.25")], "decimal128(38, 2)"),
    ]
    for one, other, kind in pairs:
        data = Table.of({"v": one}).to_arrow() + Table.of({"v": other}).to_arrow()
        table = Value(data, ResultKind("table", True)).as_arrow()
        assert (str(table.schema.field("v").type), table["v"].to_pylist()) == (kind, [*one, *other])
    unlike = Table.of({"v": [[1]]}).to_arrow() + Table.of({"v": [[0.5]]}).to_arrow()
    with pytest.raises(ResultError, match=r"number 1 has v: list<item: double>"):
        Value(unlike, ResultKind("table", True)).as_arrow()


def test_half_a_surrogate_pair_is_refused_by_column_and_row_in_words_that_can_be_printed() -> None:
    half = pd.DataFrame({"ok": [1, 2], "text": pd.Series(["x", "a\ud800"], dtype=object)})
    for value, said in (
        (half, r"row 2 of column 'text' of the input has 'a\ud800', in which half of a surrogate pair"),
        (half["text"], r"row 2 of column 'text' of the input has 'a\ud800'"),
        (pd.DataFrame([[1]], columns=pd.Index(["a\ud800"], dtype=object)), r"a column of the input is called 'a\ud800'"),
        ({"a\ud800": [1]}, r"a column of the input is called 'a\ud800'"),
        ([{"a\ud800": 1}], r"a column of the input is called 'a\ud800'"),
        ({"text": ["x", "a\ud800"]}, r"column 'text' in row 2 of the input is 'a\ud800'"),
        (pd.DataFrame({"text": pd.Series([["a\ud800"]], dtype=object)}), "surrogates not allowed"),
    ):
        error = refusal(value, "table")
        assert said in str(error)
        assert f"{error} {error.hint}".encode()

"""Categories go in, through a job's own code and out again: ordered or not, with those that no row has, in their own order."""

from __future__ import annotations

import io
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pangea.compute.client.results.file_formats import writer_for
from pangea.compute.client.results.result import Value
from pangea.compute.data import Column, DataError, Table
from pangea.compute.data.categories import KEY
from pangea.compute.model.errors import OutputError, ResultError
from pangea.compute.model.kinds import ResultKind
from pangea.compute.templates import to_csv, to_parquet
from tests.prepared import refusal, segments, table_in

SIZES = pd.CategoricalDtype(["S", "M", "L"], ordered=True)
FRAME = pd.DataFrame({"size": pd.Series(["L", None, "S", "L"], dtype=SIZES), "n": [1, 2, 3, 4]})


def column(values: list[Any], listed: list[Any], *, ordered: bool = True) -> Column:
    made: Column = Table.of({"c": values})["c"].with_categories(listed, ordered=ordered)
    return made


def through(value: object, **options: Any) -> pd.DataFrame:
    """What comes out of a job that gives its table back."""
    return Value(b"".join(segments(value, "table", **options)), ResultKind("table", True)).as_frame()


def stream(table: pa.Table, rows: int | None = None) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=rows)
    return bytes(sink.getvalue())


# In a job


def test_what_has_an_order_goes_by_the_list_and_equality_by_the_values() -> None:
    sizes = column(["L", None, "S", "L"], ["S", "M", "L"])
    assert (sizes.categories, sizes.is_ordered, sizes.type) == (["S", "M", "L"], True, "string")
    assert (sizes.sort().tolist(), sizes.sort(descending=True).tolist()) == (["S", "L", "L", None], ["L", "L", "S", None])
    assert (sizes.min(), sizes.max(), sizes.nunique()) == ("S", "L", 2)
    assert (sizes < "M").tolist() == [False, False, True, False]
    assert (sizes >= ["M", "M", "S", "L"]).tolist() == [True, False, True, True]
    assert (sizes >= np.array(["M", "M", "S", "L"])).tolist() == [True, False, True, True]
    assert (sizes == "L").tolist() == [True, False, False, True]
    assert (sizes > column(["M", "M", "M", "M"], ["S", "M", "L"])).tolist() == [True, False, False, True]
    assert sizes[:0].min() is None
    table = Table.of({"c": sizes, "n": [1, 2, 3, 4]})
    assert table.sort("c")["n"].tolist() == [3, 1, 4, 2]
    assert [(key, len(rows)) for key, rows in table.groupby("c")] == [("S", 1), ("L", 2)]
    assert table[table["c"] >= "M"]["c"].categories == ["S", "M", "L"]


def test_unordered_categories_sort_by_the_list_and_have_no_least() -> None:
    held = column(["a", "z"], ["z", "a"], ordered=False)
    assert held.sort().tolist() == ["z", "a"]
    for wrong in (held.min, held.max, lambda: held < "a", lambda: held >= held):
        with pytest.raises(TypeError, match=r"column 'c' has categories without an order"):
            wrong()


def test_other_categories_and_values_that_are_none_are_refused() -> None:
    sizes = column(["L", None], ["S", "L"])
    with pytest.raises(DataError, match=r"column 'c': 'XL' is none of its 2 categories; plain\(\) has the values"):
        sizes < "XL"  # noqa: B015
    with pytest.raises(DataError, match=r"column 'c': 'XL' is none of its 2 categories"):
        sizes.fill("XL")
    with pytest.raises(DataError, match=r"'L' is none of its 1 categories"):
        sizes.with_categories(["S"])
    with pytest.raises(TypeError, match=r"compared with 'c', which has other categories"):
        sizes < column(["L", "S"], ["L", "S"])  # noqa: B015
    with pytest.raises(TypeError, match=r"column 'd' is compared with 'c', which has categories: take its plain\(\)"):
        Table.of({"d": ["a", "b"]})["d"] < sizes  # noqa: B015
    with pytest.raises(DataError, match="one is there twice"):
        sizes.with_categories(["L", "L"])
    with pytest.raises(DataError, match="column 'c' of type binary: categories are text"):
        column([b"a"], [b"a"])


def test_categories_stay_with_values_that_are_categories_and_go_with_plain() -> None:
    sizes = column(["L", None], ["S", "L"])
    assert (sizes.fill("S").categories, sizes.fill("S").tolist()) == (["S", "L"], ["L", "S"])
    assert sizes.where(np.array([False, False]), "S").categories == ["S", "L"]
    assert (sizes.plain().categories, sizes.astype("string").categories, sizes.plain().metadata) == (None, None, ())
    assert sizes.plain().sort().tolist() == ["L", None]
    one, other = Table.of({"c": sizes}), Table.of({"c": column(["L"], ["L", "S"])})
    assert Table.concat([one, one])["c"].categories == ["S", "L"]
    assert Table.concat([one, other])["c"].categories is None
    assert Table.concat([one, Table.of({"c": [None]})])["c"].categories == ["S", "L"]


def test_categories_of_instants_keep_the_rules_of_their_zone() -> None:
    times = pd.Series(pd.to_datetime(["2024-07-01 12:00"], utc=True)).dt.tz_convert("Europe/Berlin")
    held = Table.of({"at": times.dt.to_pydatetime()}, {"at": "timestamp[us, tz=Europe/Berlin]"})["at"]
    again = Table.from_arrow(Table.of({"at": held.with_categories(held.tolist())}).to_arrow())["at"]
    assert (again.categories, again.tolist()) == (held.tolist(), held.tolist())
    keys = [key for key, _ in again.metadata or ()]
    assert keys == ([b"pangea.zone"] if any(key == b"pangea.zone" for key in keys) else []) + [KEY]


@pytest.mark.parametrize(
    "described", [b"", b"{}", b"[1]", b'{"ordered":true,"values":[[1]]}', b'{"ordered":true,"values":["a","a"]}']
)
def test_damaged_lists_are_refused(described: bytes) -> None:
    table = pa.table({"c": ["a"]})
    damaged = stream(table.cast(pa.schema([table.schema.field(0).with_metadata({KEY: described})])))
    with pytest.raises(DataError, match="corrupt metadata of categories"):
        Table.from_arrow(damaged)["c"].sort()
    assert "column 'c' of the input: corrupt metadata of categories" in str(refusal(damaged, "table"))
    with pytest.raises(ResultError, match="column 'c': corrupt metadata of categories"):
        Value(damaged, ResultKind("table", False)).as_arrow()


# In and out


def test_frames_and_files_come_out_as_they_went_in(tmp_path: Path) -> None:
    frame = FRAME.assign(
        city=pd.Categorical(["z", "a", None, "z"], categories=["z", "q", "a"]),
        day=pd.Categorical(pd.to_datetime(["2024-01-02", None, "2024-01-01", "2024-01-02"]), ordered=True),
    )
    frame.to_parquet(tmp_path / "a.parquet", row_group_size=2)
    frame.to_feather(tmp_path / "a.feather")
    (tmp_path / "a.arrows").write_bytes(stream(pa.Table.from_pandas(frame), 2))
    values: list[Any] = [frame, pa.Table.from_pandas(frame), tmp_path / "a.feather", tmp_path / "a.arrows"]
    for value in [*values, Value(b"".join(segments(frame, "table")), ResultKind("table", True))]:
        pd.testing.assert_frame_equal(through(value), frame)
    pd.testing.assert_frame_equal(through(tmp_path / "a.parquet"), pd.read_parquet(tmp_path / "a.parquet"))
    pd.testing.assert_frame_equal(through(frame[:0]), frame[:0])
    assert through(frame.set_index("size").reset_index().set_index("city"))["city"].dtype == frame["city"].dtype


def test_written_results_have_their_categories(tmp_path: Path) -> None:
    result = Value(b"".join(segments(FRAME, "table")), ResultKind("table", True))
    for ending, read in ((".parquet", pd.read_parquet), (".arrow", pd.read_feather)):
        sink, write = io.BytesIO(), writer_for(result, ResultKind("table", True), tmp_path / f"r{ending}")
        assert write is not None
        write(sink)
        pd.testing.assert_frame_equal(read(io.BytesIO(sink.getvalue())), FRAME, check_dtype=False)
        assert read(io.BytesIO(sink.getvalue()))["size"].dtype == SIZES
    for ending, wanted in (
        (".csv", '"size","n"\n"L",1\n,2\n"S",3\n"L",4\n'),
        (".jsonl", '{"size": "L", "n": 1}\n{"size": null, "n": 2}\n'),
    ):
        sink, write = io.BytesIO(), writer_for(result, ResultKind("table", True), tmp_path / f"r{ending}")
        assert write is not None
        write(sink)
        assert sink.getvalue().decode().startswith(wanted)
    assert (to_parquet(FRAME, tmp_path / "t.parquet"), to_csv(FRAME, tmp_path / "t.csv")) == (4, 4)
    assert pq.read_schema(tmp_path / "t.parquet").field("size").type.ordered
    assert pd.read_parquet(tmp_path / "t.parquet")["size"].dtype == SIZES
    assert (tmp_path / "t.csv").read_text() == '"size","n"\n"L",1\n,2\n"S",3\n"L",4\n'


def test_chunks_are_plain_text_to_whoever_knows_of_no_categories() -> None:
    field = table_in(segments(FRAME, "table")).schema.field("size")
    assert str(field.type) == "large_string"
    assert json.loads(field.metadata[KEY]) == {"ordered": True, "values": ["S", "M", "L"]}


def test_enumerations_of_polars_are_ordered_and_its_other_categories_text() -> None:
    frame = pl.DataFrame(
        {"e": pl.Series(["S", "L"], dtype=pl.Enum(["S", "L"])), "c": pl.Series(["z", "a"], dtype=pl.Categorical)}
    )
    fields = table_in(segments(frame, "table")).schema
    assert json.loads(fields.field("e").metadata[KEY]) == {"ordered": True, "values": ["S", "L"]}
    assert fields.field("c").metadata is None


def test_results_of_which_one_has_other_categories_are_plain() -> None:
    other = FRAME.assign(size=FRAME["size"].cat.reorder_categories(["L", "M", "S"]))
    data = b"".join(segments(FRAME, "table") + segments(other, "table"))
    assert str(Value(data, ResultKind("table", True)).as_arrow().schema.field("size").type) == "large_string"
    assert pd.concat([FRAME, other])["size"].dtype != SIZES


def test_a_value_that_is_no_category_is_an_error_and_not_missing() -> None:
    table = pa.table({"c": ["a", "b"]})
    remark = {KEY: b'{"ordered":true,"values":["a"]}'}
    data = stream(table.cast(pa.schema([table.schema.field(0).with_metadata(remark)])))
    with pytest.raises(ResultError, match=r"column 'c' has values that are none of its 1 categories"):
        Value(data, ResultKind("table", False)).as_arrow()


# Several tables, and what has no place


def test_several_tables_have_the_same_ordered_categories_and_others_are_plain() -> None:
    found = through([FRAME, FRAME])
    assert (found["size"].dtype, len(found)) == (SIZES, 8)
    for other in (FRAME.assign(size=FRAME["size"].cat.reorder_categories(["L", "M", "S"])), FRAME.astype({"size": "str"})):
        for pair in ([FRAME, other], [other, FRAME]):
            assert "column 'size' of input 2 of 2 has other ordered categories than in input 1" in str(refusal(pair, "table"))
    cities = [pd.DataFrame({"c": pd.Categorical(values)}) for values in (["b", "a"], ["c", "a"])]
    assert through(cities)["c"].tolist() == ["b", "a", "c", "a"]
    turned = cities[0].assign(c=cities[0]["c"].cat.reorder_categories(["b", "a"]))
    with pytest.warns(UserWarning, match=r"column 'c' of input 1 of 2 becomes its categories' values, .* \(b, a\)"):
        through([turned, cities[1]])


def test_ordered_categories_without_a_place_are_refused_with_the_remedy() -> None:
    many = pd.DataFrame({"c": pd.Categorical([f"{i:09}" for i in range(9_000)], ordered=True)})
    error = refusal(many, "table")
    assert "column 'c' of the input has 9,000 ordered categories of 108,027 bytes, where 65,536 travel" in str(error)
    assert "x.cat.codes" in error.hint
    error = refusal(pd.DataFrame({"c": pd.Categorical([b"x"], ordered=True)}), "table")
    assert "column 'c' of the input has ordered categories of type binary" in str(error)
    error = refusal(pd.DataFrame({"c": pd.cut([1, 9], [0, 5, 10])}), "table")
    assert "column 'c' of the input is of the extension type pandas.interval" in str(error)
    reader = pa.RecordBatchReader.from_batches(pa.Table.from_pandas(FRAME).schema, pa.Table.from_pandas(FRAME).to_batches())
    error = refusal(reader, "table")
    assert "column 'size' of the input has ordered categories" in str(error)
    assert "read_all()" in error.hint
    inside = pa.array([["a"]], pa.list_(pa.string())).cast(pa.list_(pa.dictionary(pa.int8(), pa.string(), ordered=True)))
    assert "column 'c' of the input has ordered categories inside" in str(refusal(pa.table({"c": inside}), "table"))


def test_too_many_unordered_ones_are_plain_with_a_warning_where_that_shows(recwarn: pytest.WarningsRecorder) -> None:
    words = [f"{i:09}" for i in range(9_000)]
    assert through(pd.DataFrame({"c": pd.Categorical(words)}), most=1 << 20)["c"].tolist() == words
    assert not recwarn.list
    with pytest.warns(UserWarning, match=r"column 'c' of the input becomes its categories' values"):
        through(pd.DataFrame({"c": pd.Categorical(words, categories=words[::-1])}), most=1 << 20)


def test_batches_may_know_more_categories_one_after_the_other() -> None:
    batches = [
        pa.record_batch({"c": pa.DictionaryArray.from_arrays(pa.array([0], pa.int8()), pa.array(words), ordered=True)})
        for words in (["a"], ["a", "b"], ["a", "b", "c"])
    ]
    assert through(pa.Table.from_batches(batches))["c"].dtype == pd.CategoricalDtype(["a", "b", "c"], ordered=True)
    turned = pa.record_batch({"c": pa.DictionaryArray.from_arrays(pa.array([0], pa.int8()), pa.array(["b", "a"]), ordered=True)})
    error = refusal(pa.Table.from_batches([batches[1], turned]), "table")
    assert "column 'c' of the input has ordered categories whose order changes from batch to batch" in str(error)


def test_categories_in_the_order_of_their_values_are_nothing_to_be_told_of() -> None:
    frame = pd.DataFrame({"text": pd.Series(["b", None, "a"]).astype("category"), "n": pd.Categorical([3, 1, 3])})
    with warnings.catch_warnings(action="error"):
        pd.testing.assert_frame_equal(through(frame), frame)


def test_parquet_is_refused_where_it_would_lose_an_order(tmp_path: Path) -> None:
    frame = pd.DataFrame({"n": pd.Categorical([3, 1], categories=[3, 1], ordered=True)})
    result = Value(b"".join(segments(frame, "table")), ResultKind("table", True))
    write = writer_for(result, ResultKind("table", True), tmp_path / "r.parquet")
    assert write is not None
    with pytest.raises(OutputError, match=r"column 'n' has ordered categories of type int64, and .parquet keeps those of text"):
        write(io.BytesIO())
    with pytest.raises(ResultError, match="column 'n' has ordered categories of type int64"):
        to_parquet(frame, tmp_path / "t.parquet")
    unordered = frame.assign(n=frame["n"].cat.as_unordered())
    assert to_parquet(unordered, tmp_path / "t.parquet") == 2
    pd.testing.assert_frame_equal(through(tmp_path / "t.parquet"), unordered)

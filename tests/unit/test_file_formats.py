"""A result as a file: one that NumPy, pyarrow, pandas and polars read whole, or none."""

import io
import json
from pathlib import PurePath
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq
import pytest

from pangea.compute.client.results.file_formats import check_format, writer_for
from pangea.compute.model.errors import OutputError
from pangea.compute.model.kinds import ResultKind

ROWS = [{"n": 1, "x": 0.1, "word": "a,b", "at": pd.Timestamp("2024-02-29 12:30")}, {"n": None, "x": None, "word": "", "at": None}]
TYPES = pa.schema([("n", pa.int64()), ("x", pa.float64()), ("word", pa.string()), ("at", pa.timestamp("us"))])


def npy(array: Any) -> bytes:
    np.save(file := io.BytesIO(), array)
    return file.getvalue()


def stream(table: Any) -> bytes:
    with pa.ipc.new_stream(sink := io.BytesIO(), table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def written(data: bytes, kind: str, name: str, *, is_joined: bool | None = True) -> io.BytesIO:
    write = writer_for(data, ResultKind(kind, is_joined), PurePath(name))
    file = io.BytesIO()
    if write is None:
        file.write(data)
    else:
        write(file)
    file.seek(0)
    return file


def tables(count: int = 3) -> tuple[bytes, Any]:
    """The results of some chunks, one behind the other, and the table that they are."""
    parts = [pa.Table.from_pylist(ROWS, schema=TYPES) for _ in range(count)]
    return b"".join(map(stream, parts)), pa.concat_tables(parts)


@pytest.mark.parametrize(("name", "read"), [("r.arrow", pa.ipc.open_file), ("r.arrows", pa.ipc.open_stream)])
def test_whole_numbers_with_nulls_stay_such_and_categories_are_there_without_rows(name: str, read: Any) -> None:
    data, _ = tables()
    assert read(written(data, "table", name)).read_all().to_pandas()["n"].tolist() == [1, pd.NA] * 3
    listed = {"pangea.categories": json.dumps({"ordered": True, "values": ["z", "a"]})}
    empty = pa.schema([pa.field("c", pa.string(), metadata=listed)]).empty_table()
    found = read(written(stream(empty), "table", name)).read_all()
    assert (len(found), found.schema.field("c").type.ordered) == (0, True)
    dictionary = found.column("c").chunk(0).dictionary
    assert dictionary.to_pylist() == ["z", "a"]


def test_arrays_of_several_chunks_are_one_npy_file() -> None:
    parts = [np.arange(6.0).reshape(2, 3), np.arange(3.0).reshape(1, 3)]
    found = np.load(written(b"".join(map(npy, parts)), "array", "r.npy"))
    assert (found.dtype, found.tolist()) == (np.float64, np.concatenate(parts).tolist())


@pytest.mark.parametrize("name", ["r.arrow", "r.feather", "R.ARROW", "r.ipc"])
def test_tables_of_several_chunks_are_one_arrow_file(name: str) -> None:
    data, table = tables()
    assert pa.ipc.open_file(written(data, "table", name)).read_all().equals(table)
    assert pl.read_ipc(written(data, "table", name)).to_arrow().to_pylist() == table.to_pylist()
    assert len(pd.read_feather(written(data, "table", name))) == 6


def test_tables_of_several_chunks_are_one_stream_and_one_parquet_file() -> None:
    data, table = tables()
    assert pa.ipc.open_stream(written(data, "table", "r.arrows")).read_all().equals(table)
    assert pq.read_table(written(data, "table", "r.parquet")).equals(table)
    assert pl.read_parquet(written(data, "table", "r.pq")).height == 6


@pytest.mark.parametrize(("name", "separator"), [("r.csv", ","), ("r.tsv", "\t")])
def test_a_table_as_text_is_read_back_by_pandas(name: str, separator: str) -> None:
    data, table = tables()
    found = pd.read_csv(written(data, "table", name), sep=separator, parse_dates=["at"], keep_default_na=True)
    assert list(found.columns) == table.column_names
    assert found["n"].tolist()[0] == 1
    assert found["x"].tolist()[0] == 0.1
    assert found["word"].tolist()[0] == "a,b"
    assert found["at"].tolist()[0] == ROWS[0]["at"]
    assert found[["n", "x", "at"]].isna().sum().tolist() == [3, 3, 3]
    assert len(found) == 6


def test_a_table_as_json_has_a_row_for_each_object_and_null_for_nan() -> None:
    table = pa.table({"n": [1, None], "x": [float("nan"), 0.1], "word": ["é", None]})
    wanted = [{"n": 1, "x": None, "word": "é"}, {"n": None, "x": 0.1, "word": None}]
    assert json.load(written(stream(table), "table", "r.json")) == wanted
    assert list(map(json.loads, written(stream(table), "table", "r.jsonl"))) == wanted


def test_the_values_of_chunks_are_a_list_and_that_of_a_merge_is_itself() -> None:
    assert json.load(written(b"3\n4\n", "json", "r.json")) == [3, 4]
    assert json.load(written(b"3\n", "json", "r.json", is_joined=True)) == [3]
    assert json.load(written(b"3\n", "json", "r.json", is_joined=False)) == 3
    assert json.load(written(b"", "jsonl", "r.json")) == []
    assert written(b'{"a": 1}\n', "json", "r.jsonl", is_joined=False).read() == b'{"a": 1}\n'
    assert written(b"1\n2\n", "jsonl", "r.ndjson").read() == b"1\n2\n"


def test_another_ending_has_the_bytes_as_they_are() -> None:
    data, _ = tables()
    for name in ("r.bin", "r", "r.out"):
        assert written(data, "table", name).read() == data
    assert written(b"PAR1...", "bytes", "r.parquet").read() == b"PAR1..."
    assert written(b"a,b\n", "bytes", "r.csv").read() == b"a,b\n"


def test_bytes_of_which_nothing_is_declared_go_by_their_looks() -> None:
    data = npy(np.arange(2)) + npy(np.arange(3))
    assert np.load(written(data, "bytes", "r.npy", is_joined=None)).tolist() == [0, 1, 0, 1, 2]
    with pytest.raises(OutputError, match=r"4 bytes that seem to be text, no \.npy file"):
        written(b"text", "bytes", "r.npy")


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        *(("array", name) for name in ("r.csv", "r.parquet", "r.npz")),
        *(("table", name) for name in ("r.npy", "r.xlsx", "r.csv.gz")),
        *(("json", name) for name in ("r.csv", "r.parquet")),
        *(("text", name) for name in ("r.npy", "r.arrow")),
        ("image", "r.jpg"),
        ("jsonl", "r.npy"),
    ],
)
def test_what_cant_be_of_a_format_is_refused_before_the_job_runs(kind: str, name: str) -> None:
    with pytest.raises(OutputError, match=f"returns '{kind}' has no result of the format") as refused:
        check_format(PurePath(name), kind)
    assert "name a file that ends with ." in refused.value.hint
    check_format(PurePath(name), "bytes")
    check_format(PurePath("r.bin"), kind)


def test_columns_that_text_has_no_words_for_are_refused_by_name() -> None:
    for kind, values in ((pa.binary(), [b"x"]), (pa.duration("s"), [1])):
        table = pa.table({"ok": [1], "odd": pa.array(values, kind)})
        for name in ("r.csv", "r.json"):
            with pytest.raises(OutputError, match=r"column 'odd' is of type"):
                written(stream(table), "table", name)
    with pytest.raises(OutputError, match="column 'x' has an infinite number"):
        written(stream(pa.table({"x": [float("inf")]})), "table", "r.jsonl")


def test_a_damaged_result_is_no_file() -> None:
    data, _ = tables()
    with pytest.raises(OutputError, match=r"r\.parquet.*cut off"):
        written(data[:-20], "table", "r.parquet")


def test_nulls_come_back_as_they_were() -> None:
    whole = pa.table({"n": pa.array([(1 << 62) + 1, None]), "b": pa.array([None, True])})
    for name, read in (("r.parquet", pd.read_parquet), ("r.arrow", lambda file: pa.ipc.open_file(file).read_pandas())):
        frame = read(written(stream(whole), "table", name))
        assert frame["n"].tolist() == [(1 << 62) + 1, pd.NA]
        assert [str(kind) for kind in frame.dtypes] == ["Int64", "boolean"]
    assert pl.read_parquet(written(stream(whole), "table", "r.parquet"))["n"].to_list() == [(1 << 62) + 1, None]
    alone = pd.read_csv(written(stream(whole.select(["n"]).slice(1)), "table", "r.csv"))
    assert len(alone) == 1


@pytest.mark.parametrize(("name", "read"), [("t.parquet", pd.read_parquet), ("t.arrow", pd.read_feather)])
def test_columns_without_nulls_are_read_by_pandas_as_result_as_frame_has_them(name: str, read: Any) -> None:
    table = pa.table({"whole": [1, 2], "some": [1, None], "flag": [True, False]})
    frame = read(written(stream(table), "table", name))
    assert [str(kind) for kind in frame.dtypes] == ["int64", "Int64", "bool"]

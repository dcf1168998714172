"""Typed chunks in real sandboxes: what goes in comes out, exactly, and as a native run has it."""

from __future__ import annotations

import io
import math
import pickle
import re
import runpy
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pangea.compute import Client, Job, JobFailedError, submit_job
from pangea.compute import data as data_package
from pangea.compute.data import Table
from pangea.compute.data.array import Array
from tests.examples import share_of
from tests.nodes import NodeProcess

SLOWLY = settings(max_examples=share_of(40), deadline=None, suppress_health_check=[HealthCheck.too_slow])


@Job.define
def echo_arrays() -> None:
    @Job.execute(input="array", output="array")
    def execute(chunk: Any) -> Any:
        return chunk


@Job.define
def echo_tables() -> None:
    @Job.execute(input="table", output="table")
    def execute(chunk: Table) -> Table:
        return Table.of({name: chunk[name].tolist() for name in chunk.names}, types=chunk.types)


@Job.define
def mean_delay() -> None:
    @Job.execute(input="table", output="json")
    def execute(flights: Table) -> dict[str, Any]:
        delays = [delay for delay in flights["delay"] if delay is not None]
        return {"sum": sum(delays), "count": len(delays)}

    @Job.merge(associative=True)
    def merge(parts: list[dict[str, Any]]) -> dict[str, Any]:
        return {"sum": sum(part["sum"] for part in parts), "count": sum(part["count"] for part in parts)}


@Job.define
def summed() -> None:
    @Job.split(input="array")
    def split(matrix: Array) -> Iterator[Array]:
        yield from matrix

    @Job.execute(input="array", output="json")
    def execute(row: Array) -> float:
        return math.fsum(row)


def test_an_array_goes_through_in_chunks_of_rows() -> None:
    array = np.random.default_rng(1).normal(size=(30_000, 5))
    result = submit_job(echo_arrays, array)

    assert result.report.segments > 1
    assert result.report.split_strategy.startswith("npy_rows")
    assert result.kind == "array"
    assert result.value.dtype == array.dtype
    assert np.array_equal(result.value, array)


def test_a_table_goes_through_in_batches() -> None:
    frame = pd.DataFrame({"delay": np.arange(200_000), "name": ["Zürich", "", "Bonn", "Ulm"] * 50_000})
    result = submit_job(echo_tables, frame)

    assert result.report.segments > 1
    assert result.report.split_strategy.startswith("arrow_batches")
    pd.testing.assert_frame_equal(result.value, frame, check_dtype=False)
    assert result.as_arrow().equals(pa.Table.from_pandas(frame, preserve_index=False).cast(result.as_arrow().schema))


@Job.define(name="larger", split_strategy="arrow_batches", max_chunk_size=16 << 10)
def larger_sizes() -> None:
    @Job.execute(input="table", output="table")
    def execute(table: Table) -> Table:
        kept = table[table["size"] > "M"].sort("size")
        return Table.of(
            {**kept.columns, "largest": [table["size"].max()] * len(kept), "known": [table["size"].categories] * len(kept)}
        )


def test_categories_keep_their_order_in_a_sandbox() -> None:
    sizes = pd.CategoricalDtype(["S", "M", "L", "XL"], ordered=True)
    frame = pd.DataFrame({"size": pd.Series(["XL", "S", "L", None] * 3, dtype=sizes), "n": range(12)})
    found = submit_job(larger_sizes, frame).as_frame()
    wanted = frame[frame["size"] > "M"].sort_values("size", kind="stable", ignore_index=True)
    pd.testing.assert_frame_equal(found[["size", "n"]], wanted)
    assert found["largest"].tolist() == ["XL"] * 6
    assert found["known"].tolist() == [["S", "M", "L", "XL"]] * 6


def test_a_merge_joins_values() -> None:
    frame = pd.DataFrame({"delay": pd.array([1, None, 5] * 50_000, "Int64")})
    result = submit_job(mean_delay, frame)

    assert result.value == {"sum": 300_000, "count": 100_000}
    assert result == mean_delay.run_local(frame) == b'{"sum": 300000, "count": 100000}\n'


def test_split_makes_chunks_of_rows() -> None:
    matrix = np.random.default_rng(2).normal(size=(50, 20))
    result = submit_job(summed, matrix)

    assert result.report.chunks == 50
    assert result.value == [math.fsum(row) for row in matrix]


def test_images_and_text_come_out_as_such() -> None:
    def tile(rows: Array) -> Array:
        return Array.of([[min(255, 2 * pixel) for pixel in row] for row in rows.tolist()], dtype="u1")

    def letters(text: str) -> str:
        return "".join(sorted(set(text)))

    pixels = np.arange(64, dtype="u1").reshape(8, 8)
    image = submit_job(Job.from_functions(tile, input="array", output="image"), pixels).value

    assert np.array_equal(np.asarray(image), pixels * 2)
    assert submit_job(Job.from_functions(letters, input="text", output="text"), "grün, grün".encode()).value == " ,gnrü"


def test_plain_source_and_captured_values_reach_the_data_package() -> None:
    weights = np.array([1.0, 10.0, 100.0])

    def weighted(chunk: bytes) -> bytes:
        from pangea.compute.data.kinds import decode

        return repr(decode("array", chunk).dot(weights).item()).encode()

    assert submit_job(Job.from_functions(weighted), np.array([1.0, 2.0, 3.0])) == b"321.0"


def test_every_module_of_the_data_package_is_in_the_guest() -> None:
    def reach(chunk: bytes) -> bytes:
        import importlib

        for name in chunk.decode().split():
            importlib.import_module(f"pangea.compute.data.{name}")
        return chunk

    names = " ".join(sorted(path.stem for path in Path(data_package.__path__[0]).glob("[a-z]*.py"))).encode()
    assert len(names.split()) > 10
    assert submit_job(Job.from_functions(reach), names) == names


@pytest.mark.parametrize("name", ["client", "model.errors", "engine", "cli"])
def test_nothing_else_of_this_package_is_in_the_guest(name: str) -> None:
    def reach(chunk: bytes) -> bytes:
        import importlib

        try:
            importlib.import_module(f"pangea.compute.{chunk.decode()}")
        except ModuleNotFoundError as error:
            return str(error).encode()
        return b"found"

    assert submit_job(Job.from_functions(reach), name.encode()).startswith(b"No module named")


def test_the_example_of_the_docs_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (Path(__file__).parents[2] / "docs" / "jobs.md").read_text()
    code = re.findall(r"```python\n(.*?)```", text[text.index("## Typed chunks") :], re.DOTALL)[0]
    monkeypatch.chdir(tmp_path)
    pd.DataFrame({"delay": pd.array([1, None, 4], "Int64")}).to_parquet("flights.parquet")
    (tmp_path / "means.py").write_text(code)

    assert runpy.run_path("means.py")["mean"] == 2.5


def test_a_wrong_return_names_the_function_the_declaration_and_what_came() -> None:
    def execute(chunk: Array) -> Any:
        return {"mean": sum(chunk) / len(chunk)}

    line = execute.__code__.co_firstlineno
    with pytest.raises(JobFailedError) as caught:
        submit_job(Job.from_functions(execute, input="array", output="array"), np.arange(4.0))
    said = f"execute (test_typed_jobs.py:{line}) is declared output='array', but returned dict: {{'mean': np.float64(1.5)}}"
    assert said in caught.value.message
    assert said in caught.value.traceback
    assert "pangea/compute" not in caught.value.traceback
    assert caught.value.chunk_index == 0


def test_a_wrong_chunk_names_the_function_the_declaration_and_what_came() -> None:
    job = Job.from_functions(lambda table: b"", lambda data: [data], input="table", split_output="bytes")
    with pytest.raises(
        JobFailedError, match=r"execute \(test_typed_jobs.py:\d+\) is given table, as declared, but its chunk is none"
    ):
        submit_job(job, b"id,name\n1,Ulm\n")


def test_a_mistake_with_a_table_has_the_users_line_and_no_other() -> None:
    def execute(table: Table) -> Any:
        return table["dealy"].tolist()

    with pytest.raises(JobFailedError) as caught:
        submit_job(Job.from_functions(execute, input="table", output="json"), pd.DataFrame({"delay": [1]}))
    assert 'return table["dealy"].tolist()' in caught.value.traceback
    assert caught.value.traceback.count("File ") == 1
    with pytest.raises(Exception, match="dealy") as here:
        Job.from_functions(execute, input="table", output="json").run_local(pd.DataFrame({"delay": [1]}))
    assert "dealy" in traceback.format_exception_only(here.value)[-1]


DTYPES = st.one_of(
    hnp.boolean_dtypes(),
    hnp.integer_dtypes(endianness="?"),
    hnp.unsigned_integer_dtypes(endianness="?"),
    hnp.floating_dtypes(endianness="?", sizes=(16, 32, 64)),
    hnp.complex_number_dtypes(endianness="?", sizes=(64, 128)),
    hnp.unicode_string_dtypes(endianness="?", max_len=4),
    hnp.byte_string_dtypes(max_len=4),
    hnp.datetime64_dtypes(endianness="?"),
    hnp.timedelta64_dtypes(endianness="?"),
)


@Job.define
def looked_at() -> None:
    @Job.execute(input="array", output="array")
    def execute(chunk: Any) -> Any:
        repr(chunk.tolist()), repr(chunk[:1].tolist())
        return chunk[::-1]


@SLOWLY
@given(st.data())
def test_the_sandbox_does_with_arrays_what_a_native_run_does(data: st.DataObject) -> None:
    shape = data.draw(hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=4))
    array = data.draw(hnp.arrays(data.draw(DTYPES), shape))

    result = submit_job(looked_at, array)

    assert result == looked_at.run_local(array)
    found = result.as_array()
    file = io.BytesIO()
    np.save(file, array)
    kept = np.load(io.BytesIO(file.getvalue()))[::-1]
    assert (found.dtype, found.shape, found.tobytes()) == (kept.dtype, kept.shape, kept.tobytes())


COLUMNS: dict[Any, st.SearchStrategy[Any]] = {
    pa.int64(): st.integers(-(2**63), 2**63 - 1),
    pa.uint8(): st.integers(0, 255),
    pa.float64(): st.floats(),
    pa.bool_(): st.booleans(),
    pa.string(): st.text(max_size=6),
    pa.binary(): st.binary(max_size=6),
    pa.date32(): st.dates(),
}


@st.composite
def tables(draw: st.DrawFn) -> pa.Table:
    rows = draw(st.integers(0, 6))
    kinds = draw(st.lists(st.sampled_from([*COLUMNS]), min_size=1, max_size=4))
    columns = [draw(st.lists(st.none() | COLUMNS[kind], min_size=rows, max_size=rows)) for kind in kinds]
    arrays = [pa.array(column, kind) for column, kind in zip(columns, kinds, strict=True)]
    return pa.table(arrays, names=[f"c{index}" for index in range(len(kinds))])


@SLOWLY
@given(tables())
def test_the_sandbox_does_with_tables_what_a_native_run_does(table: pa.Table) -> None:
    result = submit_job(echo_tables, table)

    assert result == echo_tables.run_local(table)
    found = result.as_arrow()
    assert found.schema.names == table.schema.names
    assert found.schema.types == table.schema.types
    assert repr(found.to_pylist()) == repr(table.to_pylist())  # NaN is not equal to itself, but looks the same


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with NodeProcess(tmp_path_factory.mktemp("typed") / "node") as process:
        yield process.data_dir


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_node_gives_the_same_and_handles_know_the_kind(node: Path) -> None:
    array = np.random.default_rng(3).normal(size=(30_000, 5))
    with Client(str(node)) as client:
        handle = client.submit_job(echo_arrays, array)
        result = handle.result(60)
        again = pickle.loads(pickle.dumps(handle)).result(60)
        stranger = client.job(handle.job_id).result(60)

    assert result.kind == again.kind == "array"
    assert np.array_equal(result.value, array)
    assert np.array_equal(again.value, array)
    assert (stranger.kind, stranger.value) == ("bytes", bytes(result))
    assert np.array_equal(stranger.as_array(), array)
    assert submit_job(mean_delay, pd.DataFrame({"delay": [1, 2]}), node=str(node)).value == {"sum": 3, "count": 2}

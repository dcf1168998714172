"""Samples are pandas'; results are written batch by batch to one file, which pandas reads as it should, or to none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pangea.compute import Job, templates
from pangea.compute.errors import InputError, ManifestError
from pangea.compute.jobs import JobDefinition
from pangea.compute.model.errors import ResultError
from pangea.compute.templates import sampling, writing
from tests.examples import first


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the jobs in this process: what sandboxes do with them is tested elsewhere."""

    def run(job: JobDefinition, data: Any, **options: Any) -> Any:
        return job.run_local(data, **({"max_chunk_size": 2048} | options))

    for module in (sampling, writing):
        monkeypatch.setattr(module, "submit_job", run)


def frame_of(rows: int, kinds: int = 7) -> pd.DataFrame:
    return pd.DataFrame({"n": np.arange(rows) % kinds, "w": pd.Series([f"w{row % kinds}" for row in range(rows)], dtype="str")})


@pytest.mark.parametrize(("rows", "size"), first(3, [(1, 1024), (2, 1024), (500, 1024), (500, 4096), (500, 1 << 20)]))
def test_samples_are_pandas_wherever_the_table_is_cut(rows: int, size: int) -> None:
    for frame in (frame_of(rows), frame_of(rows, rows), pd.DataFrame({"n": [7] * rows})):
        for n, seed in ((0, 0), (1, 1), (rows // 2, 2), (rows, 3)):
            found = templates.sample(frame, n, random_state=seed, max_chunk_size=size)
            pd.testing.assert_frame_equal(found, frame.sample(n, random_state=seed).reset_index(drop=True))
        part = templates.sample(frame, frac=0.3, random_state=5, max_chunk_size=size)
        pd.testing.assert_frame_equal(part, frame.sample(frac=0.3, random_state=5).reset_index(drop=True))


def test_equal_chunks_give_each_its_own_rows() -> None:
    frame = pd.DataFrame({"n": list(range(93)) * 5})  # some chunks are equal, byte for byte
    counted = sampling.chunk_sizes().run_local(frame, max_chunk_size=1024).as_json()
    assert len({digest for _, digest in counted}) < len(counted)
    found = templates.sample(frame, 300, random_state=9, max_chunk_size=1024)
    assert found["n"].tolist() == frame.sample(300, random_state=9)["n"].tolist()


@pytest.mark.parametrize("rows", [2, 7, 500])
def test_parts_to_train_and_to_test_with_are_scikit_learns(rows: int) -> None:
    from sklearn import model_selection  # here, as each worker that collects this file would need a second for it

    frame = frame_of(rows, 5)
    for part, seed in ((0.25, 0), (0.5, 7)):
        found = templates.train_test_split(frame, test_size=part, random_state=seed, max_chunk_size=1024)
        wanted = model_selection.train_test_split(frame, test_size=part, random_state=seed)
        for one, other in zip(found, wanted, strict=True):
            pd.testing.assert_frame_equal(one, other.reset_index(drop=True))


def test_parts_without_a_row_are_refused() -> None:
    for rows, part in ((1, 0.5), (3, 0.0), (3, 1.0), (0, 0.5)):
        with pytest.raises(InputError, match=f"rows of {rows} would be to test with"):
            templates.train_test_split(frame_of(rows), test_size=part)
    with pytest.raises(ManifestError, match=r"test_size is 1\.5"):
        templates.train_test_split(frame_of(3), test_size=1.5)


def test_samples_that_cannot_be_drawn_are_refused() -> None:
    with pytest.raises(InputError, match="4 rows are to be drawn of 3"):
        templates.sample(frame_of(3), 4)
    for options in ({}, {"n": 1, "frac": 0.5}, {"frac": 1.5}, {"n": -1}, {"n": 1, "random_state": -1}):
        with pytest.raises(ManifestError):
            templates.sample(frame_of(3), **options)
    with pytest.raises(ManifestError, match="which can be read once"):
        templates.sample(iter([]), 1)


def test_a_sample_of_no_rows_has_its_categories() -> None:
    days = pd.Categorical.from_codes([0, 1, 0], pd.to_datetime(["2024-05-01", "2023-01-01"]), ordered=True)
    frame = pd.DataFrame({"day": days})
    for given in (frame, frame.iloc[:0]):
        drawn = templates.sample(given, 0)
        assert not len(drawn)
        assert drawn["day"].dtype == frame["day"].dtype


def test_what_a_job_makes_is_written_batch_by_batch(tmp_path: Path) -> None:
    frame = frame_of(5000).assign(
        at=pd.Timestamp("2024-01-01", tz="Europe/Berlin"), x=[None if n % 3 else n / 2 for n in range(5000)]
    )
    kept = frame[frame["n"] > 2].reset_index(drop=True)
    job = templates.filter_rows(lambda row: row["n"] > 2)
    for name, write, read in (("a.parquet", templates.to_parquet, pd.read_parquet), ("a.csv", templates.to_csv, pd.read_csv)):
        assert write(frame, tmp_path / name, job, batch_bytes=20_000, max_chunk_size=16_384) == len(kept)
        found = read(tmp_path / name)
        assert found["n"].tolist() == kept["n"].tolist()
        assert found["x"].isna().tolist() == kept["x"].isna().tolist()
        assert found["x"].dropna().tolist() == kept["x"].dropna().tolist()
    assert pq.ParquetFile(tmp_path / "a.parquet").num_row_groups > 1
    assert str(pd.read_parquet(tmp_path / "a.parquet")["at"].dtype) == str(frame["at"].dtype)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "a.parquet"]


def test_a_table_is_written_as_it_is_without_a_job(tmp_path: Path) -> None:
    frame = frame_of(100)
    frame.to_csv(tmp_path / "a.csv", index=False)
    assert templates.to_parquet(str(tmp_path / "a.csv"), tmp_path / "a.parquet") == 100
    assert pd.read_parquet(tmp_path / "a.parquet")["w"].tolist() == frame["w"].tolist()
    assert templates.to_csv(frame.iloc[:0], tmp_path / "b.csv") == 0
    assert (tmp_path / "b.csv").read_text() == '"n","w"\n'


def test_nothing_is_left_of_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("before")

    @Job.define(name="late", split_strategy="arrow_batches")
    def late() -> None:
        @Job.execute(input="table", output="table")
        def execute(table: Any) -> dict[str, Any]:
            return {"x": table["n"] if table["n"][0] == 0 else [str(n) for n in table["n"]]}

    numbers = pd.DataFrame({"n": range(6000)})
    with pytest.raises(ResultError, match="column 'x' is string in batch 1, and int64 in the first one"):
        templates.to_csv(numbers, tmp_path / "a.csv", late, batch_bytes=16_384, max_chunk_size=1 << 20)
    with pytest.raises(ResultError, match="column 'b' is of type binary: CSV has no words for it"):
        templates.to_csv(pd.DataFrame({"b": [b"a"]}), tmp_path / "a.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]
    assert (tmp_path / "a.csv").read_text() == "before"


def test_jobs_that_give_no_table_or_one_of_all_rows_are_refused(tmp_path: Path) -> None:
    @Job.define(name="numbers")
    def numbers() -> None:
        @Job.execute(input="table", output="json")
        def execute(table: Any) -> int:
            return len(table)

    with pytest.raises(ManifestError, match="job is from table to json"):
        templates.to_parquet(frame_of(3), tmp_path / "a.parquet", numbers)
    with pytest.raises(ManifestError, match="without split and merge"):
        templates.to_parquet(frame_of(3), tmp_path / "a.parquet", templates.sort("n"))
    assert not list(tmp_path.iterdir())


def test_columns_of_no_value_take_the_type_of_the_first_batch(tmp_path: Path) -> None:
    batches = [pa.table({"x": [1, None]}), pa.table({"x": [None]})]
    rows = writing._written(iter(batches), tmp_path / "a.parquet", pq.ParquetWriter)
    assert rows == 3
    assert pq.read_table(tmp_path / "a.parquet")["x"].to_pylist() == [1, None, None]


def test_whole_numbers_and_truth_with_nulls_stay_such_for_pandas(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {"n": pd.array([(1 << 62) + 1, None], "Int64"), "b": pd.array([None, True], "boolean"), "x": [1.5, None]}
    )
    templates.to_parquet(frame, tmp_path / "a.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "a.parquet"), frame)


def test_a_single_column_has_a_line_for_each_null(tmp_path: Path) -> None:
    for values in ([1, None, 3], [None, None, None], ["a", None, "b,c"]):
        frame = pd.DataFrame({"x": pd.Series(values, dtype=object)})
        assert templates.to_csv(frame, tmp_path / "a.csv") == 3
        assert pd.read_csv(tmp_path / "a.csv")["x"].isna().tolist() == frame["x"].isna().tolist()

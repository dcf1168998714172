"""Columns in the names of folders: the same rows and types as pyarrow's datasets and pandas read."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pangea.compute.errors import InputError
from tests.prepared import segments, table_in

VALUES = st.sampled_from(["2023", "2024", "007", "-5", "+2", "2147483648", "Oslo", "São/Paulo", "a=b", "", "1.5", "x y", None])


def read(given: Any) -> Any:
    """What a job would be given, as one table."""
    return table_in(segments(given, "table", most=1 << 20))


def written(root: Path, places: list[tuple[str | None, str | None]]) -> None:
    for number, (year, city) in enumerate(places):
        names = [("year", year), ("city", city)]
        parts = [f"{key}={'__HIVE_DEFAULT_PARTITION__' if value is None else quote(value, safe='')}" for key, value in names]
        folder = root.joinpath(*parts)
        folder.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table({"n": [number, -number]}), folder / f"part-{number}.parquet")


@settings(max_examples=25)
@given(st.lists(st.tuples(VALUES, VALUES), min_size=1, max_size=4))
def test_folders_are_the_columns_that_pyarrow_reads(places: list[tuple[str | None, str | None]]) -> None:
    root = Path(tempfile.mkdtemp())
    try:
        written(root, [*places, ("2024", "9")])  # of nulls alone pyarrow knows no type
        wanted = ds.dataset(root, format="parquet", partitioning="hive").to_table().sort_by("n")
        for given_as in (root, str(root), f"{root}/*/*/*.parquet", f"{root}/**/*.parquet"):
            found = read(given_as).sort_by("n")
            assert found.schema.types == wanted.schema.types
            assert found.to_pylist() == wanted.to_pylist()
    finally:
        shutil.rmtree(root)


def test_a_pattern_s_own_folders_are_no_columns_and_pandas_agrees(tmp_path: Path) -> None:
    written(tmp_path, [("2023", "Oslo"), ("2024", "Lima"), ("2024", "Oslo")])
    frame = pd.read_parquet(tmp_path / "year=2024").astype({"city": "str"})
    assert read(f"{tmp_path}/year=2024/*/*.parquet").to_pandas().astype({"city": "str"}).equals(frame)
    assert read([f"{tmp_path}/year=2023/city=Oslo/part-0.parquet"]).column_names == ["n"]


def test_keys_and_the_word_for_null_are_decoded_as_values_are(tmp_path: Path) -> None:
    for place, folder in enumerate(["the%20year=__HIVE_DEFAULT%5FPARTITION__", "the%20year=2024"]):
        (tmp_path / folder).mkdir()
        pq.write_table(pa.table({"n": [place]}), tmp_path / folder / "part.parquet")
    assert read(tmp_path).sort_by("n").to_pylist() == [{"n": 0, "the year": None}, {"n": 1, "the year": 2024}]


@pytest.mark.parametrize(("folder", "said"), [("n=%FF", "isn't UTF-8"), ("n=1/n=2", "lies in two folders n=")])
def test_folders_that_say_nothing_certain_are_refused(folder: str, said: str, tmp_path: Path) -> None:
    (tmp_path / folder).mkdir(parents=True)
    pq.write_table(pa.table({"x": [1]}), tmp_path / folder / "part.parquet")
    with pytest.raises(InputError, match=said) as caught:
        read(tmp_path)
    assert "give the files as a list" in str(caught.value.hint)


def test_what_is_no_dataset_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a directory in which there are no \.parquet files"):
        read(tmp_path)
    (tmp_path / "n=1" / "_temporary").mkdir(parents=True)
    pq.write_table(pa.table({"n": [1]}), tmp_path / "n=1" / "a.parquet")
    (tmp_path / "n=1" / "_temporary" / "b.parquet").write_bytes(b"half")
    with pytest.raises(InputError, match=r"has a column 'n', and lies in a folder n=") as caught:
        read(tmp_path)
    assert "rename one" in str(caught.value.hint)

"""Arrays as input: what becomes of each kind, and what is refused."""

from __future__ import annotations

import array
import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from pangea.compute.data.array import Array
from pangea.compute.inputs.cutting import cut
from pangea.compute.inputs.formats.arrays import ArraySource
from pangea.compute.inputs.preprocessor import prepare_input
from pangea.compute.model.options import JobOptions
from tests.prepared import arrays_in, refusal, segments

CUBE = np.arange(600).reshape(100, 3, 2)


def whole(value: object, **options: Any) -> Any:
    return np.concatenate(arrays_in(segments(value, "array", **options)))


@pytest.mark.parametrize(
    "value",
    [
        CUBE,
        np.asfortranarray(CUBE),
        CUBE[::-2],
        CUBE[:, ::2],
        CUBE.T,
        np.broadcast_to(np.arange(3), (50, 3)),
        np.zeros((0, 4)),
        np.zeros((4, 0)),
        np.zeros((1, 1)),
        np.array(["ä", "日本", ""]),
        np.array([b"a", b"bc"]),
        np.array([True, False]),
        np.arange(100).astype("M8[ms]"),
        np.arange(100).astype("m8[s]"),
        np.array([1 + 2j]),
        np.array([1.5], "f2"),
    ],
    ids=lambda value: f"{value.dtype}{value.shape}",
)
def test_arrays_come_back_as_they_were(value: Any) -> None:
    for most in (2600, 1 << 20):
        found = segments(value, "array", most=most)
        parts = arrays_in(found)
        assert all(part.dtype == value.dtype and part.shape[1:] == value.shape[1:] for part in parts)
        assert np.array_equal(np.concatenate(parts), value)
        assert all(len(segment) <= most for segment in found)
        assert segments(value, "array", most=most, spool=True) == found


@pytest.mark.parametrize("strategy", ["custom", "fixed_size", "adaptive"])
@pytest.mark.parametrize("value", [CUBE, CUBE[::3], CUBE.T])
def test_whole_and_by_other_strategies_an_array_is_its_npy_file(strategy: str, value: Any) -> None:
    content = segments(value, "array", split_strategy="custom", most=1 << 20)[0]
    assert np.array_equal(arrays_in([content])[0], value)
    assert segments(value, "array", split_strategy=strategy) == segments(content, "bytes", split_strategy=strategy)


def test_a_contiguous_array_is_not_copied() -> None:
    source = ArraySource(CUBE, "x")
    _, data = source.blocks()
    assert isinstance(data, memoryview)
    assert np.shares_memory(np.asarray(data), CUBE)
    assert data.readonly


def test_what_lies_between_fields_is_copied_rather_than_left_to_chance() -> None:
    aligned = np.dtype([("a", "i1"), ("b", "f8")], align=True)
    value = np.frombuffer(bytes(range(256)) * 3, aligned)[::2]
    for found in (segments(value, "array", most=256), segments(value, "array", split_strategy="custom")):
        data = b"".join(segment[-(len(part) * aligned.itemsize) :] for segment, part in zip(found, arrays_in(found), strict=True))
        assert data == b"".join(row.tobytes() for row in value)


def test_the_size_is_that_of_the_file(tmp_path: Path) -> None:
    options = JobOptions.of({"split_strategy": "npy_rows"})
    with prepare_input(CUBE, "array", options) as inputs:
        assert inputs.total_bytes == sum(len(segment) for segment in cut(inputs, options, custom_max=1))


@pytest.mark.parametrize(
    "value",
    [
        [1, 2, 3],
        (1.5, 2.5),
        [[1, 2], [3, 4]],
        [[True], [False]],
        [1, 2.5, 1j],
        [[[]]],
        array.array("d", [1, 2]),
        pd.Series([1, 2]),
        pl.Series([1.5]),
        pa.array([1, 2]),
        pa.chunked_array([[1], [2]]),
        np.ma.masked_array([1, 2]),
    ],
)
def test_other_things_become_arrays_as_numpy_makes_them(value: Any) -> None:
    assert np.array_equal(whole(value), np.asarray(value))
    assert whole(value).dtype == np.asarray(value).dtype


def test_our_own_arrays() -> None:
    assert whole(Array.of([[1, 2], [3, 4]])).tolist() == [[1, 2], [3, 4]]


def test_a_list_of_arrays_is_one_input_each() -> None:
    assert [part.tolist() for part in arrays_in(segments([np.arange(2), [3, 4], np.zeros((1, 1))], "array"))] == [
        [0, 1],
        [3, 4],
        [[0.0]],
    ]


def test_a_job_that_takes_bytes_is_given_the_npy_file() -> None:
    assert arrays_in(segments(CUBE, "bytes"))[0].tolist() == CUBE.tolist()


def test_npy_files_go_as_they_are(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", CUBE)
    content = (tmp_path / "x.npy").read_bytes()
    assert segments(tmp_path / "x.npy", "array", most=1 << 20) == [content]
    assert segments(content, "array", most=1 << 20) == [content]
    assert np.array_equal(whole(str(tmp_path / "x.npy"), most=400), CUBE)
    assert segments(content + content, "array", most=1 << 20) == [content, content]


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("most", [400, 1 << 20])
def test_each_array_of_an_npz_file_is_an_input(tmp_path: Path, save: Any, most: int) -> None:
    path = tmp_path / "x.npz"
    save(path, cube=CUBE, one=np.arange(1), none=np.zeros((0, 2)))
    found = segments(path, "array", most=most)
    parts = arrays_in(found)
    assert np.array_equal(np.concatenate(parts[:-2]), CUBE)
    assert [part.tolist() for part in parts[-2:]] == [[0], []]
    assert segments(path, "array", most=most, spool=True) == segments(path.read_bytes(), "array", most=most) == found
    assert segments(path, "bytes") == [path.read_bytes()]
    with prepare_input(path, "array", JobOptions()) as inputs:
        assert [item.name for item in inputs] == [f"{path}[cube]", f"{path}[one]", f"{path}[none]"]


@pytest.mark.parametrize(
    ("value", "complaint", "remedy"),
    [
        (np.array(3.0), r"without sides \(0-d, float64\)", "reshape"),
        (np.float64(3), "without sides", "reshape"),
        (np.array([object()]), "dtype object .the first item is a object.: only pickle", "astype"),
        (np.array([[1, "x"]], object), "the first item is a int", "astype"),
        (np.array([(1, None)], [("a", int), ("b", object)]), "column 'b' of the input has dtype object", "astype"),
        (np.ma.masked_array([1, 2], [True, False]), "masked", "filled"),
        (np.array(["a"], np.dtypes.StringDType()), "StringDType", "astype"),
        (pd.DataFrame({"a": [1]}), "pandas.* the job takes array", "to_numpy"),
        ({"a": 1}, "is a dict: {'a': 1}; the job takes array", "arrays"),
        (pd.Series(["a", None]), "dtype object", "astype"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_no_array(value: object, complaint: str, remedy: str) -> None:
    error = refusal(value, "array")
    with pytest.raises(type(error), match=complaint):
        raise error
    assert remedy in error.hint


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ([[1, 2], [3]], r"the input\[1\] has 1 items, where the first of its level has 2"),
        ([[1], 2], r"the input\[1\] is 2, where the first of its level is a list"),
        ([1, [2]], r"the input\[1\] is a list of 1, where the first of its level is a number"),
        ([1, 2, "x"], r"the input\[2\] is 'x', where"),
        ([1, None], r"the input\[1\] is None"),
        ([[[1], [2]], [[3], [4, 5]]], r"the input\[1\]\[1\] has 2 items"),
        ([1 << 70, 1], "no array has together, such as 1180591620717411303424"),
    ],
)
def test_ragged_lists_are_told_where(value: object, complaint: str) -> None:
    with pytest.raises(Exception, match=complaint):
        raise refusal(value, "array")


def test_a_file_in_fortran_order_is_cut_into_rows(tmp_path: Path) -> None:
    frame = np.asfortranarray(CUBE)
    np.save(tmp_path / "f.npy", frame)
    (tmp_path / "f.npy.gz").write_bytes(gzip.compress((tmp_path / "f.npy").read_bytes()))
    for path in (tmp_path / "f.npy", tmp_path / "f.npy.gz"):
        found = segments(path, "array", most=2600)
        assert len(found) > 1
        assert np.array_equal(np.concatenate(arrays_in(found)), CUBE)
    as_it_is = (tmp_path / "f.npy").read_bytes()
    assert segments(tmp_path / "f.npy", "array", split_strategy="custom", most=1 << 20) == [as_it_is]


@pytest.mark.parametrize("rest", [b"rest", None])
def test_a_file_in_fortran_order_is_as_long_as_it_says(tmp_path: Path, rest: bytes | None) -> None:
    np.save(tmp_path / "f.npy", np.asfortranarray(CUBE))
    data = (tmp_path / "f.npy").read_bytes()
    (tmp_path / "f.npy").write_bytes(data + rest if rest else data[:-8])
    assert "f.npy" in str(refusal(tmp_path / "f.npy", "array"))


@pytest.mark.parametrize("dtype", ["longdouble", "clongdouble", [("a", "i4"), ("b", "longdouble", 2)]])
def test_numbers_with_more_digits_than_the_sandbox_has(dtype: Any) -> None:
    error = refusal(np.zeros(3, dtype), "array")
    assert "whose last digits" in str(error)
    assert "pass x.astype(" in error.hint
    assert segments(np.zeros(3, dtype), "bytes"), "to a job that takes bytes it is its bytes"


def test_what_is_empty_is_no_array(tmp_path: Path) -> None:
    (tmp_path / "x.npy").touch()
    assert "x.npy is empty; the job takes array" in str(refusal(tmp_path / "x.npy", "array"))
    assert "the input is empty; the job takes array" in str(refusal(None, "array"))
    assert "the input is empty; the job takes json" in str(refusal(b"", "json"))
    assert segments(b"", "text") == [b""]

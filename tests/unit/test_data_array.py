"""`Array` by example: what it is made of, what it refuses, and that it copies nothing."""

from __future__ import annotations

import datetime as dt
import io
from array import array as flat_array
from typing import Any

import numpy as np
import pytest

from pangea.compute.data import Array, DataError
from tests.property.drawn_data import npy

HEADER = "{'descr': %s, 'fortran_order': False, 'shape': %s, }"


def npy_of(descr: str, shape: str, data: bytes = b"", version: bytes = b"\1\0") -> bytes:
    """A .npy file with any header."""
    text = (HEADER % (descr, shape)).encode("latin-1")
    return b"\x93NUMPY" + version + len(text).to_bytes(2 if version == b"\1\0" else 4, "little") + text + data


def test_it_is_read_in_place() -> None:
    file = npy(np.arange(1000.0).reshape(100, 10))
    array = Array.from_npy(file)
    for part in (array, array[10:20], array[0], array.reshape(-1)):
        assert part.data.obj is file
    assert array[:, 0].tobytes().obj is not file  # which lies apart


@pytest.mark.parametrize(
    ("values", "dtype", "shape"),
    [
        (3, "<i8", ()),
        ([], "<f8", (0,)),
        ([[], []], "<f8", (2, 0)),
        ([True, False], "|b1", (2,)),
        ([[1, 2], [3, 4]], "<i8", (2, 2)),
        (range(3), "<i8", (3,)),
        ([2**64 - 1], "<u8", (1,)),
        ([1, 2.5], "<f8", (2,)),
        ([1, 2j], "<c16", (2,)),
        (["a", "éé"], "<U2", (2,)),
        ([b"abc", b""], "|S3", (2,)),
        (["", ""], "<U1", (2,)),
        ([dt.date(2000, 1, 1)], "<M8[D]", (1,)),
        ([dt.datetime.fromisoformat("2000-01-01T01")], "<M8[us]", (1,)),
        ([dt.timedelta(1)], "<m8[us]", (1,)),
        (flat_array("f", [1, 2]), "<f4", (2,)),
        (memoryview(b"abc"), "|u1", (3,)),
        (b"abc", "|u1", (3,)),
        (bytearray(b"abc"), "|u1", (3,)),
        ((value for value in (1, 2)), "<i8", (2,)),
    ],
)
def test_it_takes_the_type_that_holds_the_values(values: Any, dtype: str, shape: tuple[int, ...]) -> None:
    array = Array.of(values)
    assert (array.dtype, array.shape) == (dtype, shape)
    assert Array.from_npy(array.to_npy()).equals(array)


@pytest.mark.parametrize(
    ("dtype", "known"),
    [
        (float, "<f8"),
        ("float32", "<f4"),
        ("f4", "<f4"),
        ("=i2", "<i2"),
        (">i2", ">i2"),
        ("i1", "|i1"),
        ("?", "|b1"),
        ("datetime64[ns]", "<M8[ns]"),
        ("timedelta64[25s]", "<m8[25s]"),
        ("a5", "|S5"),
        ([("x", "f8"), ("y", "i4", 3)], [("x", "<f8"), ("y", "<i4", (3,))]),
    ],
)
def test_types_have_the_names_that_numpy_knows(dtype: Any, known: Any) -> None:
    assert Array.of([], dtype=dtype).dtype == known


@pytest.mark.parametrize(
    ("values", "options", "message"),
    [
        ([[1, 2], [3]], {}, r"ragged lists: number 1 at depth 1 is \[3\]"),
        ([[1], 2], {}, "ragged lists: number 1 at depth 1 is 2"),
        ([1, "a"], {}, "no item type holds int, str together"),
        ([None, 1], {}, "no item type holds NoneType, int together"),
        ([object()], {}, "no item type holds object"),
        ([2**64], {}, "don't fit into 64 bits"),
        ([-1, 2**63], {}, "don't fit into 64 bits"),
        ([2**53 + 1, 0.5], {}, "would lose digits"),
        ([1, 300], {"dtype": "u1"}, "item 1 is 300, which has no exact form in type |u1"),
        ([1.5], {"dtype": "i4"}, "item 0 is 1.5"),
        (["abc"], {"dtype": "U2"}, "item 0 is 'abc'"),
        ([2], {"dtype": "?"}, "item 0 is 2"),
        (["x"], {"dtype": "f8"}, "item 0 is 'x'"),
        ([1e6], {"dtype": "f2"}, "item 0 is 1000000.0"),
        ([dt.date(2000, 1, 2)], {"dtype": "M8[M]"}, "not the date of a month's first day"),
        ([(1, 2)], {"dtype": [("a", "i4")]}, "a tuple of 1 values"),
        ([1, 2, 3], {"shape": (2, 2)}, r"3 items don't fit into shape \(2, 2\)"),
        ([1, 2, 3], {"shape": (-1, 2)}, "a shape is a tuple of sizes"),
        ([1], {"dtype": "O"}, "holds Python objects"),
        ([1], {"dtype": "f16"}, "have no exact form here; convert it to float64"),
        ([1], {"dtype": "x9"}, "have no exact form here"),
        ([1], {"dtype": "hello"}, "unknown item type 'hello'"),
        ([1], {"dtype": "M8[parsec]"}, "no unit of time 'parsec'"),
        ([1], {"dtype": 3}, "an item's type is text or a list of fields"),
        (memoryview(b"ab").cast("c")[0:0], {"dtype": "O"}, "holds Python objects"),
    ],
)
def test_what_has_no_exact_form_is_refused_with_its_place(values: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        Array.of(values, **options)


def test_a_list_too_deep_is_refused() -> None:
    deep: Any = 1
    for _ in range(65):
        deep = [deep]
    with pytest.raises(DataError, match="64"):
        Array.of(deep)


def test_a_type_too_deep_or_too_large_is_refused() -> None:
    deep: Any = "f8"
    for _ in range(40):
        deep = [("a", deep)]
    with pytest.raises(DataError, match="nested too deeply"):
        Array.of([], dtype=deep)
    with pytest.raises(DataError, match="an item has at most 1,073,741,824 bytes"):
        Array.of([], dtype=[("a", "S999999999"), ("b", "S999999999")])
    with pytest.raises(DataError, match="have no exact form"):
        Array.of([], dtype="S9999999999")
    with pytest.raises(DataError, match="claims to have 99,999 values"):
        Array.of([], dtype=[("a", "f8", (0, 99_999))])


def test_pickles_in_npy_files_are_refused() -> None:
    file = io.BytesIO()
    np.save(file, np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match="Python objects, which would need pickle"):
        Array.from_npy(file.getvalue())
    nested = npy_of("[('a', '<i4'), ('b', '|O')]", "(0,)")
    with pytest.raises(DataError, match="Python objects"):
        Array.from_npy(nested)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "no .npy file at byte 0"),
        (b"\x93NUMPX" + bytes(20), "no .npy file"),
        (b"\x93NUMPY\4\0\1\0", "has versions 1 to 3"),
        (b"\x93NUMPY\1\0\1", "header is cut off"),
        (b"\x93NUMPY\1\0\1\0", "header of 1 bytes is cut off"),
        (npy_of("'<f8'", "(2,)", bytes(15)), "the .npy file is cut off: an array of shape"),
        (npy_of("'<f8'", "(2,)", bytes(17)), "1 bytes follow the end"),
        (npy_of("'<f8'", "[2]", bytes(16)), "a shape is a tuple of sizes"),
        (npy_of("'<f8'", "(-2,)", bytes(16)), "malformed"),
        (npy_of("'<f8'", "(True,)", bytes(8)), "a shape is a tuple"),
        (npy_of("__import__('os')", "()"), "malformed"),
        (npy_of("'<f8', 'x': 1", "()", bytes(8)), "and nothing else"),
        (npy_of(r"'<\q8'", "()", bytes(8)), "malformed"),
        (npy_of("('<f8', (2,))", "()", bytes(16)), "text or a list of fields"),
        (npy_of("[('a', '<f8'), ('a', '<f8')]", "()", bytes(16)), "two fields have the name 'a'"),
        (npy_of("'<U1'", "()", b"\xff\xff\xff\xff"), "no Unicode text"),
    ],
)
def test_what_is_no_whole_npy_file_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Array.from_npy(data).tolist()


def test_headers_of_python_2_and_of_other_writers_are_read() -> None:
    data = np.arange(3.0).tobytes()
    assert Array.from_npy(npy_of("'<f8'", "(3L,)", data)).tolist() == [0, 1, 2]
    assert Array.from_npy(npy_of('"f8"', "(3,)", data)).tolist() == [0, 1, 2]
    assert Array.from_npy(npy_of("'=f8'", "(3,)", data, b"\2\0")).tolist() == [0, 1, 2]
    assert Array.from_npy(npy_of(r"[('\x61\'\u00e9', '<f8')]", "(3,)", data, b"\3\0")).dtype == [("a'é", "<f8")]


def test_dates_beyond_python_s_are_refused_and_their_numbers_are_there() -> None:
    array = Array.of([10**6 * 365], dtype="M8[D]")
    with pytest.raises(DataError, match="outside of years 1 to 9999; the raw numbers go from 365,000,000"):
        array.tolist()
    assert array.data.tolist() == [365_000_000]
    with pytest.raises(DataError, match="longer than a timedelta"):
        Array.of([2**62], dtype="m8[W]").tolist()


def test_indices_out_of_range_or_of_no_use_are_refused() -> None:
    array = Array.of([[1, 2], [3, 4]])
    for key in (2, -3, (0, 2), (0, 0, 0), (..., ...)):
        with pytest.raises(IndexError):
            array[key]
    with pytest.raises(IndexError):
        Array.of([1])[1]
    with pytest.raises(TypeError, match=r"by whole numbers, slices, masks and lists, not by 1\.5"):
        array[1.5]
    with pytest.raises(KeyError, match="no field 'a'; it is no array of records"):
        array["a"]
    with pytest.raises(KeyError, match="its fields are x"):
        Array.of([(1,)], dtype=[("x", "i4")])["a"]


def test_what_needs_axes_says_so() -> None:
    scalar = Array.of(5)
    assert (scalar.item(), scalar[()], scalar.tolist()) == (5, 5, 5)
    for use in (len, iter):
        with pytest.raises(TypeError, match="without axes"):
            use(scalar)
    with pytest.raises(DataError, match="without axes"):
        scalar.rows()
    with pytest.raises(DataError, match="2 items is no single value"):
        Array.of([1, 2]).item()


def test_arrays_that_differ_are_not_put_together() -> None:
    with pytest.raises(DataError, match="no arrays"):
        Array.concat([])
    with pytest.raises(DataError, match="without axes"):
        Array.concat([Array.of(1)])
    with pytest.raises(DataError, match=r"differ: <i8 of shape \(1,\) and <f8 of shape \(1,\)"):
        Array.concat([Array.of([1]), Array.of([1.0])])
    with pytest.raises(DataError, match="differ"):
        Array.concat([Array.of([[1, 2]]), Array.of([[1]])])


def test_arrays_are_equal_by_type_shape_and_bytes() -> None:
    nan = float("nan")
    assert Array.of([nan]).equals(Array.of([nan]))
    assert not Array.of([0.0]).equals(Array.of([-0.0]))
    assert not Array.of([1]).equals(Array.of([1.0]))
    assert not Array.of([1]).equals(Array.of([[1]]))
    assert not Array.of([1]).equals([1])
    with pytest.raises(TypeError, match="unhashable"):
        hash(Array.of([1]))


def test_it_says_what_it_is_briefly() -> None:
    assert repr(Array.of([1, 2])) == "Array([1, 2], dtype='<i8', shape=(2,))"
    assert repr(Array.of(range(2000))) == "Array(..., dtype='<i8', shape=(2000,))"


def test_another_type_is_made_of_its_values() -> None:
    assert Array.of(Array.of([1, 2]), dtype="f4").tolist() == [1.0, 2.0]
    assert Array.of(flat_array("i", [1, 2]), dtype=">u2").tolist() == [1, 2]
    with pytest.raises(DataError, match=r"item 0 is 1\.5"):
        Array.of(Array.of([1.5]), dtype=int)


def test_records_have_fields_of_their_own_type() -> None:
    kind = [("name", "<U3"), ("at", "<f8", (2,)), ("inner", [("a", "|u1"), ("", "|V3"), ("b", ">i2")])]
    array = Array.of([("x", [1.0, 2.0], (3, 4)), ("yé", [5.0, 6.0], (7, 8))], dtype=kind)
    assert array.tolist() == [("x", [1.0, 2.0], (3, 4)), ("yé", [5.0, 6.0], (7, 8))]
    assert array["at"][:, 1].tolist() == [2.0, 6.0]
    assert array["inner"]["b"].tolist() == [4, 8]
    assert np.load(io.BytesIO(array.to_npy()))["inner"]["b"].tolist() == [4, 8]

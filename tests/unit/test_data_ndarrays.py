"""Arrays by example: read in place, made of values exactly, refused where they are damaged or have no exact form."""

from __future__ import annotations

import datetime as dt
import io
import subprocess
import sys
from array import array as flat_array
from typing import Any

import numpy as np
import pytest

import pangea.compute.data
from pangea.compute.data import DataError
from pangea.compute.data.ndarrays import array_of, from_npy, npy_of
from tests.property.drawn_data import npy

HEADER = "{'descr': %s, 'fortran_order': False, 'shape': %s, }"


def file_of(descr: str, shape: str, data: bytes = b"", version: bytes = b"\1\0") -> bytes:
    """A .npy file with any header."""
    text = (HEADER % (descr, shape)).encode("latin-1")
    return b"\x93NUMPY" + version + len(text).to_bytes(2 if version == b"\1\0" else 4, "little") + text + data


def test_it_is_read_in_place_and_can_be_written_to_where_the_buffer_can() -> None:
    file = npy(np.arange(1000.0).reshape(100, 10))
    array = from_npy(file)
    assert type(array) is np.ndarray
    assert np.shares_memory(array, np.frombuffer(file, "u1"))
    assert not array.flags.writeable
    held = bytearray(file)
    from_npy(held)[0, 0] = 7.0
    assert from_npy(bytes(held))[0, 0] == 7.0


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
    array = array_of(values)
    assert (array.dtype, array.shape) == (dtype, shape)
    again = from_npy(npy_of(array))
    assert (again.dtype, again.tolist()) == (array.dtype, array.tolist())


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
    assert array_of([], dtype=dtype).dtype == known


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
        array_of(values, **options)


def test_a_list_too_deep_is_refused() -> None:
    deep: Any = 1
    for _ in range(65):
        deep = [deep]
    with pytest.raises(DataError, match="64"):
        array_of(deep)


def test_a_type_too_deep_or_too_large_is_refused() -> None:
    deep: Any = "f8"
    for _ in range(40):
        deep = [("a", deep)]
    with pytest.raises(DataError, match="nested too deeply"):
        array_of([], dtype=deep)
    with pytest.raises(DataError, match="an item has at most 1,073,741,824 bytes"):
        array_of([], dtype=[("a", "S999999999"), ("b", "S999999999")])
    with pytest.raises(DataError, match="have no exact form"):
        array_of([], dtype="S9999999999")
    with pytest.raises(DataError, match="claims to have 99,999 values"):
        array_of([], dtype=[("a", "f8", (0, 99_999))])


def test_pickles_in_npy_files_are_refused() -> None:
    file = io.BytesIO()
    np.save(file, np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match="Python objects, which would need pickle"):
        from_npy(file.getvalue())
    nested = file_of("[('a', '<i4'), ('b', '|O')]", "(0,)")
    with pytest.raises(DataError, match="Python objects"):
        from_npy(nested)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "no .npy file at byte 0"),
        (b"\x93NUMPX" + bytes(20), "no .npy file"),
        (b"\x93NUMPY\4\0\1\0", "has versions 1 to 3"),
        (b"\x93NUMPY\1\0\1", "header is cut off"),
        (b"\x93NUMPY\1\0\1\0", "header of 1 bytes is cut off"),
        (file_of("'<f8'", "(2,)", bytes(15)), "the .npy file is cut off: an array of shape"),
        (file_of("'<f8'", "(2,)", bytes(17)), "1 bytes follow the end"),
        (file_of("'<f8'", "[2]", bytes(16)), "a shape is a tuple of sizes"),
        (file_of("'<f8'", "(-2,)", bytes(16)), "malformed"),
        (file_of("'<f8'", "(True,)", bytes(8)), "a shape is a tuple"),
        (file_of("__import__('os')", "()"), "malformed"),
        (file_of("'<f8', 'x': 1", "()", bytes(8)), "and nothing else"),
        (file_of(r"'<\q8'", "()", bytes(8)), "malformed"),
        (file_of("('<f8', (2,))", "()", bytes(16)), "text or a list of fields"),
        (file_of("[('a', '<f8'), ('a', '<f8')]", "()", bytes(16)), "two fields have the name 'a'"),
    ],
)
def test_what_is_no_whole_npy_file_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        from_npy(data).tolist()


def test_headers_of_python_2_and_of_other_writers_are_read() -> None:
    data = np.arange(3.0).tobytes()
    assert from_npy(file_of("'<f8'", "(3L,)", data)).tolist() == [0, 1, 2]
    assert from_npy(file_of('"f8"', "(3,)", data)).tolist() == [0, 1, 2]
    assert from_npy(file_of("'=f8'", "(3,)", data, b"\2\0")).tolist() == [0, 1, 2]
    assert from_npy(file_of(r"[('\x61\'\u00e9', '<f8')]", "(3,)", data, b"\3\0")).dtype == [("a'é", "<f8")]


def test_another_type_is_made_of_its_values() -> None:
    assert array_of(array_of([1, 2]), dtype="f4").tolist() == [1.0, 2.0]
    assert array_of(flat_array("i", [1, 2]), dtype=">u2").tolist() == [1, 2]
    with pytest.raises(DataError, match=r"item 0 is 1\.5"):
        array_of(array_of([1.5]), dtype=int)


def test_times_keep_their_instant_in_another_unit_or_are_refused() -> None:
    days = np.array(["2024-01-05", "NaT"], "M8[D]")
    assert array_of(days, "M8[ns]").tolist() == [1_704_412_800_000_000_000, None]
    with pytest.raises(DataError, match=r"item 0 is 2024-01-05T10, which has no exact form in type <M8\[D\]"):
        array_of(np.array(["2024-01-05T10"], "M8[h]"), "M8[D]")


def test_records_have_fields_of_their_own_type() -> None:
    kind = [("name", "<U3"), ("at", "<f8", (2,)), ("inner", [("a", "|u1"), ("", "|V3"), ("b", ">i2")])]
    array = array_of([("x", [1.0, 2.0], (3, 4)), ("yé", [5.0, 6.0], (7, 8))], dtype=kind)
    assert array["at"][:, 1].tolist() == [2.0, 6.0]
    assert array["inner"]["b"].tolist() == [4, 8]
    assert np.load(io.BytesIO(npy_of(array)))["inner"]["b"].tolist() == [4, 8]


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.array([{}], object), "Python objects, which would need pickle"),
        (np.array([1], np.longdouble), "have no exact form here; convert it to float64"),
        (np.array(["a"], np.dtypes.StringDType()), r"StringDType, whose texts lie elsewhere"),
        (np.ma.array([1, 2], mask=[True, False]), "masked items, for which a .npy file has no place"),
    ],
)
def test_what_no_file_holds_is_not_written(array: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        npy_of(array)


def test_the_old_name_works_and_says_that_it_goes() -> None:
    with pytest.warns(DeprecationWarning, match="arrays are numpy.ndarray now"):
        old = pangea.compute.data.Array
    array = old.of([[1, 2], [3, 4]], "<f4")
    assert isinstance(array, np.ndarray)
    assert list(array.rows()) == [[1.0, 2.0], [3.0, 4.0]]
    assert old.concat(old.many(array.to_npy() * 2)).shape == (4, 2)
    assert old.from_npy(array.to_npy()).equals(array)
    assert old.of(range(4), shape=(2, -1)).shape == (2, 2)
    with pytest.raises(DataError, match="3 items don't fit into shape"):
        old.of([1, 2, 3], shape=(2, 2))
    for parts in ([], [old.of([1]), old.of([1.0])], [old.of(1)]):
        with pytest.raises(DataError, match="one at least, and of one type"):
            old.concat(parts)


def test_numpy_is_imported_when_an_array_is_wanted_and_not_before() -> None:
    code = (
        "import sys; from pangea.compute.data import Table, kinds, ndarrays, tagged; import pangea.compute.cli.main;"
        "kinds.decode('table', Table.of({'a': [1]}).to_arrow())['a'].tolist(); tagged.dumps([1, (2,)]);"
        "assert 'numpy' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=50)
    assert done.returncode == 0, done.stderr

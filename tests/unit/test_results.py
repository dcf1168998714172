"""What a result can be read as: joined without loss, with one copy, and an error in words where it is something else."""

from __future__ import annotations

import base64
import copy
import io
import pickle
import tracemalloc
import warnings
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from pangea.compute.client.results.reading import seems
from pangea.compute.client.results.result import Result, Value
from pangea.compute.errors import ResultError
from pangea.compute.model.kinds import ResultKind
from pangea.compute.model.report import Report
from tests.unit.test_html import REPORT


def npy(array: Any) -> bytes:
    file = io.BytesIO()
    with warnings.catch_warnings(action="ignore", category=UserWarning):  # NumPy 1.17 is needed for some names of fields
        np.save(file, array, allow_pickle=False)
    return file.getvalue()


def stream(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def png(colour: int = 0) -> bytes:
    file = io.BytesIO()
    Image.new("L", (3, 2), colour).save(file, "PNG")
    return file.getvalue()


def value(data: bytes, kind: str = "bytes", is_joined: bool | None = None) -> Value:
    return Value(data, ResultKind(kind, is_joined))


DTYPES = hnp.scalar_dtypes() | hnp.unicode_string_dtypes() | hnp.byte_string_dtypes() | hnp.array_dtypes()


@given(st.data())
def test_arrays_come_back_as_numpy_reads_them(data: st.DataObject) -> None:
    dtype = data.draw(DTYPES)
    row = data.draw(hnp.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=3))
    lengths = data.draw(st.lists(st.integers(0, 4), min_size=1, max_size=4))
    parts = [data.draw(hnp.arrays(dtype, (length, *row))) for length in lengths]
    if data.draw(st.booleans()):
        parts = [np.asfortranarray(part) for part in parts]

    found = value(b"".join(map(npy, parts))).as_array()

    loaded = [np.load(io.BytesIO(npy(part))) for part in parts]
    assert (found.dtype, found.shape) == (loaded[0].dtype, (sum(lengths), *loaded[0].shape[1:]))
    assert found.tobytes() == b"".join(part.tobytes() for part in loaded)
    assert found.flags.writeable
    assert found.flags.owndata


def test_a_single_array_keeps_its_order_and_its_axes() -> None:
    fortran = np.asfortranarray(np.arange(6.0).reshape(2, 3))

    assert value(npy(fortran)).as_array().flags.f_contiguous
    assert value(npy(np.array(5.0))).as_array().shape == ()
    assert value(npy(np.array(5.0)) * 3).as_array().tolist() == [5.0, 5.0, 5.0]


def test_a_single_array_can_be_seen_without_a_copy() -> None:
    result = value(npy(np.arange(4)))
    view = result.as_array(copy=False)

    assert not view.flags.writeable
    assert not view.flags.owndata
    assert np.array_equal(view, np.arange(4))


def test_assembling_an_array_takes_one_copy() -> None:
    part = npy(np.arange(500_000.0))
    result = value(part * 8)
    result.as_array()  # whatever is imported is imported
    tracemalloc.start()
    try:
        array = result.as_array()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert array.nbytes <= peak < 1.1 * array.nbytes


def test_what_asks_for_an_array_gets_it() -> None:
    one, two = value(npy(np.arange(3))), value(npy(np.arange(3)) * 2)

    assert one.__array__().tolist() == [0, 1, 2]
    assert one.__array__(np.float32).dtype == np.float32
    assert one.__array__(copy=True).flags.writeable
    assert not one.__array__(copy=False).flags.owndata
    assert two.__array__().shape == (6,)
    for result, dtype in ((two, None), (one, np.float32)):
        with pytest.raises(ValueError, match="is a copy"):
            result.__array__(dtype, copy=False)


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ([np.zeros(3), np.zeros(3, "f4")], "number 1 is of type '<f4' and shape .3,., number 0 is of type '<f8'"),
        ([np.zeros((1, 2)), np.zeros((1, 2)), np.zeros((1, 3))], "number 2 is .*shape .1, 3., number 0"),
        ([np.zeros(2), np.zeros(())], "number 1 "),
    ],
)
def test_arrays_that_do_not_fit_together_are_named(parts: list[Any], said: str) -> None:
    with pytest.raises(ResultError, match=said) as caught:
        value(b"".join(map(npy, parts))).as_array()
    assert "merge" in caught.value.hint


def test_arrays_of_objects_are_never_unpickled() -> None:
    file = io.BytesIO()
    np.save(file, np.array([{}], dtype=object), allow_pickle=True)

    with pytest.raises(ResultError, match="array"):
        value(file.getvalue()).as_array()


TABLE = pa.table(
    {
        "n": pa.array([1, None, 2**63 - 1], pa.int64()),
        "u": pa.array([None, 2**64 - 1, 0], pa.uint64()),
        "b": pa.array([True, None, False]),
        "x": [1.5, None, float("inf")],
        "s": ["ä", None, ""],
        "whole": pa.array([1, 2, 3], pa.int16()),
        "d": pa.array([0, None, 19_000], pa.date32()),
    }
)


def test_tables_come_back_whole() -> None:
    result = value(stream(TABLE) + stream(TABLE.slice(1)), "table", is_joined=True)
    frame = result.as_frame()

    assert result.as_arrow().equals(pa.concat_tables([TABLE, TABLE.slice(1)]))
    assert result.value.equals(frame)
    assert frame["n"].tolist() == [1, pd.NA, 2**63 - 1, pd.NA, 2**63 - 1]
    assert frame["u"].tolist() == [pd.NA, 2**64 - 1, 0, 2**64 - 1, 0]
    assert [str(dtype) for dtype in frame.dtypes][:4] == ["Int64", "UInt64", "boolean", "float64"]
    assert str(frame["whole"].dtype) == "int16"
    assert frame.index.equals(pd.RangeIndex(5))


def test_a_table_is_not_copied() -> None:
    result = value(stream(pa.table({"n": np.arange(500_000)})) * 4)
    result.as_arrow()
    before = pa.total_allocated_bytes()
    table = result.as_arrow()

    assert table.num_rows == 2_000_000
    assert pa.total_allocated_bytes() - before < 100_000


def test_what_asks_for_a_table_gets_it() -> None:
    result = value(stream(TABLE))

    assert pa.table(result).equals(TABLE)
    assert pd.DataFrame.from_arrow(result)["whole"].tolist() == [1, 2, 3]
    assert pl.DataFrame(result.as_arrow())["s"].to_list() == ["ä", None, ""]


def test_tables_with_other_columns_are_named() -> None:
    with pytest.raises(ResultError, match="number 1 has a: string; number 0 has a: int64") as caught:
        value(stream(pa.table({"a": [1]})) + stream(pa.table({"a": ["x"]}))).as_arrow()
    assert "types=" in caught.value.hint


@given(st.data())
def test_a_damaged_table_is_an_error(data: st.DataObject) -> None:
    whole = bytearray(stream(TABLE))
    if data.draw(st.booleans()):
        del whole[data.draw(st.integers(0, len(whole) - 9)) :]
    else:
        whole[data.draw(st.integers(0, len(whole) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        found = value(bytes(whole)).as_arrow()
    except ResultError:
        return
    found.validate(full=True)
    assert found.num_columns > 0  # what isn't refused is a table, if another one


def test_a_table_that_pandas_cannot_hold_is_an_error() -> None:
    result = value(stream(pa.table({"d": pa.array([10_000_000], pa.date32())})), "table")

    with pytest.raises(ResultError, match="values that pandas can't hold: year") as caught:
        result.as_frame()
    assert "as_arrow" in caught.value.hint
    assert "year 29349" in result._repr_html_()


def test_json_without_a_merge_is_a_list_however_many_chunks_there_were() -> None:
    assert value(b'{"a":1}\n', "json", is_joined=True).value == [{"a": 1}]
    assert value(b"", "json", is_joined=True).value == []
    assert value(b"1\n[2]\n", "json", is_joined=True).value == [1, [2]]
    assert value(b'{"a":\n1}\n', "json", is_joined=False).value == {"a": 1}
    assert value(b"1\n", "jsonl", is_joined=False).value == [1]
    assert value('"a\u2028b"\n"c"\n'.encode(), "jsonl").value == ["a\u2028b", "c"]


def test_json_that_nobody_declared_is_what_it_looks_like() -> None:
    assert value(b'{"a":\n1}').as_json() == {"a": 1}
    assert value(b'{"a":1}\n{"a":2}\n').as_json() == [{"a": 1}, {"a": 2}]


def test_text_is_utf8() -> None:
    assert value("grün".encode(), "text").value == "grün"
    with pytest.raises(ResultError, match=r"can't be read as text: byte 2 is no UTF-8 \(it seems to be bytes: 3 bytes"):
        value(b"ab\xff").as_text()


def test_images_are_read_and_several_are_not_mistaken_for_one() -> None:
    assert value(png(7), "image").value.getpixel((0, 0)) == 7
    with pytest.raises(ResultError, match="is 2 images"):
        value(png() + png()).as_image()
    with pytest.raises(ResultError, match="it is cut off"):
        value(png()[:-1]).as_image()
    with pytest.raises(ResultError, match="it is damaged"):
        value(png().replace(b"IDAT", b"IDAt")).as_image()


def test_pixels_are_an_image() -> None:
    tiles = npy(np.zeros((1, 4, 3), "u1")) + npy(np.full((2, 4, 3), 9, "u1"))

    image = value(tiles).as_image()
    assert (image.mode, image.size, image.getpixel((0, 2))) == ("RGB", (4, 3), (9, 9, 9))
    with pytest.raises(ResultError, match=r"type float64 and shape \(2, 2\), not of pixels"):
        value(npy(np.zeros((2, 2)))).as_image()


@pytest.mark.parametrize(
    ("data", "looks"),
    [
        (b"", "nothing"),
        (npy(np.zeros(1)), "a .npy array"),
        (stream(pa.table({"a": [1]})), "an Arrow stream"),
        (png(), "a PNG image"),
        (b'{"a": 1}', "JSON"),
        (b" [1]", "JSON"),
        (b"some words", "text"),
        (("ä" * 4096)[1:].encode()[1:], "bytes"),
        (b"x" + "ä".encode() * 4096, "text"),
        (b"\xff\x00", "bytes"),
        (b"PK\3\4...", "a zip file"),
    ],
)
def test_what_bytes_seem_to_be(data: bytes, looks: str) -> None:
    assert seems(data) == looks


@pytest.mark.parametrize(
    ("ask", "data", "said", "hint"),
    [
        ("as_array", stream(pa.table({"a": [1]})), "can't be read as an array: .*it seems to be an Arrow stream", "as_frame"),
        ("as_array", b"", "can't be read as an array: it is empty", "declare"),
        ("as_array", npy(np.zeros(5))[:-1], "can't be read as an array: .*cut off", "as_array"),
        ("as_array", npy(np.zeros(5)) + npy(np.zeros(5))[:-1], "can't be read as an array: .*cut off", "as_array"),
        ("as_frame", npy(np.zeros(1)), "can't be read as a table: .*it seems to be a .npy array", "as_array"),
        ("as_arrow", b"\xff\xff\xff\xff", "can't be read as a table: .*damaged or cut off", "as_frame"),
        ("as_json", b"{1", "can't be read as JSON: .*it seems to be JSON", "as_json"),
        ("as_json", png(), "can't be read as JSON: .*it seems to be a PNG image", "as_image"),
        ("as_image", b"hello", "can't be read as an image .it seems to be text: 5 bytes, beginning with b'hello'", "as_text"),
    ],
)
def test_what_is_something_else_says_what_it_seems_to_be(ask: str, data: bytes, said: str, hint: str) -> None:
    with pytest.raises(ResultError, match=said) as caught:
        getattr(value(data), ask)()
    assert hint in caught.value.hint


def test_a_result_is_bytes_and_travels_with_its_report_and_kind() -> None:
    result = Result(b"abc", REPORT, ResultKind("text", True))

    for again in (pickle.loads(pickle.dumps(result)), copy.copy(result), copy.deepcopy(result)):
        assert type(again) is Result
        assert (again, again.report, again.kind, again.is_joined, again.value) == (b"abc", REPORT, "text", True, "abc")
    assert pickle.loads(pickle.dumps(value(b"x", "text"))).value == "x"
    assert hash(result) == hash(b"abc")
    assert type(result.value) is str
    assert type(Result(b"abc", REPORT).value) is bytes
    assert isinstance(result.report, Report)


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (value(npy(np.arange(3)), "array"), ["int64", "(3,)", "[0 1 2]"]),
        (value(stream(TABLE), "table"), ["rows", "whole", "<td>ä</td>"]),
        (value(b'{"a": "<b>"}', "json"), ["&lt;b&gt;"]),
        (value("<b>ü".encode(), "text"), ["&lt;b&gt;ü"]),
        (value(b"nothing of the kind", "table"), ["can&#x27;t be shown", "it seems to be text"]),
        (value(b"\0" * 100), ["100 bytes"]),
    ],
)
def test_a_result_shows_how_it_begins(shown: Value, expected: list[str]) -> None:
    html = shown._repr_html_()

    assert "<b>&lt;" not in html
    for text in expected:
        assert text in html
    assert shown._repr_mimebundle_()["text/html"] == html


def test_an_image_shows_itself_and_long_bytes_do_not_flood_the_screen() -> None:
    assert base64.b64decode(value(png(), "image")._repr_mimebundle_(include=None)["image/png"]) == png()
    assert len(value(bytes(10_000_000))._repr_mimebundle_()["text/plain"]) < 10_000
    assert value(b"abc")._repr_mimebundle_()["text/plain"] == "b'abc'"

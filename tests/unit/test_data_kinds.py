"""Kinds of value: what a function returns becomes bytes and comes back, and what isn't of its kind is refused in words."""

from __future__ import annotations

import io
from array import array as flat_array
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pangea.compute.data import DataError, Table
from pangea.compute.data.array import Array
from pangea.compute.data.kinds import KINDS, OUTPUT_KINDS, decode, encode

PIXELS = Array.of(bytes(range(24)), shape=(2, 4, 3))


@pytest.mark.parametrize(
    ("kind", "value", "data"),
    [
        ("bytes", b"\xff", b"\xff"),
        ("bytes", bytearray(b"a"), b"a"),
        ("bytes", memoryview(b"a"), b"a"),
        ("text", "é\n", "é\n".encode()),
        ("json", {"é": [1, 2.5, None, True]}, '{"é": [1, 2.5, null, true]}\n'.encode()),
        ("jsonl", [1, "a"], b'1\n"a"\n'),
        ("jsonl", iter([{"a": 1}, "b"]), b'{"a": 1}\n"b"\n'),
        ("jsonl", [], b""),
        ("array", Array.of([1, 2]), Array.of([1, 2]).to_npy()),
        ("array", [[1.5], [2.5]], Array.of([[1.5], [2.5]]).to_npy()),
        ("array", flat_array("i", [1]), Array.of([1], dtype="i4").to_npy()),
        ("array", range(2), Array.of([0, 1]).to_npy()),
        ("table", Table.of({"a": [1]}), Table.of({"a": [1]}).to_arrow()),
        ("table", {"a": [1]}, Table.of({"a": [1]}).to_arrow()),
        ("table", [{"a": 1}], Table.of({"a": [1]}).to_arrow()),
    ],
)
def test_a_value_becomes_its_bytes(kind: str, value: Any, data: bytes) -> None:
    assert encode(kind, value, "execute") == data


@pytest.mark.parametrize(
    ("kind", "data", "value"),
    [
        ("bytes", b"\xff", b"\xff"),
        ("image", b"\x89PNG", b"\x89PNG"),
        ("text", "é\u2028".encode(), "é\u2028"),
        ("json", b' {"a": NaN}\n', None),
        ("jsonl", '1\n\n[2]\r\n"\u2028"'.encode(), [1, [2], "\u2028"]),
        ("jsonl", b"", []),
        ("array", Array.of([1]).to_npy(), Array.of([1])),
        ("table", Table.of({"a": [1]}).to_arrow(), Table.of({"a": [1]})),
    ],
)
def test_bytes_become_their_value(kind: str, data: bytes, value: Any) -> None:
    for given in (data, memoryview(data)):
        found = decode(kind, given)
        assert value is None or found == value
        assert kind != "bytes" or isinstance(found, bytes)


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        (
            "array",
            {"a": 1},
            r"execute is declared output='array', but returned dict: \{'a': 1\}; return an array of NumPy",
        ),
        ("array", 5, "returned int: 5"),
        ("array", "abc", "returned str: 'abc'"),
        ("array", None, "returned NoneType: None"),
        ("table", Array.of([1]), "returned Array: Array"),
        ("table", [1], r"returned list: \[1\]; return a Table, a dict of columns, or a list of dicts"),
        ("table", [], r"returned list: \[\]"),
        ("text", b"a", "returned bytes: b'a'; return text"),
        ("bytes", "a", "returned str: 'a'; return bytes"),
        ("bytes", 5, "returned int: 5"),
        ("jsonl", "ab", "returned str: 'ab'; return a list"),
        ("jsonl", {"a": 1}, "returned dict"),
        ("image", b"GIF89a", "returned bytes: b'GIF89a'; return the bytes of a PNG file"),
    ],
)
def test_a_value_of_another_kind_is_refused_with_what_came_and_what_was_declared(kind: str, value: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        encode(kind, value, "execute")


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        ("array", [[1], [2, 3]], r"execute is declared output='array', but returned list: \[\[1\], \[2, 3\]\]; ragged lists"),
        ("table", {"a": [1], "b": []}, "columns differ in length"),
        ("table", [{"a": 1}, {"a": "x"}], "column 'a' has values of type int, str"),
        ("json", {1, 2}, "set is not JSON serializable"),
        ("json", float("nan"), "not JSON compliant"),
        ("jsonl", [1, object()], "object is not JSON serializable"),
        ("text", "\ud800", "surrogates not allowed"),
        ("json", {1: "a", "1": "b"}, "the keys 1 and '1' of a dict are both '1' in JSON"),
        ("json", [[{"a": {None: 0, "null": 0}}]], "the keys None and 'null'"),
        ("image", Array.of([1.5]), "a picture is an array of uint8"),
        ("image", Array.of(b"", shape=(0, 4)), "a picture is an array of uint8"),
    ],
)
def test_a_value_without_exact_bytes_is_refused_with_the_reason(kind: str, value: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        encode(kind, value, "execute")


def test_a_value_nested_without_end_is_refused() -> None:
    endless: list[Any] = []
    endless.append(endless)
    for kind in ("json", "array"):
        with pytest.raises(DataError, match="declared output="):
            encode(kind, endless, "execute")


@pytest.mark.parametrize(
    ("kind", "data", "message"),
    [
        ("text", b"ab\xff", "text is UTF-8, but byte 2 is 0xff"),
        ("json", b"\xff", "json is UTF-8, but byte 0"),
        ("json", b"{", "this is no JSON"),
        ("json", b"", "this is no JSON"),
        ("json", b"9" * 5000, "this is no JSON"),
        ("json", b"[" * 100_000, "this is no JSON"),
        ("jsonl", b"1\n{\n", "this is no JSON in line 2"),
        ("array", b"x", "no .npy file"),
        ("table", b"x", "cut off"),
        ("picture", b"x", "no kind 'picture': it is one of bytes, text, json, jsonl, array, table, image"),
    ],
)
def test_bytes_of_another_kind_are_refused(kind: str, data: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        decode(kind, data)


def test_there_is_no_other_kind() -> None:
    assert (*KINDS, "image") == OUTPUT_KINDS
    with pytest.raises(DataError, match="no kind 'picture'"):
        encode("picture", b"", "execute")


def test_large_values_are_not_written_into_messages() -> None:
    for value in (list(range(10**6)), "x" * 10**6, b"x" * 10**6, {index: index for index in range(1000)}):
        with pytest.raises(TypeError) as raised:
            encode("image", value, "execute")
        assert len(str(raised.value)) < 400


@pytest.mark.parametrize("shape", [(2, 12), (2, 12, 1), (3, 4, 2), (2, 4, 3), (2, 3, 4), (1, 24), (24, 1)])
def test_an_array_of_bytes_becomes_a_picture_with_those_pixels(shape: tuple[int, ...]) -> None:
    pixels = Array.of(bytes(range(24)), shape=shape)
    seen = np.asarray(Image.open(io.BytesIO(encode("image", pixels, "execute"))))
    assert (
        seen.tolist() == np.squeeze(np.asarray(pixels), axis=-1).tolist()
        if shape[-1] == 1 and len(shape) == 3
        else pixels.tolist()
    )


def test_a_png_goes_through_as_it_is() -> None:
    png = encode("image", PIXELS, "execute")
    assert encode("image", bytearray(png), "execute") == png == decode("image", png)
    assert encode("image", PIXELS[::-1, ::-1], "execute") == encode(
        "image", Array.of(PIXELS[::-1, ::-1].tolist(), "u1"), "execute"
    )

"""Damaged bytes are a `DataError`, or a value: never another exception, never a hang, never a large allocation."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pangea.compute.data import DataError, Table
from pangea.compute.data.kinds import KINDS, decode
from pangea.compute.data.ndarrays import array_of, from_npy, many_npy, npy_of
from tests.deadlines import Cost
from tests.property.drawn_data import arrays, damaged, npy, stream, tables

#: What a million rows of nulls take, which is as many as may be claimed without a byte for each.
MEMORY_BYTES_MAX = 32 << 20
ROWS_MAX = 1 << 16
SECONDS_MAX = 2.0

ARRAY_FILES = arrays().map(npy)
TABLE_STREAMS = st.builds(stream, tables(), st.integers(1, 8))


@contextmanager
def little_is_used() -> Iterator[None]:
    """Fail when what is inside takes long, or memory that its few bytes of input don't explain."""
    tracemalloc.start()
    try:
        with Cost() as cost:
            yield
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert cost.seconds < SECONDS_MAX
    assert peak < MEMORY_BYTES_MAX


def use_array(data: bytes) -> None:
    """Look at every part of the arrays that `data` may be."""
    for array in many_npy(data):
        with suppress(ValueError):  # text that is no Unicode
            array.tolist()
        npy_of(array)
        for part in (array[::-1], array[:1]) if array.ndim else ():
            npy_of(part)


def use_table(data: bytes) -> None:
    """Look at every part of the tables that `data` may be."""
    for table in Table.many(data):
        for column in table.columns.values():
            column.tolist()
            column[1:].tolist()
            if column.type not in ("string", "large_string", "binary", "large_binary", "null"):
                column.values.tolist()
        table.to_arrow()
        table[1:].to_arrow()
        if len(table) < ROWS_MAX:
            list(table.rows())
            table.take(range(len(table) - 1, -1, -1)).to_arrow()


def trouble(use: Callable[[bytes], object], data: bytes) -> str | None:
    """What is said of `data`, if it isn't of use. Any other error than a typed one is a failure of the test."""
    try:
        use(data)
    except DataError as error:
        return str(error)
    return None


def assert_short(said: str | None) -> None:
    """What is said says something, and doesn't repeat what a stranger sent."""
    assert said is None or 0 < len(said) < 600


@given(damaged(ARRAY_FILES))
@example(b"")
@example(b"\x93NUMPY")
@example(b"\x93NUMPY\x01\x00\xff\xff")
def test_a_damaged_npy_file_is_a_data_error_or_a_value(data: bytes) -> None:
    with little_is_used():
        assert_short(trouble(use_array, data))


@given(damaged(TABLE_STREAMS))
@example(b"")
@example(b"\xff\xff\xff\xff")
@example(b"\xff\xff\xff\xff\xff\xff\xff\x7f")
def test_a_damaged_arrow_stream_is_a_data_error_or_a_value(data: bytes) -> None:
    with little_is_used():
        assert_short(trouble(use_table, data))


@given(st.binary(max_size=200), st.sampled_from(KINDS))
def test_any_bytes_are_a_data_error_or_a_value_of_any_kind(data: bytes, kind: str) -> None:
    assert_short(trouble(partial(decode, kind), data))


HEADER = b"\x93NUMPY\x01\x00"


def header_of(text: str) -> bytes:
    raw = text.encode("latin-1")
    return HEADER + len(raw).to_bytes(2, "little") + raw


@given(st.text(st.sampled_from("{}[]()',:\\\"<f8iUV0129 descrfotan_shpTrueFalseNo\n"), max_size=120))
def test_any_text_as_a_npy_header_is_a_data_error(text: str) -> None:
    with little_is_used():
        assert_short(trouble(from_npy, header_of(text)))


@pytest.mark.parametrize(
    "text",
    [
        "{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000, 0), }",
        "{'descr': '|V0', 'fortran_order': False, 'shape': (99999999999,), }",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999, 99999999999, 99999999999), }",
        "{'descr': [], 'fortran_order': False, 'shape': (99999999999,), }",
        "{'descr': [('a', '|S0', (99999999,))], 'fortran_order': False, 'shape': (2,), }",
        "{'descr': [('a', '|S0', (9999, 9999, 9999))], 'fortran_order': False, 'shape': (1,), }",
        "{'descr': [('a', '<f8', (0, 99999999999))], 'fortran_order': False, 'shape': (1,), }",
        "{'descr': [('a', '<f8', (99999999999, 0))], 'fortran_order': False, 'shape': (1,), }",
        "(" * 60_000,
        "[" * 60_000,
        "{'descr':" * 6_000,
        "{[]: 1}",
        "-" * 60_000,
        "{'descr': '<f8', 'fortran_order': False, 'shape': (" + "1, " * 20_000 + "), }",
        "{'descr': '" + "\\" * 60_000,
        "9" * 60_000,
        "{'descr': '|u1', 'fortran_order': False, 'shape': (" + "0, " * 65 + "), }",
    ],
    ids=lambda text: text[:60],
)
def test_a_header_that_claims_much_costs_little(text: str) -> None:
    with little_is_used(), pytest.raises(DataError):
        use_array(header_of(text))


def flipped(data: bytes) -> Iterator[bytes]:
    """`data` with each single byte set to a few others."""
    for at in range(len(data)):
        for value in (0, 0x80, 0xFF):
            yield data[:at] + bytes([value]) + data[at + 1 :]


def small_table() -> bytes:
    return Table.of(
        {"a": [1, None, 3], "b": ["x", None, "é"], "c": [True, None, False], "d": [b"", b"1", None], "e": [None] * 3}
    ).to_arrow()


@pytest.mark.parametrize(("data", "use"), [(small_table(), use_table), (npy_of(array_of([[1.5, 2], [3, 4]])), use_array)])
def test_no_single_byte_breaks_more_than_the_value(data: bytes, use: Callable[[bytes], Any]) -> None:
    outcomes = set()
    for changed in flipped(data):
        try:
            use(changed)
            outcomes.add("value")
        except DataError:
            outcomes.add("error")
    for size in range(len(data)):
        with suppress(DataError):
            use(data[:size])
    assert outcomes == {"value", "error"}

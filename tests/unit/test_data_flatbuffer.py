"""Arrow's metadata as FlatBuffers: what is written is read, aligned as readers demand, and nothing is read outside."""

from __future__ import annotations

import struct

import pytest

from pangea.compute.data import DataError
from pangea.compute.data import flatbuffer as flat

I16, I32, I64 = struct.Struct("<h"), struct.Struct("<i"), struct.Struct("<q")
PAIR = struct.Struct("<qq")


def test_what_is_written_is_read() -> None:
    inner = flat.table({1: ("i", -7)})
    data = flat.build(
        flat.table(
            {
                0: ("h", -2),
                1: ("q", 1 << 40),
                3: flat.string("é".encode()),
                4: inner,
                5: flat.tables([inner, flat.table({})]),
                6: flat.structs(2, PAIR.pack(1, 2) + PAIR.pack(3, 4)),
            }
        )
    )
    root = flat.FlatTable.root(memoryview(data))
    assert len(data) % 8 == 0
    assert (root.number(0, I16), root.number(1, I64), root.number(2, I32, 5), root.number(99, I32)) == (-2, 1 << 40, 5, 0)
    assert (root.text(3), root.text(2), root.has(3), root.has(2)) == ("é".encode(), None, True, False)
    found, absent = root.table(4), root.table(2)
    assert found is not None
    assert (found.number(1, I32), absent) == (-7, None)
    assert [each.number(1, I32) for each in root.tables(5)] == [-7, 0]
    assert (root.tables(2), root.structs(6, PAIR), root.structs(2, PAIR)) == ([], [(1, 2), (3, 4)], [])


def made(*, vtable: int, table: bytes = b"", size: int = 6, slot: int = 4, before: bytes = b"") -> flat.FlatTable:
    """A root table whose layout lies `vtable` bytes before it, with one field at `slot`."""
    layout = struct.pack("<HHH", size, 8, slot)
    start = 4 + len(before) + len(layout)
    return flat.FlatTable.root(memoryview(struct.pack("<I", start) + before + layout + I32.pack(vtable) + table))


def test_a_layout_before_the_start_is_not_read_from_the_end() -> None:
    assert made(vtable=6, table=I32.pack(9)).number(0, I32) == 9
    with pytest.raises(DataError, match="an offset points outside"):
        made(vtable=20, table=I32.pack(9))
    with pytest.raises(DataError, match="an offset points outside"):
        made(vtable=-1000, table=I32.pack(9))


@pytest.mark.parametrize("size", [0, 2, 5, 7, 600])
def test_a_layout_of_no_possible_size_is_refused(size: int) -> None:
    with pytest.raises(DataError, match="a table's layout is cut off"):
        made(vtable=6, size=size, table=I32.pack(9))


def test_a_field_outside_is_refused() -> None:
    with pytest.raises(DataError, match="an offset points outside"):
        made(vtable=6, slot=200, table=I32.pack(9)).number(0, I32)
    for offset in (100, 0xFFFFFFFF):
        table = made(vtable=6, table=struct.pack("<I", offset))
        for read in (table.text, table.table, table.tables):
            with pytest.raises(DataError, match="an offset points outside"):
                read(0)


@pytest.mark.parametrize("count", [2, 1000, 0xFFFFFFFF])
def test_a_vector_that_is_cut_off_is_refused(count: int) -> None:
    table = made(vtable=6, table=struct.pack("<II", 4, count) + b"x")
    with pytest.raises(DataError, match="a list is cut off"):
        table.text(0)
    with pytest.raises(DataError, match="a list is cut off"):
        table.structs(0, PAIR)


def test_nothing_at_all_is_refused() -> None:
    for data in (b"", b"\0\0\0", b"\0\0\0\0"):
        with pytest.raises(DataError, match="corrupt Arrow metadata"):
            flat.FlatTable.root(memoryview(data))

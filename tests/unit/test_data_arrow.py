"""Arrow streams that other writers make: what is read, and what is refused with the column and the remedy."""

from __future__ import annotations

import datetime as dt
import io
import struct
import tracemalloc
import zoneinfo
from collections.abc import Callable
from importlib import resources
from typing import Any

import polars as pl
import pyarrow as pa
import pytest

from pangea.compute.data import DataError, Table, zones
from pangea.compute.data import flatbuffer as flat
from pangea.compute.data.arrow import END
from tests.property.drawn_data import stream

SCHEMA, BATCH = 1, 3


def message(kind: int, header: flat.Placed, body: bytes = b"", *, version: int = 4, size: int | None = None) -> bytes:
    """A message with any header; `version` counts from 0."""
    length = len(body) if size is None else size
    metadata = flat.build(flat.table({0: ("h", version), 1: ("B", kind), 2: header, 3: ("q", length)}))
    return struct.pack("<Ii", 0xFFFFFFFF, len(metadata)) + metadata + body


def field(name: str = "a", kind: int = 2, inner: dict[int, Any] | None = None) -> flat.Placed:
    """A field; of type int64 if nothing else is said."""
    inner = {0: ("i", 64), 1: ("?", True)} if inner is None else inner
    return flat.table({0: flat.string(name.encode()), 1: ("?", True), 2: ("B", kind), 3: flat.table(inner)})


def schema(*fields: flat.Placed, **more: Any) -> bytes:
    return message(SCHEMA, flat.table({1: flat.tables(list(fields)), **{int(key[1:]): value for key, value in more.items()}}))


def batch(
    rows: int, nodes: list[tuple[int, int]], buffers: list[tuple[int, int]], body: bytes = b"", **more: flat.FieldValue
) -> bytes:
    """A record batch that may say anything."""
    pairs = [b"".join(struct.pack("<qq", *pair) for pair in found) for found in (nodes, buffers)]
    slots: dict[int, flat.FieldValue] = {
        0: ("q", rows),
        1: flat.structs(len(nodes), pairs[0]),
        2: flat.structs(len(buffers), pairs[1]),
    }
    return message(BATCH, flat.table(slots | {int(key[1:]): value for key, value in more.items()}), body)


INT = schema(field())
TEXT = schema(field(kind=5, inner={}))
BODY = bytes(range(64))


def dictionary() -> bytes:
    return stream(pa.table({"plain": [1], "kind": pa.array(["a"]).dictionary_encode()}))


def arrow_file() -> bytes:
    file = io.BytesIO()
    with pa.ipc.new_file(file, pa.schema([("a", pa.int64())])):
        pass
    return file.getvalue()


def deep(levels: int) -> Any:
    """Lists in lists."""
    return pa.list_(deep(levels - 1)) if levels else pa.int64()


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (dictionary, "column 'kind' is dictionary-encoded"),
        (
            lambda: stream(pa.table({"kind": pa.array(["a"], pa.string_view())})),
            "column 'kind' has type string_view.*cast it to string",
        ),
        (lambda: stream(pa.table({"kind": pa.array([b"a"], pa.binary_view())})), "column 'kind' has type binary_view"),
        (lambda: stream(pa.table({"kind": pa.array([[1]], pa.large_list(pa.int64()))})), "column 'kind' has type large_list"),
        (lambda: stream(pa.table({"kind": pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int64()))})), "has type map.*plain"),
        (lambda: stream(pa.table({"kind": pa.array([1], pa.decimal32(5))})), "no decimals of 5 digits, 0 .* in 32 bits"),
        (lambda: stream(pa.table({"kind": pa.nulls(1, pa.struct([]))})), "column 'kind': a struct has fields"),
        (lambda: stream(pa.table({"kind": pa.nulls(0, deep(17))})), "column 'kind' is nested more than 16 deep"),
        (lambda: schema(field(kind=12, inner={})), "column 'a' has no type, or columns inside"),
        (lambda: stream(pa.table({"kind": pa.array([b"ab"], pa.binary(2))})), "column 'kind' has type fixed_size_binary"),
        (lambda: stream(pa.table({"a": [1] * 100}), compression="zstd"), "compressed"),
        (lambda: stream(pa.table({"a": [1] * 100}), compression="lz4"), "compressed"),
        (lambda: stream(pa.table([[1], [2]], names=["a", "a"])), "two columns have the name 'a'"),
        (lambda: stream(pa.table({"a": [1]}), use_legacy_format=True), "no Arrow stream message at byte 0"),
        (arrow_file, "an Arrow file"),
        (lambda: schema(field(), s0=("h", 1)), "big-endian"),
        (lambda: stream(pa.table({"a": [1]})) + b"\0", "1 bytes follow the end"),
        (lambda: END, "begins with a schema"),
        (lambda: b"", "cut off"),
        (lambda: schema()[:-8], "cut off"),
        (lambda: stream(pa.table({"a": [1]}))[:-20], "cut off"),
        (lambda: schema() + schema(), "follow the end"),
        (lambda: struct.pack("<Ii", 0xFFFFFFFF, 999), "a message of 999 bytes, 0 are there"),
        (lambda: struct.pack("<Ii", 0xFFFFFFFF, -8) + bytes(99), "a message of -8 bytes"),
        (lambda: INT + batch(1, [(1, 0)], [(0, 0), (0, 8)], BODY)[:-10], "a body of 64 bytes, 54 are there"),
        (lambda: message(SCHEMA, flat.table({}), version=2), "has metadata version 3; versions 4 and 5 can be read"),
        (lambda: message(SCHEMA, flat.table({}), size=-1), "a body of -1 bytes"),
        (lambda: schema(field(kind=99)), "type number 99"),
        (lambda: schema(field(inner={0: ("i", 128)})), "column 'a' can't have type 'uint128'"),
        (lambda: schema(field(kind=10, inner={0: ("h", 7)})), "column 'a' has a unit or precision 7"),
        (lambda: schema() + message(4, flat.table({})), "a message of kind 4"),
    ],
)
def test_what_has_no_place_is_refused_with_its_name(made: Callable[[], bytes], message: str) -> None:
    with pytest.raises(DataError, match=message):
        Table.from_arrow(made())


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (INT + batch(1, [(1, 0)], [(0, 0), (0, 7)], BODY), "column 'a' needs 8 bytes, its buffer has 7"),
        (INT + batch(1, [(1, 0)], [(0, 0), (60, 8)], BODY), "outside of its record batch"),
        (INT + batch(1, [(1, 0)], [(0, 0), (-8, 16)], BODY), "outside of its record batch"),
        (INT + batch(1, [(1, 0)], [(0, 0), (0, -1)], BODY), "outside of its record batch"),
        (INT + batch(1, [(1, 0)], [(0, 0)], BODY), "needs 8 bytes, its buffer has no"),
        (INT + batch(1, [(1, 0)], [(0, 0), (0, 8), (0, 8)], BODY), "more buffers than"),
        (INT + batch(1, [], [(0, 0), (0, 8)], BODY), "has 0 columns, the schema 1"),
        (INT + batch(2, [(1, 0)], [(0, 0), (0, 8)], BODY), "column 'a' has 1 rows, its record batch 2"),
        (INT + batch(-1, [(-1, 0)], [(0, 0), (0, 8)], BODY), "corrupt"),
        (INT + batch(1 << 62, [(1 << 62, 0)], [(0, 0), (0, 8)], BODY), "needs 36,893,488,147,419,103,232 bytes"),
        (INT + batch(1, [(1, 1)], [(0, 0), (0, 8)], BODY), "bitmap is too short"),
        (INT + batch(1, [(1, 2)], [(0, 8), (0, 8)], BODY), "bitmap is too short"),
        (INT + batch(2, [(2, 1)], [(0, 8), (0, 16)], BODY), "says it has 1 nulls, its bitmap 2"),
        (TEXT + batch(1, [(1, 0)], [(0, 0), (0, 4), (0, 8)], BODY), "needs 8 bytes, its buffer has 4"),
        (TEXT + batch(1, [(1, 0)], [(0, 0), (0, 8), (8, 2)], struct.pack("<iiq", 0, 3, 0)), "go backwards or outside"),
        (TEXT + batch(1, [(1, 0)], [(0, 0), (0, 8), (8, 2)], struct.pack("<iiq", 2, 1, 0)), "go backwards or outside"),
        (TEXT + batch(1, [(1, 0)], [(0, 0), (0, 8), (8, 2)], struct.pack("<iiq", -1, 1, 0)), "go backwards or outside"),
        (TEXT + batch(1, [(1, 0)], [(0, 0), (0, 8), (8, 1)], struct.pack("<iiq", 0, 1, 255)), "column 'a': a text is not UTF-8"),
        (INT + batch(0, [(0, 0)], [(0, 0), (0, 0)], b"", s3=flat.table({})), "compressed"),
        (schema() + batch((1 << 20) + 1, [], []), "at most 1,048,576 rows"),
    ],
)
def test_a_record_batch_that_contradicts_itself_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Table.from_arrow(data)["a"].tolist()


def test_offsets_that_point_outside_are_not_written_either() -> None:
    bad = Table.from_arrow(TEXT + batch(1, [(1, 0)], [(0, 0), (0, 8), (8, 2)], struct.pack("<iiq", 0, 3, 0)))
    with pytest.raises(DataError, match="go backwards or outside"):
        bad.to_arrow()


def test_a_count_of_nulls_may_be_left_to_the_reader() -> None:
    body = bytes([0b101, *bytes(7)]) + struct.pack("<3q", 1, 2, 3)
    assert Table.from_arrow(INT + batch(3, [(3, -1)], [(0, 1), (8, 24)], body))["a"].tolist() == [1, None, 3]
    assert Table.from_arrow(INT + batch(3, [(3, -1)], [(0, 0), (8, 24)], body))["a"].null_count == 0
    assert Table.from_arrow(INT + batch(3, [(3, 0)], [(0, 1), (8, 24)], body))["a"].tolist() == [1, 2, 3]


@pytest.mark.parametrize("options", [{"metadata_version": pa.ipc.MetadataVersion.V4}, {}])
def test_the_end_may_be_missing_and_the_metadata_older(options: dict[str, Any]) -> None:
    data = stream(pa.table({"a": [1, 2]}), **options)
    assert Table.from_arrow(data.removesuffix(END)) == Table.from_arrow(data)
    assert [table["a"].tolist() for table in Table.many(data.removesuffix(END) + data)] == [[1, 2], [1, 2]]
    assert Table.many(b"") == []


def test_a_stream_without_columns_or_without_batches_is_a_table() -> None:
    assert (len(Table.from_arrow(schema(field()))), Table.from_arrow(schema(field())).types) == (0, ["int64"])
    assert len(Table.from_arrow(schema() + batch(5, [], []))) == 5
    assert pa.ipc.open_stream(Table.of({}).to_arrow()).read_all().num_columns == 0


def test_names_and_zones_have_to_be_text() -> None:
    bad = flat.table({0: flat.string(b"\xff"), 2: ("B", 2), 3: flat.table({0: ("i", 64)})})
    with pytest.raises(DataError, match="a column's name is not UTF-8"):
        Table.from_arrow(schema(bad))
    with pytest.raises(DataError, match="a time zone is not UTF-8"):
        Table.from_arrow(schema(field(kind=10, inner={1: flat.string(b"\xff")})))


def test_the_rules_of_a_zone_that_another_table_brought_are_not_added_to_a_column_without_them() -> None:
    """Or what a chunk answers would depend on which chunks this process saw before."""
    zone, rules = "Europe/Zagreb", zones.described((resources.files("tzdata.zoneinfo") / "Europe" / "Zagreb").read_bytes())
    data = stream(pa.table({"at": pa.array([], pa.timestamp("s", tz=zone))}))
    before = Table.from_arrow(data).to_arrow()
    Table.from_arrow(
        stream(pa.table(schema=pa.schema([pa.field("at", pa.timestamp("s", tz=zone), metadata={zones.KEY: rules})]), data=[[]]))
    )
    assert zones.rules_of(zone) == rules
    assert Table.from_arrow(data).to_arrow() == before
    made = Table.of({"at": [dt.datetime(2024, 7, 1, tzinfo=zoneinfo.ZoneInfo(zone))]}).to_arrow()  # where no schema has spoken
    assert pa.ipc.open_stream(made).schema.field("at").metadata == {zones.KEY: rules}


def test_the_rules_of_a_zone_are_text_that_every_reader_takes_and_were_the_file_itself_before() -> None:
    zone, rules = "Europe/Prague", (resources.files("tzdata.zoneinfo") / "Europe" / "Prague").read_bytes()
    moments = [dt.datetime(2024, 7, 1, 12, tzinfo=dt.UTC)]
    for said in (zones.described(rules), rules):
        kind = pa.timestamp("s", tz=zone)
        told = pa.table([pa.array(moments, kind)], schema=pa.schema([pa.field("at", kind, metadata={zones.KEY: said})]))
        assert [each.hour for each in Table.from_arrow(stream(told))["at"].tolist()] == [14]
    zones.learn(zone, zones.described(rules))
    made = Table.of({"at": [dt.datetime(2024, 7, 1, tzinfo=zoneinfo.ZoneInfo(zone))]}).to_arrow()
    assert pl.read_ipc_stream(made)["at"].dt.hour().to_list() == [0]
    with pytest.raises(DataError, match="damaged"):
        zones.learn(zone, b"no base64")


def test_metadata_that_shares_its_bytes_is_bounded() -> None:
    """Many pairs that all refer to one long text would be copied many times."""

    def pairs(out: bytearray) -> int:
        start, count = len(out), 100
        out += bytes(4 + 4 * count)
        shared = flat.table({0: flat.string(b"k"), 1: flat.string(bytes(1 << 20))})(out)
        offsets = [shared - (start + 4 + 4 * index) for index in range(count)]
        out[start : start + 4 + 4 * count] = struct.pack(f"<{1 + count}I", count, *offsets)
        return start

    data = schema(s2=pairs)
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match="metadata has more than 16,777,216 bytes"):
            Table.from_arrow(data)
        assert tracemalloc.get_traced_memory()[1] < 40 << 20
    finally:
        tracemalloc.stop()


def test_a_list_of_very_many_tables_is_refused() -> None:
    def many(out: bytearray) -> int:
        start = len(out)
        out += struct.pack("<I", 70_000) + bytes(4 * 70_000)
        return start

    with pytest.raises(DataError, match="a list of 70,000 items"):
        Table.from_arrow(message(SCHEMA, flat.table({1: many})))

"""Arrow IPC streams: messages in a buffer to columns, without copying, and back.

A stream is a schema message, record batches, and an end that may be missing. Nothing is compressed, nothing is
dictionary-encoded. Whatever is damaged is a `DataError`: every offset, length and count is checked before it is used.

Source: Arrow columnar format 1.5, "Serialization and Interprocess Communication"; Message.fbs.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from pangea.compute.data import bitmaps
from pangea.compute.data.column import Column, Metadata
from pangea.compute.data.columntypes import BITS, BYTES, DECIMAL, FIXED, LIST, NOTHING, STRUCT, ColumnType
from pangea.compute.data.errors import DataError, shown
from pangea.compute.data.flatbuffer import FlatTable, Placed, build, structs, table
from pangea.compute.data.schema import I16, U8, ArrowField, ArrowSchema, read_schema, schema_table
from pangea.compute.data.vector import Vector

FILE_MAGIC = b"ARROW1"
#: How many rows may be claimed that no byte stands for: columns of type null, tables without columns.
EMPTY_ROWS_MAX = 1 << 20

_CONTINUATION = 0xFFFFFFFF
_PREFIX = struct.Struct("<Ii")
_I64 = struct.Struct("<q")
_PAIR = struct.Struct("<qq")
SCHEMA, DICTIONARY, BATCH = 1, 2, 3
_V4, _V5 = 3, 4
END = _PREFIX.pack(_CONTINUATION, 0)


class Stream(NamedTuple):
    """What a stream holds.

    Attributes:
        schema: of all batches.
        batches: a vector for each column.
        lengths: rows of each batch.
        stop: where the stream ends in the buffer.
    """

    schema: ArrowSchema
    batches: list[list[Vector]]
    lengths: list[int]
    stop: int


class Message(NamedTuple):
    """One message of a stream.

    Attributes:
        kind: SCHEMA, DICTIONARY, BATCH or another.
        header: what it says about its body.
        body: its buffers.
        stop: where it ends in the buffer.
    """

    kind: int
    header: FlatTable | None
    body: memoryview
    stop: int


def read_stream(view: memoryview, at: int = 0) -> Stream:
    """Read the stream that begins at byte `at`.

    Raises:
        DataError: it is damaged or cut off, compressed, dictionary-encoded, or no stream at all.
    """
    if bytes(view[at : at + 6]) == FILE_MAGIC:
        raise DataError("this is an Arrow file (feather); a chunk is an Arrow stream: write it with pyarrow.ipc.new_stream")
    first = read_message(view, at)
    if first is None or first.kind != SCHEMA or first.header is None:
        raise DataError(f"an Arrow stream begins with a schema; at byte {at:,} there is none")
    schema, batches, lengths, at = read_schema(first.header), [], [], first.stop
    has_bytes = any(field.type.has_bytes for field in schema.fields)
    while at < len(view):
        message = read_message(view, at)
        if message is None:
            at += _PREFIX.size
            break
        if message.kind == SCHEMA:
            break
        length, vectors = _read_batch(message, schema.fields)
        batches.append(vectors)
        lengths.append(length)
        at = message.stop
        if not has_bytes and sum(lengths) > EMPTY_ROWS_MAX:
            raise DataError(f"a table of nothing but nulls has at most {EMPTY_ROWS_MAX:,} rows")
    return Stream(schema, batches, lengths, at)


def write_stream(columns: Sequence[Column], lengths: Sequence[int], metadata: Metadata) -> bytes:
    """The bytes of a stream: the schema, a record batch for each of `lengths`, the end.

    Args:
        columns: each with a vector for each of `lengths`.
        lengths: rows of each batch.
        metadata: of the schema.
    """
    parts: list[bytes | memoryview] = _message(SCHEMA, schema_table(columns, metadata), 0)
    for index, length in enumerate(lengths):
        parts += _batch(length, [column.vectors[index] for column in columns])
    parts.append(END)
    return b"".join(parts)


def read_message(view: memoryview, at: int) -> Message | None:
    """The message at byte `at`; None for the end of the stream.

    Raises:
        DataError: it is damaged or cut off.
    """
    if at + _PREFIX.size > len(view):
        raise DataError("the Arrow stream is cut off")
    mark, size = _PREFIX.unpack_from(view, at)
    if mark != _CONTINUATION:
        raise DataError(f"no Arrow stream message at byte {at:,}: it begins with {shown(bytes(view[at : at + 4]))}")
    if size == 0:
        return None
    start = at + _PREFIX.size
    if size < 0 or start + size > len(view):
        raise DataError(f"the Arrow stream is cut off: a message of {size:,} bytes, {len(view) - start:,} are there")
    message = FlatTable.root(view[start : start + size])
    version, length = message.number(0, I16), message.number(3, _I64)
    if version not in (_V4, _V5):
        raise DataError(f"the Arrow stream has metadata version {version + 1}; versions 4 and 5 can be read")
    body = start + size
    if length < 0 or body + length > len(view):
        raise DataError(f"the Arrow stream is cut off: a body of {length:,} bytes, {len(view) - body:,} are there")
    return Message(message.number(1, U8), message.table(2), view[body : body + length], body + length)


def _read_batch(message: Message, fields: Sequence[ArrowField]) -> tuple[int, list[Vector]]:
    if message.kind == DICTIONARY:
        raise DataError("the Arrow stream has dictionaries; decode those columns first")
    if message.kind != BATCH or message.header is None:
        raise DataError(f"corrupt Arrow stream: a message of kind {message.kind} among record batches")
    batch = message.header
    if batch.has(3):
        raise DataError("the Arrow stream is compressed; write it with compression=None")
    length, nodes = batch.number(0, _I64), batch.structs(1, _PAIR)
    buffers = _Buffers(message.body, batch.structs(2, _PAIR))
    wanted = sum(_node_count(field.type) for field in fields)
    if length < 0 or len(nodes) != wanted:
        raise DataError(f"corrupt Arrow stream: a record batch has {len(nodes)} columns, the schema {wanted}")
    left, vectors = iter(nodes), []
    for field in fields:
        vector = _read_vector(field.name, field.type, left, buffers)
        if vector.length != length:
            raise DataError(
                f"corrupt Arrow stream: column {field.name!r} has {vector.length:,} rows, its record batch {length:,}"
            )
        vectors.append(vector)
    if next(buffers.views, None) is not None:
        raise DataError("corrupt Arrow stream: a record batch has more buffers than columns need")
    return length, vectors


class _Buffers:
    """The buffers of a record batch, one after the other, each checked when its turn comes."""

    def __init__(self, body: memoryview, places: Sequence[tuple[int, int]]) -> None:
        self.views = self._checked(body, places)

    @staticmethod
    def _checked(body: memoryview, places: Sequence[tuple[int, int]]) -> Iterator[memoryview]:
        for offset, size in places:
            if offset < 0 or size < 0 or offset + size > len(body):
                raise DataError("corrupt Arrow stream: a buffer lies outside of its record batch")
            yield body[offset : offset + size]

    def next(self, column: str, size: int) -> memoryview:
        """The next buffer, of at least `size` bytes."""
        view = next(self.views, None)
        if view is None or len(view) < size:
            held = "no" if view is None else f"{len(view):,}"
            raise DataError(f"corrupt Arrow stream: column {column!r} needs {size:,} bytes, its buffer has {held}")
        return view


def _node_count(kind: ColumnType) -> int:
    return 1 + sum(_node_count(child) for _, child in kind.children)


def _read_vector(name: str, kind: ColumnType, nodes: Iterator[tuple[int, int]], buffers: _Buffers) -> Vector:
    """A column's values, or those of the items or fields in it."""
    length, null_count = next(nodes)
    if length < 0:
        raise DataError(f"corrupt Arrow stream: column {name!r} has {length:,} rows")
    if kind.layout == NOTHING:
        return Vector(kind, length, memoryview(b""), null_count=length)
    validity = buffers.next(name, 0)
    null_count = _checked_nulls(name, length, null_count, validity)
    if kind.children:
        return _read_nested(name, kind, length, (validity, null_count), nodes, buffers)
    if kind.layout == BYTES:
        offsets = _read_offsets(name, kind, length, buffers)
        values = buffers.next(name, 0)
        return Vector(kind, length, values, offsets=offsets, validity=validity, null_count=null_count)
    size = bitmaps.bytes_for(length) if kind.layout == BITS else length * kind.width
    assert kind.layout in (FIXED, BITS, DECIMAL)
    return Vector(kind, length, buffers.next(name, size)[:size], validity=validity, null_count=null_count)


def _read_nested(
    name: str,
    kind: ColumnType,
    length: int,
    nulls: tuple[memoryview, int],
    nodes: Iterator[tuple[int, int]],
    buffers: _Buffers,
) -> Vector:
    """Lists or structs."""
    offsets = _read_offsets(name, kind, length, buffers) if kind.layout == LIST else None
    children = []
    for _, child in kind.children:
        held = _read_vector(name, child, nodes, buffers)
        if (kind.layout == STRUCT and held.length != length) or (not child.has_bytes and held.length > EMPTY_ROWS_MAX):
            raise DataError(f"corrupt Arrow stream: column {name!r} has {length:,} rows, and {held.length:,} in it")
        children.append(held)
    validity, null_count = nulls
    return Vector(kind, length, memoryview(b""), offsets=offsets, validity=validity, null_count=null_count, children=children)


def _read_offsets(name: str, kind: ColumnType, length: int, buffers: _Buffers) -> memoryview:
    size = (length + 1) * kind.width if length else 0
    offsets = buffers.next(name, size)[:size] if size else _no_offsets(buffers, name, kind.width)
    cast: memoryview = offsets.cast(kind.format)
    return cast


def _no_offsets(buffers: _Buffers, name: str, width: int) -> memoryview:
    buffers.next(name, 0)  # a column without rows may have no offsets, or one
    return memoryview(bytes(width))


def _checked_nulls(column: str, length: int, null_count: int, validity: memoryview) -> int:
    """How many values are null by the bitmap, which has to agree with what the record batch says."""
    if null_count == 0 or (null_count == -1 and not len(validity)):
        return 0
    if not -1 <= null_count <= length or len(validity) < bitmaps.bytes_for(length):
        raise DataError(f"corrupt Arrow stream: column {column!r} says it has {null_count:,} nulls, but its bitmap is too short")
    counted = length - bitmaps.count_set(validity, 0, length)
    if null_count not in (-1, counted):
        raise DataError(f"corrupt Arrow stream: column {column!r} says it has {null_count:,} nulls, its bitmap {counted:,}")
    return counted


def _message(kind: int, header: Placed, body_bytes: int) -> list[bytes | memoryview]:
    metadata = build(table({0: ("h", _V5), 1: ("B", kind), 2: header, 3: ("q", body_bytes)}))
    return [_PREFIX.pack(_CONTINUATION, len(metadata)), metadata]


def _batch(length: int, vectors: Sequence[Vector]) -> list[bytes | memoryview]:
    flat = [each for vector in vectors for each in vector.flat()]
    nodes = b"".join([_PAIR.pack(vector.length, vector.null_count) for vector in flat])
    places, body, at = [], [], 0
    for vector in flat:
        for buffer in vector.buffers():
            places.append(_PAIR.pack(at, len(buffer)))
            padding = -len(buffer) % 8
            body += [buffer, bytes(padding)] if padding else [buffer]
            at += len(buffer) + padding
    header = table({0: ("q", length), 1: structs(len(flat), nodes), 2: structs(len(places), b"".join(places))})
    return [*_message(BATCH, header, at), *body]

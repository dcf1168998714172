"""Cut an Arrow stream between its record batches into runs of whole batches, each a stream of its own, with its schema.

Source: Apache Arrow columnar format 1.5, "Encapsulated message format", "IPC Streaming Format", "IPC File Format".
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pangea.compute.engine.inputs import Mapped, Segment
from pangea.compute.model.errors import InputError
from pangea.compute.model.units import CHUNK_BYTES_MAX

_CONTINUATION = b"\xff\xff\xff\xff"
END_OF_STREAM = _CONTINUATION + bytes(4)
#: What a file of the other format begins with; then comes a stream, and an index that nobody needs.
_FILE_MAGIC = b"ARROW1\0\0"
_SCHEMA, _DICTIONARIES, _BATCH = 1, 2, 3
_WRITE_PLAIN = "write it anew: pyarrow.ipc.new_stream(file, schema), without compression and with categories decoded"


@dataclass(frozen=True, slots=True)
class _Message:
    """One message of a stream: where it ends, what it is."""

    kind: int
    end: int


def is_arrow(head: bytes) -> bool:
    """Whether an input that begins with `head` is an Arrow stream, or a file of the format around it."""
    start = len(_FILE_MAGIC) if head.startswith(_FILE_MAGIC) else 0
    try:
        return _kind_and_body(_metadata(memoryview(head), start))[0] == _SCHEMA
    except (ValueError, struct.error):
        return False


def arrow_segments(name: str, mapped: Mapped, largest: int) -> Iterator[Segment]:
    """Cut the stream that `mapped` shows.

    Args:
        name: of the input, for messages.
        mapped: its bytes.
        largest: bytes of a segment, at most.

    Raises:
        InputError: it is no stream of plain record batches, or a batch is too large.
    """
    view = mapped.view
    if view[: len(_FILE_MAGIC)] == _FILE_MAGIC:
        yield from _Stream(name, mapped, len(_FILE_MAGIC)).segments(largest)
        return
    at = 0
    while at < len(view):  # results of several chunks stand one behind the other
        stream = _Stream(name, mapped, at)
        yield from stream.segments(largest)
        at = stream.end


class _Stream:
    """One stream within an input."""

    def __init__(self, name: str, mapped: Mapped, start: int) -> None:
        """Look at the stream that begins at byte `start`."""
        self._name = name
        self._mapped = mapped
        schema = _message(name, mapped.view, start)
        if schema is None or schema.kind != _SCHEMA:
            raise _no_stream(name, start, "there is no schema, with which a stream begins")
        self._schema = mapped.view[start : schema.end]
        self.end = schema.end

    def segments(self, largest: int) -> Iterator[Segment]:
        """Runs of its batches; from then on, `end` is where it ends."""
        return runs_of_batches(self._name, self._schema, self._batches(), largest)

    def _batches(self) -> Iterator[Segment]:
        view = self._mapped.view
        while (message := _message(self._name, view, self.end)) is not None:
            if message.kind != _BATCH:
                what = "categories (a dictionary)" if message.kind == _DICTIONARIES else f"a message of kind {message.kind}"
                raise _no_stream(self._name, self.end, f"there is {what} where a record batch should be")
            yield view[self.end : message.end]
            self.end = message.end
            self._mapped.drop_before(self.end)
        self.end = min(self.end + len(END_OF_STREAM), len(view))


def runs_of_batches(name: str, schema: Segment, batches: Iterable[Segment], largest: int) -> Iterator[Segment]:
    """Yield streams of as many batches as `largest` bytes hold; one without batches if there are none.

    Args:
        name: of the input, for messages.
        schema: the message that each stream begins with.
        batches: messages.
        largest: bytes of a stream, at most.

    Raises:
        InputError: a batch is too large.
    """
    room = largest - len(schema) - len(END_OF_STREAM)
    run: list[Segment] = []
    size = number = 0
    for number, batch in enumerate(batches, 1):
        if len(batch) > room:
            raise _too_large(name, number, len(batch), len(batch) - room + largest, largest)
        if size + len(batch) > room:
            yield b"".join((schema, *run, END_OF_STREAM))
            run, size = [], 0
        run.append(batch)
        size += len(batch)
    if run or not number:
        yield b"".join((schema, *run, END_OF_STREAM))


def _too_large(name: str, number: int, size: int, needed: int, largest: int) -> InputError:
    if needed <= CHUNK_BYTES_MAX:
        hint = f"raise max_chunk_size to {needed:,} or more, or write smaller batches"
    else:
        hint = "write smaller batches: writer.write_table(table, max_chunksize=rows)"
    return InputError(
        f"record batch {number:,} of {name} has {size:,} bytes, more than a chunk of max_chunk_size {largest:,} can hold beside"
        " the schema",
        hint=hint,
        name=name,
        batch=number,
        size=size,
        max_chunk_size=largest,
    )


def _no_stream(name: str, at: int, reason: str) -> InputError:
    return InputError(
        f"{name} can't be cut into record batches of an Arrow stream: at byte {at:,}, {reason}", hint=_WRITE_PLAIN, name=name
    )


def _message(name: str, view: memoryview, at: int) -> _Message | None:
    """The message at byte `at`; None if the stream ends there."""
    if at == len(view) or view[at : at + 8] == END_OF_STREAM:
        return None
    try:
        metadata = _metadata(view, at)
        kind, body = _kind_and_body(metadata)
    except (ValueError, struct.error) as error:
        raise _no_stream(name, at, str(error)) from error
    end = at + 8 + len(metadata) + body
    if body < 0 or end > len(view):
        raise _no_stream(name, at, f"a message of {end - at:,} bytes is cut off after {len(view) - at:,}")
    return _Message(kind, end)


def _metadata(view: memoryview, at: int) -> memoryview:
    if view[at : at + 4] != _CONTINUATION:
        raise ValueError("there is no message")
    (size,) = struct.unpack_from("<i", view, at + 4)
    if size <= 0 or at + 8 + size > len(view):
        raise ValueError("a message is cut off")
    return view[at + 8 : at + 8 + size]


def _kind_and_body(metadata: memoryview) -> tuple[int, int]:
    """The kind of a message, and the bytes of its body. Source: Message.fbs; fields 1 and 3 of the root table."""
    (table,) = struct.unpack_from("<I", metadata, 0)
    fields = table - struct.unpack_from("<i", metadata, table)[0]
    if fields < 0:
        raise ValueError("a message is damaged")
    (size,) = struct.unpack_from("<H", metadata, fields)
    places = [*struct.unpack_from(f"<{max(size - 4, 0) // 2}H", metadata, fields + 4), 0, 0, 0, 0]
    kind = metadata[table + places[1]] if places[1] and table + places[1] < len(metadata) else 0
    body = struct.unpack_from("<q", metadata, table + places[3])[0] if places[3] else 0
    return kind, body

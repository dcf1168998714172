"""Cut an Arrow stream between its record batches into runs of whole batches, each a stream of its own, with its schema.

Source: Apache Arrow columnar format 1.5, "Encapsulated message format", "IPC Streaming Format", "IPC File Format".
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

from pangea.compute.data.arrow import BATCH, DICTIONARY, END, SCHEMA, Message, read_message
from pangea.compute.data.errors import DataError
from pangea.compute.data.flatbuffer import FlatTable
from pangea.compute.data.schema import U8
from pangea.compute.inputs.reading import Opened, Segment, View
from pangea.compute.model.errors import InputError
from pangea.compute.model.units import CHUNK_BYTES_MAX

__all__ = ["END", "arrow_segments", "is_arrow", "runs_of_batches"]

#: What a file of the other format begins with; then comes a stream, and an index that nobody needs.
_FILE_MAGIC = b"ARROW1\0\0"
#: Where a record batch says that it is compressed. Source: Message.fbs, RecordBatch.
_COMPRESSION = 3
#: A message begins with a mark and the size of its metadata; there, a table's slots. Source: Message.fbs.
_PREFIX, _CONTINUATION = struct.Struct("<Ii"), 0xFFFFFFFF
_KIND, _HEADER, _BODY_LENGTH = 1, 2, 3
_I64 = struct.Struct("<q")


def is_arrow(view: View) -> bool:
    """Whether an input is an Arrow stream, or a file of the format around it; only its first message is looked at."""
    try:
        first = _message(view, _start_of(view))
    except DataError:
        return False
    return first is not None and first[0].kind == SCHEMA


def _start_of(view: View) -> int:
    return len(_FILE_MAGIC) if view[: len(_FILE_MAGIC)] == _FILE_MAGIC else 0


def arrow_segments(name: str, opened: Opened, largest: int) -> Iterator[Segment]:
    """Cut the stream that `opened` shows.

    Args:
        name: of the input, for messages.
        opened: its bytes.
        largest: bytes of a segment, at most.

    Raises:
        InputError: it is no stream of plain record batches, or a batch is too large.
    """
    view = opened.view
    if start := _start_of(view):
        yield from _Stream(name, opened, start).segments(largest)
        return
    at = 0
    while at < len(view):  # results of several chunks stand one behind the other
        stream = _Stream(name, opened, at)
        yield from stream.segments(largest)
        at = stream.end


class _Stream:
    """One stream within an input."""

    def __init__(self, name: str, opened: Opened, start: int) -> None:
        """Look at the stream that begins at byte `start`."""
        self._name = name
        self._opened = opened
        found = self._message(start)
        if found is None or found[0].kind != SCHEMA:
            raise _no_stream(name, start, "there is no schema, with which a stream begins")
        self.end = found[0].stop
        self._schema = opened.view[start : self.end]

    def segments(self, largest: int) -> Iterator[Segment]:
        """Runs of its batches; from then on, `end` is where it ends."""
        return runs_of_batches(self._name, self._schema, self._batches(), largest)

    def _batches(self) -> Iterator[Segment | range]:
        while (found := self._message(self.end)) is not None:
            message, batch = found
            if (what := _not_plain(message)) is not None:
                raise _no_stream(self._name, self.end, f"there is {what} where a record batch should be")
            yield batch
            self.end = message.stop
            self._opened.drop_before(self.end)
        self.end = min(self.end + len(END), len(self._opened.view))

    def _message(self, at: int) -> tuple[Message, Segment | range] | None:
        """The message at byte `at`, and its bytes; None if the stream ends there."""
        if at == len(self._opened.view):
            return None
        try:
            return _message(self._opened.view, at)
        except DataError as error:
            raise _no_stream(self._name, at, str(error)) from error


def _message(view: View, at: int) -> tuple[Message, Segment | range] | None:
    """The message at byte `at`, and its bytes (where they lie, if no chunk can hold them); None for the end of the stream.

    Raises:
        DataError: it is damaged or cut off.
    """
    start = at + _PREFIX.size
    prefix = view[at:start]
    mark, size = _PREFIX.unpack(prefix) if len(prefix) == _PREFIX.size else (0, 0)
    if (mark, size) == (_CONTINUATION, 0):
        return None
    if mark != _CONTINUATION or not 0 < size <= len(view) - start:
        size = 0  # and `read_message` says what is wrong
    metadata = FlatTable.root(view[start : start + size]) if size else None
    body, there = metadata.number(_BODY_LENGTH, _I64) if metadata else CHUNK_BYTES_MAX, len(view) - start - size
    stop = start + size + max(0, body)
    if metadata and CHUNK_BYTES_MAX < body <= there:
        return Message(metadata.number(_KIND, U8), metadata.table(_HEADER), memoryview(b""), stop), range(at, stop)
    whole = view[at : min(stop, start + size + CHUNK_BYTES_MAX)]
    found = read_message(whole, 0)
    return None if found is None else (found._replace(stop=at + found.stop), whole)


def _not_plain(message: Message) -> str | None:
    if message.kind == BATCH:
        return "a compressed one" if message.header is not None and message.header.has(_COMPRESSION) else None
    return "a dictionary (of categories)" if message.kind == DICTIONARY else f"a message of kind {message.kind}"


def runs_of_batches(name: str, schema: Segment, batches: Iterable[Segment | range], largest: int) -> Iterator[Segment]:
    """Yield streams of as many batches as `largest` bytes hold; one without batches if there are none.

    Args:
        name: of the input, for messages.
        schema: the message that each stream begins with.
        batches: messages.
        largest: bytes of a stream, at most.

    Raises:
        InputError: a batch is too large.
    """
    room = largest - len(schema) - len(END)
    run: list[Segment] = []
    size = number = 0
    for number, batch in enumerate(batches, 1):
        if len(batch) > room:
            raise _too_large(name, number, len(batch), len(batch) - room + largest, largest)
        if size + len(batch) > room:
            yield b"".join((schema, *run, END))
            run, size = [], 0
        assert not isinstance(batch, range), "more than a chunk can hold"
        run.append(batch)
        size += len(batch)
    if run or not number:
        yield b"".join((schema, *run, END))


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
        f"{name} can't be cut into record batches of an Arrow stream: at byte {at:,}, {reason}",
        hint="write it anew: pyarrow.ipc.new_stream(file, schema), without compression and with categories decoded",
        name=name,
    )

"""Cut an Arrow stream between its record batches into runs of whole batches, each a stream of its own, with its schema.

Source: Apache Arrow columnar format 1.5, "Encapsulated message format", "IPC Streaming Format", "IPC File Format".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pangea.compute.data.arrow import BATCH, DICTIONARY, END, SCHEMA, Message, read_message
from pangea.compute.data.errors import DataError
from pangea.compute.engine.inputs import Mapped, Segment
from pangea.compute.model.errors import InputError
from pangea.compute.model.units import CHUNK_BYTES_MAX

__all__ = ["END", "arrow_segments", "is_arrow", "runs_of_batches"]

#: What a file of the other format begins with; then comes a stream, and an index that nobody needs.
_FILE_MAGIC = b"ARROW1\0\0"
#: Where a record batch says that it is compressed. Source: Message.fbs, RecordBatch.
_COMPRESSION = 3


def is_arrow(view: memoryview) -> bool:
    """Whether an input is an Arrow stream, or a file of the format around it; only its first message is looked at."""
    try:
        first = read_message(view, _start_of(view))
    except DataError:
        return False
    return first is not None and first.kind == SCHEMA


def _start_of(view: memoryview) -> int:
    return len(_FILE_MAGIC) if view[: len(_FILE_MAGIC)] == _FILE_MAGIC else 0


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
    if start := _start_of(view):
        yield from _Stream(name, mapped, start).segments(largest)
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
        schema = self._message(start)
        if schema is None or schema.kind != SCHEMA:
            raise _no_stream(name, start, "there is no schema, with which a stream begins")
        self._schema = mapped.view[start : schema.stop]
        self.end = schema.stop

    def segments(self, largest: int) -> Iterator[Segment]:
        """Runs of its batches; from then on, `end` is where it ends."""
        return runs_of_batches(self._name, self._schema, self._batches(), largest)

    def _batches(self) -> Iterator[Segment]:
        view = self._mapped.view
        while (message := self._message(self.end)) is not None:
            if (what := _not_plain(message)) is not None:
                raise _no_stream(self._name, self.end, f"there is {what} where a record batch should be")
            yield view[self.end : message.stop]
            self.end = message.stop
            self._mapped.drop_before(self.end)
        self.end = min(self.end + len(END), len(view))

    def _message(self, at: int) -> Message | None:
        """The message at byte `at`; None if the stream ends there."""
        if at == len(self._mapped.view):
            return None
        try:
            return read_message(self._mapped.view, at)
        except DataError as error:
            raise _no_stream(self._name, at, str(error)) from error


def _not_plain(message: Message) -> str | None:
    if message.kind == BATCH:
        return "a compressed one" if message.header is not None and message.header.has(_COMPRESSION) else None
    return "a dictionary (of categories)" if message.kind == DICTIONARY else f"a message of kind {message.kind}"


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
    room = largest - len(schema) - len(END)
    run: list[Segment] = []
    size = number = 0
    for number, batch in enumerate(batches, 1):
        if len(batch) > room:
            raise _too_large(name, number, len(batch), len(batch) - room + largest, largest)
        if size + len(batch) > room:
            yield b"".join((schema, *run, END))
            run, size = [], 0
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

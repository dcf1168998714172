"""Tables as input: an Arrow stream that is never written as a whole, but encoded batch by batch while it is cut."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from pangea.compute.inputs.cutting_arrow import END, runs_of_batches
from pangea.compute.inputs.formats.schemas import longest_encoded, plain_batch
from pangea.compute.inputs.reading import Segment
from pangea.compute.model.errors import InputError
from pangea.compute.model.libraries import need
from pangea.compute.model.options import SplitStrategy
from pangea.compute.model.units import GIB

#: Each column costs some kilobytes, with or without values: a file of 6 MB may have three millions.
COLUMNS_MAX = 65_536
#: What stands encoded (categories, runs) is decoded in pieces of this size at most: a file of 7 KB may stand for 100 GB. It is
#: far more than a chunk may have, so that it decides where chunks end only where rows are very uneven.
_DECODED_BYTES_MAX = GIB


@dataclass(frozen=True, slots=True)
class Table:
    """Rows that come in batches, once or as often as they are asked for.

    Attributes:
        name: of the input, for messages.
        schema: plain: what travels.
        batches: begins to read them; each a pyarrow.RecordBatch of any size, maybe with categories still.
        size: about how many bytes its stream will have.
    """

    name: str
    schema: Any
    batches: Callable[[], Iterator[Any]]
    size: int


class TableSource:
    """A table, encoded as an Arrow stream while it is cut, in batches that fit into a chunk."""

    strategy = SplitStrategy.ARROW_BATCHES

    def __init__(self, table: Table, chunk_bytes_max: int) -> None:
        """Encode `table` in batches that fit into chunks of `chunk_bytes_max`."""
        self._table = table
        self._schema = table.schema.serialize().to_pybytes()
        self._batch_bytes_max = chunk_bytes_max - len(self._schema) - len(END)
        self._made_bytes = 0
        self._is_made = False

    @property
    def size(self) -> int:
        """Bytes of the stream; an estimate until it is made."""
        return self._made_bytes if self._is_made else max(self._table.size, self._made_bytes)

    def blocks(self) -> Iterator[Segment]:
        """The stream, in pieces."""
        yield self._schema
        yield from self._messages()
        yield END

    def segments(self, largest: int) -> Iterator[Segment]:
        """Runs of batches, each a stream."""
        return runs_of_batches(self._table.name, self._schema, self._messages(), largest)

    def _messages(self) -> Iterator[memoryview]:
        self._made_bytes, self._is_made = len(self._schema) + len(END), False
        for batch in fitting(self._table, self._batch_bytes_max):
            message = memoryview(batch.serialize())
            self._made_bytes += len(message)
            yield message
        self._is_made = True


class _Waiting:
    """Rows that were read and not yet passed on."""

    def __init__(self, table: Table) -> None:
        self._source = (batch for batch in table.batches() if batch.num_rows)
        self._schema = table.schema
        self._batches: deque[tuple[Any, int]] = deque()
        self._bytes = 0
        self.rows = 0

    def fill(self, rows: int, size: int) -> None:
        """Read on until there are at least `rows`, or more than `size` bytes, or all."""
        while self.rows < rows and (not self.rows or self._bytes <= size) and (batch := next(self._source, None)) is not None:
            self._batches.append((batch, nbytes := batch.nbytes))
            self._bytes += nbytes
            self.rows += batch.num_rows

    def row_bytes(self) -> float:
        """About how many bytes a row has, judged by the next ones: those of categories count as they are stored."""
        batch, size = self._batches[0]
        return size / int(batch.num_rows)

    def first(self, rows: int) -> Any:
        """The next `rows` rows as one batch, without taking them away."""
        pieces: list[Any] = []
        left, room = rows, _DECODED_BYTES_MAX
        for batch, _ in self._batches:
            longest = longest_encoded(batch) if batch.nbytes * left > room else 1
            fit = min(left, room // longest, batch.num_rows) if pieces else max(1, min(left, room // longest, batch.num_rows))
            room -= fit * longest
            if fit:
                pieces.append(plain_batch(batch.slice(0, fit), self._schema))
            left -= fit
            if not left or fit < batch.num_rows:
                break
        return pieces[0] if len(pieces) == 1 else need("pyarrow", "a table as input").concat_batches(pieces)

    def drop(self, rows: int) -> None:
        """Take the next `rows` rows away."""
        self.rows -= rows
        while rows:
            head, size = self._batches.popleft()
            self._bytes -= size
            if head.num_rows > rows:
                rest = head.slice(rows)
                self._batches.appendleft((rest, nbytes := rest.nbytes))
                self._bytes += nbytes
                return
            rows -= head.num_rows


def fitting(table: Table, largest: int) -> Iterator[Any]:
    """Yield the rows of `table` in batches whose messages have `largest` bytes at most, and nearly as many if there are so many.

    Raises:
        InputError: a single row is too large.
    """
    size_of = need("pyarrow.ipc", "a table as input").get_record_batch_size
    waiting, row, rows = _Waiting(table), 1, 1
    waiting.fill(1, largest)
    if waiting.rows:
        rows = int(largest / max(waiting.row_bytes(), 1 / 8))
    while waiting.rows:
        rows = max(rows, 1)
        waiting.fill(rows, largest)
        batch = waiting.first(min(rows, waiting.rows))
        while (size := size_of(batch)) > largest:
            if batch.num_rows == 1:
                raise _too_large(table.name, row, size, largest)
            batch = batch.slice(0, min(batch.num_rows * largest // size, batch.num_rows - 1) or 1)
        yield batch
        waiting.drop(batch.num_rows)
        row += batch.num_rows
        rows = batch.num_rows * largest // size
        waiting.fill(1, largest)


def _too_large(name: str, row: int, size: int, largest: int) -> InputError:
    return InputError(
        f"row {row:,} of {name} takes {size:,} bytes; with max_chunk_size as it is, there is room for {max(largest, 0):,}",
        hint=f"raise max_chunk_size, at least by {size - largest:,} bytes",
        name=name,
        row=row,
    )

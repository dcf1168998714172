"""Files of tables, read piece by piece: .parquet, .arrow and .feather; text is read by `csv_tables` and `json_tables`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from pangea.compute.client.preparing.csv_tables import read_csv
from pangea.compute.client.preparing.files import File, one_line, reading
from pangea.compute.client.preparing.json_tables import read_json_lines
from pangea.compute.client.preparing.libraries import need
from pangea.compute.client.preparing.schemas import plain_schema
from pangea.compute.client.preparing.tables import Table
from pangea.compute.model.errors import InputError
from pangea.compute.model.units import KIB, MIB

#: How much of a .parquet file is decoded at a time, as near as its own figures say.
_PARQUET_BATCH_BYTES = 8 * MIB
_PARQUET_BATCH_ROWS_MAX = 64 * KIB
#: How much of each of its columns is read at a time.
_PARQUET_BUFFER_BYTES = MIB

#: Reads a file; if other tables come before it, its columns should have the types of their schema.
Reader = Callable[[File, Any], Table]


def read_table(file: File, expected: Any) -> Table:
    """Begin to read a table.

    Args:
        file: any of these kinds, by its ending or its first bytes.
        expected: the plain schema of the tables before it, which says what text stands for; None if it is the first.

    Raises:
        InputError: no table, or one that can't travel.
    """
    known = file if file.kind in _READERS else file.sniffed()
    if known.kind not in _READERS:
        shown = f"a {known.kind} file" if known.kind else "of a kind that neither its name nor its first bytes tell"
        raise InputError(
            f"{file.name} is {shown}; the job takes tables",
            hint=f"give a {', '.join(_READERS)} file, or read it yourself and pass the table",
            name=file.name,
        )
    need("pyarrow", f"reading {known.kind}")
    return _READERS[known.kind](known, expected)


@contextmanager
def _decoding(file: File) -> Iterator[None]:
    """Have what pyarrow says about a file told as an `InputError`."""
    pa = need("pyarrow", f"reading {file.kind}")
    try:
        with reading(file.name, "give the whole file"):
            yield
    except (pa.ArrowException, NotImplementedError) as error:
        raise InputError(
            f"{file.name} can't be read as {file.kind}: {one_line(error)}",
            hint="it may be cut off, damaged or of another kind: write it again",
            name=file.name,
        ) from error


@contextmanager
def _opened(file: File) -> Iterator[Any]:
    """The file for pyarrow, which may go back and forth in it."""
    if file.packing:
        raise InputError(
            f"{file.name} is a {file.kind} file inside a {file.packing} file: such can't be read in pieces",
            hint=f"unpack it; {file.kind} can pack by itself",
            name=file.name,
        )
    pa = need("pyarrow", f"reading {file.kind}")
    with _decoding(file), file.opener() if file.path is None else pa.OSFile(str(file.path)) as raw:
        yield raw


def _read_parquet(file: File, _expected: Any) -> Table:
    parquet = need("pyarrow.parquet", "reading .parquet")

    @contextmanager
    def opened() -> Iterator[Any]:
        with _opened(file) as raw, parquet.ParquetFile(raw, buffer_size=_PARQUET_BUFFER_BYTES, pre_buffer=False) as known:
            yield known

    def batches() -> Iterator[Any]:
        with opened() as known:
            yield from known.iter_batches(batch_size=rows)

    with opened() as known:
        about = known.metadata
        size = sum(about.row_group(index).total_byte_size for index in range(about.num_row_groups))
        rows = max(1, min(_PARQUET_BATCH_BYTES * about.num_rows // max(size, 1), _PARQUET_BATCH_ROWS_MAX))
        return Table(file.name, plain_schema(known.schema_arrow, file.name), batches, size)


def _read_arrow(file: File, _expected: Any) -> Table:
    ipc = need("pyarrow.ipc", "reading .arrow")
    with file.open() as raw:
        is_stream = not raw.read(6).startswith(b"ARROW1")

    @contextmanager
    def opened() -> Iterator[tuple[Any, Iterator[Any]]]:
        if is_stream:
            with _decoding(file), file.open() as raw, ipc.open_stream(raw) as stream:
                yield stream.schema, iter(stream)
        else:
            with _opened(file) as raw, ipc.open_file(raw) as whole:
                yield whole.schema, map(whole.get_batch, range(whole.num_record_batches))

    def batches() -> Iterator[Any]:
        with opened() as (_, found):
            for batch in found:
                batch.validate(full=True)  # offsets that point elsewhere would end this process
                yield batch

    with opened() as (schema, _):
        return Table(file.name, plain_schema(schema, file.name), batches, file.size)


_READERS: dict[str, Reader] = {
    ".parquet": _read_parquet,
    ".arrow": _read_arrow,
    ".csv": read_csv,
    ".jsonl": read_json_lines,
}

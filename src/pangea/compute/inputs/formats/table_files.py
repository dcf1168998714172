"""Files of tables, read piece by piece: .parquet, .arrow and .feather; text is read by `csv_tables` and `json_tables`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from pangea.compute.inputs.formats.categories import listed_in, of_batches
from pangea.compute.inputs.formats.csv_tables import read_csv
from pangea.compute.inputs.formats.files import File, one_line, reading
from pangea.compute.inputs.formats.json_tables import read_json_lines
from pangea.compute.inputs.formats.pandas_index import index_columns, named_numbers, renamed, renamed_schema
from pangea.compute.inputs.formats.schemas import agree, plain_schema
from pangea.compute.inputs.formats.tables import Table
from pangea.compute.model.errors import InputError
from pangea.compute.model.libraries import need
from pangea.compute.model.units import KIB, MIB

#: How much of a .parquet file is decoded at a time, as near as its own figures say.
_PARQUET_BATCH_BYTES = 8 * MIB
_PARQUET_BATCH_ROWS_MAX = 64 * KIB
#: How much of each of its columns is read at a time.
_PARQUET_BUFFER_BYTES = MIB

#: Endings of spreadsheets.
SHEETS = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")
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
    if file.ending in SHEETS or known.ending in SHEETS:
        raise sheet_error(file)
    if known.kind not in _READERS:
        shown = f"a {known.kind} file" if known.kind else "of a kind that neither its name nor its first bytes tell"
        raise InputError(
            f"{file.name} is {shown}; the job takes tables",
            hint=f"give a {', '.join(_READERS)} file, or read it yourself and pass the table",
            name=file.name,
        )
    need("pyarrow", f"reading {known.kind}")
    return _READERS[known.kind](known, expected)


def sheet_error(file: File) -> InputError:
    """The error for a spreadsheet, with what reads it."""
    return InputError(
        f"{file.name} is a spreadsheet, whose cells have no types that hold for a column",
        hint=f"read it yourself and pass the frame: pandas.read_excel({file.name!r})",
        name=file.name,
    )


@contextmanager
def _decoding(file: File) -> Iterator[None]:
    """Have what pyarrow says about a file told as an `InputError`."""
    pa = need("pyarrow", f"reading {file.kind}")
    try:
        with reading(file.name, "give the whole file"):
            yield
    except (pa.ArrowException, NotImplementedError, MemoryError) as error:
        raise InputError(
            f"{file.name} can't be read as {file.kind}: {one_line(error) or 'it claims to be larger than memory'}",
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
    with _decoding(file), file.open_packed() as raw:
        if file.path is None:
            yield raw
            return
        with need("pyarrow", f"reading {file.kind}").OSFile(f"/proc/self/fd/{raw.fileno()}") as plain:
            yield plain


def _read_parquet(file: File, _expected: Any) -> Table:
    parquet = need("pyarrow.parquet", "reading .parquet")

    @contextmanager
    def opened() -> Iterator[Any]:
        with _opened(file) as raw, parquet.ParquetFile(raw, buffer_size=_PARQUET_BUFFER_BYTES, pre_buffer=False) as known:
            yield known

    def batches() -> Iterator[Any]:
        with opened() as known:
            found = (renamed(_checked(batch), changes) for batch in known.iter_batches(batch_size=rows))
            yield from numbers.added(found) if numbers else found

    with opened() as known:
        about = known.metadata
        size = sum(about.row_group(index).total_byte_size for index in range(about.num_row_groups))
        rows = max(1, min(_PARQUET_BATCH_BYTES * about.num_rows // max(size, 1), _PARQUET_BATCH_ROWS_MAX))
        found, changes = known.schema_arrow, index_columns(known.schema_arrow)
        listed = listed_in(
            lambda columns: of_batches(map(_checked, known.iter_batches(batch_size=rows, columns=columns)), columns),
            found,
            changes,
            file.name,
        )
        numbers = named_numbers(found, about.num_rows)
        whole = renamed_schema(found, changes)
        whole = numbers.added_to_schema(whole) if numbers else whole
        return Table(file.name, plain_schema(whole, file.name, listed), batches, size)


def _read_arrow(file: File, _expected: Any) -> Table:
    with file.open() as raw:
        magic = raw.read(6)
    if magic.startswith(b"FEA1"):
        raise InputError(
            f"{file.name} is a feather file of version 1, which isn't Arrow", hint="write it again with version=2", name=file.name
        )
    return _read_arrow_file(file) if magic == b"ARROW1" else _read_arrow_stream(file)


def _read_arrow_file(file: File) -> Table:
    ipc = need("pyarrow.ipc", "reading .arrow")

    def stored() -> Iterator[Any]:
        with _opened(file) as raw:
            whole = ipc.open_file(raw)
            for index in range(whole.num_record_batches):
                yield _checked(whole.get_batch(index))

    with _opened(file) as raw:
        found = ipc.open_file(raw).schema
    changes = index_columns(found)
    listed = listed_in(partial(of_batches, stored()), found, changes, file.name)
    schema = plain_schema(renamed_schema(found, changes), file.name, listed)
    return Table(file.name, schema, lambda: (renamed(batch, changes) for batch in stored()), file.size)


def _read_arrow_stream(file: File) -> Table:
    ipc = need("pyarrow.ipc", "reading .arrow")

    def stored(look: Callable[[Any], None]) -> Iterator[Any]:
        with _decoding(file), file.open() as raw:
            while raw.peek(1):  # results of several chunks stand one behind the other
                stream = ipc.open_stream(raw)
                look(stream.schema)
                yield from map(_checked, stream)

    def agrees(later: Any) -> None:
        plain = plain_schema(renamed_schema(later, index_columns(later)), file.name, listed)
        agree(plain, f"a later stream in {file.name}", schema, "the first one")

    with _decoding(file), file.open() as raw:
        found = ipc.open_stream(raw).schema
    changes = index_columns(found)
    listed = listed_in(partial(of_batches, stored(lambda _: None)), found, changes, file.name)
    schema = plain_schema(renamed_schema(found, changes), file.name, listed)
    return Table(file.name, schema, lambda: (renamed(batch, index_columns(batch.schema)) for batch in stored(agrees)), file.size)


def _checked(batch: Any) -> Any:
    """The batch, whose text is UTF-8, and whose offsets point to where it has bytes: others would end this process."""
    batch.validate(full=True)
    return batch


_READERS: dict[str, Reader] = {
    ".parquet": _read_parquet,
    ".arrow": _read_arrow,
    ".csv": read_csv,
    ".jsonl": read_json_lines,
}

"""Tables in .csv and .tsv files. A column's type is that of what stands in the first block."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

from pangea.compute.inputs.formats.files import File, one_line, reading
from pangea.compute.inputs.formats.integers import Watched, may_be_misread, refuse_hexadecimal, types_of_numbers
from pangea.compute.inputs.formats.schemas import plain_schema
from pangea.compute.inputs.formats.tables import COLUMNS_MAX, Table
from pangea.compute.model.errors import InputError
from pangea.compute.model.libraries import need
from pangea.compute.model.units import MIB, human_bytes

#: What is parsed at a time, and what columns have their types from. pyarrow reads 32 of them ahead.
BLOCK_BYTES = 4 * MIB
#: What stands for no value, quoted or not, as pandas reads it.
NULLS = [
    "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA", "NULL", "NaN",
    "None", "n/a", "nan", "null",
]  # fmt: skip
#: What pyarrow says, with the figures that we say it with.
_UNEVEN = re.compile(r"Row #(\d+): Expected (\d+) columns, got (\d+)")
_NO_VALUE = re.compile(r"CSV column #(\d+): (?:Row #(\d+): )?CSV conversion error to ([^:]+): (.*)", re.DOTALL)


def read_csv(file: File, expected: Any) -> Table:
    """Begin to read a file with a header; quoted values may hold newlines.

    Args:
        file: the file.
        expected: the plain schema of the tables before it: types for its columns of the same names.

    Raises:
        InputError: it can't be read; of a row that is uneven and a value of another type, when its turn comes.
    """
    reader, pa = need("pyarrow.csv", "reading .csv"), need("pyarrow", "reading .csv")

    def opened(raw: IO[bytes] | Watched, types: dict[str, Any]) -> Any:
        return reader.open_csv(
            raw,
            read_options=reader.ReadOptions(use_threads=False, block_size=BLOCK_BYTES),
            parse_options=reader.ParseOptions(delimiter=_separator_of(file), newlines_in_values=True),
            convert_options=reader.ConvertOptions(column_types=types, null_values=NULLS, strings_can_be_null=True),
        )

    def batches() -> Iterator[Any]:
        whole = [field.name for field in schema if pa.types.is_integer(field.type)]
        with _errors_of(file, schema.names), file.open() as raw:
            watched = Watched(raw)
            for batch in opened(watched, types):
                if whole and watched.has_hexadecimal:
                    with file.open() as again:
                        refuse_hexadecimal(opened(again, types | dict.fromkeys(whole, pa.string())), whole, file.name)
                    whole = []
                yield batch

    types = {field.name: field.type for field in expected or ()}
    _check_letters(file)
    _check_columns(file)
    with _errors_of(file, []), file.open() as raw:
        found = opened(raw, types)
        schema, is_empty = plain_schema(found.schema, file.name), not any(batch.num_rows for batch in found)
    for field in schema:
        if field.name not in types:
            _check_typed(pa, field, file, is_empty=is_empty)
    numbers = [
        field.name
        for field in schema
        if (pa.types.is_float64(field.type) or pa.types.is_int64(field.type)) and field.name not in types
    ]
    if numbers and _may_be_misread(file):
        with _errors_of(file, schema.names), file.open() as raw:
            rows = next(batch for batch in opened(raw, types | dict.fromkeys(numbers, pa.string())) if batch.num_rows)
        types |= types_of_numbers(rows.select(numbers), file.name, schema)
    # A column that is empty so far may have anything later: as text, it has.
    types = {field.name: pa.string() if pa.types.is_null(field.type) else field.type for field in schema} | types
    schema = pa.schema([(name, types[name]) for name in schema.names])
    return Table(file.name, schema, batches, file.size)


def _may_be_misread(file: File) -> bool:
    with reading(file.name), file.open() as raw:
        return may_be_misread(raw.read(BLOCK_BYTES))


def _check_letters(file: File) -> None:
    with file.open() as raw:
        if raw.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            raise InputError(
                f"{file.name} is UTF-16, not UTF-8", hint="convert the file: iconv -f UTF-16 -t UTF-8", name=file.name
            )


def _check_columns(file: File) -> None:
    with file.open() as raw:
        line = raw.read(BLOCK_BYTES).partition(b"\n")[0]
    count = len(_names_in(file)) or line.count(_separator_of(file).encode()) + 1
    if count > COLUMNS_MAX:
        raise InputError(
            f"{file.name} has {count:,} columns; a table may have {COLUMNS_MAX:,}",
            hint="give its figures as an array, or its rows and columns the other way round",
            name=file.name,
        )


def _check_typed(pa: Any, field: Any, file: File, *, is_empty: bool) -> None:
    if is_empty:
        raise InputError(
            f"{file.name} has a header and no rows, so nothing says of which type column {field.name!r} is",
            hint="leave the file out, or pass a table with types",
            name=file.name,
            column=field.name,
        )
    if pa.types.is_binary(field.type):  # pyarrow's last resort
        raise InputError(
            f"column {field.name!r} of {file.name} isn't UTF-8",
            hint="convert the file: iconv -f LATIN1 -t UTF-8",
            name=file.name,
            column=field.name,
        )


@contextmanager
def _errors_of(file: File, names: list[str]) -> Iterator[None]:
    """Have what pyarrow says told as an `InputError` that names the row, and the column as far as it is known."""
    pa = need("pyarrow", "reading .csv")
    with reading(file.name):
        try:
            yield
        except pa.ArrowInvalid as error:
            raise _error_of(file, names, str(error)) from error


def _names_in(file: File) -> list[str]:
    """The header; nothing if there is none to be read."""
    with file.open() as raw:
        text = io.StringIO(raw.read(BLOCK_BYTES).decode("utf-8", errors="replace"), newline="")
    try:
        return next(csv.reader(text, delimiter=_separator_of(file)), [])
    except csv.Error:
        return []


def _separator_of(file: File) -> str:
    return "\t" if file.ending == ".tsv" else ","


def _error_of(file: File, names: list[str], said: str) -> InputError:
    if found := _UNEVEN.search(said):
        row, wanted, there = map(int, found.groups())
        return InputError(
            f"row {row:,} of {file.name} (the header is row 1) has {there} values; the header has {wanted} names",
            hint="give each row as many values; quote those that hold the separator or a newline",
            name=file.name,
            row=row,
        )
    if found := _NO_VALUE.search(said):
        at, row_text, kind, complaint = found.groups()
        names = names or _names_in(file)
        column = names[int(at)] if int(at) < len(names) else at
        where = f"row {int(row_text):,} of {file.name}" if row_text else file.name
        return InputError(
            f"column {column!r} in {where} (the header is row 1) has to be {kind}: {one_line(complaint)}",
            hint=f"a column has one type, that of its values in the first {human_bytes(BLOCK_BYTES)}; to choose another,"
            " read the file yourself and pass the table",
            name=file.name,
            column=column,
            row=int(row_text or 0),
        )
    if "straddling" in said:
        said = f"a row is longer than {human_bytes(BLOCK_BYTES)}, or a quote never ends"
    return InputError(
        f"{file.name} can't be read as .csv: {one_line(said)}", hint="it needs a header, rows, and UTF-8", name=file.name
    )

"""Tables in memory: frames of pandas, polars and their like (through narwhals), pyarrow's tables, batches and readers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

from pangea.compute.inputs.formats.categories import listed_in, refuse_once
from pangea.compute.inputs.formats.files import one_line
from pangea.compute.inputs.formats.pandas_index import (
    index_columns,
    is_pandas,
    named_numbers,
    renamed,
    renamed_schema,
    warn_of_levels,
    without_row_numbers,
)
from pangea.compute.inputs.formats.schemas import plain_schema
from pangea.compute.inputs.formats.tables import Table
from pangea.compute.model.errors import InputError
from pangea.compute.model.libraries import need
from pangea.compute.model.units import MIB

#: Batches with fewer rows, on the average, are joined to about so many bytes.
_SMALL_ROWS = 4 << 10
_JOINED_BYTES = 8 * MIB
_SAMPLE_ROWS = 64 << 10


def from_frame(value: Any, name: str) -> Table:
    """A frame or series of pandas, polars or another library that narwhals knows.

    An index of pandas is a column, too, unless it is the rows' numbers (`pandas_index`).

    Raises:
        InputError: narwhals doesn't know it, or it can't be a table: names the column.
    """
    narwhals = need("narwhals", "a frame as input")
    need("pyarrow", "a frame as input")
    warn_of_levels(value, name)
    with _converting(value, name):
        frame = narwhals.from_native(without_row_numbers(value), allow_series=True)
        if isinstance(frame, narwhals.LazyFrame):
            raise InputError(f"{name} is a {type(value).__name__}, which has no rows yet", hint="pass x.collect()", name=name)
        if isinstance(frame, narwhals.Series):
            frame = (frame if frame.name is not None else frame.rename("value")).to_frame()
        if frame.implementation.is_polars():
            _refuse_objects(narwhals, frame, name)
        return from_arrow(frame.to_arrow(), name)


def from_columns(columns: Mapping[str, Any], name: str) -> Table:
    """A dict of columns, some of which are pandas' Series: aligned by their indexes, as pandas does.

    Raises:
        InputError: they don't make a frame.
    """
    pandas = need("pandas", "Series as input")
    with _converting(next(iter(columns.values())), name):
        frame = pandas.DataFrame(dict(columns))
    return from_frame(frame, name)


def _refuse_objects(narwhals: Any, frame: Any, name: str) -> None:
    """Python objects: polars would export where in memory they are, as bytes."""
    for column, kind in frame.schema.items():
        if kind == narwhals.Object:
            raise InputError(
                f"column {column!r} of {name} has dtype Object: only pickle can store that, and pickle never travels",
                hint="cast it to numbers or text; or leave the column out",
                name=name,
                column=column,
            )


def from_arrow(value: Any, name: str) -> Table:
    """A pyarrow Table, RecordBatch or RecordBatchReader, or anything else with `__arrow_c_stream__`.

    Raises:
        InputError: it can't be a table: names the column.
    """
    pa = need("pyarrow", "a table as input")
    with _converting(value, name):
        if isinstance(value, pa.Array | pa.ChunkedArray):
            value = pa.table({"value": value})
        if isinstance(value, pa.RecordBatch):
            value = pa.Table.from_batches([value])
        if isinstance(value, pa.Table):
            if (numbers := named_numbers(value.schema, value.num_rows)) is not None:
                value = value.append_column(numbers.name, [pa.array(numbers.values, pa.int64())])
            changes, found = index_columns(value.schema), value.schema
            listed = listed_in(partial(_parts_of, value), found, changes, name)
            value = renamed(value, changes)
            return Table(name, plain_schema(value.schema, name, listed), partial(_batches_of, value), _bytes_of(value))
        reader = value if isinstance(value, pa.RecordBatchReader) else pa.RecordBatchReader.from_stream(value)
        changes = index_columns(reader.schema)
        refuse_once(reader.schema, name)
        schema = plain_schema(renamed_schema(reader.schema, changes), name)
        return Table(name, schema, once((renamed(batch, changes) for batch in _read(reader, name)), name), 0)


def _parts_of(table: Any, columns: list[str]) -> Iterator[tuple[str, Any]]:
    return ((column, part) for column in columns for part in table.column(column).chunks)


def _batches_of(table: Any) -> Iterator[Any]:
    """The table's own batches; small ones together, since each costs some calls."""
    chunks = max((column.num_chunks for column in table.columns), default=1)
    if table.num_rows >= chunks * _SMALL_ROWS:
        yield from table.to_batches()
        return
    rows = max(_JOINED_BYTES * table.num_rows // max(_bytes_of(table), 1), 1)
    for start in range(0, table.num_rows, rows):
        yield from table.slice(start, rows).combine_chunks().to_batches()


def _bytes_of(table: Any) -> int:
    """About how many bytes a table has, judged by its first rows: to ask each of thousands of batches takes long."""
    sample = table.slice(0, _SAMPLE_ROWS)
    return int(sample.nbytes) * int(table.num_rows) // max(int(sample.num_rows), 1)


def once(batches: Iterator[Any], name: str) -> Callable[[], Iterator[Any]]:
    """What begins to read `batches`, and can't a second time."""
    waiting = [batches]

    def begin() -> Iterator[Any]:
        if not waiting:
            raise InputError(f"{name} can be read only once, and was", hint="pass a table instead", name=name)
        return waiting.pop()

    return begin


def _read(reader: Any, name: str) -> Iterator[Any]:
    with _converting(reader, name):
        yield from reader


@contextmanager
def _converting(value: object, name: str) -> Iterator[None]:
    """Have what the libraries say about a table told as an `InputError`."""
    try:
        yield
    except InputError:
        raise
    except BaseException as error:  # each library has its own, and one written in Rust may panic, which is no Exception
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        kind = f"{type(value).__module__}.{type(value).__qualname__}"
        if isinstance(error, UnicodeEncodeError) and (found := _half_surrogate(value, name)) is not None:
            raise found from error
        said = one_line("; ".join(map(str, reversed(error.args))) or type(error).__name__)
        raise InputError(
            f"{name} is a {kind} that can't become an Arrow table: {said}",
            hint="give each column one name and one type that Arrow knows, such as x.astype({'column': 'string'})",
            name=name,
        ) from error


def _half_surrogate(frame: Any, name: str) -> InputError | None:
    """The error for text of pandas' that isn't Unicode: where the first one is; None if there is none."""
    columns = frame.items() if is_pandas(frame, "DataFrame") else [(frame.name, frame)] if is_pandas(frame, "Series") else ()
    for column, values in columns:
        row = next((row for row, value in enumerate([column, *values.tolist()]) if not _is_unicode(value)), None)
        if row is None:
            continue
        where = f"row {row:,} of column {column!a} of {name} has" if row else f"a column of {name} is called"
        found = ascii(values.iloc[row - 1] if row else column)
        return InputError(
            f"{where} {found:.80}, in which half of a surrogate pair stands alone: no Unicode text",
            hint="mend it: x.str.encode('utf-16', 'surrogatepass').str.decode('utf-16', 'replace')",
            name=name,
            column=str(column).encode("ascii", "backslashreplace").decode(),
        )
    return None


def _is_unicode(value: Any) -> bool:
    return not (isinstance(value, str) and any("\ud800" <= letter <= "\udfff" for letter in value))

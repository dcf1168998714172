"""A result as one valid file, of the format that the file's ending names, which others' libraries read whole.

The results of a job without a merge stand one behind the other, each a file by itself; joined they are an array or a table,
which is written anew, piece by piece. What can't be the format is refused by name: by what the job is declared to return before
it runs, and by its columns afterwards. An ending that says nothing leaves the bytes as they are.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime, time
from pathlib import PurePath
from typing import IO, Any

from pangea.compute.client.results import reading
from pangea.compute.data.npy import MAGIC
from pangea.compute.model.errors import OutputError, ResultError
from pangea.compute.model.kinds import ResultKind
from pangea.compute.model.libraries import need
from pangea.compute.model.units import MIB

Writer = Callable[[bytes, ResultKind, IO[bytes]], None]

_BATCH_ROWS = 64 << 10
_BLOCK_BYTES = 4 * MIB
#: Endings of formats that nothing here writes: bytes under such a name would be read as something else.
_FOREIGN = (
    ".npz", ".gz", ".bz2", ".xz", ".zst", ".zip", ".xlsx", ".xls", ".ods", ".orc", ".avro", ".h5", ".hdf5", ".mat", ".pkl",
    ".pickle", ".db", ".sqlite", ".dta", ".sav", ".jpg", ".jpeg", ".gif", ".webp", ".tif", ".tiff", ".pdf", ".svg",
)  # fmt: skip
#: What bytes of which nothing is declared have to begin with.
_BEGINNINGS = {
    ".npy": (MAGIC,), ".parquet": (b"PAR1",), ".arrow": (b"ARROW1", b"\xff\xff\xff\xff"), ".png": (b"\x89PNG\r\n\x1a\n",),
}  # fmt: skip
#: Types that CSV, or JSON, has no words for.
CSV_WORDLESS = frozenset({"binary", "large_binary", "duration", "list", "struct"})
_JSON_WORDLESS = frozenset({"binary", "large_binary", "duration", "decimal128", "decimal256"})
_SAME = {".pq": ".parquet", ".feather": ".arrow", ".ipc": ".arrow", ".ndjson": ".jsonl"}


def check_format(path: PurePath, kind: str) -> None:
    """Find out before a job runs whether its result can be of the format that a file's ending names.

    Args:
        path: of the file.
        kind: what the job is declared to return.

    Raises:
        OutputError: it can't; says which endings it can have.
    """
    ending = _ending(path)
    if kind == "bytes" or (ending not in _FOREIGN and ending not in _ENDINGS):
        return
    if (kind, ending) not in _WRITERS:
        endings = ", ".join(sorted(each for known, each in _WRITERS if known == kind))
        raise OutputError(
            f"--output {path}: a job that returns {kind!r} has no result of the format {ending}",
            hint=f"name a file that ends with {endings}; one with another ending, such as .bin, is given the bytes as they are",
        )
    if ending in (".arrow", ".arrows", ".csv", ".tsv", ".parquet") or (kind == "table"):
        need("pyarrow", f"writing {ending}")


def writer_for(data: bytes, kind: ResultKind, path: PurePath) -> Callable[[IO[bytes]], None] | None:
    """What writes a result to a file, open for writing bytes; None if the bytes are the file as they are.

    Raises:
        OutputError: it can't be of the format; the result's bytes are named by their looks.
    """
    ending = _ending(path)
    check_format(path, kind.kind)
    known = kind if kind.kind != "bytes" else _by_looks(data, ending, path)
    write = _WRITERS.get((known.kind, ending))
    if write is None:
        return None
    return lambda file: _written(write, data, known, path, file)


def _written(write: Writer, data: bytes, kind: ResultKind, path: PurePath, file: IO[bytes]) -> None:
    try:
        write(data, kind, file)
    except ResultError as error:
        raise OutputError(f"--output {path}: {error}", hint=error.hint) from error


def _ending(path: PurePath) -> str:
    ending = path.suffix.lower()
    return _SAME.get(ending, ending)


def _by_looks(data: bytes, ending: str, path: PurePath) -> ResultKind:
    """The kind of bytes of which nothing is declared, where the ending asks for one."""
    beginnings = _BEGINNINGS.get(ending)
    if beginnings is None or ending == ".png":
        return ResultKind()
    if not data.startswith(beginnings):
        raise OutputError(
            f"--output {path}: the result is {len(data):,} bytes that seem to be {reading.seems(data)}, no {ending} file",
            hint="declare what the job returns (@Job.execute(output=...)), or name a file with another ending, such as .bin",
        )
    kinds = {".npy": "array", ".arrow": "table" if data.startswith(b"\xff") else "bytes"}
    return ResultKind(kinds.get(ending, "bytes"), None)


def _as_it_is(data: bytes, _kind: ResultKind, file: IO[bytes]) -> None:
    view = memoryview(data)
    for start in range(0, len(view), _BLOCK_BYTES):
        file.write(view[start : start + _BLOCK_BYTES])


def _npy(data: bytes, _kind: ResultKind, file: IO[bytes]) -> None:
    numpy = need("numpy", "writing .npy")
    numpy.lib.format.write_array(file, reading.array_of(data, copy=False), allow_pickle=False)


def _arrow_file(data: bytes, _kind: ResultKind, file: IO[bytes]) -> None:
    table = _noted(reading.arrow_of(data))
    with need("pyarrow.ipc", "writing .arrow").new_file(file, table.schema) as writer:
        _write_batches(writer, table)


def _arrow_stream(data: bytes, _kind: ResultKind, file: IO[bytes]) -> None:
    table = _noted(reading.arrow_of(data))
    with need("pyarrow.ipc", "writing .arrows").new_stream(file, table.schema) as writer:
        _write_batches(writer, table)


def _write_batches(writer: Any, table: Any) -> None:
    """Write all rows; where there are none a batch all the same, as categories come with one."""
    if table.num_rows:
        writer.write_table(table)
        return
    batch = need("pyarrow", "writing a table").RecordBatch
    writer.write_batch(batch.from_arrays([column.combine_chunks() for column in table.columns], schema=table.schema))


def _noted(table: Any) -> Any:
    return table.cast(noted_for_pandas(table.schema, [column.null_count > 0 for column in table.columns]))


def _parquet(data: bytes, _kind: ResultKind, file: IO[bytes]) -> None:
    table = reading.arrow_of(data)
    refuse_ordered_numbers(table.schema)
    need("pyarrow.parquet", "writing .parquet").write_table(_noted(table), file)


def refuse_ordered_numbers(schema: Any) -> None:
    """Refuse what .parquet loses: it has categories of text alone, and an order that isn't that of the numbers would be gone.

    Raises:
        ResultError: names the column.
    """
    types = need("pyarrow", "writing .parquet").types
    for field in schema:
        kind = field.type
        if (
            types.is_dictionary(kind)
            and kind.ordered
            and not (types.is_string(kind.value_type) or types.is_large_string(kind.value_type))
        ):
            raise ResultError(
                f"column {field.name!r} has ordered categories of type {kind.value_type}, and .parquet keeps those of text alone",
                hint="write .arrow, make them text before the job, or take column.plain() in it",
                column=field.name,
            )


def noted_for_pandas(schema: Any, have_nulls: Sequence[bool] | None = None) -> Any:
    """The schema with a note for pandas, as its own files have: whole numbers and truth with nulls stay such, not floats.

    Args:
        schema: of a table.
        have_nulls: says so of each column; of one without any, the plain type is pandas' own. None: not known yet.

    Source: pandas' developer guide, "Storing pandas DataFrame objects in Apache Parquet format".
    """
    columns = [
        {"name": field.name, "field_name": field.name, "pandas_type": str(field.type), "numpy_type": kind, "metadata": None}
        for field, has_nulls in zip(schema, have_nulls or [True] * len(schema), strict=True)
        if (kind := reading.NULLABLE.get(str(field.type))) is not None and field.nullable and has_nulls
    ]
    note = {
        "index_columns": [],
        "column_indexes": [],
        "columns": columns,
        "creator": {"library": "pangea-compute", "version": "1"},
    }
    return schema.with_metadata({**(schema.metadata or {}), b"pandas": json.dumps(note).encode()}) if columns else schema


def without_categories(table: Any) -> Any:
    """The table with what categories stand for, which is all that text formats have."""
    types = need("pyarrow", "writing .csv").types
    for index, field in enumerate(table.schema):
        if types.is_dictionary(field.type):
            plain = table.column(index).cast(field.type.value_type)
            table = table.set_column(index, field.with_type(field.type.value_type), plain)
    return table


def without_blank_lines(table: Any) -> Any:
    """The table, with `""` for null where it is the only column: a blank line would be no row to those who read it."""
    if table.num_columns != 1:
        return table
    arrow = need("pyarrow", "writing .csv")
    texts = need("pyarrow.compute", "writing .csv").fill_null(table.column(0).cast(arrow.large_string()), "")
    return arrow.table([texts], names=table.schema.names)


def _delimited(separator: str) -> Writer:
    def write(data: bytes, _kind: ResultKind, file: IO[bytes]) -> None:
        table, csv = without_categories(reading.arrow_of(data)), need("pyarrow.csv", "writing .csv")
        refuse_columns(table.schema, CSV_WORDLESS, "CSV has no words for it")
        table = without_blank_lines(table) if any(column.null_count for column in table.columns) else table
        csv.write_csv(table, file, csv.WriteOptions(delimiter=separator, quoting_style="needed", batch_size=_BATCH_ROWS))

    return write


def _rows_as_lines(data: bytes, _kind: ResultKind, file: IO[bytes]) -> None:
    for line in _lines_of(data):
        file.write(line + b"\n")


def _rows_as_list(data: bytes, _kind: ResultKind, file: IO[bytes]) -> None:
    _listed(_lines_of(data), file)


def _lines_of(data: bytes) -> Iterator[bytes]:
    """Each row of a table as an object of JSON; NaN is null there, as pandas writes it."""
    table = reading.arrow_of(data)
    refuse_columns(table.schema, _JSON_WORDLESS, "JSON has no words for it")
    for batch in table.to_batches(max_chunksize=_BATCH_ROWS):
        for row in batch.to_pylist():
            yield json.dumps({name: _plain(name, value) for name, value in row.items()}, ensure_ascii=False).encode()


def _plain(column: str, value: Any) -> Any:
    if isinstance(value, list | dict):
        held = value.items() if isinstance(value, dict) else enumerate(value)
        plain = {key: _plain(column, each) for key, each in held}
        return plain if isinstance(value, dict) else list(plain.values())
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        if math.isnan(value):
            return None
        raise ResultError(f"column {column!r} has an infinite number, which JSON can't write", hint="write .csv or .parquet")
    return value


def _heads(kind: Any) -> Iterator[str]:
    """What a type, and each type in it, is called: `list`, `decimal128`."""
    yield re.split(r"[\[(<]", str(kind))[0]
    for at in range(kind.num_fields):
        yield from _heads(kind.field(at).type)


def refuse_columns(schema: Any, types: frozenset[str], why: str) -> None:
    """Refuse columns of types that a format lacks.

    Raises:
        ResultError: names the column, its type, and why.
    """
    for field in schema:
        if not types.isdisjoint(_heads(field.type)):
            raise ResultError(
                f"column {field.name!r} is of type {field.type}: {why}", hint="write .parquet or .arrow, or cast it"
            )


def _json(data: bytes, kind: ResultKind, file: IO[bytes]) -> None:
    """One document: the value, or the list of the chunks' values."""
    if kind.kind == "json" and not kind.is_joined:
        _as_it_is(data, kind, file)
    else:
        _listed((line for line in data.split(b"\n") if line.strip()), file)


def _json_lines(data: bytes, kind: ResultKind, file: IO[bytes]) -> None:
    if kind.kind == "json" and not kind.is_joined:
        file.write(data.replace(b"\n", b" ").rstrip() + b"\n")
    else:
        _as_it_is(data, kind, file)


def _listed(values: Iterator[bytes], file: IO[bytes]) -> None:
    before = b"["
    for value in values:
        file.write(before + value)
        before = b",\n"
    file.write(b"]\n" if before != b"[" else b"[]\n")


def _one_image(data: bytes, kind: ResultKind, file: IO[bytes]) -> None:
    reading.image_of(data)  # of several, it says so
    _as_it_is(data, kind, file)


_WRITERS: dict[tuple[str, str], Writer] = {
    ("array", ".npy"): _npy,
    ("table", ".arrow"): _arrow_file,
    ("table", ".arrows"): _arrow_stream,
    ("table", ".parquet"): _parquet,
    ("table", ".csv"): _delimited(","),
    ("table", ".tsv"): _delimited("\t"),
    ("table", ".jsonl"): _rows_as_lines,
    ("table", ".json"): _rows_as_list,
    ("json", ".json"): _json,
    ("json", ".jsonl"): _json_lines,
    ("jsonl", ".json"): _json,
    ("jsonl", ".jsonl"): _json_lines,
    ("text", ".txt"): _as_it_is,
    ("text", ".csv"): _as_it_is,
    ("text", ".tsv"): _as_it_is,
    ("text", ".json"): _as_it_is,
    ("text", ".jsonl"): _as_it_is,
    ("image", ".png"): _one_image,
}
#: Endings that name a format.
_ENDINGS = frozenset(ending for _, ending in _WRITERS)

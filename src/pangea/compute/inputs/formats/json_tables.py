"""Tables in .jsonl files: one object a line. A column's type is that of what stands in the first block."""

from __future__ import annotations

import codecs
import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

from pangea.compute.data.making import INT64_MAX
from pangea.compute.inputs.formats.files import File, one_line, reading
from pangea.compute.inputs.formats.integers import may_be_long, type_of_integers
from pangea.compute.inputs.formats.schemas import plain_schema
from pangea.compute.inputs.formats.tables import COLUMNS_MAX, Table
from pangea.compute.model.errors import InputError
from pangea.compute.model.libraries import need
from pangea.compute.model.units import CHUNK_BYTES_MAX, MIB, human_bytes

#: What is parsed at a time, and what columns have their types from.
BLOCK_BYTES = 4 * MIB
#: A row is an object of plain values; who nests at all is told so, by the column.
DEPTH_MAX = 100
#: Python reads no whole number of more digits, which is far more than any that is meant has.
_DIGITS_MAX = 4_000
_MICRO_DIGITS = 6
#: Each row has a place for each column, whatever stands there: so many places are made at a time.
_CELLS_MAX = 1 << 27
_KEY = re.compile(rb'"((?:[^"\\]|\\.)*)"\s*:')
_TEXT = re.compile(rb'"(?:[^"\\]|\\.)*"')
_BRACKET = re.compile(rb"[][{}]")
#: How a time in ISO 8601 ends that has a zone.
_ZONE = re.compile(r"[T ].*(?:Z|[+-]\d\d(?::?\d\d)?)$")
#: A time with fractions of a second, or without, as pyarrow parses it.
_TIME = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.(\d{1,9}))?)?(?:Z|[+-]\d\d(?::?\d\d)?)?)?")
_CHANGED = re.compile(r"Column\(/(.*)\) changed from (\w+) to (\w+)")


@dataclass(frozen=True, slots=True)
class _Lines:
    """Whole lines of a file.

    Attributes:
        first: number of the first one, from 1.
        data: their bytes.
    """

    first: int
    data: bytes


def read_json_lines(file: File, expected: Any) -> Table:
    """Begin to read a file of objects.

    Args:
        file: the file.
        expected: the plain schema of the tables before it: its columns, and their types.

    Raises:
        InputError: it can't be read; of a line that is no such object, when its turn comes.
    """
    pa = need("pyarrow", "reading .jsonl")

    def batches() -> Iterator[Any]:
        with reading(file.name), file.open() as raw:
            for lines in _blocks(file, raw):
                for part in _narrow(lines, len(schema)):
                    yield from _parse(file, part, schema).to_batches()

    if expected is not None:
        schema = expected
        return Table(file.name, schema, batches, file.size)
    with reading(file.name), file.open() as raw:
        first = next((lines for lines in _blocks(file, raw) if lines.data.strip()), None)
    if first is None:
        raise InputError(
            f"{file.name} has no rows", hint="without a row, a table has no columns; leave the file out", name=file.name
        )
    _check_keys(file, first)
    found = plain_schema(_parse(file, first, None).schema, file.name)
    found = pa.schema([field.with_type(_untimed(pa, field.type)) if field.type.num_fields else field for field in found])
    found = _with_instants(file, first, _with_fractions(file, first, found))
    if may_be_long(first.data):
        found = _with_integers(file, first, found)
    # A column that is null so far may have anything later: as text, it has.
    schema = pa.schema([(field.name, pa.string() if pa.types.is_null(field.type) else field.type) for field in found])
    return Table(file.name, schema, batches, file.size)


def _with_instants(file: File, lines: _Lines, schema: Any) -> Any:
    """The schema, in which times have a zone (UTC) if all that are written do; those of which only some do are text."""
    pa = need("pyarrow", "reading .jsonl")
    texts = _read(lines.data, _as_text(pa, schema))
    for at, field in enumerate(schema):
        if pa.types.is_timestamp(field.type):
            values = texts.column(at).drop_null().to_pylist()
            zoned = sum(1 for value in values if _ZONE.search(value))
            kind = pa.timestamp(field.type.unit, tz="UTC") if zoned == len(values) else field.type if not zoned else pa.string()
            schema = schema.set(at, pa.field(field.name, kind))
    return schema


def _with_fractions(file: File, lines: _Lines, schema: Any) -> Any:
    """The schema, in which text is a time if all of it is such: pyarrow's reader knows those of whole seconds only."""
    pa = need("pyarrow", "reading .jsonl")
    texts: Any = None
    for at, field in enumerate(schema):
        if pa.types.is_string(field.type):
            texts = _read(lines.data, _as_text(pa, schema)) if texts is None else texts
            unit = _unit_of(texts.column(at).drop_null())
            schema = schema.set(at, pa.field(field.name, pa.timestamp(unit))) if unit else schema
    return schema


def _unit_of(texts: Any) -> str | None:
    """The unit in which a column of text is times; None if something else is among it, or no such unit holds it."""
    pa = need("pyarrow", "reading .jsonl")
    digits, zoned = 0, set()
    for value in texts:
        text = value.as_py()
        found = _TIME.fullmatch(text)
        zoned.add(bool(_ZONE.search(text)))
        if found is None or len(zoned) > 1:
            return None
        digits = max(digits, len(found[1] or ""))
    unit = "us" if digits <= _MICRO_DIGITS else "ns"
    try:
        texts.cast(pa.timestamp(unit, tz="UTC" if zoned == {True} else None))
    except pa.ArrowInvalid:
        return None
    return unit if digits else None


def _untimed(pa: Any, kind: Any) -> Any:
    """A type with text for the times in lists and objects: which of these have a zone nobody would see."""
    if pa.types.is_timestamp(kind):
        return pa.string()
    if pa.types.is_list(kind):
        return pa.list_(_untimed(pa, kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([(field.name, _untimed(pa, field.type)) for field in kind])
    return kind


def _as_text(pa: Any, schema: Any) -> Any:
    """The schema with text for times: pyarrow's reader would drop their zones."""
    return pa.schema([field.with_type(pa.string()) if pa.types.is_timestamp(field.type) else field for field in schema])


def _with_times(file: File, lines: _Lines, table: Any, schema: Any) -> Any:
    """The rows with times where the schema has such.

    Raises:
        InputError: a time has a zone, and those before have none, or the other way round; names the line.
    """
    pa = need("pyarrow", "reading .jsonl")
    for at, field in enumerate(schema):
        if pa.types.is_timestamp(field.type):
            try:
                table = table.set_column(at, field, table.column(at).cast(field.type))
            except pa.ArrowInvalid as error:
                raise _no_time(file, lines, field, one_line(error)) from error
    return table


def _no_time(file: File, lines: _Lines, field: Any, said: str) -> InputError:
    """Name the first line whose time isn't of the column's kind."""
    pa = need("pyarrow", "reading .jsonl")
    for number, line in enumerate(lines.data.split(b"\n"), lines.first):
        value = json.loads(line).get(field.name) if line.strip() else None
        try:
            pa.array([value], pa.string()).cast(field.type)
        except (pa.ArrowException, TypeError) as error:
            return _bad_line(file, number, f"column {field.name!r}, which is {field.type}: {one_line(error)}", field.name)
    return _bad_line(file, lines.first, f"column {field.name!r}, which is {field.type}: {said}", field.name)


def _with_integers(file: File, lines: _Lines, schema: Any) -> Any:
    """The schema without the columns of fractions that are some only because their whole numbers are large."""
    pa = need("pyarrow", "reading .jsonl")
    rows = [json.loads(line, parse_int=_whole) for line in lines.data.split(b"\n") if line.strip()]
    for at, field in enumerate(schema):
        values = [row[field.name] for row in rows if row.get(field.name) is not None]
        if pa.types.is_float64(field.type) and all(isinstance(value, int) for value in values):
            schema = schema.set(at, pa.field(field.name, type_of_integers(values, field.name, file.name)))
        elif field.type.num_fields and (worst := next(filter(_is_long, _inside(values)), None)) is not None:
            raise InputError(
                f"column {field.name!r} of {file.name} has {worst} in a list or an object, for which int64 has no room",
                hint="write it as text",
                name=file.name,
                column=field.name,
            )
    return schema


def _inside(value: Any) -> Iterator[Any]:
    """The values in lists and objects."""
    if isinstance(value, list | dict):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _inside(each)
    else:
        yield value


def _is_long(value: Any) -> bool:
    return isinstance(value, int) and not -INT64_MAX - 1 <= value <= INT64_MAX


def _whole(digits: str) -> int | float:
    return int(digits) if len(digits) <= _DIGITS_MAX else float(digits)


def _blocks(file: File, raw: IO[bytes]) -> Iterator[_Lines]:
    rest, number = b"", 1
    while block := raw.read(BLOCK_BYTES):
        block = rest + (block if rest or number > 1 else block.removeprefix(codecs.BOM_UTF8))
        end = block.rfind(b"\n") + 1
        rest = block[end:]
        if len(rest) > CHUNK_BYTES_MAX:
            line = number + block.count(b"\n")
            raise InputError(
                f"line {line:,} of {file.name} is longer than {human_bytes(CHUNK_BYTES_MAX)}",
                hint="write one object a line",
                name=file.name,
                row=line,
            )
        if end:
            lines = _Lines(number, block[:end])
            number += lines.data.count(b"\n")
            yield lines
    if rest:
        yield _Lines(number, rest)


def _narrow(lines: _Lines, columns: int) -> Iterator[_Lines]:
    """The same lines, in parts that don't have too many places for so many columns."""
    most = max(1, _CELLS_MAX // max(1, columns))
    if lines.data.count(b"\n") < most:
        yield lines
        return
    each = lines.data.split(b"\n")
    for at in range(0, len(each), most):
        yield _Lines(lines.first + at, b"\n".join(each[at : at + most]))


def _check_keys(file: File, lines: _Lines) -> None:
    keys, rows = len(set(_KEY.findall(lines.data))), lines.data.rstrip().count(b"\n") + 1
    if keys > COLUMNS_MAX or keys * rows > _CELLS_MAX:
        raise InputError(
            f"{file.name} has {keys:,} keys in its first {rows:,} rows: a table of {keys * rows:,} values, most of them missing",
            hint="give rows of (row, key, value), or its lines as text",
            name=file.name,
        )


def _parse(file: File, lines: _Lines, schema: Any) -> Any:
    """The rows of `lines` as a pyarrow.Table; without a schema, with the one that they suggest."""
    pa = need("pyarrow", "reading .jsonl")
    _check_lines(file, lines)
    texts = None if schema is None else _as_text(pa, schema)
    try:
        rows = _read(lines.data, texts)
    except pa.ArrowInvalid as error:
        raise _error_of(file, lines, texts, str(error)) from error
    return rows if schema is None else _with_times(file, lines, rows, schema)


def _check_lines(file: File, lines: _Lines) -> None:
    """See what pyarrow's reader doesn't: that all is UTF-8, each line an object by itself, and none so deep that it would crash.

    Raises:
        InputError: names the line.
    """
    try:
        lines.data.decode()
    except UnicodeDecodeError as error:
        number = lines.first + lines.data.count(b"\n", 0, error.start)
        raise _bad_line(file, number, f"byte {error.object[error.start]:#04x} in it isn't UTF-8") from error
    each = lines.data.split(b"\n")
    is_nested = lines.data.count(b"{") + lines.data.count(b"[") > len(each) + DEPTH_MAX
    for number, line in enumerate(map(bytes.strip, each), lines.first):
        if line and not (line.startswith(b"{") and line.endswith(b"}")):
            raise _bad_line(file, number, *_reason(line, None, "it is no object"))
        if is_nested and line.count(b"{") + line.count(b"[") > DEPTH_MAX and _depth_of(line) > DEPTH_MAX:
            raise _bad_line(file, number, f"it is nested more than {DEPTH_MAX} deep")


def _depth_of(line: bytes) -> int:
    depth = most = 0
    for bracket in _BRACKET.findall(_TEXT.sub(b"", line)):
        depth += 1 if bracket in b"{[" else -1
        most = max(most, depth)
    return most


def _read(data: bytes, schema: Any) -> Any:
    reader = need("pyarrow.json", "reading .jsonl")
    if not data.strip():
        return schema.empty_table()
    options = {"explicit_schema": schema, "unexpected_field_behavior": "error"} if schema is not None else {}
    return reader.read_json(
        io.BytesIO(data),
        read_options=reader.ReadOptions(use_threads=False, block_size=len(data) + 1),
        parse_options=reader.ParseOptions(**options),
    )


def _error_of(file: File, lines: _Lines, schema: Any, said: str) -> InputError:
    """Name the line: the first with which what comes before it can't be read."""
    pa = need("pyarrow", "reading .jsonl")
    each = lines.data.split(b"\n")
    good, bad = 0, len(each)
    while bad - good > 1:
        middle = (good + bad) // 2
        try:
            _read(b"\n".join(each[:middle]), schema)
            good = middle
        except pa.ArrowInvalid as error:
            bad, said = middle, str(error)
    return _bad_line(file, lines.first + bad - 1, *_reason(each[bad - 1], schema, said))


def _bad_line(file: File, number: int, reason: str, column: str = "") -> InputError:
    return InputError(
        f"line {number:,} of {file.name}: {reason}",
        hint="write one object a line, all with the same keys and types; or read the file yourself and pass the table",
        name=file.name,
        row=number,
        **({"column": column} if column else {}),
    )


def _reason(line: bytes, schema: Any, said: str) -> tuple[str, str]:
    """What is wrong with a line, and in which column, if that is known."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        return f"it isn't JSON: {one_line(error)}", ""
    if not isinstance(row, dict):
        return f"it is a {type(row).__name__}, not an object", ""
    if schema is not None and (unknown := [key for key in row if key not in schema.names]):
        return f"column {unknown[0]!r} isn't among those of the lines before: {', '.join(schema.names)}", unknown[0]
    if found := _CHANGED.search(said):
        column, before, now = found.groups()
        return f"column {column!r} is a {now}, and before it was a {before}", column
    text = said.rpartition("couldn't parse:")[2]
    column = next((key for key, value in row.items() if text in (value, json.dumps(value))), "")
    kind = f", which is {schema.field(column).type} in the lines before" if column and schema is not None else ""
    return f"column {column!r}{kind}: {one_line(said)}" if column else one_line(said), column

"""Plain Python values as input: numbers for arrays, dicts for tables and lines, documents for JSON."""

from __future__ import annotations

import array as memory
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from pangea.compute.data.kinds import check_keys
from pangea.compute.inputs.formats.arrays import check_whole_numbers_kept
from pangea.compute.inputs.formats.files import one_line
from pangea.compute.inputs.formats.frames import once
from pangea.compute.inputs.formats.python_types import MixedError, consistent
from pangea.compute.inputs.formats.schemas import plain_schema
from pangea.compute.inputs.formats.tables import Table
from pangea.compute.model.errors import InputError
from pangea.compute.model.libraries import need
from pangea.compute.model.limits import shown

#: Rows that are looked at before the first batch is made: what is in none of them is no column.
_BATCH_ROWS = 64 << 10
_NUMBERS = (bool, int, float, complex)


def is_matrix(given: Sequence[Any]) -> bool:
    """Whether a list holds numbers, or lists of them, rather than several inputs: by its first item."""
    return bool(given) and isinstance(given[0], (list, tuple, *_NUMBERS))


def array_of(values: Sequence[Any] | memory.array[Any], name: str) -> Any:
    """An ndarray of nested lists of numbers.

    Raises:
        InputError: the lists are of different lengths, or hold what is no number: names the place.
    """
    np = need("numpy", "a list of numbers as input")
    if isinstance(values, list | tuple):
        _check_even(values, name)
    try:
        array = np.array(values)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{name} can't become an array: {one_line(error)}", hint="pass an ndarray", name=name) from error
    if array.dtype.hasobject or array.dtype.kind in "US":
        raise InputError(
            f"{name} holds numbers that no array has together, such as {_largest(array)}", hint="pass an ndarray", name=name
        )
    check_whole_numbers_kept(values, array, name)
    return array


def _largest(array: Any) -> str:
    return shown(max(array.flat, key=lambda item: abs(item) if isinstance(item, int | float) else 0))


def _check_even(values: Sequence[Any], name: str) -> None:
    """See that lists of one level have one length, and that only numbers are at the bottom."""
    shape, at = [], values
    while isinstance(at, list | tuple):
        shape.append(len(at))
        if not at:
            break
        at = at[0]
    _check_level(values, shape, (), name)


def _check_level(values: Any, shape: list[int], place: tuple[int, ...], name: str) -> None:
    where = f"{name}{''.join(f'[{index}]' for index in place)}"
    hint = "pad the lists to one length, or give the job's input another kind, such as json"
    if not shape:
        if not isinstance(values, _NUMBERS):
            found = f"a list of {len(values)}" if isinstance(values, list | tuple) else shown(values)
            raise InputError(
                f"{where} is {found}, where the first of its level is a number", hint=hint, name=name, place=list(place)
            )
        return
    if not isinstance(values, list | tuple):
        raise InputError(
            f"{where} is {shown(values)}, where the first of its level is a list", hint=hint, name=name, place=list(place)
        )
    if len(values) != shape[0]:
        raise InputError(
            f"{where} has {len(values):,} items, where the first of its level has {shape[0]:,}",
            hint=hint,
            name=name,
            place=list(place),
        )
    if len(shape) == 1 and all(map(_NUMBER_TYPES.__contains__, map(type, values))):
        return  # the bottom, without a call for each number
    for index, item in enumerate(values):
        _check_level(item, shape[1:], (*place, index), name)


_NUMBER_TYPES = frozenset(_NUMBERS)


def columns_of(values: Mapping[Any, Any], name: str) -> Any:
    """A pyarrow.Table of a dict of columns.

    Raises:
        InputError: they are no columns of one length, each of one type: names the column.
    """
    pa = need("pyarrow", "a dict of columns as input")
    columns: dict[str, Any] = {}
    length = None
    for key, items in values.items():
        _check_name(key, name)
        if not isinstance(key, str) or isinstance(items, str | bytes) or not hasattr(items, "__len__"):
            raise InputError(
                f"{name} is a dict, and {shown(key)} in it is no column: {shown(items)}",
                hint="a table is {'name': [values], ...}, or a list of dicts, one for each row",
                name=name,
            )
        columns[key] = _column(pa, items, key, 1, None, name)
        first = next(iter(columns))
        length = len(columns[key]) if length is None else length
        if len(columns[key]) != length:
            raise InputError(
                f"column {key!r} of {name} has {len(columns[key]):,} rows, and column {first!r} has {length:,}",
                hint="fill it up with None",
                name=name,
                column=key,
            )
    return pa.table(columns)


def _check_name(key: Any, name: str) -> None:
    if isinstance(key, str) and any("\ud800" <= letter <= "\udfff" for letter in key):
        raise InputError(
            f"a column of {name} is called {key!a:.80}, in which half of a surrogate pair stands alone: no Unicode text",
            hint="rename it",
            name=name,
        )


def rows_of(values: Iterable[Any], name: str) -> Table:
    """A table of dicts, one for each row; what a row lacks is null. An iterator is read while the job runs.

    Columns have the types of the first rows, and appear in the order in which these name them.

    Raises:
        InputError: no rows; later, what is no dict, an unknown column, or a value of another type: names row and column.
    """
    pa = need("pyarrow", "rows as input")
    rows = iter(values)
    first = [*islice(rows, _BATCH_ROWS)] if not isinstance(values, Sequence) else [*rows]
    if not first:
        raise InputError(
            f"{name} has no rows", hint="without a row, a table has no columns: pass a frame that names them", name=name
        )
    names: dict[str, None] = {}
    for number, row in enumerate(first, 1):
        names |= dict.fromkeys(_checked(row, number, name))
    for column in names:
        _check_name(column, name)
    batch = _batch(pa, first, [*names], None, 1, name)
    schema = plain_schema(batch.schema, name)
    types = [field.type for field in schema]

    def batches() -> Iterator[Any]:
        yield batch
        number = 1 + len(first)
        while some := [*islice(rows, _BATCH_ROWS)]:
            for at, row in enumerate(some, number):
                if unknown := [key for key in _checked(row, at, name) if key not in names]:
                    raise InputError(
                        f"row {at:,} of {name} has a column {unknown[0]!r}, which none of the first {_BATCH_ROWS:,} has",
                        hint="name it in the first row, with None if need be",
                        name=name,
                        row=at,
                        column=unknown[0],
                    )
            yield _batch(pa, some, [*names], types, number, name)
            number += len(some)

    return Table(name, schema, batches if isinstance(values, Sequence) else once(batches(), name), batch.nbytes)


def _checked(row: Any, number: int, name: str) -> Mapping[str, Any]:
    if isinstance(row, Mapping) and all(isinstance(key, str) for key in row):
        return row
    raise InputError(
        f"row {number:,} of {name} is {shown(row)}; a row is a dict of column names and values",
        hint="or pass a frame, or {'name': [values], ...}",
        name=name,
        row=number,
    )


def _batch(pa: Any, rows: list[Any], names: list[str], types: list[Any] | None, first: int, name: str) -> Any:
    columns = [
        _column(pa, [row.get(key) for row in rows], key, first, types[index] if types else None, name)
        for index, key in enumerate(names)
    ]
    return pa.RecordBatch.from_arrays(columns, names=names)


def _column(pa: Any, values: Any, column: str, first: int, kind: Any, name: str) -> Any:
    try:
        values, kind = consistent(pa, values, kind)
        made = pa.array(values, type=kind)
        return made.combine_chunks() if isinstance(made, pa.ChunkedArray) else made
    except MixedError as error:
        row = first + error.index
        raise InputError(
            f"column {column!r} in row {row:,} of {name} is {shown(values[error.index])}: {error}",
            hint="a column has one type, and None where there is no value",
            name=name,
            row=row,
            column=column,
        ) from error
    except (pa.ArrowException, TypeError, ValueError, OverflowError, NotImplementedError) as error:
        row = first + _first_bad(pa, values, kind)
        raise InputError(
            f"column {column!r} in row {row:,} of {name} is {shown(values[row - first])}, which isn't of the type before it:"
            f" {one_line(error)}",
            hint="a column has one type, and None where there is no value",
            name=name,
            row=row,
            column=column,
        ) from error


def _first_bad(pa: Any, values: Any, kind: Any) -> int:
    """Index of the first value with which those before it make no column."""
    good, bad = 0, len(values)
    while bad - good > 1:
        middle = (good + bad) // 2
        try:
            pa.array(values[:middle], type=kind)
            good = middle
        except (pa.ArrowException, TypeError, ValueError, OverflowError, NotImplementedError):
            bad = middle
    return bad - 1


def document_of(value: object, name: str) -> bytes:
    """A JSON document.

    Raises:
        InputError: JSON can't say it.
    """
    try:
        check_keys(value)
        return _json_text(value).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(
            f"{name} can't be said in JSON: {one_line(error)}",
            hint="JSON has dicts with names, lists, text, finite numbers, true, false and null",
            name=name,
        ) from error


def _json_text(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which UTF-8 lacks and an escape has
        return json.dumps(value, allow_nan=False)
    return text


def lines_of(values: Iterable[object], name: str) -> Iterator[bytes]:
    """One JSON document a line.

    Raises:
        InputError: JSON can't say one of them: names its number.
    """
    for number, value in enumerate(values, 1):
        yield document_of(value, f"line {number:,} of {name}") + b"\n"

"""Whole numbers in text that pyarrow reads otherwise than they are meant, without a word.

What doesn't fit into 64 bits with a sign, or has a plus before it, it rounds to float64; and hexadecimal digits, which are text
to pandas, polars and DuckDB, it takes for numbers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import IO, Any

from pangea.compute.data.making import EXACT_FLOAT
from pangea.compute.model.errors import InputError
from pangea.compute.model.libraries import need

#: What a block of text has to hold for such a number to be in it: 2**63 - 1 has 19 digits.
_LONG = re.compile(rb"\d{19}")
_HEXADECIMAL, _PLUS = re.compile(rb"0[xX][0-9a-fA-F]"), re.compile(rb"\+\d{16}")
_HEXADECIMAL_TEXT = re.compile(r"\s*-?0[xX][0-9a-fA-F]+\s*")
#: As many digits as Python reads, which is far more than any number that is meant has.
_INTEGER = re.compile(r"[+-]?[0-9]{1,4000}")
_INT64_MAX, _UINT64_MAX = 2**63 - 1, 2**64 - 1


def may_be_long(block: bytes) -> bool:
    """Whether a block of text can hold such a number at all: a quick look, before a thorough one."""
    return _LONG.search(block) is not None


def may_be_misread(block: bytes) -> bool:
    """Likewise, of numbers with a plus, and of hexadecimal ones."""
    return may_be_long(block) or _HEXADECIMAL.search(block) is not None or _PLUS.search(block) is not None


def types_of_numbers(batch: Any, name: str, schema: Any) -> dict[str, Any]:
    """The types of those columns that hold something else than pyarrow took their values for.

    Args:
        batch: the columns as text.
        name: of the input, for messages.
        schema: what pyarrow made of them.

    Raises:
        InputError: no type has room for a column's whole numbers.
    """
    pa = need("pyarrow", "a table as input")
    types = {}
    for column in batch.schema.names:
        values = batch.column(column).drop_null().to_pylist()
        if any(map(_HEXADECIMAL_TEXT.fullmatch, values)):
            types[column] = pa.string()
        elif pa.types.is_floating(schema.field(column).type) and all(map(_INTEGER.fullmatch, values)):
            _refuse_plus(values, column, name)
            if any(abs(int(value)) > EXACT_FLOAT for value in values):
                types[column] = type_of_integers(map(int, values), column, name)
    return types


def _refuse_plus(values: Iterable[str], column: str, name: str) -> None:
    wrong = next((value for value in values if value[0] == "+" and int(value) > EXACT_FLOAT), None)
    if wrong is not None:
        raise InputError(
            f"column {column!r} of {name} has the whole number {wrong}, which for its plus is read as a float, and rounded",
            hint="write it without a plus, or read the file yourself and pass the table",
            name=name,
            column=column,
        )


class Watched:
    """A file that is read, and whether hexadecimal digits were in what was read of it."""

    def __init__(self, raw: IO[bytes]) -> None:
        """Read `raw`, which others close."""
        self._raw, self._end, self.has_hexadecimal, self.closed = raw, b"", False, False

    def read(self, size: int = -1) -> bytes:
        """The next bytes."""
        block = self._raw.read(size)
        seen = self._end + block[:3]  # for what lies across two blocks
        self.has_hexadecimal = self.has_hexadecimal or any(map(_HEXADECIMAL.search, (seen, block)))
        self._end = block[-2:] if len(block) > 1 else seen[-2:]
        return block

    def readable(self) -> bool:
        """Whether it can be read."""
        return True

    def close(self) -> None:
        """Nothing: whoever has opened the file closes it."""
        self.closed = True


def refuse_hexadecimal(batches: Iterable[Any], columns: list[str], name: str) -> None:
    """Look through columns of whole numbers, read as text, for hexadecimal ones.

    Raises:
        InputError: there is one; names its column and row.
    """
    first = 2  # the header is row 1
    for batch in batches:
        for column in columns:
            for row, value in enumerate(batch.column(column).to_pylist(), first):
                if value is not None and _HEXADECIMAL_TEXT.fullmatch(value):
                    raise InputError(
                        f"column {column!r} in row {row:,} of {name} (the header is row 1) has to be int64: {value!r} is"
                        " hexadecimal, which is text elsewhere",
                        hint="read the file yourself and pass the table, the column as text or as numbers",
                        name=name,
                        column=column,
                        row=row,
                    )
        first += batch.num_rows


def type_of_integers(values: Iterable[int], column: str, name: str) -> Any:
    """The pyarrow type of a column that has whole numbers only, and one at least that int64 has no room for.

    Raises:
        InputError: no type has room for all of them.
    """
    values = list(values)
    if min(values) >= 0 and max(values) <= _UINT64_MAX:
        return need("pyarrow", "a table as input").uint64()
    worst = next(value for value in values if not -_INT64_MAX - 1 <= value <= _INT64_MAX)
    raise InputError(
        f"column {column!r} of {name} has the whole number {worst}, for which no column of 64 bits has room beside the others",
        hint="read the file yourself, with the column as text or, where rounded numbers will do, as float64, and pass the table",
        name=name,
        column=column,
    )

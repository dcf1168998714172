"""Whole numbers that don't fit into 64 bits with a sign: pyarrow's readers of text would round them to float64 without a word."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from pangea.compute.model.errors import InputError
from pangea.compute.model.libraries import need

#: What a block of text has to hold for such a number to be in it: 2**63 - 1 has 19 digits.
_LONG = re.compile(rb"\d{19}")
_INT64_MAX, _UINT64_MAX = 2**63 - 1, 2**64 - 1


def may_be_long(block: bytes) -> bool:
    """Whether a block of text can hold such a number at all: a quick look, before a thorough one."""
    return _LONG.search(block) is not None


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
